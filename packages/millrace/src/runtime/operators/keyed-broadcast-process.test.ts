/** A keyed operator with a broadcast input, through the harness. Several subtasks are in test/slots/broadcast.test.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { broadcast, outputTag, type, value, type Stream } from '../../index.ts'
import { checkOperator } from '../../testing/operator-harness.ts'

interface Order {
  readonly shop: string
  readonly amount: number
}
interface Limit {
  readonly shop: string
  readonly limit: number | undefined
}

/** Emits the orders above the limit of their shop, with how many came before; without a limit none. */
const aboveLimit = (orders: Stream<Order>, limits: Stream<Limit>) =>
  orders
    .keyBy(order => order.shop)
    .connect(limits.broadcast())
    .process('large', {
      emits: type<string>(),
      state: { count: value<number>({ default: 0 }) },
      broadcastState: { limits: broadcast<string, number>() },
      onRecord({ shop, amount }, ctx) {
        const before = ctx.state.count.get()
        ctx.state.count.set(before + 1)
        if (amount > (ctx.broadcastState.limits.get(shop) ?? Infinity)) ctx.emit(`${ctx.key} ${before} ${amount}`)
      },
      onBroadcast({ shop, limit }, { broadcastState: { limits } }) {
        if (limit === undefined) limits.delete(shop)
        else limits.set(shop, limit)
      },
    })

test('records see what the broadcast records before them left in the broadcast state, beside the state of their key', async () => {
  await checkOperator({
    flow: aboveLimit,
    steps: [
      { record: { shop: 'a', amount: 9 } },
      { second: { shop: 'a', limit: 5 } },
      { record: { shop: 'a', amount: 7 } },
      { record: { shop: 'b', amount: 7 } },
      { second: { shop: 'a', limit: 8 } },
      { record: { shop: 'a', amount: 7 } },
      { second: { shop: 'b', limit: 1 } },
      { record: { shop: 'b', amount: 7 } },
      { second: { shop: 'b', limit: undefined } },
      { record: { shop: 'b', amount: 7 } },
    ],
    emits: ['a 1 7', 'b 1 7'],
  })
})

test('broadcast state has any keys and values of map state, and iterates in the order of the keys', async () => {
  type Put = readonly [key: number | string | readonly [string, number], value: unknown]
  await checkOperator({
    flow: (numbers: Stream<number>, puts: Stream<Put | 'clear'>) =>
      numbers
        .keyBy(n => n)
        .connect(puts.broadcast())
        .process('all', {
          emits: type<unknown>(),
          broadcastState: { map: broadcast<Put[0], unknown>() },
          onRecord(_n, { broadcastState: { map }, emit }) {
            emit([[...map.entries()], [...map.keys()], [...map.values()], map.has(['t', 1]), map.get(10)])
          },
          onBroadcast(put, { broadcastState: { map } }) {
            if (put === 'clear') map.clear()
            else map.set(...put)
          },
        }),
    steps: [
      { second: ['b', new Date(1)] },
      { second: [10, undefined] },
      { second: [['t', 1], { deep: [1n] }] },
      { second: [-0, -0] },
      { second: [0, 'zero'] },
      { record: 1 },
      { second: 'clear' },
      { record: 1 },
    ],
    emits: [
      [
        [
          [0, 'zero'],
          [10, undefined],
          ['b', new Date(1)],
          [['t', 1], { deep: [1n] }],
        ],
        [0, 10, 'b', ['t', 1]],
        ['zero', undefined, new Date(1), { deep: [1n] }],
        true,
        undefined,
      ],
      [[], [], [], false, undefined],
    ],
  })
})

test('its watermark is the lower of both inputs; timers read broadcast state; an ended broadcast input holds nothing back', async () => {
  await checkOperator({
    flow: (numbers: Stream<number>, words: Stream<string>) =>
      numbers
        .keyBy(n => n)
        .connect(words.broadcast())
        .process('timers', {
          emits: type<string>(),
          broadcastState: { words: broadcast<string, true>() },
          onRecord: (n, ctx) => ctx.timers.onEventTime(n),
          onTimer(time, ctx) {
            ctx.emit(`${time} ${ctx.key} ${ctx.watermark} ${[...ctx.broadcastState.words.keys()].join('')}`)
          },
          onBroadcast(word, ctx) {
            ctx.broadcastState.words.set(word, true)
            ctx.emit(`${word} at ${ctx.timestamp} behind ${ctx.watermark}`)
          },
        }),
    steps: [
      { record: 10, timestamp: 1 },
      { record: 20, timestamp: 1 },
      { watermark: 30, of: 'input' },
      { second: 'a', timestamp: 5 },
      { watermark: 15, of: 'second' },
      { second: 'b', timestamp: 16 },
      { watermark: Infinity, of: 'second' },
      { record: 40, timestamp: 31 },
      { watermark: 50, of: 'input' },
    ],
    emits: ['a at 5 behind -Infinity', '10 10 15 a', 'b at 16 behind 15', '20 20 30 ab', '40 40 50 ab'],
  })
})

test('onBroadcast writes to side outputs, and its operator is called as a method', async () => {
  const seen = outputTag<string>('seen')
  await checkOperator({
    flow: (numbers: Stream<number>, words: Stream<string>) =>
      numbers
        .keyBy(n => n)
        .connect(words.broadcast())
        .process('tagged', {
          mark: '!',
          onRecord() {},
          onBroadcast(word, ctx) {
            ctx.output(seen, word + (this as unknown as { mark: string }).mark)
          },
        } as { onRecord(): void; onBroadcast(word: string, ctx: any): void })
        .sideOutput(seen),
    steps: [{ second: 'a' }],
    emits: ['a!'],
  })
})

const failing = (onRecord: (ctx: any) => unknown, onBroadcast: (ctx: any) => unknown) =>
  checkOperator({
    flow: (numbers: Stream<number>, words: Stream<string>) =>
      numbers
        .keyBy(n => n)
        .connect(words.broadcast())
        .process('p', {
          state: { count: value<number>() },
          broadcastState: { rules: broadcast<string, number>() },
          onRecord: (_n, ctx) => void onRecord(ctx),
          onBroadcast: (_word, ctx) => onBroadcast(ctx) as undefined,
          onTimer() {},
        }),
    steps: [{ second: 'a' }, { record: 7 }],
    emits: [],
  })

test('onBroadcast has no key, no keyed state and no timers; what is thrown names operator and record', async () => {
  for (const property of ['key', 'state', 'timers']) {
    await assert.rejects(
      failing(
        () => {},
        ctx => ctx[property],
      ),
      {
        code: 'USER_FUNCTION_FAILED',
        message: new RegExp(`operator 'p': onBroadcast asked for ctx.${property}.*record 'a'`),
      },
    )
  }
  const thrower = () => {
    throw new RangeError('bad rule')
  }
  await assert.rejects(
    failing(() => {}, thrower),
    { message: /operator 'p' threw RangeError: bad rule, record 'a'/ },
  )
  await assert.rejects(
    failing(
      () => {},
      () => Promise.resolve(),
    ),
    { code: 'ASYNC_FUNCTION', message: /operator 'p': onBroadcast returned a promise/ },
  )
})

test('onRecord may not write broadcast state, also where no type forbids it', async () => {
  for (const method of ['set', 'delete', 'clear']) {
    await assert.rejects(
      failing(
        ctx => ctx.broadcastState.rules[method]('x', 1),
        () => {},
      ),
      {
        code: 'USER_FUNCTION_FAILED',
        message: new RegExp(`${method} of broadcast state 'rules' was called outside of onBroadcast.*key 7`),
      },
    )
  }
})
