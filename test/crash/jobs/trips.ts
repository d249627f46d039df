/**
 * Event time over CSV and JSON files: a keyed process with every kind of state and timers, tumbling windows, a side output, three
 * sinks, two of which roll.
 */
import {
  aggregating,
  avg,
  compose,
  count,
  defineJob,
  files,
  list,
  map,
  outputTag,
  reducing,
  sum,
  tumbling,
  type,
  value,
} from 'millrace'
import { slowed } from '../pace.ts'

type Reading = { readonly bus: string; readonly at: number; readonly delay: number }
type Leg = {
  readonly bus: string
  readonly from: number
  readonly to: number
  readonly stops: number
  readonly worst: number
  readonly zones: string
}
const alarms = outputTag<{ readonly bus: string; readonly at: number; readonly delay: number }>('alarms')

export default defineJob(
  'trips',
  flow => {
    const { everyMs } = flow.params
    const fromCsv = flow
      .source('csv', slowed(files.csv('input/trips-*.csv'), { records: 24, everyMs }))
      .map((row): Reading => ({ bus: row.bus, at: Number(row.at), delay: Number(row.delay) }))
    const readings = fromCsv
      .union(flow.source('json', slowed(files.json<Reading>('input/trips-*.ndjson'), { records: 24, everyMs })))
      .eventTime(reading => reading.at, { outOfOrderness: 3000 })

    const legs = readings
      .keyBy(reading => reading.bus)
      .process('legs', {
        emits: type<Leg>(),
        state: {
          start: value<number>(),
          delays: list<number>(),
          zones: map<number, number>(),
          worst: reducing<number>((a, b) => Math.max(a, b)),
          mean: aggregating(avg((delay: number) => delay)),
        },
        onRecord(reading, ctx) {
          const { start, delays, zones, worst, mean } = ctx.state
          if (start.get() === undefined) {
            start.set(reading.at)
            ctx.timers.onEventTime(reading.at + 40_000)
          }
          delays.add(reading.delay)
          worst.add(reading.delay)
          mean.add(reading.delay)
          const zone = Math.floor(reading.delay / 10)
          zones.set(zone, (zones.get(zone) ?? 0) + 1)
          if (reading.delay >= 95) ctx.output(alarms, { bus: ctx.key, at: reading.at, delay: reading.delay })
        },
        onTimer(time, ctx) {
          const { start, delays, zones, worst, mean } = ctx.state
          const zoneText = [...zones.entries()].map(([zone, n]) => `${zone}:${n}`).join(' ')
          ctx.emit({
            bus: ctx.key,
            from: start.get()!,
            to: time,
            stops: [...delays.get()].length,
            worst: worst.get()!,
            zones: `${zoneText} ${mean.get()}`,
          })
          for (const state of [start, delays, zones, worst, mean]) state.clear()
        },
      })
    legs.sink('legs-out', files.writeCsv('out/legs', { header: false, roll: { size: 10_000 } }))
    legs.sideOutput(alarms).sink('alarms-out', files.writeJson('out/alarms', { roll: { every: 250 } }))
    readings
      .keyBy(reading => [reading.bus.slice(0, 2), reading.delay % 3 === 0] as const)
      .window(tumbling('15s'))
      .aggregate('per-window', compose({ n: count(), sum: sum((reading: Reading) => reading.delay) }))
      .sink('windows-out', files.writeJson('out/windows'))
  },
  { params: { everyMs: 0 } },
)
