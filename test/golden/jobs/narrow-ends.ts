/** A source and sinks that have one subtask in a job that may have more: rebalance out of the source, and all comes together again. */
import { count, defineJob, files, generator, list, type } from 'millrace'
import { slowed } from '../../crash/pace.ts'
import { draw, numbered, PARAMS, type Golden } from '../golden-job.ts'

const COUNT = 6000

const numberOf = (i: number) => draw(i, 100_000)
const hexOf = (n: number) => n.toString(16).padStart(5, '0')

export default defineJob(
  'narrow-ends',
  flow => {
    const { dir, everyMs } = flow.params
    const spread = flow
      .source('numbers', slowed(generator({ count: COUNT, next: numberOf }), { records: 36, everyMs }), {
        parallelism: 1,
      })
      .map(hexOf)
      .rebalance()
      .process('tally', {
        emits: type<string>(),
        state: { digits: list<string>() },
        onRecord(hex, ctx) {
          ctx.state.digits.add(hex[0])
          ctx.emit(hex)
        },
        onEnd(ctx) {
          for (const digit of ctx.state.digits.get()) ctx.emit(`begins with ${digit}`)
          ctx.state.digits.clear()
        },
      })
    spread.sink('all-out', files.writeLines(`${dir}/out/all`), { parallelism: 1 })
    spread
      .rebalance()
      .filter(text => text.length > 5)
      .keyBy(text => text)
      .aggregate('counts', count())
      .sink('counts-out', files.writeJson(`${dir}/out/counts`), { parallelism: 1 })
  },
  { params: PARAMS },
)

export const golden: Golden = {
  expected() {
    const hex = numbered(COUNT, numberOf).map(hexOf)
    const begins = hex.map(text => `begins with ${text[0]}`)
    const groups = Object.entries(Object.groupBy(begins, text => text))
    return {
      all: [...hex, ...begins],
      counts: groups.flatMap(([key, those]) => those!.map((_, i) => ({ key, value: i + 1 }))),
    }
  },
}
