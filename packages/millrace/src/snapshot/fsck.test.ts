import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../base/errors.ts'
import { memoryStorage } from '../store/memory/index.ts'
import type { SnapshotStore } from '../store/contract.ts'
import {
  putRuns,
  putSnapshots,
  restored,
  sampleManifest,
  sampleRunFacts,
  sampleSegment,
} from '../testing/snapshot-samples.ts'
import { fsck, type FsckReport } from './fsck.ts'
import { encodeLock } from './lock-record.ts'
import type { SegmentRef } from './manifest-types.ts'
import { SegmentWriter } from './segment-writer.ts'

/** A real segment with a few entries, put into the store. */
async function putSegment(
  store: SnapshotStore,
  number: number,
  changes: Partial<SegmentRef> = {},
): Promise<SegmentRef> {
  const dictionary = {
    maxParallelism: 128,
    hashVersion: 1,
    states: { 1: { operator: 'counts', state: 'value', kind: 'value', schema: null } },
  } as const
  const segment = new SegmentWriter({ segmentId: number, checkpointId: number, compression: 'none', dictionary })
  for (let i = 0; i < 5; i += 1) segment.add(0, new Uint8Array([0, i, 0, 1, 65]), 0, 5, new Uint8Array([i]), 0, 1, 0)
  const { entries, tombstones, checksum, sizeBytes } = segment.end()
  const file = `segments/1-${number}.seg`
  const writer = await store.create(file)
  for (const chunk of segment.takeReady()) await writer.write(chunk)
  await writer.finish()
  return sampleSegment(file, { entries, tombstones, checksum, sizeBytes, checkpoint: number, ...changes })
}

/** Two checkpoints that share a base, and whatever else an orderly run leaves. */
async function makeJob(): Promise<SnapshotStore> {
  const store = memoryStorage().job('job')
  const base = await putSegment(store, 1)
  const delta = await putSegment(store, 2, { base: false })
  await putRuns(store, [sampleRunFacts(1, {}, { lastCheckpointId: 2 })])
  await putSnapshots(store, [
    sampleManifest({ id: 1, segments: [base] }),
    sampleManifest({ id: 2, segments: [delta, base] }),
  ])
  const self = { pid: 1, host: 'h', bootId: null, pidNamespace: null, processStart: null }
  await store.publish(
    'locks/lock-1',
    encodeLock({ ...self, token: 1, acquiredAtMs: 0, leaseUntilMs: 0, released: true }),
  )
  return store
}

async function flip(store: SnapshotStore, name: string, at: number): Promise<void> {
  const bytes = await store.read(name)
  bytes[at] ^= 1
  await store.replace(name, bytes)
}

const gist = ({ findings }: FsckReport): unknown[] =>
  findings.map(({ severity, file, code, snapshots }) => [severity, file, code, ...snapshots])

test('an end without a record below the newest run is an orphan, of the newest it is damage', async () => {
  const store = memoryStorage().job('job')
  await putRuns(store, [sampleRunFacts(1, {}, {}), sampleRunFacts(2, {}, {})])
  await store.remove('runs/000001.json')
  const severities = async () => (await fsck(store, 'job')).findings.map(({ file, severity }) => [file, severity])
  assert.deepEqual(await severities(), [['runs/000001.end.json', 'orphan']])
  await store.remove('runs/000002.json')
  assert.deepEqual(await severities(), [
    ['runs/000001.end.json', 'orphan'],
    ['runs/000002.json', 'damage'],
  ])
})

test('an orderly job is intact', async () => {
  const store = await makeJob()
  const files: string[] = []
  const report = await fsck(store, 'job', { onFile: file => void files.push(file) })
  assert.deepEqual(report.findings, [])
  assert.equal(report.intact, true)
  assert.deepEqual({ ...report.checked, bytes: 0 }, { manifests: 2, segments: 2, runs: 1, locks: 1, bytes: 0 })
  assert.ok(report.checked.bytes > 1000)
  assert.deepEqual(files, ['segments/1-1.seg', 'segments/1-2.seg'])
})

