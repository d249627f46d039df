import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError } from '../base/errors.ts'
import { memoryStorage } from '../store/memory/index.ts'
import {
  putRuns,
  putSnapshots,
  restored,
  sampleManifest,
  sampleRunFacts,
  sampleSegment,
} from '../testing/snapshot-samples.ts'
import { findSnapshot, listJobs, listSnapshots } from './catalogue.ts'
import { encodeManifest } from './manifest.ts'
import { parseSnapshotRef, type SnapshotRef } from './snapshot-id.ts'

const base = sampleSegment('segments/1-1.seg', { sizeBytes: 1000, checkpoint: 1 })
const delta = sampleSegment('segments/1-2.seg', { sizeBytes: 50, checkpoint: 2, base: false })
const manifests = [
  sampleManifest({ id: 1, segments: [base] }),
  sampleManifest({
    id: 2,
    kind: 'savepoint',
    trigger: 'user',
    label: 'before the upgrade',
    segments: [delta, base],
    createdAtMs: 1_700_000_005_000,
  }),
  sampleManifest({ id: 3, segments: [delta, base] }),
]
const runs = [
  sampleRunFacts(1, {}, { end: 'stopped', atMs: 5, lastCheckpointId: 2 }),
  sampleRunFacts(2, { firstCheckpointId: 3, ...restored(2, 1) }),
]
const ref = (text: string): Exclude<SnapshotRef, { kind: 'path' }> => {
  const parsed = parseSnapshotRef(text)
  assert.ok(parsed.kind !== 'path')
  return parsed
}

test('snapshots are listed newest first, with what they wrote and what they need', async () => {
  const store = memoryStorage().job('job')
  await putRuns(store, runs)
  await putSnapshots(store, manifests)
  await store.publish('manifests/chk-000000000004.json', new Uint8Array([1]))
  const listing = await listSnapshots(store, 'job')
  assert.deepEqual(
    listing.map(({ name, details }) => [name, details?.standing]),
    [
      ['chk-4', undefined],
      ['chk-3', 'stray'],
      ['sp-2', 'current'],
      ['chk-1', 'current'],
    ],
  )
  assert.match(listing[0].damage!, /chk-000000000004/)
  const size = encodeManifest(manifests[1]).length
  assert.deepEqual(listing[2].details, {
    createdAtMs: 1_700_000_005_000,
    durationMs: 12.5,
    parallelism: 1,
    trigger: 'user',
    label: 'before the upgrade',
    lineage: 1,
    run: 1,
    newBytes: 50 + size,
    totalBytes: 1050 + size,
    standing: 'current',
  })
})

test('snapshots before a fresh start are older', async () => {
  const store = memoryStorage().job('job')
  await putRuns(store, [runs[0], sampleRunFacts(2, { lineage: 2, firstCheckpointId: 3 })])
  await putSnapshots(store, manifests.slice(0, 2))
  assert.deepEqual(
    (await listSnapshots(store, 'job')).map(({ details }) => details?.standing),
    ['older', 'older'],
  )
})

test('jobs are listed with their newest snapshot and last run', async () => {
  const storage = memoryStorage()
  await putRuns(storage.job('job'), runs.slice(0, 1))
  await putSnapshots(storage.job('job'), manifests.slice(0, 2))
  await storage.job('empty').publish('locks/lock-1', new Uint8Array())
  const [empty, job] = await listJobs(storage)
  assert.deepEqual(empty, { job: 'empty', snapshotCount: 0, latest: undefined, lastRun: undefined })
  assert.equal(job.latest?.name, 'sp-2')
  assert.equal(job.snapshotCount, 2)
  assert.deepEqual(job.lastRun, { run: 1, lineage: 1, startedAtMs: 1_700_000_000_000, end: 'stopped', endedAtMs: 5 })
})

test('a snapshot is found by its name; latest is the newest that is no stray', async () => {
  const store = memoryStorage().job('job')
  await putRuns(store, runs)
  await putSnapshots(store, manifests)
  assert.deepEqual(await findSnapshot(store, 'job', ref('sp-2')), manifests[1])
  assert.deepEqual(await findSnapshot(store, 'job', ref('latest')), manifests[1])
  await assert.rejects(
    findSnapshot(store, 'job', ref('chk-2')),
    error => isMillraceError(error, 'SNAPSHOT_NOT_FOUND') && /no chk-2; it has chk-3, sp-2/.test(error.message),
  )
})
