/** Keyed twice in a row, by different keys, with nothing between: a running aggregate of a running aggregate, and one at the end. */
import { aggregating, count, defineJob, files, generator, sum, type } from 'millrace'
import { slowed } from '../../crash/pace.ts'
import { draw, numbered, PARAMS, type Golden } from '../golden-job.ts'

const COUNT = 6000
const SIZES = 11

const wordOf = (i: number) => `word ${Math.min(draw(i, 300), draw(i, 300, 1))}`

export default defineJob(
  'two-key-bys',
  flow => {
    const { dir, everyMs } = flow.params
    const words = flow.source(
      'words',
      slowed(generator({ count: COUNT, splits: 5, next: wordOf }), { records: 8, everyMs }),
    )
    words
      .keyBy(word => word)
      .aggregate('running', count())
      .keyBy(({ value }) => value % SIZES)
      .aggregate('by-remainder', count())
      .sink('running-out', files.writeJson(`${dir}/out/running`))
    words
      .keyBy(word => word)
      .process('frequency', {
        emits: type<{ readonly word: string; readonly n: number }>(),
        state: { n: aggregating(count()) },
        onRecord(word, ctx) {
          ctx.state.n.add(word)
          ctx.timers.onEventTime(Infinity)
        },
        onTimer(_time, ctx) {
          ctx.emit({ word: ctx.key, n: ctx.state.n.get() })
        },
      })
      .keyBy(({ n }) => n)
      .process('words-with', {
        emits: type<string>(),
        state: { letters: aggregating(sum((word: string) => word.length)), words: aggregating(count()) },
        onRecord({ word }, ctx) {
          ctx.state.letters.add(word)
          ctx.state.words.add(word)
          ctx.timers.onEventTime(Infinity)
        },
        onTimer(_time, ctx) {
          ctx.emit(`${ctx.state.words.get()} words of ${ctx.state.letters.get()} letters occur ${ctx.key} times`)
        },
      })
      .sink('frequencies-out', files.writeLines(`${dir}/out/frequencies`))
  },
  { params: PARAMS },
)

export const golden: Golden = {
  expected() {
    const words = Object.entries(Object.groupBy(numbered(COUNT, wordOf), word => word)).map(([word, all]) => ({
      word,
      n: all!.length,
    }))
    const remainders = words.flatMap(({ n }) => numbered(n, i => (i + 1) % SIZES))
    const frequencies = Object.entries(Object.groupBy(words, ({ n }) => n))
    return {
      running: Object.values(Object.groupBy(remainders, remainder => remainder)).flatMap(all =>
        all!.map((key, i) => ({ key, value: i + 1 })),
      ),
      frequencies: frequencies.map(([n, those]) => {
        const letters = those!.reduce((total, { word }) => total + word.length, 0)
        return `${those!.length} words of ${letters} letters occur ${n} times`
      }),
    }
  },
}
