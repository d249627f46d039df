/** Reading keyed state of a snapshot that is written here entry by entry: how much of it a look-up reads, and what a newer entry hides. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter, encodeValue, type Key, keyGroupOf } from '../codec/index.ts'
import type { SegmentRef } from '../snapshot/manifest-types.ts'
import { ENTRY_PUT, ENTRY_TOMBSTONE } from '../snapshot/segment-format.ts'
import { compareEntryKeys } from '../snapshot/segment-key.ts'
import { SegmentWriter } from '../snapshot/segment-writer.ts'
import type { ReadableStore } from '../store/index.ts'
import { memoryStorage } from '../store/memory/index.ts'
import { sampleManifest } from '../testing/snapshot-samples.ts'
import { SnapshotReader } from './snapshot-reader.ts'
import { entryKeyOf } from './state-reader.ts'

const STATE = { id: 3, name: 'value', kind: 'value', schema: null }

class CountingStore implements ReadableStore {
  readonly location = 'memory'
  readBytes = 0
  private readonly store = memoryStorage().job('job')

  async read(name: string, offset?: number, length?: number): Promise<Uint8Array> {
    const bytes = await this.store.read(name, offset, length)
    this.readBytes += bytes.length
    return bytes
  }

  size(name: string): Promise<number | undefined> {
    return this.store.size(name)
  }

  async segment(checkpoint: number, entries: readonly (readonly [Key, unknown])[]): Promise<SegmentRef> {
    const file = `segments/1-${checkpoint}.seg`
    const states = { [STATE.id]: { operator: 'o', state: STATE.name, kind: STATE.kind, schema: null } }
    const dictionary = { maxParallelism: 128, hashVersion: 1, states } as const
    const writer = new SegmentWriter({
      segmentId: checkpoint,
      checkpointId: checkpoint,
      compression: 'none',
      dictionary,
    })
    const encoded = entries.map(([key, value]) => {
      const out = new ByteWriter()
      if (value !== undefined) encodeValue(value, out)
      return {
        op: value === undefined ? ENTRY_TOMBSTONE : ENTRY_PUT,
        key: entryKeyOf(keyGroupOf(key, 128), STATE.id, key),
        value: out.copy(),
      } as const
    })
    for (const { op, key, value } of encoded.toSorted((a, b) =>
      compareEntryKeys(a.key, 0, a.key.length, b.key, 0, b.key.length),
    ))
      writer.add(op, key, 0, key.length, value, 0, value.length, 0)
    const summary = writer.end()
    const object = await this.store.create(file)
    for (const bytes of writer.takeReady()) await object.write(bytes)
    await object.finish()
    return { file, ...summary, base: checkpoint === 1, checkpoint, maxParallelism: 128, keyGroups: [0, 128] }
  }

  reader(segments: readonly SegmentRef[]): SnapshotReader {
    const operators = [{ name: 'o', kind: 'keyedProcess', parallelism: 1, states: [STATE] }]
    const manifest = sampleManifest({ id: 2, nextStateId: 4, operators, segments })
    return new SnapshotReader({ manifest, files: this, nowMs: 0, close: async () => undefined })
  }
}

test('a look-up reads the key group of the key, and not the state', async () => {
  const store = new CountingStore()
  const base = await store.segment(
    1,
    Array.from({ length: 40_000 }, (_, i) => [`key ${i}`, 'x'.repeat(200)]),
  )
  assert.ok(base.sizeBytes > 8_000_000)
  const state = store.reader([base]).operator('o').state('value')
  assert.equal(await state.get('key 7'), 'x'.repeat(200))
  // A key group is 65 KB, the end of the file with its index 64 KiB.
  assert.ok(store.readBytes < 300_000, `it has read ${store.readBytes} bytes`)
})

test('the newest entry of a key counts, and one that was deleted is not there', async () => {
  const store = new CountingStore()
  const base = await store.segment(1, [
    ['a', 1],
    ['b', 1],
    ['c', 1],
  ])
  const newer = await store.segment(2, [
    ['a', 2],
    ['b', undefined],
    ['d', 2],
  ])
  const state = store.reader([newer, base]).operator('o').state('value')
  const found: [unknown, unknown][] = []
  for await (const { key, value } of state.entries()) found.push([key, value])
  assert.deepEqual(
    new Map(found),
    new Map([
      ['a', 2],
      ['c', 1],
      ['d', 2],
    ]),
  )
  assert.deepEqual([await state.get('a'), await state.get('b')], [2, undefined])
})

test('entries that are not taken to the end leave nothing reading', async () => {
  const store = new CountingStore()
  const state = store
    .reader([
      await store.segment(1, [
        ['a', 1],
        ['b', 1],
      ]),
    ])
    .operator('o')
    .state('value')
  for await (const _ of state.entries()) break
  assert.equal(await state.get('a'), 1)
})

test('state of a kind that is not known is refused as of a newer version', () => {
  const operators = [{ name: 'o', kind: 'x', parallelism: 1, states: [{ ...STATE, kind: 'graph' }] }]
  const reader = new SnapshotReader({
    manifest: sampleManifest({ operators }),
    files: new CountingStore(),
    nowMs: 0,
    close: async () => undefined,
  })
  assert.throws(() => reader.operator('o').state('value'), { code: 'SNAPSHOT_VERSION', message: /kind 'graph'/ })
})
