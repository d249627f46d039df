/**
 * Types are part of the contract: what is right must be inferred, what is wrong must not compile. `npm run types` compiles this file;
 * a `@ts-expect-error` over a line that compiles is an error too, so none of these can rot. The jobs are built at run time as well.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import type { Sink, SinkWriter, Source } from '../connectors/contract.ts'
import {
  aggregating,
  avg,
  broadcast,
  buildGraph,
  collect,
  compose,
  count,
  defineJob,
  distinct,
  list,
  map,
  max,
  min,
  outputTag,
  reducing,
  sum,
  topK,
  type,
  unionList,
  value,
  type Flow,
  type JobDefinition,
  type KeyedStream,
  type NotPromise,
  type Stream,
  type UseMapAsyncInstead,
} from './index.ts'
import { global, tumbling } from '../time/index.ts'

type Equal<A, B> = (<X>() => X extends A ? 1 : 2) extends <X>() => X extends B ? 1 : 2 ? true : false
/** Compiles only when the stream's records have exactly this type. */
function records<Expected>() {
  return <Actual>(_stream: Stream<Actual>, ..._same: Equal<Expected, Actual> extends true ? [] : [never]): void =>
    undefined
}
/** Compiles only when the value has exactly this type. */
function is<Expected>() {
  return <Actual>(_value: Actual, ..._same: Equal<Expected, Actual> extends true ? [] : [never]): void => undefined
}

interface Order {
  user: string
  shop: number
  amount: number
  at: number
}
interface Alert {
  user: string
  total: number
}

const nothing = undefined as never
function source<T>(): Source<T> {
  return { type: 'test', bounded: true, enumerate: async () => [], open: async () => nothing }
}
function sink<T>(): Sink<T> {
  return { type: 'test', retracts: false, open: async () => nothing }
}
/** Builds the graph: the good lines below must be accepted at run time too. */
function builds(describe: (flow: Flow, orders: Stream<Order>) => void): void {
  const job = defineJob('types', flow => {
    const orders = flow.source('orders', source<Order>())
    orders.sink('out', sink<Order>())
    describe(flow, orders)
  })
  assert.ok(buildGraph(job, {}).nodes.length > 2)
}
/** Lines that do not compile, and are not run. */
function refused(_lines: (flow: Flow, orders: Stream<Order>, byUser: KeyedStream<string, Order>) => void): void {}

test('stateless operators infer their records, and refuse wrong ones', () => {
  builds((_flow, orders) => {
    records<number>()(orders.map(o => o.amount))
    records<string>()(orders.map(o => (o.amount > 1 ? 'large' : o.user)))
    records<Order>()(orders.filter(o => o.amount > 1))
    records<string>()(orders.flatMap(o => o.user.match(/\p{L}+/gu) ?? []))
    records<number>()(
      orders.flatMap(function* (o) {
        yield o.amount
      }),
    )
    records<'a'>()(orders.map(o => o.user).filter((u): u is 'a' => u === 'a'))
    records<Order>()(orders.eventTime(o => o.at, { outOfOrderness: '5s', idleAfter: 100 }))
    records<Order>()(orders.union(orders, orders.rebalance({ name: 'spread' })))
    orders.map(o => o.user).sink('unknown', sink<unknown>())
    orders.sink('partly', sink<{ user: string }>(), { renamedFrom: 'whole' })
    records<any>()(orders.map(o => JSON.parse(o.user)))
  })
  refused((flow, orders) => {
    // @ts-expect-error orders have no such field
    orders.map(o => o.missing)
    // @ts-expect-error a predicate says true or false
    orders.filter(o => o.amount)
    // @ts-expect-error a number cannot be iterated
    orders.flatMap(o => o.amount)
    // @ts-expect-error a timestamp is a number
    orders.eventTime(o => o.user)
    // @ts-expect-error not a duration
    orders.eventTime(o => o.at, { outOfOrderness: '5 seconds' })
    // @ts-expect-error a stream of other records
    orders.union(flow.source('numbers', source<number>()))
    // @ts-expect-error an unknown option
    orders.map(o => o.user, { nmae: 'user' })
  })
})

