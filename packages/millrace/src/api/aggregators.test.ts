import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Aggregator, FixedAggregator } from '../state/declarations.ts'
import { isFixedAggregator } from '../state/declarations.ts'
import { avg, collect, compose, count, distinct, max, min, sum, topK, type Measure } from './index.ts'

type Entry = { n: Measure; word: string }

const numbers = (entries: readonly Entry[]): number[] =>
  entries.flatMap(entry => (typeof entry.n === 'number' && !Number.isNaN(entry.n) ? [entry.n] : []))
const total = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0)
const least = (xs: readonly number[]): number | undefined => xs.toSorted((a, b) => a - b)[0]
const greatest = (xs: readonly number[]): number | undefined => xs.toSorted((a, b) => b - a)[0]
const mean = (xs: readonly number[]): number | undefined => (xs.length === 0 ? undefined : total(xs) / xs.length)
const byRank = (entries: readonly Entry[]): Entry[] =>
  entries.filter(e => numbers([e]).length > 0).toSorted((a, b) => b.n! - a.n!)

/** Every aggregator beside what it must come to, worked out from all records at once. */
const CASES: readonly [string, Aggregator<Entry, any, unknown>, (entries: readonly Entry[]) => unknown][] = [
  ['count', count(), entries => entries.length],
  ['sum', sum<Entry>(e => e.n), entries => total(numbers(entries))],
  ['min', min<Entry>(e => e.n), entries => least(numbers(entries))],
  ['max', max<Entry>(e => e.n), entries => greatest(numbers(entries))],
  ['avg', avg<Entry>(e => e.n), entries => mean(numbers(entries))],
  ['distinct', distinct<Entry>(e => e.word), entries => new Set(entries.map(e => e.word)).size],
  ['collect', collect<Entry>(), entries => [...entries]],
  ['topK', topK<Entry>(3, e => e.n), entries => byRank(entries).slice(0, 3)],
  [
    'compose of fixed ones',
    compose({ z: count(), a: avg((e: Entry) => e.n), m: compose({ least: min((e: Entry) => e.n) }) }),
    entries => ({ a: mean(numbers(entries)), m: { least: least(numbers(entries)) }, z: entries.length }),
  ],
  [
    'compose of any',
    compose({ z: count(), words: distinct((e: Entry) => e.word), all: collect<Entry>() }),
    entries => ({ z: entries.length, words: new Set(entries.map(e => e.word)).size, all: [...entries] }),
  ],
]

// Whole numbers, so that a sum does not depend on the order of adding.
const entry: fc.Arbitrary<Entry> = fc.record(
  {
    n: fc.oneof(fc.integer({ min: -1000, max: 1000 }), fc.constantFrom(undefined, null, NaN)),
    word: fc.constantFrom('a', 'b', 'c', '1', ''),
  },
  { noNullPrototype: true },
)
const entries = fc.array(entry, { maxLength: 12 })

function fold<A>(aggregator: Aggregator<Entry, A, unknown>, records: readonly Entry[]): A {
  return records.reduce((accumulator, record) => aggregator.add(accumulator, record), aggregator.create())
}

function foldRow(
  { fixed }: FixedAggregator<Entry, unknown>,
  rows: Float64Array,
  at: number,
  records: readonly Entry[],
): void {
  fixed.init(rows, at)
  for (const record of records) fixed.add(rows, at, record)
}

for (const [name, aggregator, naive] of CASES) {
  test(`${name}: adding one by one, merging, and both over rows come to the naive result`, () => {
    fc.assert(
      fc.property(entries, entries, (left, right) => {
        const all = [...left, ...right]
        assert.deepEqual(aggregator.result(fold(aggregator, all)), naive(all))
        const [a, b] = [fold(aggregator, left), fold(aggregator, right)]
        assert.deepEqual(aggregator.result(aggregator.merge!(a, b)), naive(all))
        assert.deepEqual(
          [aggregator.result(a), aggregator.result(b)],
          [naive(left), naive(right)],
          'merge changes neither',
        )
        if (!isFixedAggregator(aggregator)) return
        const { fixed } = aggregator
        // Two rows in a table, with strangers around them.
        const rows = new Float64Array(2 * fixed.width + 2).fill(42)
        foldRow(aggregator, rows, 1, left)
        foldRow(aggregator, rows, 1 + fixed.width, right)
        fixed.merge(rows, 1, rows, 1 + fixed.width)
        assert.deepEqual(fixed.result(rows, 1), naive(all))
        const value = fixed.width === 1 ? rows[1] : [...rows.subarray(1, 1 + fixed.width)]
        assert.deepEqual(value, fold(aggregator, all), 'the row is the value form')
        assert.deepEqual([rows[0], rows.at(-1)], [42, 42], 'no other row is touched')
      }),
    )
  })

  test(`${name}: a result that was handed out does not change when more is added, and accumulators are plain data`, () => {
    fc.assert(
      fc.property(entries, entries, (left, right) => {
        let accumulator = fold(aggregator, left)
        const result = aggregator.result(accumulator)
        const copy = structuredClone(result)
        assert.deepEqual(aggregator.result(structuredClone(accumulator)), result)
        for (const record of right) accumulator = aggregator.add(accumulator, record)
        assert.deepEqual(result, copy)
        assert.deepEqual(aggregator.result(accumulator), naive([...left, ...right]))
      }),
    )
  })
}

