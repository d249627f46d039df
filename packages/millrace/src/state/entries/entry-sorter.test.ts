import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { EntryGroup, PUT, TOMBSTONE } from './entry-group.ts'
import { EntrySorter, SHORT_RANGE } from './entry-sorter.ts'

interface Entry {
  readonly key: Buffer
  readonly op: number
}

const GROUP = 7
const STATE = 300

function groupOf(entries: readonly Entry[]): EntryGroup {
  const group = new EntryGroup(1)
  for (const { key, op } of entries) {
    group.begin(GROUP, STATE)
    group.bytes.raw(key)
    group.value()
    if (op !== TOMBSTONE) group.bytes.raw(Buffer.from('value'))
    group.end(op, 0)
  }
  return group
}

/** Sorts and returns how many steps it took. */
function sort(sorter: EntrySorter, group: EntryGroup, stepEntries: number): number {
  sorter.begin(group)
  for (let steps = 1; ; steps++) if (sorter.step(stepEntries)) return steps
}

function assertSorted(entries: readonly Entry[], group: EntryGroup): void {
  const order = group.order.subarray(0, group.count)
  assert.deepEqual(
    Array.from(order).sort((a, b) => a - b),
    entries.map((_, i) => i),
    'every entry once',
  )
  for (let i = 1; i < order.length; i++) {
    const [before, after] = [entries[order[i - 1]], entries[order[i]]]
    const difference = Buffer.compare(before.key, after.key) || before.op - after.op
    assert.ok(difference <= 0, `${before.key.toString('hex')} before ${after.key.toString('hex')}`)
  }
}

function emitted(group: EntryGroup, max: number): Entry[] {
  const found: Entry[] = []
  const consumer = {
    add(op: number, key: Uint8Array, start: number, end: number) {
      found.push({ key: Buffer.from(key.subarray(start + 4, end)), op })
    },
  }
  while (!group.emit(consumer, max));
  return found
}

/** Few different bytes and lengths around those of a digest: many ties, prefixes and duplicates. */
const suffix = fc.array(fc.constantFrom(0, 1, 255), { maxLength: 12 }).map(bytes => Buffer.from(bytes))
const keyShapes = fc.constantFrom<(i: number, suffix: Buffer) => Buffer>(
  (_, suffix) => suffix,
  (i, suffix) => Buffer.concat([Buffer.from(`https://host/${i % 3}/`), suffix]),
  (i, suffix) => Buffer.from(`user-${Math.imul(i + suffix.length, 0x9e3779b1) >>> 0}`),
  i => Buffer.alloc(i % 40),
  () => Buffer.from('always the same key'),
)
const counts = fc.oneof(
  fc.nat(20),
  fc.constantFrom(SHORT_RANGE - 1, SHORT_RANGE, SHORT_RANGE + 1, 2 * SHORT_RANGE, 3000),
)
const stepSizes = fc.constantFrom(1, 7, SHORT_RANGE, 1000, 100_000)

const groups = fc
  .tuple(counts, keyShapes, fc.array(fc.tuple(suffix, fc.constantFrom(PUT, TOMBSTONE)), { minLength: 30 }))
  .map(([count, shape, samples]) =>
    Array.from({ length: count }, (_, i): Entry => {
      // Steps that share no factor with the lengths, so that pairs of index and sample differ.
      const [bytes, op] = samples[(i * 7 + (i >>> 5)) % samples.length]
      return { key: shape(i, bytes), op }
    }),
  )

describe('the sorter of entries', () => {
  it('orders them by the bytes of their keys, a put before a tombstone, whatever the size of its steps', () => {
    const sorter = new EntrySorter()
    fc.assert(
      fc.property(groups, stepSizes, (entries, stepEntries) => {
        const group = groupOf(entries)
        sort(sorter, group, stepEntries)
        assertSorted(entries, group)
      }),
      { numRuns: 150 },
    )
  })

  it('hands each key on once, as a put if any of its entries is one', () => {
    const sorter = new EntrySorter()
    fc.assert(
      fc.property(groups, fc.constantFrom(1, 3, 1000), (entries, max) => {
        const expected = new Map<string, number>()
        for (const { key, op } of entries) {
          const hex = key.toString('hex')
          expected.set(hex, Math.min(op, expected.get(hex) ?? TOMBSTONE))
        }
        const group = groupOf(entries)
        sort(sorter, group, 1000)
        const found = emitted(group, max)
        assert.equal(found.length, expected.size)
        for (const { key, op } of found) assert.equal(op, expected.get(key.toString('hex')))
      }),
      { numRuns: 50 },
    )
  })

  for (const [name, key] of [
    ['scattered keys', (i: number) => `key-${Math.imul(i, 0x9e3779b1) >>> 0}`],
    ['one key', () => 'the same'],
    ['long keys that differ at their ends only', (i: number) => `${'x'.repeat(200)}${i}`],
    ['ascending keys', (i: number) => String(i).padStart(9, '0')],
    ['pairs of keys that agree in a digest', (i: number) => `${Math.imul(i >>> 1, 0x9e3779b1) >>> 0}`.padEnd(20) + i],
  ] as const) {
    it(`does not do more in a step because there are more entries: ${name}`, () => {
      const stepEntries = 100
      const count = 20_000
      const entries = Array.from({ length: count }, (_, i) => ({ key: Buffer.from(key(i)), op: PUT }))
      const group = groupOf(entries)
      const steps = sort(new EntrySorter(), group, stepEntries)
      // At least digests and ties look at every entry.
      assert.ok(steps >= (2 * count) / (stepEntries + SHORT_RANGE), `${steps} steps`)
      assert.ok(steps <= (12 * count) / stepEntries, `${steps} steps`)
      assertSorted(entries, group)
    })
  }

  it('begins anew after a sort that was given up', () => {
    const sorter = new EntrySorter()
    const scattered = (i: number) => String(Math.imul(i, 0x9e3779b1) >>> 0)
    const entriesOf = (key: (i: number) => string) =>
      Array.from({ length: 2000 }, (_, i): Entry => ({ key: Buffer.from(key(i)), op: PUT }))
    const entries = entriesOf(scattered)
    // After its ties it has four ranges to go.
    const other = entriesOf(i => `${i % 4}xxxxx${scattered(i)}`)
    for (let given = 1; given < 12; given++) {
      sorter.begin(groupOf(other))
      for (let i = 0; i < given; i++) sorter.step(1000)
      const group = groupOf(entries)
      sort(sorter, group, 1000)
      assertSorted(entries, group)
    }
  })
})

describe('a group of entries', () => {
  it('takes over the entries of another one, and is empty after a reset', () => {
    const of = (...keys: string[]) => groupOf(keys.map(key => ({ key: Buffer.from(key), op: PUT })))
    const group = of('c', 'a')
    group.append(of('b', 'd'))
    const sorter = new EntrySorter()
    sort(sorter, group, 10)
    assert.deepEqual(
      emitted(group, 1).map(({ key }) => String(key)),
      ['a', 'b', 'c', 'd'],
    )
    group.reset()
    group.append(of('y', 'x'))
    sort(sorter, group, 10)
    assert.deepEqual(
      emitted(group, 10).map(({ key }) => String(key)),
      ['x', 'y'],
    )
  })
})