test('sinks and sources take their name first, and a sink takes the records of the stream', () => {
  refused((flow, orders) => {
    // @ts-expect-error the source has no name
    flow.source(source<Order>())
    // @ts-expect-error the sink has no name
    orders.sink(sink<Order>())
    // @ts-expect-error a sink of other records
    orders.sink('out', sink<string>())
    // @ts-expect-error the sink wants a field that the records lack
    orders.sink('out', sink<Order & { currency: string }>())
    // @ts-expect-error no sink
    orders.sink('out')
    // @ts-expect-error there is no such option
    orders.sink('out', sink<Order>(), { renamed: 'x' })
  })
  const writer: SinkWriter<string> = {
    write(_record) {},
    prepareCommit: async () => ({ committables: [] }),
    commit: async () => {},
    close: async () => {},
  }
  // @ts-expect-error a writer of strings does not write numbers
  const numbers: SinkWriter<number> = writer
  assert.equal(numbers, writer)
})

test('async functions are refused, and the text names mapAsync', () => {
  refused((_flow, orders, byUser) => {
    // @ts-expect-error
    orders.map(async o => o.user)
    // @ts-expect-error
    orders.map(o => Promise.resolve(o.user))
    // @ts-expect-error
    orders.filter(async o => o.amount > 1)
    // @ts-expect-error
    orders.flatMap(async o => [o.user])
    // @ts-expect-error
    orders.flatMap(async function* (o) {
      yield o.user
    })
    // @ts-expect-error
    orders.keyBy(async o => o.user)
    // @ts-expect-error
    orders.eventTime(async o => o.at)
    // @ts-expect-error
    orders.process('p', { async onRecord(_record, _ctx) {} })
    // @ts-expect-error
    byUser.process('p', { onRecord: async (_record, _ctx) => {} })
    // @ts-expect-error
    byUser.process('p', { onRecord(_record, _ctx) {}, async onTimer(_time, _ctx) {} })
    // @ts-expect-error
    byUser.reduce('r', async (a, _b) => a)
    // @ts-expect-error
    byUser.window(global()).process('w', async (_records, _ctx) => {})
    // @ts-expect-error
    byUser.window(global()).reduce('w', async (a, _b) => a)
    byUser.aggregate(
      's',
      // @ts-expect-error
      sum(async o => o.amount),
    )
  })
  const text: UseMapAsyncInstead['~compileError'] =
    'an async function cannot be used here: use mapAsync for calls that wait'
  assert.match(text, /mapAsync/)
  is<UseMapAsyncInstead>()(nothing as NotPromise<Promise<string>>)
  is<string | UseMapAsyncInstead>()(nothing as NotPromise<string | Promise<string>>)
  is<Order>()(nothing as NotPromise<Order>)
})

test('keys are inferred, and what cannot be a key is refused', () => {
  builds((_flow, orders) => {
    is<KeyedStream<string, Order>>()(orders.keyBy(o => o.user))
    is<KeyedStream<readonly [string, number], Order>>()(orders.keyBy(o => [o.user, o.shop]))
    records<{ readonly key: readonly [string, number]; readonly value: number }>()(
      orders.keyBy(o => [o.user, o.shop]).aggregate('pairs', count()),
    )
  })
  refused((_flow, orders) => {
    // @ts-expect-error an object is no key
    orders.keyBy(o => ({ user: o.user }))
    // @ts-expect-error undefined is no key
    orders.keyBy(o => (o.amount > 1 ? o.user : undefined))
    // @ts-expect-error a date is no key
    orders.keyBy(o => new Date(o.at))
  })
})

