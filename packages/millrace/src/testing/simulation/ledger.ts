/**
 * The system that sinks write to in a simulation, which outlives processes: transactions that are prepared, then committed. It is not
 * forgiving: a commit of something that no published manifest names, another content under the same id, or the loss of anything that
 * was prepared is a violation.
 */
import type { Item } from './items.ts'

export interface Transaction {
  readonly id: string
  readonly sink: string
  readonly runId: string
  readonly checkpoint: number
  readonly rows: readonly Item[]
}

interface Entry extends Transaction {
  state: 'prepared' | 'committed' | 'taken back'
}

export interface LedgerWitness {
  /** Whether a manifest was published that names the committable. */
  isNamed(id: string): boolean
  violation(what: string): void
}

export class Ledger {
  private readonly witness: LedgerWitness
  private readonly entries = new Map<string, Entry>()

  constructor(witness: LedgerWitness) {
    this.witness = witness
  }

  prepare(transaction: Transaction): void {
    const before = this.entries.get(transaction.id)
    if (before !== undefined && before.state !== 'taken back') {
      this.witness.violation(`transaction ${transaction.id} is prepared twice`)
    }
    this.entries.set(transaction.id, { ...transaction, state: 'prepared' })
  }

  commit(id: string): void {
    const entry = this.entries.get(id)
    if (entry === undefined || entry.state === 'taken back') {
      return this.witness.violation(`transaction ${id} is committed but ${entry?.state ?? 'was never prepared'}`)
    }
    if (!this.witness.isNamed(id)) this.witness.violation(`transaction ${id} is committed before a manifest names it`)
    entry.state = 'committed'
  }

  /** Of a sink that keeps its rows in the committable. */
  put(transaction: Transaction): void {
    const before = this.entries.get(transaction.id)
    if (before !== undefined && JSON.stringify(before.rows) !== JSON.stringify(transaction.rows)) {
      this.witness.violation(`transaction ${transaction.id} is committed again with other rows`)
    }
    if (before === undefined) this.entries.set(transaction.id, { ...transaction, state: 'prepared' })
    this.commit(transaction.id)
  }

  /** What was prepared or committed but is no part of the sink's past. */
  takeBack(sink: string, isPast: (transaction: Transaction) => boolean): void {
    for (const entry of this.entries.values()) {
      if (entry.sink === sink && !isPast(entry)) entry.state = 'taken back'
    }
  }

  isCommitted(id: string): boolean {
    return this.entries.get(id)?.state === 'committed'
  }

  /** Rows that this sink's past of a run came to, by those that were committed or are named. */
  rowsIn(sink: string, isIn: (transaction: Transaction) => boolean): number {
    let rows = 0
    for (const entry of this.entries.values()) if (entry.sink === sink && isIn(entry)) rows += entry.rows.length
    return rows
  }

  /** What readers see of a run, in the order of checkpoints. */
  committedOf(sink: string, runId: string): Item[] {
    return [...this.entries.values()]
      .filter(entry => entry.sink === sink && entry.runId === runId && entry.state === 'committed')
      .toSorted((a, b) => a.checkpoint - b.checkpoint)
      .flatMap(({ rows }) => rows)
  }
}
