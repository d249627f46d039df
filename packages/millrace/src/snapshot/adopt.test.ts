import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError } from '../base/errors.ts'
import { SegmentNumbers } from '../checkpoint/segment-numbers.ts'
import { memoryStorage } from '../store/memory/index.ts'
import type { SnapshotStore } from '../store/contract.ts'
import { FaultyStore, type StoreOperation } from '../testing/faulty-store.ts'
import {
  putRuns,
  putSnapshots,
  restored,
  sampleManifest,
  sampleRunFacts,
  sampleSegment,
} from '../testing/snapshot-samples.ts'
import { adopt, type Adoption, type AdoptionSource } from './adopt.ts'
import { fsck } from './fsck.ts'
import { ancestry } from './lineage.ts'
import { ManifestFolder } from './manifest-folder.ts'
import { readManifest } from './manifest.ts'
import type { Manifest, OperatorSnapshot } from './manifest-types.ts'
import { recover, type Recovery } from './recover.ts'
import { readRuns } from './run-record.ts'
import { sweep } from './sweep.ts'

const SINK: OperatorSnapshot = {
  name: 'out',
  kind: 'sink',
  parallelism: 1,
  states: [],
  sink: { type: 'memory', retracts: true, states: [], committables: [{ checkpoint: 42, value: 'rows' }] },
}

/** Checkpoint 42 of a job, of the run that went on from 40. */
const FIRST = sampleManifest({
  job: 'first',
  id: 42,
  run: 2,
  operators: [SINK],
  segments: [
    sampleSegment('segments/2-9.seg', { checkpoint: 42, base: false }),
    sampleSegment('segments/1-1.seg', { checkpoint: 7 }),
  ],
})
const FIRST_RUNS = [
  sampleRunFacts(1, { job: 'first' }),
  sampleRunFacts(2, { job: 'first', firstCheckpointId: 42, ...restored(40, 1) }),
]

async function firstJob(): Promise<SnapshotStore> {
  const store = memoryStorage().job('first')
  await putSnapshots(store, [FIRST])
  await putRuns(store, FIRST_RUNS)
  return store
}

function take(source: SnapshotStore, store: SnapshotStore, job: string, manifest: Manifest = FIRST): Promise<Adoption> {
  return takeFound(async () => ({ store: source, manifest }), store, job)
}

function takeFound(find: () => Promise<AdoptionSource>, store: SnapshotStore, job: string): Promise<Adoption> {
  const segments = new SegmentNumbers()
  return adopt(find, {
    store,
    job,
    token: 5,
    takeSegmentName: () => segments.takeName(5),
    confirm: async () => undefined,
    newRunId: 'ffffffff',
    nowMs: 1_700_000_100_000,
    millrace: '0.1.0',
  })
}

/** What a plain start would do. */
function start(store: SnapshotStore, job: string): Promise<Recovery> {
  return recover(store, { job, request: {}, sinksRetract: false, verify: async () => undefined })
}

async function everyFile(store: SnapshotStore): Promise<Map<string, string>> {
  const files = new Map<string, string>()
  for (const folder of ['locks', 'runs', 'manifests', 'segments']) {
    for (const { name } of await store.list(folder)) {
      files.set(`${folder}/${name}`, Buffer.from(await store.read(`${folder}/${name}`)).toString('base64'))
    }
  }
  return files
}

test('the next plain start of the job goes on from what it adopted, under a run id of its own', async () => {
  const store = memoryStorage().job('fork')
  const adoption = await take(await firstJob(), store, 'fork')
  assert.deepEqual(adoption, {
    from: { job: 'first', kind: 'checkpoint', id: 42 },
    snapshot: { kind: 'checkpoint', id: 43 },
    run: 1,
    segmentCount: 2,
    sizeBytes: 200,
  })
  const { decision, manifest } = await start(store, 'fork')
  assert.deepEqual(decision.kind === 'restore' && [decision.snapshot, decision.inheritedRunId, decision.skipped], [
    { kind: 'checkpoint', id: 43, run: 1 },
    'ffffffff',
    [],
  ])
  assert.deepEqual(manifest?.forkedFrom, { job: 'first', kind: 'checkpoint', id: 42 })
  assert.deepEqual(
    manifest?.segments.map(({ file, checkpoint }) => [file, checkpoint]),
    [
      ['segments/5-1.seg', 42],
      ['segments/5-2.seg', 7],
    ],
  )
})

test('invariant 2: output of another job that waits for its commit stays that job’s to commit', async () => {
  const store = memoryStorage().job('fork')
  await take(await firstJob(), store, 'fork')
  const { manifest } = await start(store, 'fork')
  assert.deepEqual(manifest?.operators[0].sink?.committables, [])
})