test('reduce and aggregate infer their results, and refuse aggregators of other records', () => {
  builds((_flow, orders) => {
    const byUser = orders.keyBy(o => o.user)
    type Result<R> = { readonly key: string; readonly value: R }
    records<Order>()(byUser.reduce('largest', (a, b) => (a.amount > b.amount ? a : b)))
    records<Result<number>>()(byUser.aggregate('count', count()))
    records<Result<number>>()(
      byUser.aggregate(
        'sum',
        sum(o => o.amount),
        { renamedFrom: 'total' },
      ),
    )
    records<Result<number | undefined>>()(
      byUser.aggregate(
        'min',
        min(o => o.amount),
      ),
    )
    records<Result<number | undefined>>()(
      byUser.aggregate(
        'avg',
        avg(o => o.amount),
      ),
    )
    records<Result<number>>()(
      byUser.aggregate(
        'distinct',
        distinct(o => o.shop),
      ),
    )
    records<Result<Order[]>>()(
      byUser.aggregate(
        'top',
        topK(3, o => o.amount),
      ),
    )
    records<Result<Order[]>>()(byUser.aggregate('all', collect()))
    records<Result<{ orders: number; revenue: number; shops: number }>>()(
      byUser.aggregate(
        'several',
        compose({ orders: count(), revenue: sum(o => o.amount), shops: distinct(o => o.shop) }),
      ),
    )
    records<Result<string>>()(
      byUser.aggregate('own', {
        create: () => 0,
        add: (total, order) => total + order.amount,
        result: total => total.toFixed(2),
      }),
    )
    records<{ readonly key: string; readonly value: number }>()(
      orders
        .map(o => o.amount)
        .keyBy(a => String(a))
        .aggregate('numbers', sum()),
    )
  })
  refused((_flow, orders, byUser) => {
    // @ts-expect-error the aggregate has no name
    byUser.aggregate(count())
    // @ts-expect-error the reduce has no name
    byUser.reduce((a, _b) => a)
    // @ts-expect-error orders are not numbers
    byUser.aggregate('sum', sum())
    byUser.aggregate(
      'sum',
      // @ts-expect-error not a number
      sum(o => o.user),
    )
    byUser.aggregate(
      'sum',
      // @ts-expect-error an aggregator of records that have a field more
      sum<Order & { tax: number }>(o => o.tax),
    )
    // @ts-expect-error a part of compose wants a field that orders lack
    byUser.aggregate('several', compose({ orders: count(), tax: sum(o => o.tax) }))
    // @ts-expect-error orders have no order
    byUser.aggregate('top', topK(3))
    // @ts-expect-error orders cannot be told apart
    byUser.aggregate('distinct', distinct())
    // @ts-expect-error only keyed streams have state
    orders.aggregate('count', count())
    // @ts-expect-error a reduced record is a record
    byUser.reduce('r', (a, _b) => a.amount)
  })
})

