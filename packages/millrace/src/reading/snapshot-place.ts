/**
 * Where a snapshot is, by what people call it. A name means a job's folder in a storage. A path means a job's folder that lies
 * anywhere and is called anything, with one snapshot in it, as `savepoint --to` writes it; or the file of a manifest in such a folder.
 */
import { statSync, type Stats } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { MillraceError } from '../base/errors.ts'
import { decodeManifest, readSealed } from '../snapshot/manifest.ts'
import { manifestName, MANIFESTS, parseManifestName, type SnapshotId } from '../snapshot/object-names.ts'
import { parseSnapshotRef, type SnapshotRef } from '../snapshot/snapshot-id.ts'
import type { SnapshotStore } from '../store/index.ts'
import { LocalStore } from '../store/local/index.ts'

/** A job's folder and which of its snapshots is meant; it need not exist. */
export interface SnapshotPlace {
  readonly store: SnapshotStore
  readonly job: string
  readonly ref: Exclude<SnapshotRef, { kind: 'path' }>
}

/** The place of the snapshot that a path names. @throws SNAPSHOT_NOT_FOUND, SNAPSHOT_DAMAGED, SNAPSHOT_VERSION */
export async function placeOfPath(path: string): Promise<SnapshotPlace> {
  const full = resolve(path)
  const stats = statSync(full, { throwIfNoEntry: false })
  if (stats === undefined) throw nothingAt(path, full)
  const { folder, snapshot } = stats.isDirectory() ? await onlyOneIn(full) : ofFile(full, stats)
  const store = new LocalStore(folder)
  const file = manifestName(snapshot)
  // The folder of a savepoint bears any name: whose it is, the manifest says.
  const { job } = decodeManifest(await readSealed(store, file), { job: undefined, file })
  return { store, job, ref: { kind: 'id', job, snapshot } }
}

interface Found {
  readonly folder: string
  readonly snapshot: SnapshotId
}

function nothingAt(path: string, full: string): MillraceError {
  // Throws if it does not even look like a path of ours.
  if (!path.includes('/') && !path.includes('\\')) parseSnapshotRef(path)
  return new MillraceError('SNAPSHOT_NOT_FOUND', `there is no file or folder ${full}`)
}

async function onlyOneIn(folder: string): Promise<Found> {
  const objects = await new LocalStore(folder).list(MANIFESTS)
  const snapshots = objects.flatMap(({ name }) => parseManifestName(name) ?? [])
  if (snapshots.length === 1) return { folder, snapshot: snapshots[0] }
  const have = snapshots.length === 0 ? 'no snapshot' : `${snapshots.length} snapshots`
  throw new MillraceError('SNAPSHOT_NOT_FOUND', `the folder ${folder} has ${have}; a snapshot's own folder has one`, {
    hint: `Name the folder that 'savepoint --to' wrote, or a file in ${MANIFESTS}/ of a job's folder.`,
  })
}

function ofFile(file: string, stats: Stats): Found {
  const snapshot = parseManifestName(basename(file))
  const folder = dirname(file)
  if (snapshot !== undefined && stats.isFile() && basename(folder) === MANIFESTS)
    return { folder: dirname(folder), snapshot }
  throw new MillraceError(
    'SNAPSHOT_NOT_FOUND',
    `${file} is not in a job's folder; a manifest is found as JOB/${MANIFESTS}/NAME in a storage`,
  )
}
