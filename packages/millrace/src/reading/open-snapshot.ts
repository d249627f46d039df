/**
 * Opens a snapshot to read it, with no job running or beside one that is. A running job may sweep what is being read, so its files are
 * held first (held-files.ts): once that has worked the snapshot is whole until it is closed. If a file was gone already, the snapshot
 * was dropped since it was listed: `latest` then means a newer one, and one that was named is gone.
 */
import { isMillraceError, MillraceError } from '../base/errors.ts'
import { findSnapshot } from '../snapshot/catalogue.ts'
import type { Manifest } from '../snapshot/manifest-types.ts'
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

/** @throws SNAPSHOT_NOT_FOUND, SNAPSHOT_DAMAGED, SNAPSHOT_VERSION, OBJECT_MISSING */
export async function openSnapshot(place: SnapshotPlace): Promise<SnapshotReader> {
  return look(place, async manifest => {
    const files = await holdFiles(
      place.store.location,
      manifest.segments.map(({ file }) => file),
    )
    return new SnapshotReader({ manifest, files, nowMs: Date.now(), close: () => files.close() })
  })
}

/** What a snapshot says of itself, whether its segments are there or not. @throws SNAPSHOT_NOT_FOUND, SNAPSHOT_DAMAGED, SNAPSHOT_VERSION */
export async function openManifest(place: SnapshotPlace): Promise<Manifest> {
  return look(place, async manifest => manifest)
}

/** What is missing after this many looks, each of a few milliseconds, was not swept meanwhile: it is not there. */
const LOOKS = 20

async function look<T>({ store, job, ref }: SnapshotPlace, use: (manifest: Manifest) => Promise<T>): Promise<T> {
  for (let looks = 1; ; looks++) {
    try {
      return await use(await findSnapshot(store, job, ref))
    } catch (error) {
      // Of a job that keeps one checkpoint, all that were listed may be gone by the time they are read.
      const mayBeSwept =
        isMillraceError(error, 'OBJECT_MISSING') ||
        (ref.kind === 'latest' && isMillraceError(error, 'SNAPSHOT_NOT_FOUND'))
      if (!mayBeSwept || looks === LOOKS) throw error
    }
  }
}
