/**
 * Tumbling windows over two sources of several splits, out of order within the bound: an aggregate, a reduce with an offset, and a
 * process with a side output; two of them would take late records, but there are none.
 */
import { compose, count, defineJob, files, generator, outputTag, sum, tumbling } from 'millrace'
import { slowed } from '../../crash/pace.ts'
import { draw, numbered, PARAMS, type Golden } from '../golden-job.ts'

const COUNT = 2800
const DISORDER_MS = 3000
const START_MS = 1_700_000_000_000

interface Bid {
  readonly auction: number
  readonly price: number
  readonly at: number
}

function bidOf(salt: number): (i: number) => Bid {
  const stepMs = salt === 1 ? 45 : 80
  return i => ({
    auction: draw(i, 40, salt),
    price: 1 + draw(i, 10_000, 10 + salt),
    at: START_MS + i * stepMs - draw(i, DISORDER_MS, 20 + salt),
  })
}
const highest = (a: Bid, b: Bid): Bid => {
  if (a.price !== b.price) return a.price > b.price ? a : b
  return a.at >= b.at ? a : b
}
const late = outputTag<Bid>('late')
const crowded = outputTag<{ readonly auction: number; readonly end: number }>('crowded')
const pricesOf = (bids: readonly Bid[]) => bids.map(bid => bid.price).sort((a, b) => a - b)

export default defineJob(
  'windows',
  flow => {
    const { dir, everyMs } = flow.params
    const bids = flow
      .source('slow', slowed(generator({ count: COUNT, splits: 4, next: bidOf(1) }), { records: 6, everyMs }))
      .union(
        flow.source('fast', slowed(generator({ count: COUNT, splits: 3, next: bidOf(2) }), { records: 20, everyMs })),
      )
      .eventTime(bid => bid.at, { outOfOrderness: DISORDER_MS })
      .keyBy(bid => bid.auction)
    const totals = bids
      .window(tumbling('10s'))
      .allowedLateness('1h')
      .lateOutput(late)
      .aggregate('totals', compose({ n: count(), price: sum((bid: Bid) => bid.price) }))
    totals.sink('totals-out', files.writeJson(`${dir}/out/totals`))
    totals.sideOutput(late).sink('late-out', files.writeJson(`${dir}/out/late`))
    bids
      .window(tumbling('7s', { offset: '2s' }))
      .lateOutput(late)
      .reduce('highest', highest)
      .sink('highest-out', files.writeJson(`${dir}/out/highest`))
    const prices = bids
      .window(tumbling('1m'))
      .process<{ readonly of: string; readonly prices: number[] }>('prices', (those, ctx) => {
        ctx.emit({ of: `${ctx.key} until ${ctx.window.end}`, prices: pricesOf(those) })
        if (those.length > 30) ctx.output(crowded, { auction: ctx.key, end: ctx.window.end })
      })
    prices.sink('prices-out', files.writeJson(`${dir}/out/prices`))
    prices.sideOutput(crowded).sink('crowded-out', files.writeJson(`${dir}/out/crowded`))
  },
  { params: PARAMS },
)

export const golden: Golden = {
  expected() {
    const bids = [...numbered(COUNT, bidOf(1)), ...numbered(COUNT, bidOf(2))]
    const windowed = <R>(sizeMs: number, offsetMs: number, result: (those: Bid[], key: number, end: number) => R) =>
      Object.values(
        Object.groupBy(bids, bid => `${bid.auction} ${Math.floor((bid.at - offsetMs) / sizeMs) * sizeMs + offsetMs}`),
      ).map(those => {
        const start = Math.floor((those![0].at - offsetMs) / sizeMs) * sizeMs + offsetMs
        return result(those!, those![0].auction, start + sizeMs)
      })
    return {
      totals: windowed(10_000, 0, (those, key, end) => ({
        key,
        window: { start: end - 10_000, end },
        value: { n: those.length, price: those.reduce((total, bid) => total + bid.price, 0) },
      })),
      late: [],
      highest: windowed(7000, 2000, (those, key, end) => ({
        key,
        window: { start: end - 7000, end },
        value: those.reduce(highest),
      })),
      prices: windowed(60_000, 0, (those, key, end) => ({ of: `${key} until ${end}`, prices: pricesOf(those) })),
      crowded: windowed(60_000, 0, (those, auction, end) => (those.length > 30 ? [{ auction, end }] : [])).flat(),
    }
  },
}