test('a damaged or missing segment is found once, with the snapshots that need it', async () => {
  const store = await makeJob()
  await flip(store, 'segments/1-1.seg', 100)
  await store.remove('segments/1-2.seg')
  const report = await fsck(store, 'job')
  assert.equal(report.intact, false)
  assert.deepEqual(gist(report), [
    ['damage', 'segments/1-1.seg', 'SNAPSHOT_DAMAGED', 'chk-1', 'chk-2'],
    ['damage', 'segments/1-2.seg', 'OBJECT_MISSING', 'chk-2'],
  ])
})

test('damaged manifests, run records and ends are damage; a damaged lock is a notice', async () => {
  const store = await makeJob()
  for (const name of ['manifests/chk-000000000002.json', 'runs/000001.json', 'runs/000001.end.json', 'locks/lock-1'])
    await flip(store, name, 20)
  const report = await fsck(store, 'job')
  assert.equal(report.intact, false)
  assert.deepEqual(gist(report), [
    ['damage', 'manifests/chk-000000000002.json', 'SNAPSHOT_DAMAGED', 'chk-2'],
    ['damage', 'runs/000001.json', 'SNAPSHOT_DAMAGED'],
    ['damage', 'runs/000001.end.json', 'SNAPSHOT_DAMAGED'],
    ['orphan', 'segments/1-2.seg', undefined],
    ['notice', 'locks/lock-1', undefined],
  ])
  assert.match(report.findings[3].message, /stays while a manifest cannot be read/)
})

test('orphans, strays, temporary and foreign files are reported, and are no damage', async () => {
  const store = await makeJob()
  await putSegment(store, 9)
  await putRuns(store, [sampleRunFacts(2, { firstCheckpointId: 3, ...restored(2, 1) })])
  await putSnapshots(store, [sampleManifest({ id: 3 })])
  await (await store.create('segments/1-10.seg')).write(new Uint8Array(5))
  for (const name of ['runs/notes.txt', 'locks/x', 'segments/notes.txt', 'manifests/other.json'])
    await store.publish(name, new Uint8Array(1))
  const report = await fsck(store, 'job')
  assert.equal(report.intact, true)
  assert.deepEqual(gist(report), [
    ['orphan', 'manifests/chk-000000000003.json', undefined, 'chk-3'],
    ['notice', 'manifests/other.json', undefined],
    ['orphan', 'segments/1-9.seg', undefined],
    ['orphan', 'segments/notes.txt', undefined],
    ['orphan', 'segments/1-10.seg', undefined],
    ['notice', 'runs/notes.txt', undefined],
    ['notice', 'locks/x', undefined],
  ])
  // Looking changes nothing.
  assert.deepEqual(gist(await fsck(store, 'job')), gist(report))
})

test('two manifests that describe one file differently cannot both be right', async () => {
  const store = await makeJob()
  const wrong = await putSegment(store, 3)
  await putSnapshots(store, [
    sampleManifest({ id: 3, segments: [wrong] }),
    sampleManifest({ id: 4, segments: [{ ...wrong, checksum: (wrong.checksum ^ 1) >>> 0 }] }),
  ])
  assert.deepEqual(gist(await fsck(store, 'job')), [['damage', 'segments/1-3.seg', 'SNAPSHOT_DAMAGED', 'chk-4']])
})

test('every flipped byte of a segment is found', async () => {
  const store = memoryStorage().job('job')
  const segment = await putSegment(store, 1)
  await putSnapshots(store, [sampleManifest({ id: 1, segments: [segment] })])
  for (let at = 0; at < segment.sizeBytes; at += 1) {
    await flip(store, segment.file, at)
    const { findings } = await fsck(store, 'job')
    assert.equal(findings.filter(({ severity }) => severity === 'damage').length, 1, `byte ${at}`)
    await flip(store, segment.file, at)
  }
})

test('a store that fails is an error, not a finding', async () => {
  const store = await makeJob()
  const verify = (): Promise<void> => Promise.reject(new MillraceError('STORE_FAILED', `${store.location} is gone`))
  await assert.rejects(fsck(store, 'job', { verify }), /is gone/)
})
