/**
 * Aggregators of numbers. Their accumulator is a row of `width` float64 fields, so that it can live in a typed table (28 bytes a key
 * against 126 for objects). Each is written once, over a row; its value form (a number when the width is 1, else an array) is derived
 * from the row form, so the two cannot disagree.
 *
 * A selector may return undefined, null or NaN: that record is left out, by all of them. A selector that returns anything else but a
 * number is an error, since adding '12' to 1 gives '112'.
 */
import { MillraceError } from '../base/errors.ts'
import { isFixedAggregator, type Aggregator, type FixedAggregator } from '../state/declarations.ts'
import { assertAggregator } from './state.ts'

/** What a selector may return; what is not a number is left out. */
export type Measure = number | null | undefined

/** A Float64Array of a typed table, or the value form. */
type Row = { [index: number]: number }

interface RowAggregator<T, R> {
  readonly width: number
  init(row: Row, offset: number): void
  add(row: Row, offset: number, record: T): void
  merge(row: Row, offset: number, from: Row, fromOffset: number): void
  result(row: Row, offset: number): R
}

function fixedAggregator<T, R>(shape: string, fixed: RowAggregator<T, R>): FixedAggregator<T, R> {
  const { width } = fixed
  const open = (value: number | number[]): number[] => (typeof value === 'number' ? [value] : value)
  const close = (row: number[]): number | number[] => (width === 1 ? row[0] : row)
  return {
    shape,
    fixed,
    create() {
      const row = Array.from({ length: width }, () => 0)
      fixed.init(row, 0)
      return close(row)
    },
    add(accumulator, record) {
      const row = open(accumulator)
      fixed.add(row, 0, record)
      return close(row)
    },
    merge(a, b) {
      const row = open(a).slice()
      fixed.merge(row, 0, open(b), 0)
      return close(row)
    },
    result: accumulator => fixed.result(open(accumulator), 0),
  }
}

/** Counts records. */
export function count(): FixedAggregator<unknown, number> {
  return fixedAggregator('count', {
    width: 1,
    init(row, offset) {
      row[offset] = 0
    },
    add(row, offset) {
      row[offset] += 1
    },
    merge(row, offset, from, fromOffset) {
      row[offset] += from[fromOffset]
    },
    result: (row, offset) => row[offset],
  })
}

/** Adds up what `select` returns (default: the record itself). The sum of nothing is 0. */
export function sum(): FixedAggregator<Measure, number>
export function sum<T>(select: (record: T) => Measure): FixedAggregator<T, number>
export function sum(select: (record: any) => Measure = itself): FixedAggregator<any, number> {
  return fixedAggregator('sum', {
    width: 1,
    init(row, offset) {
      row[offset] = 0
    },
    add(row, offset, record) {
      const x = measured(select(record), 'sum')
      if (x === x) row[offset] += x
    },
    merge(row, offset, from, fromOffset) {
      row[offset] += from[fromOffset]
    },
    result: (row, offset) => row[offset],
  })
}

/** The least of what `select` returns (default: the record itself); undefined of nothing. */
export function min(): FixedAggregator<Measure, number | undefined>
export function min<T>(select: (record: T) => Measure): FixedAggregator<T, number | undefined>
export function min(select: (record: any) => Measure = itself): FixedAggregator<any, number | undefined> {
  return extreme(select, 'min', (a, b) => a < b)
}

/** The greatest of what `select` returns (default: the record itself); undefined of nothing. */
export function max(): FixedAggregator<Measure, number | undefined>
export function max<T>(select: (record: T) => Measure): FixedAggregator<T, number | undefined>
export function max(select: (record: any) => Measure = itself): FixedAggregator<any, number | undefined> {
  return extreme(select, 'max', (a, b) => a > b)
}

/** NaN stands for nothing: it is never added, and no comparison with it is true. */
function extreme<T>(
  select: (record: T) => Measure,
  name: string,
  beats: (a: number, b: number) => boolean,
): FixedAggregator<T, number | undefined> {
  const add = (row: Row, offset: number, x: number): void => {
    const best = row[offset]
    if (best !== best || beats(x, best)) row[offset] = x
  }
  return fixedAggregator(name, {
    width: 1,
    init(row, offset) {
      row[offset] = NaN
    },
    add(row, offset, record) {
      add(row, offset, measured(select(record), name))
    },
    merge(row, offset, from, fromOffset) {
      add(row, offset, from[fromOffset])
    },
    result(row, offset) {
      const best = row[offset]
      return best === best ? best : undefined
    },
  })
}

/** The mean of what `select` returns (default: the record itself); undefined of nothing. */
export function avg(): FixedAggregator<Measure, number | undefined>
export function avg<T>(select: (record: T) => Measure): FixedAggregator<T, number | undefined>
export function avg(select: (record: any) => Measure = itself): FixedAggregator<any, number | undefined> {
  return fixedAggregator('avg', {
    width: 2, // sum, count
    init(row, offset) {
      row[offset] = 0
      row[offset + 1] = 0
    },
    add(row, offset, record) {
      const x = measured(select(record), 'avg')
      if (x !== x) return
      row[offset] += x
      row[offset + 1] += 1
    },
    merge(row, offset, from, fromOffset) {
      row[offset] += from[fromOffset]
      row[offset + 1] += from[fromOffset + 1]
    },
    result: (row, offset) => (row[offset + 1] === 0 ? undefined : row[offset] / row[offset + 1]),
  })
}

