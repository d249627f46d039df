/** Where a snapshot is that is to be read: a job's folder, in a storage or anywhere, and which of its snapshots. */
import { snapshotAtPath, readSnapshotFile } from '../host/snapshot-path.ts'
import type { SnapshotRef } from '../snapshot/snapshot-id.ts'
import type { SnapshotStore } from '../store/index.ts'

/** It need not exist. */
export interface SnapshotPlace {
  readonly store: SnapshotStore
  readonly job: string
  readonly ref: Exclude<SnapshotRef, { kind: 'path' }>
}

/** Of the snapshot that a path names; whose it is its manifest says. @throws SNAPSHOT_NOT_FOUND, SNAPSHOT_DAMAGED, SNAPSHOT_VERSION */
export async function placeOfPath(path: string): Promise<SnapshotPlace> {
  const { store, manifest } = await readSnapshotFile(await snapshotAtPath(path))
  const { job, kind, id } = manifest
  return { store, job, ref: { kind: 'id', job, snapshot: { kind, id } } }
}
