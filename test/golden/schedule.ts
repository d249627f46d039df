/** Schedules of golden jobs, drawn from random numbers. */
import { PARALLELISMS, type GoldenAttempt } from './golden.ts'

/** More interrupted attempts than the jobs' input lasts for would be left out. */
const INTERRUPTED_MAX = 4

/** Two to four attempts that are interrupted, mostly killed, and one to the end; each at another parallelism than the one before, on either backend. */
export function drawSchedule(random: () => number): GoldenAttempt[] {
  const below = (limit: number) => Math.floor(random() * limit)
  const oneOf = <T>(values: readonly T[]): T => values[below(values.length)]
  let parallelism = 0
  const start = () => {
    const others = [1, ...PARALLELISMS].filter(each => each !== parallelism)
    parallelism = others.length === 0 ? parallelism : oneOf(others)
    return {
      parallelism,
      stateBackend: oneOf(['heap', 'rocksdb'] as const),
      // Not below any of the parallelisms; 128 if nothing is said.
      ...(random() < 0.2 && { maxParallelism: oneOf([7, 64, 300]) }),
      everyMs: oneOf([1, 2, 2, 4]),
      intervalMs: oneOf([5, 25, 25, 50]),
      delayMs: below(30),
    }
  }
  const interrupted = Array.from({ length: 2 + below(INTERRUPTED_MAX - 1) }, (): GoldenAttempt => {
    const end = oneOf(['kill', 'kill', 'kill', 'kill', 'kill', 'kill', 'stop', 'cancel'] as const)
    // A stop or cancel comes in answer to a checkpoint.
    return { ...start(), end, afterCheckpoints: end === 'kill' ? below(4) : 1 + below(2) }
  })
  return [...interrupted, { ...start(), everyMs: oneOf([0, 2]), end: 'complete', afterCheckpoints: 0 }]
}
