import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteReader, ByteWriter, decodeKey, encodeKey, hashKey } from '../../codec/index.ts'
import type { Key } from '../declarations.ts'
import { PAGE_BYTES, RowStore } from './row-store.ts'
import { NO_ROW, TypedGroup } from './typed-group.ts'

const NEVER_PUBLISHED = -1
const encoded = new ByteWriter(64)

function insert(group: TypedGroup, hash: number, key: Key, windowStart = 0, published = NEVER_PUBLISHED): number {
  encoded.reset()
  encodeKey(key, encoded)
  return group.insert(hash, encoded.bytes, encoded.length, windowStart, published)
}

function keyOf(store: RowStore, row: number, windowed: boolean): [Key, number] {
  const out = new ByteWriter(64)
  store.writeKey(row, out)
  const reader = new ByteReader(out.view())
  return [decodeKey(reader), windowed ? (decodeKey(reader) as number) : 0]
}

/** Spread over the index as those of real keys are. */
function spread(n: number): number {
  const h = Math.imul(n ^ 0x2f6e2b1, 0x45d9f3b)
  return h ^ (h >>> 15)
}

const LONG = 'a key that is longer than what a row has room for, number '

type Step =
  | { readonly do: 'put' | 'bury' | 'free'; readonly n: number }
  | { readonly do: 'putMany'; readonly from: number; readonly count: number }
  | { readonly do: 'publish' }

const n = fc.integer({ min: 0, max: 60 })
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('put', 'bury', 'free'), n }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('putMany'), from: n, count: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('publish') }) },
) as fc.Arbitrary<Step>

test('a group does what a Map does, whatever is put, removed and reused while its index grows', () => {
  const homes = fc.constantFrom<(n: number) => number>(
    spread,
    // All at one place, at the end of the index, and a few places that run into each other.
    () => -1,
    i => (i % 3 === 0 ? -1 : i % 7),
    i => -(i % 5),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), homes, fc.boolean(), (steps, hashOf, windowed) => {
      const store = new RowStore(1, windowed)
      const [group, other] = [new TypedGroup(store), new TypedGroup(store)]
      const model = new Map<number, { row: number; value: number }>()
      const keys = (i: number): Key => (i % 4 === 0 ? i : i % 4 === 1 ? `k${i}` : `${LONG}${i}`)
      const window = (i: number) => (windowed ? i % 3 : 0)
      let [epoch, published, value] = [1, 0, 0]
      const find = (i: number) => group.find(hashOf(i), keys(i), window(i))
      const put = (i: number) => {
        let row = find(i)
        if (row === NO_ROW) {
          row = insert(group, hashOf(i), keys(i), window(i), published)
          // Rows of one group lie between those of another.
          insert(other, i, i)
        }
        store.pageOf(row).f64[store.fieldsOf(row)] = ++value
        model.set(i, { row, value })
      }
      for (const next of steps) {
        if (next.do === 'put') put(next.n)
        else if (next.do === 'putMany') for (let i = next.from; i < next.from + next.count; i++) put(i)
        else if (next.do === 'publish') published = epoch++
        else {
          const row = find(next.n)
          assert.equal(row, model.get(next.n)?.row ?? NO_ROW)
          if (row === NO_ROW) continue
          group.unlink(row)
          if (next.do === 'free') group.free(row)
          else {
            group.bury(row)
            store.setEpoch(row, epoch)
          }
          model.delete(next.n)
        }
      }
      for (let i = 0; i < 101; i++) assert.equal(find(i), model.get(i)?.row ?? NO_ROW, `key ${i}`)
      for (const [i, { row, value }] of model) {
        assert.equal(store.pageOf(row).f64[store.fieldsOf(row)], value)
        assert.deepEqual(keyOf(store, row, windowed), [keys(i), window(i)])
      }
      assert.equal(new Set([...model.values()].map(({ row }) => row)).size, model.size)
    }),
    { numRuns: 400 },
  )
})

test('a buried row is used again only once its removal is published, a freed one at once', () => {
  const store = new RowStore(1, false)
  const group = new TypedGroup(store)
  const rows = ['a', 'b', 'c'].map((key, i) => insert(group, i, key))
  for (const [i, row] of rows.entries()) {
    group.unlink(row)
    if (i === 2) group.free(row)
    else {
      group.bury(row)
      store.setEpoch(row, 5 + i)
    }
  }
  assert.equal(insert(group, 3, 'd', 0, 4), rows[2])
  assert.equal(insert(group, 4, 'e', 0, 4), 3)
  assert.equal(insert(group, 5, 'f', 0, 5), rows[0])
  assert.equal(insert(group, 6, 'g', 0, 5), 4)
  assert.equal(insert(group, 7, 'h', 0, 6), rows[1])
  assert.equal(group.rows, 5)
})

test('no insert into 300,000 rows moves more slots or copies more bytes than a small table does', () => {
  const store = new RowStore(13, false)
  const group = new TypedGroup(store)
  let [moved, mostMoved, copied, mostCopied] = [0, 0, 0, 0]
  for (let i = 0; i < 300_000; i++) {
    insert(group, spread(i), i)
    mostMoved = Math.max(mostMoved, group.slotsMoved - moved)
    mostCopied = Math.max(mostCopied, store.bytesCopied - copied)
    moved = group.slotsMoved
    copied = store.bytesCopied
  }
  // So many slots, and on to the next empty one.
  assert.ok(mostMoved >= 32 && mostMoved < 100, `${mostMoved} slots`)
  assert.ok(mostCopied < PAGE_BYTES, `${mostCopied} bytes`)
  assert.ok(copied < 2 * PAGE_BYTES, `${copied} bytes in all`)
  assert.ok(moved < 1_200_000, `${moved} slots in all`)
  for (let i = 0; i < 300_000; i++) assert.equal(group.find(spread(i), i, 0), i)
})

test('rows are reused: what is put and removed a hundred times over takes no more room', () => {
  const store = new RowStore(1, true)
  const group = new TypedGroup(store)
  for (let round = 0; round < 100; round++) {
    const rows = Array.from({ length: 500 }, (_, i) => {
      const key = i % 2 === 0 ? i : `${LONG}${i}`
      return insert(group, hashKey(key) ^ spread(round), key, round, round - 1)
    })
    for (const row of rows) {
      group.unlink(row)
      group.bury(row)
      store.setEpoch(row, round)
    }
  }
  assert.equal(group.rows, 500)
})