test('a keyed process operator infers record, key, state and what it emits', () => {
  builds((_flow, orders) => {
    const late = outputTag<{ user: string }>('late')
    const alerts = orders
      .keyBy(o => o.user)
      .process('sessions', {
        emits: type<Alert>(),
        state: {
          last: value<Order>(),
          visits: value<number>({ default: 0 }),
          seen: map<string, number>({ ttl: '7d' }),
          log: list<number>({ ttl: { ttl: '1h', updateOn: 'read-and-write', time: 'event' } }),
          most: reducing<number>((a, b) => Math.max(a, b)),
          total: aggregating(sum<Order>(o => o.amount)),
          several: aggregating(compose({ n: count(), best: max((o: Order) => o.amount) })),
          seat: value({ schema: z.object({ row: z.int32(), taken: z.boolean() }) }),
          ready: value({ schema: z.boolean(), default: false }),
          plain: value<Alert>({ schema: { type: 'object', properties: {} } }),
        },
        onRecord(order, ctx) {
          is<Order>()(order)
          is<string>()(ctx.key)
          is<Order | undefined>()(ctx.state.last.get())
          is<number>()(ctx.state.visits.get())
          is<number | undefined>()(ctx.state.seen.get('a'))
          is<Iterable<[string, number]>>()(ctx.state.seen.entries())
          is<Iterable<number>>()(ctx.state.log.get())
          is<number | undefined>()(ctx.state.most.get())
          is<number>()(ctx.state.total.get())
          is<{ n: number; best: number | undefined }>()(ctx.state.several.get())
          is<{ row: number; taken: boolean } | undefined>()(ctx.state.seat.get())
          is<boolean>()(ctx.state.ready.get())
          is<Alert | undefined>()(ctx.state.plain.get())
          ctx.state.total.add(order)
          ctx.timers.onEventTime(ctx.timestamp + 30_000)
          ctx.emit({ user: ctx.key, total: ctx.state.total.get() })
          ctx.output(late, { user: ctx.key })
          ctx.metrics.counter('seen').add()
          ctx.metrics.gauge('open').set(3)
          ctx.metrics.histogram('total', [1, 10]).observe(2)
          ctx.log.info('seen')
        },
        onTimer(time, ctx) {
          is<number>()(time)
          is<'event' | 'processing'>()(ctx.timeDomain)
          ctx.emit({ user: ctx.key, total: ctx.watermark })
          ctx.state.last.clear()
        },
      })
    records<Alert>()(alerts)
    records<{ user: string }>()(alerts.sideOutput(late))
    records<unknown>()(
      orders.keyBy(o => o.user).process('untyped', { onRecord: (order, ctx) => ctx.emit(order.amount) }),
    )
    records<{ total: number }>()(
      orders
        .keyBy(o => o.user)
        .process('schema', {
          emits: z.object({ total: z.number() }),
          onRecord(order, ctx) {
            ctx.emit({ total: order.amount })
          },
        }),
    )
    records<number>()(
      orders.process('plain', {
        emits: type<number>(),
        state: { buffer: list<Order>(), all: unionList<number>() },
        onRecord(order, ctx) {
          ctx.state.buffer.add(order)
          is<Iterable<number>>()(ctx.state.all.get())
          ctx.emit(order.amount)
        },
        onEnd(ctx) {
          for (const order of ctx.state.buffer.get()) ctx.emit(order.amount)
        },
      }),
    )
  })
  refused((_flow, orders, byUser) => {
    // @ts-expect-error the schema is that of another type
    value<{ row: string }>({ schema: z.object({ row: z.int32() }) })
    // @ts-expect-error the default does not have the type of the schema
    value({ schema: z.boolean(), default: 0 })
    // @ts-expect-error the operator has no name
    byUser.process({ onRecord(_order, _ctx) {} })
    // @ts-expect-error the operator has no name
    orders.process({ onRecord(_order, _ctx) {} })
    // @ts-expect-error no onRecord
    byUser.process('p', {})
    // @ts-expect-error it takes other records
    byUser.process('p', { onRecord(_order: Order & { tax: number }, _ctx) {} })
    byUser.process('p', {
      emits: type<Alert>(),
      state: { total: value<number>(), orders: list<Order>(), tax: aggregating(sum<{ tax: number }>(o => o.tax)) },
      onRecord(order, ctx) {
        // @ts-expect-error a field is missing
        ctx.emit({ user: ctx.key })
        // @ts-expect-error the key is a string
        ctx.emit({ user: 'a', total: ctx.key })
        // @ts-expect-error no such state
        ctx.state.missing.get()
        // @ts-expect-error the state holds numbers
        ctx.state.total.set('1')
        // @ts-expect-error nothing may be set yet
        ctx.state.total.get().toFixed()
        // @ts-expect-error the list holds orders
        ctx.state.orders.add(1)
        // @ts-expect-error orders have no tax
        ctx.state.tax.add(order)
        // @ts-expect-error another type than the tag's
        ctx.output(outputTag<number>('n'), 'a')
        // @ts-expect-error only onTimer has a time domain
        assert.ok(ctx.timeDomain)
        // @ts-expect-error a time is a number
        ctx.timers.onEventTime('1s')
      },
    })
    // @ts-expect-error a default of another type
    value<number>({ default: 'a' })
    // @ts-expect-error a map's keys are keys
    map<Date, number>()
    // @ts-expect-error not a duration
    value<number>({ ttl: 'soon' })
    // @ts-expect-error there are two times
    value<number>({ ttl: { ttl: '1h', time: 'noon' } })
    // @ts-expect-error operator state is a list
    orders.process('p', { state: { total: value<number>() }, onRecord(_order, _ctx) {} })
    // @ts-expect-error a union list is no keyed state
    byUser.process('p', { state: { all: unionList<number>() }, onRecord(_order, _ctx) {} })
    orders.process('p', {
      onRecord(_order, ctx) {
        // @ts-expect-error no key without keyBy
        assert.ok(ctx.key)
        // @ts-expect-error no timers without keyBy
        assert.ok(ctx.timers)
      },
    })
  })
})

