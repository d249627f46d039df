/**
 * A reduce that does not commute, emitted for every record: the records of a key all come from one split, so their order is defined
 * at any parallelism. Its sink keeps parts open over several checkpoints.
 */
import { defineJob, files, generator } from 'millrace'
import { slowed } from '../../crash/pace.ts'
import { draw, numbered, PARAMS, type Golden } from '../golden-job.ts'

const COUNT = 6000
const SPLITS = 5

interface Link {
  readonly key: string
  readonly last: number
  readonly chain: number
}

const linkOf = (i: number): Link => ({ key: `${i % SPLITS}/${draw(i, 30)}`, last: i, chain: i })
const follow = (a: Link, b: Link): Link => ({
  key: a.key,
  last: b.last,
  chain: (Math.imul(a.chain, 31) + b.chain) >>> 0,
})

export default defineJob(
  'ordered-chains',
  flow => {
    const { dir, everyMs } = flow.params
    flow
      .source('links', slowed(generator({ count: COUNT, splits: SPLITS, next: linkOf }), { records: 8, everyMs }))
      .keyBy(link => link.key)
      .reduce('chains', follow)
      .sink('out', files.writeJson(`${dir}/out/chains`, { roll: { size: 30_000 } }))
  },
  { params: PARAMS },
)

export const golden: Golden = {
  expected() {
    const chains = new Map<string, Link>()
    const running = numbered(COUNT, linkOf).map(link => {
      const before = chains.get(link.key)
      const chain = before === undefined ? link : follow(before, link)
      chains.set(link.key, chain)
      return chain
    })
    return { chains: running }
  },
}
