import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { mergeEntries } from './entry-merge.ts'
import { openSegment } from './segment-reader.ts'
import {
  drain,
  put,
  type SampleEntry,
  sampleKey,
  sampleStore,
  sorted,
  tombstone,
  touched,
  writeSample,
} from './segment-samples.ts'

const keys = fc
  .tuple(fc.nat(4), fc.constantFrom(0, 1), fc.nat(40))
  .map(([keyGroup, stateId, n]) => sampleKey(keyGroup, stateId, `key ${n}`))
const values = fc.nat(60).map(length => 'v'.repeat(length))
const entries: fc.Arbitrary<SampleEntry> = fc.oneof(
  fc.tuple(keys, values).map(([key, value]) => put(key, value)),
  keys.map(tombstone),
  fc.tuple(keys, values, fc.nat(9)).map(([key, value, at]) => touched(key, value, at)),
)
const segments = fc.array(fc.array(entries, { maxLength: 120 }), { minLength: 1, maxLength: 8 })

/** The naive model: write the segments into a Map, oldest first. */
function model(newestFirst: readonly (readonly SampleEntry[])[]): SampleEntry[] {
  return sorted(newestFirst.toReversed().flat())
}

describe('a merge of segments', () => {
  it('hands out the newest entry of every key in ascending order, like a Map that they were written into', async () => {
    await fc.assert(
      fc.asyncProperty(
        segments,
        fc.nat(5),
        fc.nat(5),
        fc.integer({ min: 1, max: 3000 }),
        async (newestFirst, from, to, readAheadBytes) => {
          const store = sampleStore()
          const readers = []
          for (const [age, written] of newestFirst.entries()) {
            readers.push(
              await openSegment(store, await writeSample(store, { entries: written, file: `segments/1-${age}.seg` })),
            )
          }
          const inRange = model(newestFirst).filter(
            ({ key }) => key.readUInt16BE(0) >= from && key.readUInt16BE(0) < to,
          )
          assert.deepEqual(await drain(mergeEntries(readers, from, to, { readAheadBytes })), inRange)
          assert.deepEqual(await drain(mergeEntries(readers)), model(newestFirst))
        },
      ),
      { numRuns: 150 },
    )
  })

  it('of no segments has no entries', async () => {
    assert.deepEqual(await drain(mergeEntries([])), [])
  })

  it('passes the damage of an input on', async () => {
    const store = sampleStore()
    const damaged = await writeSample(store, {
      entries: [put(sampleKey(0, 0, 'a'), 'x'.repeat(1000))],
      compression: 'none',
    })
    const bytes = await store.read(damaged.file)
    bytes[500] ^= 1
    await store.replace(damaged.file, bytes)
    const whole = await writeSample(store, { entries: [put(sampleKey(0, 0, 'b'), 'y')], file: 'segments/1-2.seg' })
    const merge = mergeEntries([await openSegment(store, whole), await openSegment(store, damaged)])
    await assert.rejects(drain(merge), { code: 'SNAPSHOT_DAMAGED' })
  })
})
