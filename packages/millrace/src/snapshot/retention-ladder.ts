/**
 * How many checkpoints stay, the further back the fewer: the newest `last`; of each of the newest `hourly` hours that have any, its newest;
 * of days likewise. Hours and days are those of UTC, and of when a checkpoint was made; no clock is asked, so a job that rests loses none.
 *
 *     { last: 2, hourly: 3, daily: 2 }     09:58 10:20 10:40 | 11:10 11:50 | 12:05 12:06 12:07
 *                                                      ^hour         ^hour         ^last ^last, hour, day
 */
export interface RetentionLadder {
  /** At least 1. */
  readonly last: number
  readonly hourly: number
  readonly daily: number
}

export type Rung = 'recent' | 'hourly' | 'daily'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** Why each checkpoint stays that does, by id. */
export function rungsOf(
  newestFirst: readonly { readonly id: number; readonly createdAtMs: number }[],
  { last, hourly, daily }: RetentionLadder,
): Map<number, Rung> {
  const rungs = new Map<number, Rung>(newestFirst.slice(0, last).map(({ id }) => [id, 'recent']))
  const climb = (rung: Rung, spanMs: number, count: number): void => {
    const spans = new Set<number>()
    for (const { id, createdAtMs } of newestFirst) {
      if (spans.size === count) return
      const span = Math.floor(createdAtMs / spanMs)
      if (spans.has(span)) continue
      spans.add(span)
      if (!rungs.has(id)) rungs.set(id, rung)
    }
  }
  climb('hourly', HOUR_MS, hourly)
  climb('daily', DAY_MS, daily)
  return rungs
}
