/**
 * Windows of the results of windows, keyed anew in between, and windows of what a keyed process lets through. Event time goes at
 * another speed in every split, so it ends elsewhere in each.
 */
import { count, defineJob, files, generator, sum, topK, tumbling, type, value } from 'millrace'
import { slowed } from '../../crash/pace.ts'
import { draw, numbered, PARAMS, type Golden } from '../golden-job.ts'

const COUNT = 6000
const SPLITS = 4
const SHORT_MS = 2000
const LONG_MS = 20_000
const DISORDER_MS = 500

interface Hit {
  readonly page: number
  readonly at: number
}
const hitOf = (i: number): Hit => ({
  page: Math.min(draw(i, 80), draw(i, 80, 1)),
  at: 1_700_000_000_000 + i * 10 * (1 + (i % SPLITS)) - draw(i, DISORDER_MS, 2),
})
const endOf = (at: number, sizeMs: number) => at - (at % sizeMs) + sizeMs
/** No two are equal. */
const rankOf = ({ n, page }: { readonly n: number; readonly page: number }) => n * 1000 + page

export default defineJob(
  'window-of-windows',
  flow => {
    const { dir, everyMs } = flow.params
    const hits = flow
      .source('hits', slowed(generator({ count: COUNT, splits: SPLITS, next: hitOf }), { records: 10, everyMs }))
      .eventTime(hit => hit.at, { outOfOrderness: DISORDER_MS })
    const perPage = hits
      .keyBy(hit => hit.page)
      .window(tumbling(SHORT_MS))
      .aggregate('per-page', count())
      .map(({ key, value }) => ({ page: key, n: value }))
    perPage
      .keyBy(() => 'top')
      .window(tumbling(SHORT_MS))
      .aggregate('top', topK(3, rankOf))
      .map(({ window, value }) => ({ end: window.end, top: value }))
      .sink('top-out', files.writeJson(`${dir}/out/top`))
    perPage
      .keyBy(({ page }) => page % 10)
      .window(tumbling(LONG_MS))
      .aggregate(
        'per-section',
        sum(({ n }: { readonly n: number }) => n),
      )
      .sink('sections-out', files.writeJson(`${dir}/out/sections`))
    // The first hit of each page and long window, told by timers, in windows of their own.
    hits
      .keyBy(hit => [hit.page, endOf(hit.at, LONG_MS)] as const)
      .process('first', {
        emits: type<number>(),
        state: { at: value<number>() },
        onRecord(hit, ctx) {
          const [, end] = ctx.key
          ctx.state.at.set(Math.min(hit.at, ctx.state.at.get() ?? Infinity))
          ctx.timers.onEventTime(end - 1)
        },
        onTimer(_time, ctx) {
          ctx.emit(ctx.state.at.get()!)
          ctx.state.at.clear()
        },
      })
      .keyBy(at => at % 5)
      .window(tumbling(LONG_MS))
      .aggregate('firsts', count())
      .sink('firsts-out', files.writeJson(`${dir}/out/firsts`))
  },
  { params: PARAMS },
)

export const golden: Golden = {
  expected() {
    const all = numbered(COUNT, hitOf)
    const groups = <T>(records: readonly T[], key: (record: T) => string) =>
      Object.values(Object.groupBy(records, key)).map(each => each!)
    const perPage = groups(all, hit => `${hit.page} ${endOf(hit.at, SHORT_MS)}`).map(own => ({
      page: own[0].page,
      n: own.length,
      end: endOf(own[0].at, SHORT_MS),
    }))
    const windowOf = (at: number) => ({ start: endOf(at, LONG_MS) - LONG_MS, end: endOf(at, LONG_MS) })
    const firsts = groups(all, hit => `${hit.page} ${endOf(hit.at, LONG_MS)}`).map(own =>
      own.map(hit => hit.at).reduce((a, b) => Math.min(a, b)),
    )
    return {
      top: groups(perPage, ({ end }) => `${end}`).map(own => ({
        end: own[0].end,
        top: own
          .sort((a, b) => rankOf(b) - rankOf(a))
          .slice(0, 3)
          .map(({ page, n }) => ({ page, n })),
      })),
      sections: groups(perPage, ({ page, end }) => `${page % 10} ${endOf(end - 1, LONG_MS)}`).map(own => ({
        key: own[0].page % 10,
        window: windowOf(own[0].end - 1),
        value: own.reduce((total, { n }) => total + n, 0),
      })),
      firsts: groups(firsts, at => `${at % 5} ${endOf(at, LONG_MS)}`).map(own => ({
        key: own[0] % 5,
        window: windowOf(own[0]),
        value: own.length,
      })),
    }
  },
}
