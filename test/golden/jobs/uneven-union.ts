/** A union of sources of different speed, length and kind: slow, fast, in memory, empty, a file. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { collection, compose, count, defineJob, files, generator, sum } from 'millrace'
import { slowed } from '../../crash/pace.ts'
import { draw, numbered, PARAMS, type Golden } from '../golden-job.ts'

const SLOW = 4000
const FAST = 3000
const FEW = numbered(50, i => i * 17)
const LINES = 300
const KEYS = 97

const slowOf = (i: number) => draw(i, 10_000, 1)
const fastOf = (i: number) => draw(i, 10_000, 2)
const lineOf = (i: number) => String(draw(i, 10_000, 3))

export default defineJob(
  'uneven-union',
  flow => {
    const { dir, everyMs } = flow.params
    const slow = flow.source(
      'slow',
      slowed(generator({ count: SLOW, splits: 4, next: slowOf }), { records: 6, everyMs }),
    )
    const fast = flow.source('fast', generator({ count: FAST, splits: 3, next: fastOf }))
    const few = flow.source('few', collection(FEW))
    const none = flow.source('none', generator({ count: 0, splits: 2, next: () => 0 }))
    const lines = flow.source('lines', slowed(files.lines(`${dir}/input/numbers`), { records: 40, everyMs }))
    slow
      .union(fast, few, none, lines.map(Number))
      .keyBy(n => n % KEYS)
      .aggregate('totals', compose({ n: count(), zero: sum((n: number) => n - n) }))
      .sink('out', files.writeJson(`${dir}/out/totals`))
  },
  { params: PARAMS },
)

export const golden: Golden = {
  makeInput(dir) {
    writeFileSync(join(dir, 'numbers'), numbered(LINES, lineOf).join('\n'))
  },
  expected() {
    const all = [...numbered(SLOW, slowOf), ...numbered(FAST, fastOf), ...FEW, ...numbered(LINES, lineOf).map(Number)]
    const keys = Object.values(Object.groupBy(all, n => n % KEYS))
    return {
      totals: keys.flatMap(own => own!.map((n, i) => ({ key: n % KEYS, value: { n: i + 1, zero: 0 } }))),
    }
  },
}
