/** Manifests, run records and their facts for tests: small, valid, and changed by what the test is about. */
import type { SnapshotStore } from '../store/contract.ts'
import { encodeManifest } from '../snapshot/manifest.ts'
import type { Manifest, SegmentRef } from '../snapshot/manifest-types.ts'
import { manifestName } from '../snapshot/object-names.ts'
import { publishRunEnd, publishRunRecord, type RunEnd, type RunFacts, type RunRecord } from '../snapshot/run-record.ts'

export function sampleManifest(changes: Partial<Manifest> = {}): Manifest {
  return {
    format: 'millrace-manifest',
    version: 1,
    id: 1,
    kind: 'checkpoint',
    job: 'job',
    run: 1,
    runId: '0a1b2c3d',
    lineage: 1,
    token: 1,
    createdAtMs: 1_700_000_000_000,
    durationMs: 12.5,
    trigger: 'interval',
    millrace: '0.1.0',
    parallelism: 1,
    maxParallelism: 128,
    hashVersion: 1,
    nextStateId: 1,
    operators: [],
    segments: [],
    watermarks: {},
    ...changes,
  }
}

export function sampleSegment(file: string, changes: Partial<SegmentRef> = {}): SegmentRef {
  return {
    file,
    sizeBytes: 100,
    entries: 3,
    tombstones: 0,
    checksum: 1,
    base: true,
    checkpoint: 1,
    maxParallelism: 128,
    keyGroups: [0, 128],
    ...changes,
  }
}

export function sampleRun(run: number, changes: Partial<RunRecord> = {}): RunRecord {
  return {
    format: 'millrace-run',
    version: 1,
    job: 'job',
    run,
    token: run,
    runId: '0a1b2c3d',
    lineage: 1,
    start: { kind: 'fresh' },
    firstCheckpointId: 1,
    startedAtMs: 1_700_000_000_000,
    millrace: '0.1.0',
    maxParallelism: 128,
    ...changes,
  }
}

export function sampleEnd(run: number, changes: Partial<RunEnd> = {}): RunEnd {
  return {
    format: 'millrace-run-end',
    version: 1,
    job: 'job',
    run,
    end: 'stopped',
    atMs: 0,
    lastCheckpointId: 0,
    retained: true,
    ...changes,
  }
}

export function sampleRunFacts(run: number, changes: Partial<RunRecord> = {}, end?: Partial<RunEnd>): RunFacts {
  return { run, record: sampleRun(run, changes), end: end === undefined ? undefined : sampleEnd(run, end) }
}

/** A run that restored the snapshot `id` of the run `from`. */
export function restored(id: number, from: number): Pick<RunRecord, 'start'> {
  return { start: { kind: 'restored', snapshot: { kind: 'checkpoint', id, run: from } } }
}

/** Put a job's files into a store, as runs would have: segments are 100 bytes each, shared ones are put once. */
export async function putSnapshots(store: SnapshotStore, manifests: readonly Manifest[]): Promise<void> {
  for (const manifest of manifests) {
    for (const { file, sizeBytes } of manifest.segments) await store.publish(file, new Uint8Array(sizeBytes))
    await store.publish(manifestName(manifest), encodeManifest(manifest))
  }
}

export async function putRuns(store: SnapshotStore, runs: readonly RunFacts[]): Promise<void> {
  for (const { record, end } of runs) {
    if ('run' in record) await publishRunRecord(store, record)
    if (end !== undefined && 'run' in end) await publishRunEnd(store, end)
  }
}
