/** Records of everything that structured clone carries, some longer than a page, keyed twice and kept in state in between. */
import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import { defineJob, files, generator, list, type, value } from 'millrace'
import { slowed } from '../../crash/pace.ts'
import { draw, numbered, PARAMS, type Golden } from '../golden-job.ts'

const COUNT = 2400
const SPLITS = 4

interface Parcel {
  readonly id: number
  readonly to: string
  readonly content: unknown
}

const CONTENTS: readonly ((i: number) => unknown)[] = [
  i => i,
  i => i / 7,
  () => -0,
  () => NaN,
  i => [Infinity, -Infinity, Number.MAX_SAFE_INTEGER, Number.MIN_VALUE, 2 ** 31, -(2 ** 31) - 1, i],
  i => BigInt(i) ** 20n * (i % 2 === 0 ? 1n : -1n),
  i => `text ${i} 東京 😀 \0`,
  i => `lone \ud83d surrogate ${i}\udc00`,
  () => '',
  () => null,
  () => undefined,
  i => i % 2 === 0,
  i => ({ here: undefined, there: i, nowhere: { at: [undefined, null] } }),
  i => new Date(1_700_000_000_000 + i),
  () => new Date(NaN),
  i =>
    new Map<unknown, unknown>([
      [i, 'a number'],
      [`${i}`, new Map([[{ key: 'object' }, new Set([1n, -0])]])],
    ]),
  i => new Set([i, `${i}`, BigInt(i), undefined, null]),
  i => new Uint8Array(i % 300).fill(i),
  i => new Float64Array([i, -0, NaN, 1 / 3]),
  i => new BigInt64Array([BigInt(i), -(2n ** 63n)]),
  i => new Uint16Array([i, 2, 3]).buffer,
  // With a hole.
  i => Object.assign([i], { 2: i }),
  i => /pat+ern/giu.exec(`pattern ${i}`)!.slice(),
  i => new RegExp(`number ${i}`, 'gi'),
  i => ({ ['odd key \n']: i, 7: 'seven', '': 'empty', deep: { deep: { deep: [{ deep: i }] } } }),
  i => (i % 5 === 0 ? 'x'.repeat(70_000 + i) + 'ü' : 'y'.repeat(i % 40)),
  i => (i % 7 === 0 ? numbered(6000, n => n * i) : []),
  cycle,
]

function cycle(i: number): unknown {
  const self: { id: number; self?: unknown; both: unknown[] } = { id: i, both: [] }
  self.self = self
  const shared = { i }
  self.both.push(shared, shared)
  return self
}

const parcelOf = (i: number): Parcel => ({
  id: i,
  to: `town ${draw(i, 40)}`,
  content: CONTENTS[draw(i, CONTENTS.length, 1)](i),
})

/** All of a value, as a text of moderate length. */
function described({ id, to, content }: Parcel): string {
  const options = { depth: Infinity, maxArrayLength: Infinity, maxStringLength: Infinity, breakLength: Infinity }
  const text = JSON.stringify(inspect(content, options))
  if (text.length < 200) return `${id} to ${to}: ${text}`
  return `${id} to ${to}: ${text.length} characters, ${createHash('sha256').update(text).digest('hex')}`
}

export default defineJob(
  'all-values',
  flow => {
    const { dir, everyMs } = flow.params
    flow
      .source('parcels', slowed(generator({ count: COUNT, splits: SPLITS, next: parcelOf }), { records: 4, everyMs }))
      .keyBy(parcel => parcel.to)
      .process('delayed', {
        emits: type<Parcel>(),
        state: { last: value<Parcel>(), kept: list<Parcel>() },
        onRecord(parcel, ctx) {
          const { last, kept } = ctx.state
          const before = last.get()
          if (before !== undefined && before.id % 3 === 0) kept.add(before)
          else if (before !== undefined) ctx.emit(before)
          last.set(parcel)
          ctx.timers.onEventTime(Infinity)
        },
        onTimer(_time, ctx) {
          for (const parcel of ctx.state.kept.get()) ctx.emit(parcel)
          ctx.emit(ctx.state.last.get()!)
        },
      })
      .keyBy(parcel => parcel.id % 30)
      .process('describe', {
        emits: type<string>(),
        onRecord(parcel, ctx) {
          ctx.emit(described(parcel))
        },
      })
      .sink('out', files.writeLines(`${dir}/out/parcels`))
  },
  { params: PARAMS },
)

export const golden: Golden = {
  expected: () => ({ parcels: numbered(COUNT, parcelOf).map(described) }),
}
