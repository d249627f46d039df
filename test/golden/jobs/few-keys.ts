/**
 * Less than there are subtasks: two keys, a third that only the last record has, two splits of which one has nothing that counts, a
 * source without records. Most subtasks have nothing to do, but event time goes on.
 */
import { count, defineJob, files, generator, tumbling, type, value } from 'millrace'
import { slowed } from '../../crash/pace.ts'
import { draw, numbered, PARAMS, type Golden } from '../golden-job.ts'

const COUNT = 3000
const SIZE_MS = 10_000

interface Tick {
  readonly at: number
  readonly side: string
}
/** One split has all that count, the other one none. */
const tickOf = (i: number): Tick => ({ at: i * 50, side: sideOf(i) })

function sideOf(i: number): string {
  if (i % 2 === 1) return 'neither'
  return i === 2 * COUNT - 2 ? 'last' : ['left', 'right'][draw(i, 2)]
}

export default defineJob(
  'few-keys',
  flow => {
    const { dir, everyMs } = flow.params
    const ticks = flow
      .source('ticks', slowed(generator({ count: 2 * COUNT, splits: 2, next: tickOf }), { records: 16, everyMs }))
      .union(flow.source('none', generator({ count: 0, next: tickOf })))
      .filter(tick => tick.side !== 'neither')
      .eventTime(tick => tick.at)
      .keyBy(tick => tick.side)
    ticks
      .window(tumbling(SIZE_MS))
      .aggregate('windows', count())
      .sink('windows-out', files.writeJson(`${dir}/out/windows`))
    ticks
      .process('last-of', {
        emits: type<{ readonly side: string; readonly at: number; readonly n: number }>(),
        state: { n: value({ default: 0 }), at: value({ default: 0 }) },
        onRecord(tick, ctx) {
          ctx.state.n.set(ctx.state.n.get() + 1)
          ctx.state.at.set(Math.max(tick.at, ctx.state.at.get()))
          ctx.timers.onEventTime(Infinity)
        },
        onTimer(_time, ctx) {
          ctx.emit({ side: ctx.key, at: ctx.state.at.get(), n: ctx.state.n.get() })
        },
      })
      .sink('last-out', files.writeJson(`${dir}/out/last`))
  },
  { params: PARAMS },
)

export const golden: Golden = {
  expected() {
    const ticks = numbered(COUNT, i => tickOf(2 * i))
    const groups = (key: (tick: Tick) => string) => Object.values(Object.groupBy(ticks, key)).map(each => each!)
    return {
      windows: groups(tick => `${tick.side} ${Math.floor(tick.at / SIZE_MS)}`).map(own => {
        const start = Math.floor(own[0].at / SIZE_MS) * SIZE_MS
        return { key: own[0].side, window: { start, end: start + SIZE_MS }, value: own.length }
      }),
      last: groups(tick => tick.side).map(own => ({ side: own[0].side, at: own.at(-1)!.at, n: own.length })),
    }
  },
}