test('operators with a broadcast input infer both records, their states and what they emit', () => {
  interface Limit {
    shop: number
    amount: number
  }
  builds((flow, orders) => {
    const limits = flow.source('limits', source<Limit>()).broadcast()
    const large = orders
      .keyBy(o => o.shop)
      .connect(limits)
      .process('large', {
        emits: type<Alert>(),
        state: { total: value<number>({ default: 0 }) },
        broadcastState: { limits: broadcast<number, Limit>(), names: broadcast<string, Date>() },
        onRecord(order, ctx) {
          is<Order>()(order)
          is<number>()(ctx.key)
          is<number>()(ctx.state.total.get())
          is<Limit | undefined>()(ctx.broadcastState.limits.get(order.shop))
          is<Iterable<readonly [string, Date]>>()(ctx.broadcastState.names.entries())
          ctx.emit({ user: order.user, total: 1 })
        },
        onBroadcast(limit, ctx) {
          is<Limit>()(limit)
          ctx.broadcastState.limits.set(limit.shop, limit)
          is<Iterable<Date>>()(ctx.broadcastState.names.values())
          ctx.emit({ user: '', total: ctx.timestamp })
        },
        onTimer(time, ctx) {
          is<number>()(time)
          is<'event' | 'processing'>()(ctx.timeDomain)
          is<boolean>()(ctx.broadcastState.limits.has(ctx.key))
        },
      })
    records<Alert>()(large)
    records<unknown>()(
      orders
        .keyBy(o => o.user)
        .connect(limits)
        .process('untyped', { onRecord: (_order, ctx) => ctx.emit(1), onBroadcast() {} }),
    )
  })
  refused((flow, orders, byUser) => {
    const limits = flow.source('limits', source<Limit>()).broadcast()
    // @ts-expect-error a stream that is not broadcast
    byUser.connect(orders)
    // @ts-expect-error only a keyed stream is connected
    orders.connect(limits)
    // @ts-expect-error the operator has no name
    byUser.connect(limits).process({ onRecord() {}, onBroadcast() {} })
    // @ts-expect-error broadcast records have nowhere to go
    byUser.connect(limits).process('p', { onRecord() {} })
    // @ts-expect-error broadcast state is no keyed state
    byUser.connect(limits).process('p', { state: { r: broadcast<string, 1>() }, onRecord() {}, onBroadcast() {} })
    // @ts-expect-error a map is not broadcast state
    byUser.connect(limits).process('p', { broadcastState: { m: map<string, 1>() }, onRecord() {}, onBroadcast() {} })
    // @ts-expect-error broadcast state does not expire
    broadcast<string, number>({ ttl: '1h' })
    // @ts-expect-error a date is no key
    broadcast<Date, number>()
    // @ts-expect-error an async function cannot wait here
    byUser.connect(limits).process('p', { onRecord() {}, async onBroadcast() {} })
    byUser.connect(limits).process('p', {
      broadcastState: { rules: broadcast<string, number>() },
      onRecord(_order, ctx) {
        // @ts-expect-error only onBroadcast writes
        ctx.broadcastState.rules.set('a', 1)
        // @ts-expect-error only onBroadcast writes
        ctx.broadcastState.rules.clear()
      },
      onTimer(_time, ctx) {
        // @ts-expect-error only onBroadcast writes
        ctx.broadcastState.rules.delete('a')
      },
      onBroadcast(limit, ctx) {
        // @ts-expect-error limits have no such field
        assert.ok(limit.missing)
        // @ts-expect-error the state holds numbers
        ctx.broadcastState.rules.set('a', limit)
        // @ts-expect-error a broadcast record has no key
        assert.ok(ctx.key)
        // @ts-expect-error keyed state is out of reach
        assert.ok(ctx.state)
        // @ts-expect-error timers belong to keys
        assert.ok(ctx.timers)
      },
    })
  })
})

