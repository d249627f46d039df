/** Every kind of keyed state, event-time timers at the ends of buckets and at the end of input, records out of order. */
import {
  aggregating,
  compose,
  count,
  defineJob,
  files,
  generator,
  list,
  map,
  max,
  reducing,
  type,
  value,
} from 'millrace'
import { slowed } from '../../crash/pace.ts'
import { draw, numbered, PARAMS, type Golden } from '../golden-job.ts'

const COUNT = 6000
const SPLITS = 4
const BUCKET_MS = 5000
const DISORDER_MS = 700

interface Reading {
  readonly sensor: number
  readonly at: number
  readonly level: number
}
type Row =
  | { readonly sensor: number; readonly bucket: number; readonly n: number }
  | {
      readonly sensor: number
      readonly total: number
      readonly levels: readonly number[]
      readonly worst: number | undefined
      readonly all: { readonly max: number | undefined; readonly n: number }
      readonly zones: string
    }

const readingOf = (i: number): Reading => ({
  sensor: draw(i, 60),
  at: i * 30 + 1_000_000 - draw(i, DISORDER_MS, 1),
  level: draw(i, 1000, 2),
})
const bucketOf = (at: number) => at - (at % BUCKET_MS)
const zoneOf = (level: number) => `zone ${level % 7}`

export default defineJob(
  'every-state',
  flow => {
    const { dir, everyMs } = flow.params
    flow
      .source(
        'readings',
        slowed(generator({ count: COUNT, splits: SPLITS, next: readingOf }), { records: 10, everyMs }),
      )
      .eventTime(reading => reading.at, { outOfOrderness: DISORDER_MS })
      .keyBy(reading => reading.sensor)
      .process('states', {
        emits: type<Row>(),
        state: {
          total: value({ default: 0 }),
          levels: list<number>(),
          buckets: map<number, number>(),
          zones: map<string, number>(),
          worst: reducing<number>((a, b) => Math.max(a, b)),
          all: aggregating(compose({ max: max((level: number) => level), n: count() })),
        },
        onRecord({ at, level }, ctx) {
          const { total, levels, buckets, zones, worst, all } = ctx.state
          const bucket = bucketOf(at)
          total.set(total.get() + level)
          levels.add(level)
          buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1)
          zones.set(zoneOf(level), (zones.get(zoneOf(level)) ?? 0) + 1)
          worst.add(level)
          all.add(level)
          ctx.timers.onEventTime(bucket + BUCKET_MS - 1)
          ctx.timers.onEventTime(Infinity)
          // Set and taken back at once: never fires.
          ctx.timers.onEventTime(at + 1)
          if (at + 1 !== bucket + BUCKET_MS - 1) ctx.timers.deleteEventTime(at + 1)
        },
        onTimer(time, ctx) {
          const { total, levels, buckets, zones, worst, all } = ctx.state
          if (time < Infinity) {
            const bucket = bucketOf(time)
            ctx.emit({ sensor: ctx.key, bucket, n: buckets.get(bucket)! })
            buckets.delete(bucket)
            return
          }
          ctx.emit({
            sensor: ctx.key,
            total: total.get(),
            levels: [...levels.get()].sort((a, b) => a - b),
            worst: worst.get(),
            all: all.get(),
            zones: [...zones.entries()].map(([zone, n]) => `${zone}: ${n}`).join(', '),
          })
        },
      })
      .sink('out', files.writeJson(`${dir}/out/rows`))
  },
  { params: PARAMS },
)

export const golden: Golden = {
  expected() {
    const readings = numbered(COUNT, readingOf)
    const sensors = Object.values(Object.groupBy(readings, reading => reading.sensor)).map(each => each!)
    const rows = sensors.flatMap((own): Row[] => {
      const { sensor } = own[0]
      const levels = own.map(reading => reading.level).sort((a, b) => a - b)
      const buckets = Object.entries(Object.groupBy(own, reading => bucketOf(reading.at)))
      const zones = Object.entries(Object.groupBy(levels, zoneOf)).sort(([a], [b]) => (a < b ? -1 : 1))
      return [
        ...buckets.map(([bucket, those]) => ({ sensor, bucket: Number(bucket), n: those!.length })),
        {
          sensor,
          total: levels.reduce((a, b) => a + b),
          levels,
          worst: levels.at(-1),
          all: { max: levels.at(-1), n: levels.length },
          zones: zones.map(([zone, those]) => `${zone}: ${those!.length}`).join(', '),
        },
      ]
    })
    return { rows }
  },
}
