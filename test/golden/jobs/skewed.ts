/** Nine of ten records have the same key; global windows with aggregators that grow, which fire at the end of input. */
import { avg, collect, compose, count, defineJob, distinct, files, generator, global, min, topK } from 'millrace'
import { slowed } from '../../crash/pace.ts'
import { draw, numbered, PARAMS, type Golden } from '../golden-job.ts'

const COUNT = 12_000
const SPLITS = 4

interface Sale {
  readonly shop: string
  readonly id: number
  readonly item: number
}
const saleOf = (i: number): Sale => ({
  shop: draw(i, 10) < 9 ? 'hot' : `cold ${draw(i, 12, 1)}`,
  id: i,
  item: draw(i, 3000, 2),
})

interface Summary {
  readonly items: number
  readonly least: number | undefined
  readonly mean: number | undefined
  readonly n: number
  readonly newest: readonly Sale[]
}

export default defineJob(
  'skewed',
  flow => {
    const { dir, everyMs } = flow.params
    const sales = flow
      .source('sales', slowed(generator({ count: COUNT, splits: SPLITS, next: saleOf }), { records: 20, everyMs }))
      .keyBy(sale => sale.shop)
    sales
      .window(global())
      .aggregate(
        'summaries',
        compose({
          items: distinct((sale: Sale) => sale.item),
          least: min((sale: Sale) => sale.item),
          mean: avg((sale: Sale) => sale.item),
          n: count(),
          newest: topK(3, (sale: Sale) => sale.id),
        }),
      )
      .map(({ key, value }) => ({ key, value }))
      .sink('summaries-out', files.writeJson(`${dir}/out/summaries`))
    sales
      .window(global())
      .aggregate('all', collect())
      .map(({ key, value }) => {
        const ids = value.map(sale => sale.id).sort((a, b) => a - b)
        return `${key}: ${ids.join(' ')}`
      })
      .sink('all-out', files.writeLines(`${dir}/out/all`))
  },
  { params: PARAMS },
)

export const golden: Golden = {
  expected() {
    const shops = Object.entries(Object.groupBy(numbered(COUNT, saleOf), sale => sale.shop))
    const summaryOf = (sales: Sale[]): Summary => {
      const items = sales.map(sale => sale.item)
      return {
        items: new Set(items).size,
        least: items.reduce((a, b) => Math.min(a, b)),
        mean: items.reduce((a, b) => a + b) / items.length,
        n: sales.length,
        newest: sales.slice(-3).reverse(),
      }
    }
    return {
      summaries: shops.map(([key, sales]) => ({ key, value: summaryOf(sales!) })),
      all: shops.map(([key, sales]) => `${key}: ${sales!.map(sale => sale.id).join(' ')}`),
    }
  },
}
