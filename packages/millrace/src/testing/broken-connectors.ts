/**
 * Connectors that break their contract, each in one way, under the contract suites: connector-contracts.test.ts runs this file and
 * expects the suites to fail. (It is not a test file by name, so that nothing else runs it.)
 */
import type { Json } from '../base/json.ts'
import type {
  ReadResult,
  RestoredSink,
  Sink,
  SinkContext,
  SinkWriter,
  Source,
  SourceOutput,
  SplitReader,
} from '../connectors/contract.ts'
import { sinkContract } from './sink-contract.ts'
import { sourceContract } from './source-contract.ts'

type SourceFault =
  | 'none'
  | 'repeats'
  | 'skips'
  | 'too-many'
  | 'loses'
  | 'no-end'
  | 'unstable-id'
  | 'no-json'
  | 'backwards'

class FaultyReader implements SplitReader<number> {
  private readonly fault: SourceFault
  private next: number
  private reads = 0

  constructor(fault: SourceFault, next: number) {
    this.fault = fault
    this.next = next
  }

  read(output: SourceOutput<number>, maxRecords: number): ReadResult {
    this.reads++
    const most = this.fault === 'too-many' ? maxRecords + 1 : maxRecords
    if (this.next === 6) {
      if (this.fault === 'no-end') output.record(6)
      return 'end'
    }
    for (let count = 0; count < most && this.next < 6; count++) {
      const record = this.next++
      if (this.fault !== 'loses' || record !== 3) output.record(record)
    }
    return this.next === 6 ? 'end' : 'more'
  }

  position(): Json {
    if (this.fault === 'repeats') return Math.max(0, this.next - 1)
    if (this.fault === 'skips') return Math.min(6, this.next + (this.next === 2 ? 1 : 0))
    if (this.fault === 'no-json') return { next: this.next, toJSON: () => 0 } as unknown as Json
    return this.next
  }

  progress(): { done: number; total: number; unit: 'records' } {
    return { done: this.fault === 'backwards' ? 10 - this.reads : this.next, total: 10, unit: 'records' }
  }

  async close(): Promise<void> {}
}

let listings = 0
function faultySource(fault: SourceFault): Source<number> {
  return {
    type: fault,
    bounded: true,
    async enumerate() {
      return [{ id: fault === 'unstable-id' ? `split ${listings++}` : 'split', detail: null }]
    },
    async open(_split, position) {
      return new FaultyReader(fault, (position ?? 0) as number)
    },
  }
}

const sourceFaults: readonly SourceFault[] = [
  'none',
  'repeats',
  'skips',
  'too-many',
  'loses',
  'no-end',
  'unstable-id',
  'no-json',
  'backwards',
]
for (const fault of sourceFaults) {
  sourceContract(`source:${fault}`, { make: () => faultySource(fault), expected: [[0, 1, 2, 3, 4, 5]] })
}

type SinkFault =
  | 'none'
  | 'shows-early'
  | 'commits-twice'
  | 'drops-aborted'
  | 'late-barrier'
  | 'keeps-leftovers'
  | 'never-retracts'
  | 'forgets-carried'

/** What has been written and what readers see, for all attempts. */
interface Place {
  pending: number[]
  readonly visible: Map<number, readonly number[]>
  early: number[]
}

class FaultyWriter implements SinkWriter<number> {
  private readonly fault: SinkFault
  private readonly place: Place
  private readonly fresh: boolean

  constructor(fault: SinkFault, place: Place, fresh: boolean) {
    this.fault = fault
    this.place = place
    this.fresh = fresh
  }

  write(record: number): void {
    if (this.fault === 'shows-early') this.place.early.push(record)
    else this.place.pending.push(record)
  }

  async prepareCommit(checkpoint: number): Promise<{ committables: Json[] }> {
    if (this.fault === 'late-barrier') await Promise.resolve()
    const rows = this.place.pending
    this.place.pending = []
    return { committables: rows.length === 0 ? [] : [{ checkpoint, rows }] }
  }

  async commit(committables: readonly Json[]): Promise<void> {
    const given = this.fault === 'drops-aborted' ? committables.slice(-1) : committables
    if (
      this.fault === 'forgets-carried' &&
      !this.fresh &&
      committables.some(json => !this.place.visible.has((json as { checkpoint: number }).checkpoint))
    )
      return
    for (const json of given) {
      const { checkpoint, rows } = json as { checkpoint: number; rows: number[] }
      const before = this.fault === 'commits-twice' ? (this.place.visible.get(checkpoint) ?? []) : []
      this.place.visible.set(checkpoint, [...before, ...rows])
    }
  }

  async close(): Promise<void> {}
}

function faultySink(fault: SinkFault, place: Place): Sink<number> {
  return {
    type: fault,
    retracts: true,
    async open(_context: SinkContext, restored: RestoredSink) {
      if (fault !== 'keeps-leftovers') place.pending = []
      for (const checkpoint of place.visible.keys()) {
        if (fault !== 'never-retracts' && checkpoint > (restored.checkpointId ?? 0)) place.visible.delete(checkpoint)
      }
      return new FaultyWriter(fault, place, restored.checkpointId === undefined)
    },
  }
}

const sinkFaults: readonly SinkFault[] = [
  'none',
  'shows-early',
  'commits-twice',
  'drops-aborted',
  'late-barrier',
  'keeps-leftovers',
  'never-retracts',
  'forgets-carried',
]
for (const fault of sinkFaults) {
  sinkContract<number>(`sink:${fault}`, {
    make: () => {
      const place: Place = { pending: [], visible: new Map(), early: [] }
      return {
        make: () => faultySink(fault, place),
        visible: () => [...[...place.visible.values()].flat(), ...place.early],
      }
    },
    record: i => i,
    manyRecords: 20,
  })
}