test('a snapshot of the same job from another folder keeps its waiting output and the past of its output, and no more', async () => {
  const store = memoryStorage().job('first')
  await putRuns(store, [sampleRunFacts(1, { job: 'first', runId: 'eeeeeeee' })])
  await putSnapshots(store, [sampleManifest({ job: 'first', id: 60, runId: 'eeeeeeee' })])
  const { run } = await take(await firstJob(), store, 'first')
  const { decision, manifest } = await start(store, 'first')
  assert.deepEqual([manifest?.id, manifest?.lineage], [61, 2])
  assert.notEqual(manifest?.runId, '0a1b2c3d')
  assert.equal(manifest?.operators[0].sink?.committables.length, 1)
  assert.equal(decision.kind === 'restore' && decision.previousLineage, 1)
  const past = ancestry(await readRuns(store, 'first'), run, 61)
  // 41 was skipped by the run that went on from 40; what came after 42 is another past.
  const visible = [1, 40, 41, 42, 43, 60].filter(id => past.includesOutput('0a1b2c3d', id))
  assert.deepEqual(visible, [1, 40, 42])
  assert.equal(past.includesOutput('eeeeeeee', 60), false)
})

test('a self-contained folder, which has no runs, counts its output from the beginning', async () => {
  const folder = memoryStorage().job('anywhere')
  await putSnapshots(folder, [FIRST])
  const store = memoryStorage().job('first')
  const { run } = await take(folder, store, 'first')
  const past = ancestry(await readRuns(store, 'first'), run, 43)
  assert.deepEqual(
    [1, 42, 43].map(id => past.includesOutput('0a1b2c3d', id)),
    // The job that the folder was made of may have gone on, and made a 43.
    [true, true, false],
  )
})

test('the past of output is passed on from adoption to adoption: a fork that is promoted hides nothing from before it', async () => {
  const first = await firstJob()
  const trial = memoryStorage().job('trial')
  await take(first, trial, 'trial')
  const promoted = await take(
    trial,
    first,
    'first',
    await readManifest(trial, 'trial', 'manifests/chk-000000000043.json'),
  )
  const past = ancestry(await readRuns(first, 'first'), promoted.run, promoted.snapshot.id)
  assert.deepEqual(
    [40, 41, 42, 43].map(id => past.includesOutput('0a1b2c3d', id)),
    [true, false, true, false],
  )
})

test('neither folder needs the other: each is swept, and read, without it', async () => {
  const first = await firstJob()
  const store = memoryStorage().job('fork')
  await take(first, store, 'fork')
  const before = await everyFile(store)
  const options = { token: 9, confirm: async () => undefined, liveSegments: new Set<string>() }
  const decide = (snapshots: readonly unknown[]) => snapshots.map(() => ({ keep: false }))
  await sweep(first, { ...options, folder: new ManifestFolder(first, 'first'), decide })
  assert.deepEqual(await first.list('segments'), [])
  assert.deepEqual(await everyFile(store), before)
  assert.equal((await fsck(store, 'fork', { verify: (folder, ref) => folder.read(ref.file) })).intact, true)
})

test('a snapshot that is dropped meanwhile is looked for again, and one that is not whole leaves nothing behind', async () => {
  const first = await firstJob()
  const store = memoryStorage().job('fork')
  const gone = { ...FIRST, segments: [FIRST.segments[0], sampleSegment('segments/1-77.seg')] }
  let asked = 0
  const adoption = await takeFound(async () => ({ store: first, manifest: ++asked < 3 ? gone : FIRST }), store, 'fork')
  assert.deepEqual([asked, adoption.segmentCount], [3, 2])
  const other = memoryStorage().job('other')
  await assert.rejects(take(first, other, 'other', gone), error => isMillraceError(error, 'OBJECT_MISSING'))
  assert.deepEqual((await everyFile(other)).size, 0)
})

/** The calls of an adoption, in order. */
async function callsOfAdoption(): Promise<StoreOperation[]> {
  const store = new FaultyStore(await runningJob())
  await take(await firstJob(), store, 'job')
  return store.calls.map(call => call.split(' ')[0] as StoreOperation)
}

async function runningJob(): Promise<SnapshotStore> {
  const store = memoryStorage().job('job')
  await putRuns(store, [sampleRunFacts(1, {})])
  await putSnapshots(store, [
    sampleManifest({ id: 4, segments: [sampleSegment('segments/1-4.seg', { checkpoint: 4 })] }),
  ])
  return store
}

test('invariant 6: whatever call fails, the job then starts from where it was or from the whole adopted snapshot', async () => {
  const calls = await callsOfAdoption()
  assert.ok(calls.length > 8)
  const outcomes = new Set<number | undefined>()
  for (const [index, operation] of calls.entries()) {
    const inner = await runningJob()
    const store = new FaultyStore(inner)
    store.fail(operation, { call: calls.slice(0, index + 1).filter(call => call === operation).length })
    await assert.rejects(take(await firstJob(), store, 'job'))
    const { manifest } = await start(inner, 'job')
    outcomes.add(manifest?.id)
    assert.equal((await fsck(inner, 'job', { verify: (folder, ref) => folder.read(ref.file) })).intact, true)
    // The next one succeeds, and counts.
    const again = await takeAs(6, inner)
    assert.equal((await start(inner, 'job')).manifest?.id, again.snapshot.id)
  }
  assert.deepEqual([...outcomes], [4, 43])
})

async function takeAs(token: number, store: SnapshotStore): Promise<Adoption> {
  const segments = new SegmentNumbers()
  const source = await firstJob()
  return adopt(async () => ({ store: source, manifest: FIRST }), {
    store,
    job: 'job',
    token,
    takeSegmentName: () => segments.takeName(token),
    confirm: async () => undefined,
    newRunId: 'ffffffff',
    nowMs: 0,
    millrace: '0.1.0',
  })
}
