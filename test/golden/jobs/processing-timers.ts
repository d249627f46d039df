/**
 * Processing-time timers: due at once, due soon, and deleted ones. When one fires depends on the clock, that it fires once does not;
 * what the clock has not reached when the input ends is made up for then.
 */
import { defineJob, files, generator, map, type, value } from 'millrace'
import { slowed } from '../../crash/pace.ts'
import { draw, numbered, PARAMS, type Golden } from '../golden-job.ts'

const COUNT = 6000
const SPLITS = 4

interface Mark {
  readonly key: string
  readonly mark: string
}
const keyOf = (i: number) => `key ${draw(i, 500)}`

export default defineJob(
  'processing-timers',
  flow => {
    const { dir, everyMs } = flow.params
    flow
      .source('keys', slowed(generator({ count: COUNT, splits: SPLITS, next: keyOf }), { records: 10, everyMs }))
      .keyBy(key => key)
      .process('marks', {
        emits: type<Mark>(),
        state: { records: value({ default: 0 }), marks: map<string, number>() },
        onRecord(_record, ctx) {
          const { records, marks } = ctx.state
          const n = records.get() + 1
          records.set(n)
          if (n > 1) return
          const soonMs = Date.now() + n * 30
          marks.set('past', 1)
          marks.set('soon', soonMs)
          ctx.timers.onProcessingTime(1)
          ctx.timers.onProcessingTime(soonMs)
          ctx.timers.onProcessingTime(2)
          ctx.timers.deleteProcessingTime(2)
          ctx.timers.onEventTime(Infinity)
        },
        onTimer(time, ctx) {
          const { records, marks } = ctx.state
          if (ctx.timeDomain === 'event') ctx.emit({ key: ctx.key, mark: `${records.get()} records` })
          for (const [mark] of [...marks.entries()].filter(([, dueMs]) => dueMs <= time)) {
            ctx.emit({ key: ctx.key, mark })
            marks.delete(mark)
          }
        },
      })
      .sink('out', files.writeJson(`${dir}/out/marks`))
  },
  { params: PARAMS },
)

export const golden: Golden = {
  expected() {
    const marks = Object.entries(Object.groupBy(numbered(COUNT, keyOf), key => key)).flatMap(([key, records]) =>
      [`${records!.length} records`, 'past', 'soon'].map((mark): Mark => ({ key, mark })),
    )
    return { marks }
  },
}
