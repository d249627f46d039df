/** Where a snapshot is that is to be read: a job's folder, in a storage or anywhere, and which of its snapshots. */
import { existsSync } from 'node:fs'
import { snapshotAtPath, readSnapshotFile } from '../host/snapshot-path.ts'
import { parseSnapshotRef, type SnapshotRef } from '../snapshot/snapshot-id.ts'
import type { SnapshotStore } from '../store/index.ts'

/** It need not exist. */
export interface SnapshotPlace {
  readonly store: SnapshotStore
  readonly job: string
  readonly ref: Exclude<SnapshotRef, { kind: 'path' }>
}

/** Of the snapshot that a path names; whose it is its manifest says. @throws SNAPSHOT_NOT_FOUND, SNAPSHOT_DAMAGED, SNAPSHOT_VERSION */
export async function placeOfPath(path: string): Promise<SnapshotPlace> {
  // A word that is neither a name nor a file is more likely a name that was mistaken: it is refused as one.
  if (!/[\\/]/.test(path) && !existsSync(path)) parseSnapshotRef(path)
  const { store, manifest } = await readSnapshotFile(await snapshotAtPath(path))
  const { job, kind, id } = manifest
  return { store, job, ref: { kind: 'id', job, snapshot: { kind, id } } }
}
