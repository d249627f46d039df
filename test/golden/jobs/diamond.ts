/** One stream, read by branches that meet again: two that split and map it, one that is keyed, and the stream itself twice. */
import { compose, count, defineJob, files, generator, global, sum } from 'millrace'
import { slowed } from '../../crash/pace.ts'
import { draw, numbered, PARAMS, type Golden } from '../golden-job.ts'

const COUNT = 6000
const KEYS = 50

interface Weighed {
  readonly id: number
  readonly weight: number
}
const weighedOf = (i: number): Weighed => ({ id: draw(i, 1000), weight: 1 + draw(i, 9, 1) })
const isEven = ({ id }: Weighed) => id % 2 === 0
const heavier = ({ id, weight }: Weighed): Weighed => ({ id: id + 7, weight: weight * 10 })
const twice = (record: Weighed): Weighed[] => [record, { ...record, weight: 100 }]

export default defineJob(
  'diamond',
  flow => {
    const { dir, everyMs } = flow.params
    const all = flow.source(
      'weighed',
      slowed(generator({ count: COUNT, splits: 4, next: weighedOf }), { records: 10, everyMs }),
    )
    const even = all.filter(isEven).map(heavier)
    const odd = all.filter(record => !isEven(record)).flatMap(twice)
    const firsts = all
      .keyBy(record => record.id)
      .aggregate('seen', count())
      .filter(({ value }) => value === 1)
      .map(({ key }): Weighed => ({ id: key, weight: 1000 }))
    all
      .union(even, firsts, odd, all)
      .keyBy(record => record.id % KEYS)
      .window(global())
      .aggregate('met', compose({ n: count(), weight: sum((record: Weighed) => record.weight) }))
      .map(({ key, value }) => ({ key, ...value }))
      .sink('out', files.writeJson(`${dir}/out/met`))
  },
  { params: PARAMS },
)

export const golden: Golden = {
  expected() {
    const all = numbered(COUNT, weighedOf)
    const firsts = [...new Set(all.map(record => record.id))].map((id): Weighed => ({ id, weight: 1000 }))
    const odd = all.filter(record => !isEven(record)).flatMap(twice)
    const met = [...all, ...all, ...all.filter(isEven).map(heavier), ...odd, ...firsts]
    return {
      met: Object.values(Object.groupBy(met, record => record.id % KEYS)).map(own => ({
        key: own![0].id % KEYS,
        n: own!.length,
        weight: own!.reduce((total, record) => total + record.weight, 0),
      })),
    }
  },
}
