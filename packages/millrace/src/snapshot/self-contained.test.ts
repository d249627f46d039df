import assert from 'node:assert/strict'
import test from 'node:test'
import { memoryStorage } from '../store/memory/index.ts'
import type { SnapshotStore } from '../store/contract.ts'
import { sampleManifest } from '../testing/snapshot-samples.ts'
import { mergeEntries } from './entry-merge.ts'
import { readManifest } from './manifest.ts'
import type { Manifest, SegmentRef } from './manifest-types.ts'
import { drain, put, sampleKey, sampleStore, tombstone, writeSample } from './segment-samples.ts'
import { openSegment } from './segment-reader.ts'
import { writeSelfContained } from './self-contained.ts'

const NO_PAUSE = async (): Promise<void> => undefined

/** A savepoint of two layers of two slots each, and below them one that the base hides. */
async function layered(store: SnapshotStore): Promise<Manifest> {
  const segment = (file: string, checkpoint: number, base: boolean, entries: ReturnType<typeof put>[]) =>
    writeSample(store, { file: `segments/${file}.seg`, checkpoint, base, entries, compression: 'none' })
  const key = (group: number, name: string) => sampleKey(group, 0, name)
  const segments = [
    await segment('1-5', 3, false, [put(key(1, 'a'), Buffer.from('new')), tombstone(key(1, 'b'))]),
    await segment('1-6', 3, false, [put(key(100, 'z'), Buffer.from('z'))]),
    await segment('1-2', 2, true, [put(key(1, 'a'), Buffer.from('old')), put(key(1, 'b'), Buffer.from('gone'))]),
    await segment('1-3', 2, true, [put(key(100, 'y'), Buffer.from('y'))]),
    await segment('1-1', 1, false, [put(key(5, 'hidden'), Buffer.from('hidden'))]),
  ]
  return sampleManifest({ id: 4, kind: 'savepoint', trigger: 'user', label: 'mine', segments })
}

async function entriesOf(store: SnapshotStore, segments: readonly SegmentRef[]): Promise<string[]> {
  const merge = mergeEntries(await Promise.all(segments.map(ref => openSegment(store, ref))))
  return (await drain(merge)).map(({ value }) => value.toString())
}

/** Too much for one piece of work. */
async function large(store: SnapshotStore): Promise<Manifest> {
  const entries = Array.from({ length: 300 }, (_, i) =>
    put(sampleKey(i >> 3, 0, String(i).padStart(4, '0')), Buffer.alloc(8192, i)),
  )
  const segment = await writeSample(store, { checkpoint: 1, entries, compression: 'none' })
  return sampleManifest({ segments: [segment] })
}

test('the folder holds one base segment of what lives and the manifest, which says the same otherwise', async () => {
  const source = sampleStore()
  const manifest = await layered(source)
  const target = memoryStorage().job('folder')
  const written = await writeSelfContained({ source, manifest, target, compression: 'zstd', pause: NO_PAUSE })
  assert.deepEqual(await readManifest(target, 'job', 'manifests/sp-000000000004.json'), written)
  assert.deepEqual({ ...written, segments: manifest.segments }, manifest)
  const [segment, ...more] = written.segments
  assert.deepEqual(
    [segment.file, segment.base, segment.entries, segment.tombstones, segment.checkpoint, segment.keyGroups, more],
    ['segments/0-1.seg', true, 3, 0, 3, [0, 128], []],
  )
  assert.deepEqual(await entriesOf(target, written.segments), ['new', 'y', 'z'])
  assert.deepEqual(
    (await target.list('segments')).map(({ name }) => name),
    ['0-1.seg'],
  )
})

test('a snapshot without state is a manifest alone', async () => {
  const target = memoryStorage().job('folder')
  const manifest = sampleManifest({ kind: 'savepoint', trigger: 'user' })
  const source = sampleStore()
  assert.deepEqual(
    await writeSelfContained({ source, manifest, target, compression: 'none', pause: NO_PAUSE }),
    manifest,
  )
  assert.deepEqual(await target.list('segments'), [])
})

test('a list without a base, of a job that began without state, is taken whole', async () => {
  const source = sampleStore()
  const { segments, ...manifest } = await layered(source)
  const target = memoryStorage().job('folder')
  const request = { source, target, compression: 'none', pause: NO_PAUSE } as const
  const written = await writeSelfContained({ ...request, manifest: { ...manifest, segments: segments.slice(0, 2) } })
  assert.deepEqual(await entriesOf(target, written.segments), ['new', 'z'])
})

test('one that is given up, or whose segments are missing, leaves nothing', async () => {
  const source = sampleStore()
  const target = memoryStorage().job('folder')
  const manifest = await large(source)
  const pause = async (): Promise<void> => {
    throw new Error('the job has ended')
  }
  await assert.rejects(writeSelfContained({ source, manifest, target, compression: 'none', pause }), /has ended/)
  await source.remove('segments/1-1.seg')
  await assert.rejects(writeSelfContained({ source, manifest, target, compression: 'none', pause: NO_PAUSE }), {
    code: 'OBJECT_MISSING',
  })
  assert.deepEqual([await target.list('manifests'), await target.list('segments')], [[], []])
})

test('its progress is told, and never exceeds one', async () => {
  const source = sampleStore()
  const told: number[] = []
  const target = memoryStorage().job('folder')
  const onProgress = (fraction: number): void => void told.push(fraction)
  const manifest = await large(source)
  await writeSelfContained({ source, manifest, target, compression: 'none', pause: NO_PAUSE, onProgress })
  assert.ok(told.length > 2)
  assert.ok(told.every((fraction, i) => fraction > 0 && fraction <= 1 && fraction >= (told[i - 1] ?? 0)))
})
