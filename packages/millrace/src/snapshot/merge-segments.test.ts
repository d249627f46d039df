import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import fc from 'fast-check'
import { type Failpoint, onFailpoint } from '../base/failpoint.ts'
import { keyGroupRange } from '../codec/index.ts'
import type { MemoryStore } from '../store/memory/index.ts'
import type { SegmentRef } from './manifest-types.ts'
import { type MergeRequest, mergeSegments } from './merge-segments.ts'
import { uniteDictionaries } from './segment-dictionary.ts'
import { openSegment, verifySegment } from './segment-reader.ts'
import {
  drain,
  put,
  SAMPLE_STATES,
  type SampleEntry,
  sampleDictionary,
  sampleKey,
  sampleStore,
  sorted,
  tombstone,
  touched,
  writeSample,
} from './segment-samples.ts'

const OUTPUT = { name: 'segments/1-99.seg', segmentId: 99, checkpointId: 12, compression: 'zstd' } as const

/** Of all keys here. */
const KEY_GROUPS = 4
const keys = fc
  .tuple(fc.nat(KEY_GROUPS - 1), fc.constantFrom(0, 1), fc.nat(30))
  .map(([keyGroup, stateId, n]) => sampleKey(keyGroup, stateId, `key ${n}`))
const entries: fc.Arbitrary<SampleEntry> = fc.oneof(
  fc.tuple(keys, fc.string({ maxLength: 20 })).map(([key, value]) => put(key, value)),
  keys.map(tombstone),
  fc.tuple(keys, fc.nat(100)).map(([key, at]) => touched(key, 'touched', at)),
)

async function writeAll(
  store: MemoryStore,
  newestFirst: readonly (readonly SampleEntry[])[],
  lastIsBase: boolean,
  slots = 1,
): Promise<SegmentRef[]> {
  const refs: SegmentRef[] = []
  for (const [age, written] of newestFirst.entries()) {
    const base = lastIsBase && age === newestFirst.length - 1
    for (let slot = 0; slot < slots; slot++) {
      const keyGroups = keyGroupRange(slot, slots, KEY_GROUPS)
      const own = written.filter(({ key }) => key[1] >= keyGroups[0] && key[1] < keyGroups[1])
      const file = `segments/1-${age * slots + slot}.seg`
      refs.push(await writeSample(store, { entries: own, base, file, checkpoint: 12 - age, keyGroups }))
    }
  }
  return refs
}

async function merged(
  newestFirst: readonly (readonly SampleEntry[])[],
  intoBase: boolean,
  expired?: MergeRequest['isExpired'],
  slots?: number,
): Promise<SampleEntry[]> {
  const store = sampleStore()
  const inputs = await writeAll(store, newestFirst, intoBase, slots)
  const ref = await mergeSegments({
    store,
    inputs,
    intoBase,
    output: OUTPUT,
    pause: () => undefined,
    ...(expired && { isExpired: expired }),
  })
  const found = await drain((await openSegment(store, ref)).scan())
  assert.deepEqual(await verifySegment(store, ref), {
    entries: found.length,
    tombstones: found.filter(({ op }) => op === 1).length,
  })
  assert.equal(ref.base, intoBase)
  assert.equal(ref.checkpoint, 12)
  assert.deepEqual(ref.keyGroups, [0, KEY_GROUPS])
  return found
}

const isExpired = (stateId: number, lastTouchMs: number): boolean => stateId === 1 && lastTouchMs < 50

