/**
 * What `from` means to a job: a snapshot of its own, or one that it takes over (adopt.ts) because it lies in another folder: another
 * job's of the same storage, or one named by its path.
 */
import { join } from 'node:path'
import type { AdoptionSource } from '../snapshot/adopt.ts'
import { findSnapshot, labelMistaken } from '../snapshot/catalogue.ts'
import { parseManifestName } from '../snapshot/object-names.ts'
import { isSnapshotName, parseSnapshotRef, type SnapshotRef } from '../snapshot/snapshot-id.ts'
import type { Storage } from '../store/contract.ts'
import { isSameFolder, readSnapshotFile, snapshotAtPath } from './snapshot-path.ts'

export type StartPoint =
  | { readonly kind: 'own'; readonly ref: SnapshotRef }
  | { readonly kind: 'other'; readonly find: () => Promise<AdoptionSource> }

/** @throws SNAPSHOT_NOT_FOUND */
export async function findStartPoint(from: string, storage: Storage, job: string): Promise<StartPoint> {
  if (!isSnapshotName(from)) return atPath(from, storage, job)
  const ref = parseSnapshotRef(from)
  if (ref.kind === 'path' || ref.job === undefined || ref.job === job) return { kind: 'own', ref }
  const other = ref.job
  const store = storage.job(other)
  return { kind: 'other', find: async () => ({ store, manifest: await findSnapshot(store, other, ref) }) }
}

async function atPath(path: string, storage: Storage, job: string): Promise<StartPoint> {
  const found = await snapshotAtPath(path).catch(async (error: unknown) => {
    throw (await labelMistaken(path, storage, [job])) ?? error
  })
  const isOwn = storage.kind === 'local' && isSameFolder(found.folder, join(storage.location, job))
  if (!isOwn) return { kind: 'other', find: () => readSnapshotFile(found) }
  const snapshot = parseManifestName(found.file.slice(found.file.indexOf('/') + 1))!
  return { kind: 'own', ref: { kind: 'id', job, snapshot } }
}
