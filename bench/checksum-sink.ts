/**
 * A sink that keeps nothing of its rows but their checksum, exactly-once: it is part of every snapshot, and delivered at the end. The
 * order of rows does not matter, so the sums of several subtasks, or of another number of them in a snapshot, are added up.
 *
 * It also looks at the clock at the first of every GROUP rows: the longest time between two groups is the job's longest pause. Where
 * `reports` are wanted it logs how many rows there were, at the process's first row, now and then, and at the end, for whoever kills it.
 */
import type { Json, Sink, SinkContext } from 'millrace/connector'
import { RowSum } from './arithmetic.ts'

const GROUP = 256
/** In groups: every 65,536 rows. */
const REPORT_EVERY = 256

/** What a subtask's sink logs; `rows` with those of the restored snapshot. */
export interface Report {
  readonly subtask: number
  readonly rows: number
  readonly atMs: number
}

interface Delivered {
  readonly checkpointId: number
  readonly sum: Json
  readonly maxPauseMs: number
}

interface Committable extends Delivered {
  readonly subtask: number
}

/** Fields as 32-bit integers; texts go in as `fnv`. */
export function checksum(options: { readonly reports?: boolean } = {}): Sink<readonly number[]> {
  return {
    type: 'checksum',
    retracts: true,
    open: async (context, { states }) => new ChecksumWriter(context, states, options.reports ?? false),
  }
}

/**
 * Of all subtasks, from `handle.rows(name)`. What a process that was killed at its very end had prepared is delivered again, besides what
 * the last checkpoint says: that one counts.
 */
export function totalOf(delivered: readonly Delivered[]): { readonly checksum: string; readonly maxPauseMs: number } {
  const newest = Math.max(...delivered.map(({ checkpointId }) => checkpointId))
  const last = delivered.filter(({ checkpointId }) => checkpointId === newest)
  const total = new RowSum()
  for (const { sum } of last) total.merge(sum)
  return { checksum: String(total), maxPauseMs: Math.max(...last.map(({ maxPauseMs }) => maxPauseMs)) }
}

class ChecksumWriter {
  readonly write: (row: readonly number[]) => void
  private readonly context: SinkContext
  private readonly sum = new RowSum()
  private readonly reports: boolean
  private groups = 0
  private lastGroupMs = NaN
  private maxPauseMs = 0

  constructor(context: SinkContext, states: readonly Json[], reports: boolean) {
    this.context = context
    this.reports = reports
    for (const state of states) this.sum.merge(state)
    let written = 0
    this.write = row => {
      this.sum.addRow(row)
      if (written++ % GROUP === 0) this.startGroup()
    }
  }

  async prepareCommit(checkpointId: number, last: boolean) {
    if (last) this.report()
    const sum = this.sum.toJson()
    const { subtask } = this.context
    const delivered = { checkpointId, sum, maxPauseMs: this.maxPauseMs }
    return { committables: last ? [{ subtask, ...delivered }] : [], state: sum }
  }

  async commit(committables: readonly Json[]) {
    for (const { subtask, ...delivered } of committables as unknown as readonly Committable[])
      this.context.deliver(`${delivered.checkpointId}-${subtask}`, [delivered])
  }

  async close() {}

  private startGroup(): void {
    const nowMs = performance.now()
    // Not of the first group: nothing came before it.
    if (nowMs - this.lastGroupMs > this.maxPauseMs) this.maxPauseMs = nowMs - this.lastGroupMs
    this.lastGroupMs = nowMs
    if (this.groups++ % REPORT_EVERY === 0) this.report()
  }

  private report(): void {
    if (!this.reports) return
    const report: Report = { subtask: this.context.subtask, rows: this.sum.toJson().count, atMs: Date.now() }
    this.context.log.info(JSON.stringify(report))
  }
}