describe('merging segments', () => {
  afterEach(() => onFailpoint(undefined))

  it('leaves what a Map model says, into a base or not, of one slot or several', async () => {
    const inputs = fc.array(fc.array(entries, { maxLength: 80 }), { minLength: 1, maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(inputs, fc.boolean(), fc.integer({ min: 1, max: 3 }), async (newestFirst, intoBase, slots) => {
        const expected = sorted(newestFirst.toReversed().flat())
          .map(entry =>
            entry.op === 2 && isExpired(entry.key.readUInt16BE(2), entry.lastTouchMs) ? tombstone(entry.key) : entry,
          )
          .filter(({ op }) => !intoBase || op !== 1)
        assert.deepEqual(await merged(newestFirst, intoBase, isExpired, slots), expected)
      }),
      { numRuns: 100 },
    )
  })

  const a = sampleKey(0, 1, 'a')
  const b = sampleKey(0, 1, 'b')

  it('keeps tombstones above a base, since they hide older entries there, and drops them into a base', async () => {
    const newestFirst = [[tombstone(a)], [put(a, '1'), put(b, '2')]]
    assert.deepEqual(await merged(newestFirst, false), [tombstone(a), put(b, '2')])
    assert.deepEqual(await merged(newestFirst, true), [put(b, '2')])
  })

  it('turns an expired put into a tombstone unless merged into the base (invariant 12)', async () => {
    const newestFirst = [[touched(a, 'old', 49), touched(b, 'fresh', 50)], [put(a, 'older')]]
    assert.deepEqual(await merged(newestFirst, false, isExpired), [tombstone(a), touched(b, 'fresh', 50)])
    assert.deepEqual(await merged(newestFirst, true, isExpired), [touched(b, 'fresh', 50)])
  })

  it('keeps the last touch of what it keeps, so that a changed time to live applies later (invariant 12)', async () => {
    assert.deepEqual(await merged([[touched(a, 'x', 3)], [touched(a, 'y', 2), touched(b, 'z', 1)]], true), [
      touched(a, 'x', 3),
      touched(b, 'z', 1),
    ])
  })

  it('asks for expiry only of the newest entry of a key', async () => {
    const newestFirst = [[touched(a, 'new', 60)], [touched(a, 'old', 1)]]
    assert.deepEqual(await merged(newestFirst, true, isExpired), [touched(a, 'new', 60)])
  })

  it('pauses often, and gives up when the pause throws, leaving no output', async () => {
    const store = sampleStore()
    const many = Array.from({ length: 50_000 }, (_, i) => put(sampleKey(i % 4, 0, String(i)), `value ${i}`))
    const inputs = await writeAll(store, [many.slice(0, 25_000), many], true)
    let pauses = 0
    const ref = await mergeSegments({ store, inputs, intoBase: true, output: OUTPUT, pause: async () => void pauses++ })
    assert.equal(ref.entries, 50_000)
    assert.ok(pauses > 5, `${pauses} pauses`)
    const output = { ...OUTPUT, name: 'segments/1-100.seg' }
    const pause = (): never => {
      throw new Error('stopped')
    }
    await assert.rejects(mergeSegments({ store, inputs, intoBase: true, output, pause }), /stopped/)
    assert.equal(await store.size(output.name), undefined)
    assert.equal(await store.removeTemporary('segments', () => true), 0)
  })

  it('passes its failpoints around the moment at which the output exists', async () => {
    const store = sampleStore()
    const inputs = await writeAll(store, [[put(a, '1')], [put(b, '2')]], false)
    const passed: [Failpoint, boolean][] = []
    const exists = async (): Promise<boolean> => (await store.size(OUTPUT.name)) !== undefined
    const checks: Promise<void>[] = []
    onFailpoint(name => checks.push(exists().then(found => void passed.push([name, found]))))
    await mergeSegments({ store, inputs, intoBase: false, output: OUTPUT, pause: () => undefined })
    await Promise.all(checks)
    assert.deepEqual(
      passed.map(([name]) => name),
      ['merge.before-finish', 'merge.after-finish'],
    )
    assert.equal(passed[1][1], true)
  })

  it('leaves no output when an input is damaged', async () => {
    const store = sampleStore()
    const inputs = await writeAll(store, [[put(a, '1')], [put(b, 'x'.repeat(100))]], true)
    const bytes = await store.read(inputs[1].file)
    bytes[100] ^= 1
    await store.replace(inputs[1].file, bytes)
    const request = { store, inputs, intoBase: true, output: OUTPUT, pause: () => undefined }
    await assert.rejects(mergeSegments(request), { code: 'SNAPSHOT_DAMAGED' })
    assert.equal(await store.size(OUTPUT.name), undefined)
  })

  it('refuses inputs with different max parallelism, and bases that do not come last', async () => {
    const store = sampleStore()
    const one = await writeSample(store, { entries: [], base: false, file: 'segments/1-1.seg', maxParallelism: 128 })
    const two = await writeSample(store, { entries: [], base: true, file: 'segments/1-2.seg', maxParallelism: 64 })
    const request = { store, output: OUTPUT, pause: () => undefined }
    await assert.rejects(mergeSegments({ ...request, inputs: [one, two], intoBase: true }), /different max parallelism/)
    await assert.rejects(mergeSegments({ ...request, inputs: [two, one], intoBase: true }), /below a base/)
    await assert.rejects(mergeSegments({ ...request, inputs: [two], intoBase: false }), /makes a base/)
  })
})

describe('the dictionary of a merge', () => {
  it('describes the states of all inputs, with the newest names (invariant 4)', () => {
    const renamed = { ...SAMPLE_STATES[0], operator: 'totals' }
    const added = { operator: 'new', state: 'list', kind: 'list', schema: null }
    const newest = { ...sampleDictionary(), states: { 0: renamed, 7: added } }
    assert.deepEqual(uniteDictionaries([newest, sampleDictionary()]).states, { ...SAMPLE_STATES, 0: renamed, 7: added })
  })

  it('has the schema of the newest, and one kind for each state id (invariant 4)', () => {
    const changed = { ...SAMPLE_STATES[0], schema: { type: 'integer' } }
    const newest = { ...sampleDictionary(), states: { 0: changed } }
    assert.deepEqual(uniteDictionaries([newest, sampleDictionary()]).states, { ...SAMPLE_STATES, 0: changed })
    const other = { ...sampleDictionary(), states: { 0: { ...SAMPLE_STATES[0], kind: 'list' } } }
    assert.throws(() => uniteDictionaries([other, sampleDictionary()]), /one kind/)
  })
})
