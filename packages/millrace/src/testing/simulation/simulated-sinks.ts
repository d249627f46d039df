/**
 * Two sinks for simulations. One carries its rows in the committable, as the memory sink does, and cannot take anything back. The other
 * prepares a transaction outside and names it in the committable, keeps a count in its writer state, and puts leftovers of earlier
 * attempts right when it opens.
 */
import type { Json } from '../../base/json.ts'
import type { Prepared, RestoredSink, Sink, SinkContext, SinkWriter } from '../../connectors/contract.ts'
import { isWhole, type Item } from './items.ts'
import type { Transaction } from './ledger.ts'
import type { SinkPlan } from './plan.ts'
import { mayThrow, type Site } from './site.ts'

export function simulatedSink(site: Site, { kind, name }: SinkPlan): Sink<Item> {
  const call = <T>(label: string, effect: () => T): Promise<T> => {
    const error = (what: string) => new Error(what)
    return site.systems.call({ owner: site.owner, label: `${label} of ${name}`, effect: async () => effect(), error })
  }
  const isCarrying = kind === 'carrying'
  return {
    type: kind,
    retracts: !isCarrying,
    open: async (context, restored) =>
      isCarrying ? new CarryingWriter(site, context, call) : openTransactional(site, context, restored, call),
  }
}

type Call = <T>(label: string, effect: () => T) => Promise<T>

/** Rows since the last barrier. What was to be prepared and failed is lost to this writer, so it takes nothing more. */
class RowBuffer {
  private readonly site: Site
  private rows: Item[] = []
  private error: unknown

  constructor(site: Site) {
    this.site = site
  }

  write(row: Item): void {
    if (this.error !== undefined) throw this.error
    mayThrow(this.site, 'a sink')
    if (!isWhole(row)) this.site.violation(`record ${row.id} arrives with ${row.padding.length} bytes of padding`)
    this.rows.push({ ...row, padding: '' })
  }

  async prepare<T>(how: (rows: readonly Item[]) => Promise<T>): Promise<T> {
    if (this.error !== undefined) throw this.error
    const { rows } = this
    this.rows = []
    try {
      mayThrow(this.site, 'prepareCommit')
      return await how(rows)
    } catch (error) {
      this.error = error
      throw error
    }
  }
}

class CarryingWriter implements SinkWriter<Item> {
  private readonly site: Site
  private readonly context: SinkContext
  private readonly call: Call
  private readonly buffer: RowBuffer

  constructor(site: Site, context: SinkContext, call: Call) {
    this.site = site
    this.context = context
    this.call = call
    this.buffer = new RowBuffer(site)
  }

  write(row: Item): void {
    this.buffer.write(row)
  }

  prepareCommit(checkpoint: number): Promise<Prepared> {
    const { runId, subtask, operator: sink } = this.context
    return this.buffer.prepare(async rows => {
      if (rows.length === 0) return { committables: [] }
      const id = `${sink}/${runId}/${subtask}/${checkpoint}`
      return { committables: [{ id, sink, runId, checkpoint, rows } satisfies Transaction as unknown as Json] }
    })
  }

  async commit(committables: readonly Json[]): Promise<void> {
    for (const committable of committables as unknown as readonly Transaction[]) {
      await this.call(`commit ${committable.id}`, () => this.site.ledger.put(committable))
    }
  }

  async close(): Promise<void> {}
}

/** The state of a writer: how many rows it and those that it took over from have prepared in all. */
interface Count {
  readonly rows: number
}

async function openTransactional(
  site: Site,
  context: SinkContext,
  restored: RestoredSink,
  call: Call,
): Promise<SinkWriter<Item>> {
  const { ledger } = site
  const { operator: sink } = context
  const named = new Set((restored.all.committables as readonly string[]).map(id => id))
  const isPast = ({ id, runId, checkpoint }: Transaction): boolean =>
    named.has(id) || (ledger.isCommitted(id) && restored.isAncestor(runId, checkpoint))
  // Systems that can take back what was committed know their writers, and refuse one that was replaced.
  await call('take back', () => site.isReplaced() || ledger.takeBack(sink, isPast))
  if (site.isReplaced()) return new TransactionalWriter(site, context, call, 0)
  const counted = (restored.all.states as unknown as readonly Count[]).reduce((sum, { rows }) => sum + rows, 0)
  const found = ledger.rowsIn(sink, isPast)
  if (counted !== found) {
    site.violation(`${sink} restores the states of ${counted} rows, but its past has ${found}`)
  }
  const own = (restored.states as unknown as readonly Count[]).reduce((sum, { rows }) => sum + rows, 0)
  return new TransactionalWriter(site, context, call, own)
}

class TransactionalWriter implements SinkWriter<Item> {
  private readonly site: Site
  private readonly context: SinkContext
  private readonly call: Call
  /** So that no two attempts ever use the same name. */
  private readonly nonce: string
  private readonly buffer: RowBuffer
  private count: number

  constructor(site: Site, context: SinkContext, call: Call, count: number) {
    this.site = site
    this.context = context
    this.call = call
    this.count = count
    this.nonce = site.chance.hex(6)
    this.buffer = new RowBuffer(site)
  }

  write(row: Item): void {
    this.buffer.write(row)
  }

  prepareCommit(checkpoint: number): Promise<Prepared> {
    const { runId, subtask, operator: sink } = this.context
    return this.buffer.prepare(async rows => {
      const state = { rows: (this.count += rows.length) }
      if (rows.length === 0) return { committables: [], state }
      const id = `${sink}/${runId}/${subtask}/${checkpoint}/${this.nonce}`
      await this.call(`prepare ${id}`, () => this.site.ledger.prepare({ id, sink, runId, checkpoint, rows }))
      return { committables: [id], state }
    })
  }

  async commit(committables: readonly Json[]): Promise<void> {
    for (const id of committables as readonly string[]) {
      await this.call(`commit ${id}`, () => this.site.ledger.commit(id))
    }
  }

  async close(): Promise<void> {}
}
