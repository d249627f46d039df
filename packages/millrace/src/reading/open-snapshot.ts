/**
 * Opens a snapshot to read it, with no job running or beside one that is. A running job may sweep what is being read, so its files are
 * held first (held-files.ts): once that has worked the snapshot is whole until it is closed. If a file was gone already, the snapshot
 * was dropped since it was listed: `latest` then means a newer one, and one that was named is gone.
 */
import { isMillraceError, MillraceError } from '../base/errors.ts'
import { findSnapshot } from '../snapshot/catalogue.ts'
import { isSnapshotName, parseSnapshotRef } from '../snapshot/snapshot-id.ts'
import { holdFiles, localStorage } from '../store/local/index.ts'
import { placeOfPath, type SnapshotPlace } from './snapshot-place.ts'
import { SnapshotReader } from './snapshot-reader.ts'

export interface ReadSnapshotOptions {
  /** Directory of the storage that a name is looked up in. Default: `.millrace` in the working directory. */
  readonly storage?: string
}

/**
 * Opens a snapshot: its operators, states and their entries can be read until it is closed, whether its job runs or not.
 * `snapshot`: `JOB/latest`, `JOB/chk-42`, `JOB/sp-43`, or a path: a folder that `savepoint --to` wrote, or the file of a manifest.
 * @throws SNAPSHOT_NOT_FOUND, SNAPSHOT_DAMAGED, SNAPSHOT_VERSION, OBJECT_MISSING
 * @example
 *   await using snapshot = await readSnapshot('word-count/latest')
 *   for await (const { key, value } of snapshot.operator('counts').state('value').entries()) console.log(key, value)
 */
export async function readSnapshot(
  snapshot: string,
  { storage = '.millrace' }: ReadSnapshotOptions = {},
): Promise<SnapshotReader> {
  return openSnapshot(isSnapshotName(snapshot) ? placeOfName(snapshot, storage) : await placeOfPath(snapshot))
}

function placeOfName(text: string, directory: string): SnapshotPlace {
  const ref = parseSnapshotRef(text)
  if (ref.kind === 'path' || ref.job === undefined) {
    throw new MillraceError('SNAPSHOT_NOT_FOUND', `'${text}' does not say of which job`, { hint: `Say JOB/${text}.` })
  }
  return { store: localStorage(directory).job(ref.job), job: ref.job, ref }
}

/** A snapshot that stays out of reach after this many looks is damaged, not swept meanwhile. */
const LOOKS = 5

/** @throws SNAPSHOT_NOT_FOUND, SNAPSHOT_DAMAGED, SNAPSHOT_VERSION, OBJECT_MISSING */
export async function openSnapshot(place: SnapshotPlace): Promise<SnapshotReader> {
  for (let look = 1; ; look++) {
    try {
      return await hold(place)
    } catch (error) {
      if (look === LOOKS || !isMillraceError(error, 'OBJECT_MISSING')) throw error
    }
  }
}

async function hold({ store, job, ref }: SnapshotPlace): Promise<SnapshotReader> {
  const manifest = await findSnapshot(store, job, ref)
  const files = await holdFiles(
    store.location,
    manifest.segments.map(({ file }) => file),
  )
  return new SnapshotReader({ manifest, files, nowMs: Date.now(), close: () => files.close() })
}
