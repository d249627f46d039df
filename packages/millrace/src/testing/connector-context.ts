/** What the contract suites give to a connector: contexts with a clock of their own, which moves only when a reader waits for it. */
import type {
  Log,
  ReadResult,
  RestoredSink,
  SinkContext,
  SourceContext,
  SourceOutput,
  SplitReader,
} from '../connectors/contract.ts'

const silent: Log = { info() {}, warn() {} }

/** A slot in small: reads one reader, and when it is blocked waits for its wake, or jumps to the time it asked for. */
export class SourceDriver implements SourceContext {
  readonly job = 'contract'
  readonly operator = 'source'
  readonly subtask = 0
  readonly parallelism = 1
  readonly log = silent
  readonly counters = new Map<string, number>()
  timeMs = 1_700_000_000_000
  private wakeTimeMs = Infinity
  private woken = false
  private onWake: (() => void) | undefined

  now(): number {
    return this.timeMs
  }

  count(counter: string, by: number): void {
    this.counters.set(counter, (this.counters.get(counter) ?? 0) + by)
  }

  wake(): void {
    this.woken = true
    this.onWake?.()
  }

  wakeAt(timeMs: number): void {
    this.wakeTimeMs = Math.min(this.wakeTimeMs, timeMs)
  }

  /**
   * Reads until `wanted` records are there, or the split has ended, or is caught up and has nothing new when it wanted to be read again.
   * @param onRead sees how many records each call handed out
   */
  async read<T>(
    reader: SplitReader<T>,
    output: CollectingOutput<T>,
    wanted: number,
    step: number,
    onRead?: (count: number) => void,
  ): Promise<ReadResult> {
    let result: ReadResult = 'more'
    let isQuiet = false
    while (output.records.length < wanted) {
      const before = output.records.length
      result = reader.read(output, Math.min(step, wanted - before))
      onRead?.(output.records.length - before)
      if (result === 'end') break
      if (result === 'caught-up') {
        if (this.wakeTimeMs === Infinity || (isQuiet && output.records.length === before)) break
        isQuiet = true
      } else isQuiet = false
      if (result !== 'more') await this.untilWoken()
    }
    return result
  }

  /** A reader that never wakes anybody hangs here, and the suite's time limit says so. */
  private async untilWoken(): Promise<void> {
    if (!this.woken && this.wakeTimeMs < Infinity) {
      this.timeMs = Math.max(this.timeMs, this.wakeTimeMs)
    } else if (!this.woken) {
      await new Promise<void>(resolve => (this.onWake = resolve))
    }
    this.onWake = undefined
    this.woken = false
    this.wakeTimeMs = Infinity
  }
}

export class CollectingOutput<T> implements SourceOutput<T> {
  readonly records: T[] = []
  readonly sides: { tag: string; value: unknown }[] = []

  record(value: T): void {
    this.records.push(value)
  }

  side(tag: string, value: unknown): void {
    this.sides.push({ tag, value })
  }
}

/** One place that a sink writes to, over several attempts: what was delivered, the clock, the warnings. */
export class SinkDriver {
  readonly delivered = new Map<string, readonly unknown[]>()
  readonly warnings: string[] = []
  readonly runId: string
  timeMs = 1_700_000_000_000

  constructor(runId = '0a1b2c3d') {
    this.runId = runId
  }

  context(overrides: Partial<SinkContext> = {}): SinkContext {
    return {
      job: 'contract',
      operator: 'sink',
      subtask: 0,
      parallelism: 1,
      runId: this.runId,
      now: () => this.timeMs,
      count() {},
      log: { info() {}, warn: message => void this.warnings.push(message) },
      wake() {},
      // As the host does it: a committable that is delivered again after a restart is the same rows.
      deliver: (committable, rows) => void this.delivered.set(committable, rows),
      ...overrides,
    }
  }
}

/** A snapshot of this run with that checkpoint, as a sink sees it; undefined: a fresh start. */
export function restoredFrom(
  runId: string,
  checkpointId: number | undefined,
  parts: Partial<RestoredSink> = {},
): RestoredSink {
  const { states = [], committables = [] } = parts
  return {
    checkpointId,
    states,
    committables,
    all: { states, committables },
    isAncestor: (run, checkpoint) => checkpointId !== undefined && run === runId && checkpoint <= checkpointId,
    ...parts,
  }
}
