/** Keys of every kind: 1, 1n, '1' and [1] are four keys, -0 is 0, true is not 'true', and long texts are keys too. */
import { inspect } from 'node:util'
import { count, defineJob, files, generator, map, type } from 'millrace'
import type { Key } from 'millrace'
import { slowed } from '../../crash/pace.ts'
import { draw, numbered, PARAMS, type Golden } from '../golden-job.ts'

const COUNT = 6000

const KEYS: readonly ((n: number) => Key)[] = [
  n => n,
  n => -n,
  n => n / 8,
  n => BigInt(n),
  n => -(2n ** 80n) * BigInt(n),
  n => `${n}`,
  n => 'long '.repeat(n * 20),
  n => n % 2 === 0,
  n => [n],
  n => [`${n}`, n, BigInt(n), n % 2 === 0, [n, [`${n}`]]],
  () => [],
  n => ['a\0b', '', '\u{10ffff}', '\uffff'].slice(0, n % 5),
  n => n * 1e300,
  () => '',
]
const keyOf = (i: number): Key => KEYS[draw(i, KEYS.length)](draw(i, 40, 1))

/** Of equal keys the same text. */
const textOf = (key: Key): string => inspect(key, { depth: Infinity, breakLength: Infinity }).replaceAll('-0', '0')

export default defineJob(
  'key-kinds',
  flow => {
    const { dir, everyMs } = flow.params
    flow
      .source('numbers', slowed(generator({ count: COUNT, splits: 4, next: i => i }), { records: 10, everyMs }))
      .keyBy(i => keyOf(i))
      .process('seen', {
        emits: type<{ readonly key: Key; readonly again: boolean }>(),
        state: { seen: map<Key, boolean>() },
        onRecord(_i, ctx) {
          const { seen } = ctx.state
          ctx.emit({ key: ctx.key, again: seen.has(ctx.key) })
          seen.set(ctx.key, true)
        },
      })
      .keyBy(({ key, again }) => [again, key] as const)
      .aggregate('counts', count())
      .map(({ key: [again, key], value }) => `${again ? 'again' : 'first'} ${textOf(key)} ${value}`)
      .sink('out', files.writeLines(`${dir}/out/counts`))
  },
  { params: PARAMS },
)

export const golden: Golden = {
  expected() {
    const keys = Object.entries(Object.groupBy(numbered(COUNT, keyOf), textOf))
    return {
      counts: keys.flatMap(([text, all]) => [
        `first ${text} 1`,
        ...numbered(all!.length - 1, i => `again ${text} ${i + 1}`),
      ]),
    }
  },
}
