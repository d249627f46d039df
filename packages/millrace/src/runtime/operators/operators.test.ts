/** Every operator, through the harness: all at once, restored between steps, and with snapshots written a step late. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  aggregating,
  avg,
  collect,
  compose,
  count,
  list,
  map,
  outputTag,
  reducing,
  sum,
  topK,
  tumbling,
  type,
  value,
  global,
} from '../../index.ts'
import { checkOperator, type Step } from '../../testing/operator-harness.ts'

const at = <T>(timestamp: number, record: T): Step<T> => ({ record, timestamp })
const records = <T>(...values: T[]): Step<T>[] => values.map(record => ({ record }))

test('map, filter and flatMap pass on what their functions say', async () => {
  await checkOperator({
    flow: s =>
      s
        .map((n: number) => n * 2)
        .filter(n => n > 2)
        .flatMap(n => [n, n + 1]),
    steps: records(1, 2, 3),
    emits: [4, 5, 6, 7],
  })
})

test('flatMap takes any iterable, and a generator that throws fails at its operator', async () => {
  await checkOperator({
    flow: s =>
      s.flatMap(function* (n: number) {
        yield n
        yield -n
      }),
    steps: records(1, 2),
    emits: [1, -1, 2, -2],
  })
})

test('union passes on both inputs; its watermark is the lower one', async () => {
  await checkOperator({
    flow: s => s.filter((n: number) => n > 1).union(s.map(n => n * 10)),
    steps: records(1, 2),
    emits: [10, 2, 20],
  })
})

test('reduce emits the reduced value of the key with every record', async () => {
  await checkOperator({
    flow: s => s.keyBy((n: number) => n % 2).reduce('sum', (a, b) => a + b),
    steps: records(1, 2, 3, 4),
    emits: [1, 2, 4, 6],
  })
})

test('aggregate emits the result of the key with every record, in typed tables and in cells', async () => {
  await checkOperator({
    flow: s => s.keyBy((w: string) => w).aggregate('counts', count()),
    steps: records('a', 'b', 'a'),
    emits: [
      { key: 'a', value: 1 },
      { key: 'b', value: 1 },
      { key: 'a', value: 2 },
    ],
  })
  await checkOperator({
    flow: s =>
      s
        .keyBy((n: number) => n % 2)
        .aggregate('all', compose({ n: count(), s: sum<number>(x => x), top: topK<number>(2) })),
    steps: records(1, 3, 5),
    emits: [
      { key: 1, value: { n: 1, s: 1, top: [1] } },
      { key: 1, value: { n: 2, s: 4, top: [3, 1] } },
      { key: 1, value: { n: 3, s: 9, top: [5, 3] } },
    ],
  })
})

test('every kind of keyed state reads back what was written under the same key', async () => {
  await checkOperator({
    flow: s =>
      s
        .keyBy((r: { k: string; n: number }) => r.k)
        .process('states', {
          emits: type<unknown[]>(),
          state: {
            last: value<number>({ default: -1 }),
            all: list<number>(),
            by: map<number, string>(),
            total: reducing<number>((a, b) => a + b),
            mean: aggregating(avg()),
          },
          onRecord({ k, n }, ctx) {
            const { last, all, by, total, mean } = ctx.state
            const before = last.get()
            last.set(n)
            all.add(n)
            by.set(n % 2, k + n)
            total.add(n)
            mean.add(n)
            ctx.emit([ctx.key, before, [...all.get()], [...by.entries()], total.get(), mean.get()])
            if (n === 3) {
              all.set([9])
              by.delete(1)
              total.clear()
            }
          },
        }),
    steps: records({ k: 'a', n: 1 }, { k: 'b', n: 2 }, { k: 'a', n: 3 }, { k: 'a', n: 5 }),
    emits: [
      ['a', -1, [1], [[1, 'a1']], 1, 1],
      ['b', -1, [2], [[0, 'b2']], 2, 2],
      ['a', 1, [1, 3], [[1, 'a3']], 4, 2],
      ['a', 3, [9, 5], [[1, 'a5']], 5, 3],
    ],
  })
})

test('event-time timers fire in the order of time, then of registration, with their key and time; Infinity comes last', async () => {
  await checkOperator({
    flow: s =>
      s
        .keyBy((r: { k: string; t: number }) => r.k)
        .process('timers', {
          emits: type<string>(),
          onRecord(r, ctx) {
            ctx.timers.onEventTime(r.t)
            ctx.timers.onEventTime(Infinity)
          },
          onTimer(time, ctx) {
            ctx.emit(`${ctx.key}@${time} ${ctx.timestamp} ${ctx.timeDomain}`)
          },
        }),
    steps: [
      at(1, { k: 'z', t: 20 }),
      at(2, { k: 'a', t: 20 }),
      at(3, { k: 'm', t: 10 }),
      { watermark: 15 },
      { watermark: 20 },
      { watermark: Infinity },
    ],
    emits: [
      'm@10 10 event',
      'z@20 20 event',
      'a@20 20 event',
      'z@Infinity Infinity event',
      'a@Infinity Infinity event',
      'm@Infinity Infinity event',
    ],
  })
})

test('processing-time timers fire by the clock and have no event time; deleted ones do not fire', async () => {
  await checkOperator({
    flow: s =>
      s
        .keyBy((r: { k: string; t: number }) => r.k)
        .process('timers', {
          emits: type<string>(),
          onRecord(r, ctx) {
            ctx.timers.onProcessingTime(r.t)
            if (r.k === 'gone') ctx.timers.deleteProcessingTime(r.t)
          },
          onTimer(time, ctx) {
            assert.throws(() => ctx.timestamp, { code: 'NO_EVENT_TIME' })
            ctx.emit(`${ctx.key}@${time} ${ctx.timeDomain}`)
          },
        }),
    steps: [
      ...records({ k: 'b', t: 100 }, { k: 'gone', t: 50 }, { k: 'a', t: 60 }),
      { processingTime: 60 },
      { processingTime: 1000 },
    ],
    emits: ['a@60 processing', 'b@100 processing'],
  })
})

test('a tumbling window fires once the watermark passes its end, in typed tables and in cells', async () => {
  const steps = [
    at(1, 'a'),
    at(12, 'b'),
    at(9, 'a'),
    { watermark: 9 },
    at(15, 'b'),
    at(3, 'late'),
    { watermark: Infinity },
  ]
  await checkOperator({
    flow: s =>
      s
        .keyBy((w: string) => w)
        .window(tumbling(10))
        .aggregate('w', count()),
    steps,
    emits: [
      { key: 'a', window: { start: 0, end: 10 }, value: 2 },
      { key: 'b', window: { start: 10, end: 20 }, value: 2 },
    ],
  })
  await checkOperator({
    flow: s =>
      s
        .keyBy((w: string) => w)
        .window(tumbling(10))
        .aggregate('w', collect<string>()),
    steps,
    emits: [
      { key: 'a', window: { start: 0, end: 10 }, value: ['a', 'a'] },
      { key: 'b', window: { start: 10, end: 20 }, value: ['b', 'b'] },
    ],
  })
})

test('with allowed lateness a late record fires its window again until the contents are dropped', async () => {
  const late = outputTag<string>('late')
  await checkOperator({
    flow: s => {
      const windows = s
        .keyBy((w: string) => w)
        .window(tumbling(10))
        .allowedLateness(5)
        .lateOutput(late)
        .reduce('w', (a, b) => a + b)
      return windows
        .map(({ value, window }) => `${value}@${window.start}`)
        .union(windows.sideOutput(late).map(w => `late ${w}`))
    },
    steps: [
      at(1, 'a'),
      { watermark: 10 },
      at(2, 'a'),
      { watermark: 13 },
      at(3, 'a'),
      { watermark: 14 },
      at(4, 'a'),
      { watermark: Infinity },
    ],
    emits: ['a@0', 'aa@0', 'aaa@0', 'late a'],
  })
})

test('a process window sees its records in order and may emit what it likes', async () => {
  await checkOperator({
    flow: s =>
      s
        .keyBy((n: number) => n % 2)
        .window(tumbling(10, { offset: 5 }))
        .process(
          'w',
          (numbers, ctx: { key: number; window: { start: number; end: number }; emit(v: string): void }) => {
            ctx.emit(`${ctx.key}: ${numbers.join(' ')} in ${ctx.window.start}..${ctx.window.end}`)
          },
        ),
    steps: [at(4, 1), at(6, 3), at(5, 2), at(14, 5), { watermark: 100 }],
    emits: ['1: 1 in -5..5', '1: 3 5 in 5..15', '0: 2 in 5..15'],
  })
})

test('a global window fires at the end of input', async () => {
  await checkOperator({
    flow: s =>
      s
        .keyBy((w: string) => w)
        .window(global())
        .aggregate('w', count())
        .map(({ key, value }) => `${key}${value}`),
    steps: [...records('b', 'a', 'b'), { watermark: 1e15 }, { watermark: Infinity }],
    emits: ['b2', 'a1'],
  })
})

test('a process operator keeps operator state, and its onEnd runs once however often it is restored', async () => {
  await checkOperator({
    flow: s =>
      s.process('collect', {
        emits: type<string>(),
        state: { seen: list<number>() },
        onRecord(n: number, ctx) {
          ctx.state.seen.add(n)
        },
        onEnd(ctx) {
          ctx.emit([...ctx.state.seen.get()].join('+'))
        },
      }),
    steps: [...records(1, 2, 3), { watermark: Infinity }, { watermark: Infinity }],
    emits: ['1+2+3'],
  })
})

test('the harness reports a state value that is changed in place without set', async () => {
  await assert.rejects(
    checkOperator({
      flow: s =>
        s
          .keyBy((n: number) => n)
          .process('cheat', {
            emits: type<number>(),
            state: { box: value<{ n: number }>() },
            onRecord(n, ctx) {
              const box = ctx.state.box.get()
              if (box === undefined) ctx.state.box.set({ n })
              else box.n++
            },
          }),
      steps: records(1, 1),
      emits: [],
    }),
    { code: 'STATE_MUTATED' },
  )
})

test('the harness reports a record that is changed after it was emitted', async () => {
  const shared = { n: 0 }
  await assert.rejects(
    checkOperator({
      flow: s =>
        s.map((n: number) => {
          shared.n = n
          return shared
        }),
      steps: records(1, 2),
      emits: [{ n: 2 }, { n: 2 }],
    }),
    { code: 'STATE_MUTATED' },
  )
})
