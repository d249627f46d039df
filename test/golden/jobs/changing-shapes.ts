/** Records whose shape changes as the stream goes on: other fields, other types, another order, then no objects at all. */
import { defineJob, files, generator, type, value } from 'millrace'
import { slowed } from '../../crash/pace.ts'
import { draw, numbered, PARAMS, type Golden } from '../golden-job.ts'

const COUNT = 6000
const SPLITS = 4
const KEYS = 64

const VALUES: readonly ((i: number) => unknown)[] = [
  i => i,
  i => i + 0.5,
  i => `text ${i}`,
  () => null,
  i => i % 2 === 0,
  i => ({ i }),
  i => [i, `${i}`],
]

/** In the first third all records look alike, then fields come, go and change, then anything may come. */
function recordOf(i: number): unknown {
  const phase = Math.floor((3 * i) / COUNT)
  if (phase === 0) return { id: i, name: `name ${i}`, level: draw(i, 100) }
  if (phase === 2 && draw(i, 3) === 0) return [null, undefined, i, `${i}`, [i], [], {}][draw(i, 7, 1)]
  const fields = numbered(draw(i, 6, 2), n => {
    const field = draw(i, 12, 10 + n)
    return [['id', 'name', 'level'][field] ?? `field ${field}`, VALUES[draw(i, VALUES.length, 20 + n)](i)]
  })
  return Object.fromEntries(fields)
}

const textOf = (record: unknown) => JSON.stringify(record) ?? 'undefined'
const keyOf = (record: unknown) => textOf(record).length % KEYS

export default defineJob(
  'changing-shapes',
  flow => {
    const { dir, everyMs } = flow.params
    flow
      .source('records', slowed(generator({ count: COUNT, splits: SPLITS, next: recordOf }), { records: 10, everyMs }))
      .keyBy(keyOf)
      .process('hold-one', {
        emits: type<{ readonly held: unknown }>(),
        state: { held: value<{ readonly record: unknown }>() },
        onRecord(record, ctx) {
          const before = ctx.state.held.get()
          if (before !== undefined) ctx.emit({ held: before.record })
          ctx.state.held.set({ record })
          ctx.timers.onEventTime(Infinity)
        },
        onTimer(_time, ctx) {
          ctx.emit({ held: ctx.state.held.get()!.record })
        },
      })
      .keyBy(({ held }) => textOf(held))
      .process('text', {
        emits: type<string>(),
        onRecord({ held }, ctx) {
          ctx.emit(textOf(held))
        },
      })
      .sink('out', files.writeLines(`${dir}/out/records`))
  },
  { params: PARAMS },
)

export const golden: Golden = {
  expected: () => ({ records: numbered(COUNT, recordOf).map(textOf) }),
}