/**
 * Several aggregators over the same records; the result has the properties of `parts`. The parts are laid out by name, so their order
 * in the source does not matter to a snapshot.
 *
 * @example
 * orders.keyBy(o => o.shop).aggregate('shops', compose({ orders: count(), revenue: sum(o => o.amount) }))
 */
export function compose<T, R extends { readonly [name: string]: unknown }>(parts: {
  readonly [Name in keyof R]: Aggregator<T, any, R[Name]>
}): Aggregator<T, any, R>
export function compose<P extends { readonly [name: string]: Aggregator<any, any, any> }>(
  parts: P,
): Aggregator<RecordOf<P>, any, { [Name in keyof P]: ResultOf<P[Name]> }>
export function compose(parts: {
  readonly [name: string]: Aggregator<any, any, unknown>
}): Aggregator<any, any, { readonly [name: string]: unknown }> {
  const names = Object.keys(parts).sort()
  if (names.length === 0) throw new MillraceError('GRAPH_INVALID', 'compose() needs at least one aggregator')
  const named: [string, Aggregator<any, any, unknown>][] = names.map(name => [name, parts[name]])
  for (const [name, part] of named) assertAggregator(part, `'${name}' of compose()`)
  const fixed = named.flatMap(([name, part]) => (isFixedAggregator(part) ? [[name, part.fixed] as const] : []))
  const shape = `compose ${named.map(([name, part]) => `${name}:${part.shape ?? '?'}`).join(' ')}`
  const composed = fixed.length === named.length ? composeFixed(shape, fixed) : composePlain(shape, named)
  return composed as Aggregator<any, any, { readonly [name: string]: unknown }>
}

type ResultOf<A> = A extends Aggregator<any, any, infer R> ? R : never

/** What every part takes: where the parts take different records, all of them at once. */
type RecordOf<P extends { readonly [name: string]: Aggregator<any, any, any> }> = {
  [Name in keyof P]: (record: Parameters<P[Name]['add']>[1]) => void
}[keyof P] extends (record: infer T) => void
  ? T
  : never

type FixedPart = readonly [name: string, fixed: FixedAggregator<any, unknown>['fixed']]

function composeFixed(shape: string, parts: readonly FixedPart[]): FixedAggregator<any, object> {
  let width = 0
  const placed = parts.map(([name, part]) => {
    const at = width
    width += part.width
    // Built-in parts take any row; the contract asks for a Float64Array, since that is what a typed table has.
    return { name, at, part: part as RowAggregator<any, unknown> }
  })
  return fixedAggregator(shape, {
    width,
    init(row, offset) {
      for (const { part, at } of placed) part.init(row, offset + at)
    },
    add(row, offset, record) {
      for (const { part, at } of placed) part.add(row, offset + at, record)
    },
    merge(row, offset, from, fromOffset) {
      for (const { part, at } of placed) part.merge(row, offset + at, from, fromOffset + at)
    },
    result: (row, offset) =>
      Object.fromEntries(placed.map(({ name, part, at }) => [name, part.result(row, offset + at)])),
  })
}

/** The accumulator is an object of the parts' accumulators by name; a part that a restored one lacks starts empty. */
function composePlain(
  shape: string,
  parts: readonly [string, Aggregator<any, any, unknown>][],
): Aggregator<any, any, object> {
  const each = (next: (part: Aggregator<any, any, unknown>, name: string) => unknown): { [name: string]: unknown } =>
    Object.fromEntries(parts.map(([name, part]) => [name, next(part, name)]))
  const of = (accumulator: any, name: string, part: Aggregator<any, any, unknown>): unknown =>
    Object.hasOwn(accumulator, name) ? accumulator[name] : part.create()
  const plain: Aggregator<any, any, object> = {
    shape,
    create: () => each(part => part.create()),
    add: (accumulator, record) => each((part, name) => part.add(of(accumulator, name, part), record)),
    result: accumulator => each((part, name) => part.result(of(accumulator, name, part))),
  }
  if (parts.some(([, part]) => part.merge === undefined)) return plain
  return { ...plain, merge: (a, b) => each((part, name) => part.merge!(of(a, name, part), of(b, name, part))) }
}

function itself(record: unknown): Measure {
  return record as Measure
}

/** The number, or NaN for what is left out. */
function measured(value: unknown, aggregator: string): number {
  if (typeof value === 'number') return value
  if (value === undefined || value === null) return NaN
  const shown = typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : String(value)
  throw new TypeError(
    `${aggregator}() takes numbers, but got ${shown} (a ${typeof value}); return a number from its selector`,
  )
}