test('windows infer their results', () => {
  builds((_flow, orders) => {
    type Result<R> = {
      readonly key: string
      readonly window: { readonly start: number; readonly end: number }
      readonly value: R
    }
    const late = outputTag<Order>('late')
    const hours = orders
      .eventTime(o => o.at)
      .keyBy(o => o.user)
      .window(tumbling('1h', { offset: '15m' }))
      .allowedLateness('1m')
      .lateOutput(late)
    const sums = hours.aggregate(
      'sums',
      sum(o => o.amount),
    )
    records<number>()(sums.map(result => result.value))
    records<string>()(sums.map(result => result.key))
    sums.map(is<Result<number>>())
    records<Order>()(sums.sideOutput(late))
    records<Order>()(hours.reduce('largest', (a, b) => (a.amount > b.amount ? a : b)).map(result => result.value))
    records<Alert>()(
      hours.process<Alert>('all', (all, ctx) => {
        is<readonly Order[]>()(all)
        is<string>()(ctx.key)
        ctx.emit({ user: ctx.key, total: ctx.window.end })
      }),
    )
    records<unknown>()(hours.process('untyped', (all, ctx) => ctx.emit(all.length)))
  })
  refused((_flow, orders, byUser) => {
    // @ts-expect-error the window has no name
    byUser.window(global()).aggregate(count())
    // @ts-expect-error the window has no name
    byUser.window(global()).process((_records, _ctx) => {})
    // @ts-expect-error late records are orders
    byUser.window(global()).lateOutput(outputTag<number>('late'))
    // @ts-expect-error another type than it says it emits
    byUser.window(global()).process<number>('w', (_records, ctx) => ctx.emit('a'))
    // @ts-expect-error not a window
    byUser.window('1h')
    // @ts-expect-error not keyed
    orders.window(global())
  })
})

test('params have the types of their defaults', () => {
  const job = defineJob(
    'params',
    flow => {
      is<number>()(flow.params.limit)
      is<string>()(flow.params.input)
      flow.source('orders', source<Order>()).sink('out', sink<Order>())
      // @ts-expect-error the limit is a number
      assert.throws(() => flow.params.limit.toUpperCase())
      // @ts-expect-error no default, so it may be missing
      assert.throws(() => flow.params.other.length)
    },
    { params: { limit: 5, input: 'in' } },
  )
  const plain: JobDefinition = job
  assert.equal(buildGraph(plain, { limit: 7, input: 'x' }).nodes.length, 2)
  // @ts-expect-error a function is no parameter
  defineJob('params', () => undefined, { params: { fn: () => 1 } })
  // @ts-expect-error there is no such option
  defineJob('params', () => undefined, { paralelism: 1 })
  // @ts-expect-error there is no such backend
  defineJob('params', () => undefined, { stateBackend: 'redis' })
  // @ts-expect-error not a duration
  defineJob('params', () => undefined, { checkpointing: { interval: 'often' } })
  // @ts-expect-error a job has a name
  assert.throws(() => defineJob(() => undefined))
})
