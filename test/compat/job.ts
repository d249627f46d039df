/**
 * The job behind the golden snapshots: state of every kind, timers of both clocks, windows in both representations. While it is written
 * an endless source keeps its watermark back; read without that source it ends, and everything that was held comes out.
 */
import {
  aggregating,
  broadcast,
  collect,
  collection,
  count,
  defineJob,
  generator,
  list,
  map,
  memory,
  reducing,
  sum,
  tumbling,
  unionList,
  value,
  type JobDefinition,
} from 'millrace'

export const JOB = 'compat'

interface Item {
  readonly time: number
  readonly n: number
}

export const ITEMS: readonly Item[] = [1, 2, 3, 4].map(n => ({ time: n * 1000, n }))

const integer = { type: 'integer', minimum: 0, maximum: 255 }
const ROW = { type: 'object', properties: { n: integer, half: { type: 'number' } }, required: ['n', 'half'] }
const TEXTS = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] }

export function compatJob(purpose: 'write' | 'read'): JobDefinition<any> {
  return defineJob(JOB, flow => {
    const items = flow
      .source('items', collection([...ITEMS]))
      .union(
        purpose === 'write'
          ? flow.source('open', generator<Item>({ rate: 1, next: () => ({ time: 0, n: 0 }) }))
          : flow.source(
              'probe',
              collection<Item>([
                { time: 9000, n: 5 },
                { time: 9000, n: 6 },
              ]),
            ),
      )
      .eventTime(({ time }) => time)
      .filter(({ n }) => n > 0)
    const keyed = items.keyBy(({ n }) => (n % 2 === 0 ? 'even' : ['odd', 1]), {
      schema: { anyOf: [{ type: 'string' }, { type: 'array' }] } as object,
    })
    items
      .process('plain', {
        state: { split: list<number>(), union: unionList<number>({ version: 2 }) },
        onRecord({ n }, ctx) {
          if (n > 4) ctx.emit(['plain', [...ctx.state.split.get()], [...ctx.state.union.get()]])
          ctx.state.split.add(n)
          ctx.state.union.add(n * 10)
        },
      })
      .sink('unkeyed', memory())
    keyed
      .connect(items.broadcast())
      .process('keyed', {
        state: {
          value: value<unknown>(),
          typed: value<{ n: number; half: number }>({ schema: ROW }),
          text: value<{ text: string }>({ schema: TEXTS, version: 3 }),
          list: list<number>(),
          map: map<string, number>({ ttl: '7d' }),
          reducing: reducing<number>((a, b) => Math.max(a, b)),
          sum: aggregating(sum<number>(n => n)),
          all: aggregating(collect<number>()),
        },
        broadcastState: { rules: broadcast<number, string>() },
        onRecord({ n }, ctx) {
          const { key, state, broadcastState, timers } = ctx
          if (n > 4) {
            const kept = [state.value.get(), state.typed.get(), state.text.get(), [...state.list.get()]]
            const more = [
              state.reducing.get(),
              state.sum.get(),
              state.all.get(),
              [...broadcastState.rules.keys()].filter(rule => rule < 5),
            ]
            ctx.emit([key, ...kept, ...more])
            return
          }
          state.value.set(new Map([[n, { big: 10n ** 20n, at: new Date(n), zero: -0 }]]))
          state.typed.set({ n, half: n / 2 })
          state.text.set({ text: `n is ${n}` })
          state.list.add(n)
          state.map.set(`m${n}`, n)
          state.reducing.add(n)
          state.sum.add(n)
          state.all.add(n)
          timers.onEventTime(n * 100_000)
          timers.onProcessingTime(4e12)
        },
        onBroadcast({ n }, { broadcastState }) {
          broadcastState.rules.set(n, `rule ${n}`)
        },
        onTimer(time, ctx) {
          ctx.emit([ctx.key, 'timer', time])
        },
      })
      .sink('keyed-out', memory())
    keyed.window(tumbling(5000)).aggregate('counts', count()).sink('counts-out', memory())
    keyed.window(tumbling(5000)).aggregate('collected', collect<Item>()).sink('collected-out', memory())
  })
}
