/**
 * Aggregators whose accumulators grow with what they have seen: plain arrays and sets. `add` changes the accumulator it is given;
 * results are copies, so what was emitted never changes.
 */
import { MillraceError } from '../base/errors.ts'
import type { Aggregator } from '../state/declarations.ts'

/** What `topK` orders by; numbers and strings are not to be mixed. */
export type Rank = number | bigint | string

/** What `distinct` tells apart. */
export type Distinguishable = string | number | bigint | boolean | null | undefined

/**
 * The `k` records with the greatest rank, greatest first; of equal ranks the earlier record first. Records whose rank is undefined,
 * null or NaN are left out. Holds at most `k` records.
 * @param by the rank of a record; default: the record itself
 * @throws OPTION_INVALID when `k` is not a whole number from 1 up
 */
export function topK<T extends Rank>(k: number): Aggregator<T, T[], T[]>
export function topK<T>(k: number, by: (record: T) => Rank | null | undefined): Aggregator<T, T[], T[]>
export function topK<T>(
  k: number,
  by: (record: T) => Rank | null | undefined = record => record as Rank,
): Aggregator<T, T[], T[]> {
  if (!Number.isSafeInteger(k) || k < 1) {
    throw new MillraceError('OPTION_INVALID', `k of topK(k) is ${String(k)}; it must be a whole number from 1 up`)
  }
  const insert = (top: T[], record: T): void => {
    const rank = by(record)
    if (rank === undefined || rank === null || rank !== rank) return
    let at = top.length
    while (at > 0 && rank > by(top[at - 1])!) at--
    if (at === k) return
    top.splice(at, 0, record)
    if (top.length > k) top.pop()
  }
  return {
    shape: 'topK',
    create: () => [],
    add(top, record) {
      insert(top, record)
      return top
    },
    merge(a, b) {
      const top = a.slice()
      for (const record of b) insert(top, record)
      return top
    },
    result: top => top.slice(),
  }
}

/**
 * How many different values there are; exact, so it holds every one of them. `1` and `'1'` differ, `-0` is `0`.
 * @param by what to tell records apart by; default: the record itself
 */
export function distinct<T extends Distinguishable>(): Aggregator<T, Set<Distinguishable>, number>
export function distinct<T>(by: (record: T) => Distinguishable): Aggregator<T, Set<Distinguishable>, number>
export function distinct<T>(
  by: (record: T) => Distinguishable = record => record as Distinguishable,
): Aggregator<T, Set<Distinguishable>, number> {
  return {
    shape: 'distinct',
    create: () => new Set(),
    add: (seen, record) => seen.add(distinguishable(by(record))),
    merge: (a, b) => new Set([...a, ...b]),
    result: seen => seen.size,
  }
}

/** Objects would be told apart by identity, which no snapshot keeps. */
function distinguishable(value: Distinguishable): Distinguishable {
  if ((typeof value === 'object' && value !== null) || typeof value === 'function' || typeof value === 'symbol') {
    throw new TypeError(
      `distinct() tells strings, numbers, bigints and booleans apart, but got a ${typeof value}; return one from its selector`,
    )
  }
  return value
}

/** All records, in the order of their arrival. Every result is a copy: on an unwindowed stream that is a copy for each record. */
export function collect<T>(): Aggregator<T, T[], T[]> {
  return {
    shape: 'collect',
    create: () => [],
    add(records, record) {
      records.push(record)
      return records
    },
    merge: (a, b) => [...a, ...b],
    result: records => records.slice(),
  }
}