test('min and max keep infinities, and every aggregator has a result for nothing', () => {
  for (const [x, aggregator] of [
    [Infinity, min()],
    [-Infinity, max()],
    [Infinity, max()],
    [-Infinity, avg()],
  ] as const) {
    assert.equal(aggregator.result(aggregator.add(aggregator.create(), x)), x)
  }
  const nothing = [count(), sum(), min(), max(), avg(), distinct(), collect(), topK(1)].map(a =>
    a.result(a.create() as never),
  )
  assert.deepEqual(nothing, [0, 0, undefined, undefined, undefined, 0, [], []])
})

test('count, sum, min, max, avg and what is composed of them live in typed tables; others do not', () => {
  for (const aggregator of [count(), sum(), min(), max(), avg(), compose({ a: count(), b: avg() })]) {
    assert.ok(isFixedAggregator(aggregator))
  }
  for (const aggregator of [topK(1), distinct(), collect(), compose({ a: count(), b: collect() })]) {
    assert.ok(!isFixedAggregator(aggregator))
  }
})

test('compose lays its parts out by name, whatever their order in the source', () => {
  const one = compose({ a: count(), b: sum((e: Entry) => e.n), c: collect<Entry>() })
  const other = compose({ c: collect<Entry>(), b: sum((e: Entry) => e.n), a: count() })
  const accumulator = one.add(one.create(), { n: 5, word: 'x' })
  assert.deepEqual(other.result(accumulator), { a: 1, b: 5, c: [{ n: 5, word: 'x' }] })
  const fixed = compose({ b: sum((e: Entry) => e.n), a: count() })
  assert.deepEqual(fixed.add(fixed.create(), { n: 5, word: 'x' }), [1, 5])
})

test('a part that a restored compose lacks starts empty', () => {
  const before = compose({ all: collect<number>() })
  const after = compose({ all: collect<number>(), seen: distinct<number>() })
  const accumulator = before.add(before.create(), 1)
  assert.deepEqual(after.result(accumulator), { all: [1], seen: 0 })
  assert.deepEqual(after.result(after.add(accumulator, 2)), { all: [1, 2], seen: 1 })
})

test('compose can be merged only if all its parts can', () => {
  const own: Aggregator<number, number, number> = { create: () => 0, add: (a, x) => a + x, result: a => a }
  assert.equal(compose({ own, n: count() }).merge, undefined)
})

test('what is not a number is an error that says what came, not a text that grows', () => {
  const adding = (aggregator: Aggregator<any, any, unknown>, record: unknown) => () =>
    aggregator.add(aggregator.create(), record)
  assert.throws(adding(sum(), '12'), /sum\(\) takes numbers, but got "12" \(a string\)/)
  assert.throws(adding(max(), 1n), /max\(\) takes numbers, but got 1 \(a bigint\)/)
  assert.throws(adding(avg(), Promise.resolve(1)), /avg\(\) takes numbers/)
  assert.throws(adding(distinct(), { a: 1 }), /distinct\(\) tells strings/)
})

test('topK: the earlier of two records with equal rank stays, and ranks may be texts or bigints', () => {
  const top = topK<[number, string]>(2, ([rank]) => rank)
  const records: [number, string][] = [
    [1, 'a'],
    [2, 'b'],
    [2, 'c'],
    [2, 'd'],
  ]
  const accumulator = records.reduce((a, r) => top.add(a, r), top.create())
  assert.deepEqual(top.result(accumulator), [
    [2, 'b'],
    [2, 'c'],
  ])
  const texts = topK<string>(1)
  assert.deepEqual(texts.result(texts.add(texts.add(texts.create(), 'b'), 'a')), ['b'])
  const bigints = topK<bigint>(1)
  assert.deepEqual(bigints.result(bigints.add(bigints.add(bigints.create(), 1n), 2n)), [2n])
  for (const k of [0, 1.5, NaN, -1]) assert.throws(() => topK(k), { code: 'OPTION_INVALID' })
})

test('distinct: values of different types differ, -0 is 0', () => {
  const aggregator = distinct<number | string | bigint>()
  const accumulator = [1, '1', 1n, 0, -0, 1].reduce((a, x) => aggregator.add(a, x), aggregator.create())
  assert.equal(aggregator.result(accumulator), 4)
})

test('compose refuses what is no aggregator', () => {
  assert.throws(() => compose({}), { code: 'GRAPH_INVALID', message: /at least one/ })
  assert.throws(() => compose({ a: { create: () => 0, add: (a: number) => a } as never }), {
    code: 'GRAPH_INVALID',
    message: /result of 'a' of compose\(\) needs a function/,
  })
  assert.throws(() => compose({ a: { create: () => 0, add: async () => 0, result: () => 0 } as never }), {
    code: 'ASYNC_FUNCTION',
  })
})
