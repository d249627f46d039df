/**
 * Mark and sweep of a job's folder: manifests that retention drops, then segments that no manifest names, then what starts and crashes
 * left.
 *
 * Ownership is reachability: a segment lives while a manifest names it. What protects one that no manifest names yet:
 * - `liveSegments` holds every segment from before it is created until the manifest that names it is published (or it is given up),
 *   and every input of a merge under way. It is read before the manifests are listed, and the segments are listed before that:
 *
 *       list segments -> copy liveSegments -> list manifests -> delete
 *
 *   A listed segment was live at the copy, or its manifest was published before it and is in the list, or it is garbage.
 * - Only files whose name carries the own or a lower token go, after confirming that the own one still is the highest (invariant 7).
 * - A manifest that cannot be read fully stops everything: what it names is unknown (invariant 8).
 */
import { isMillraceError, MillraceError } from '../base/errors.ts'
import { failpoint } from '../base/failpoint.ts'
import type { SnapshotStore, StoredObject } from '../store/contract.ts'
import type { FolderListing, ManifestFile, ManifestFolder, SnapshotFacts } from './manifest-folder.ts'
import {
  LOCKS,
  lockName,
  MANIFESTS,
  parseLockName,
  parseSegmentName,
  runEndName,
  runName,
  RUNS,
  SEGMENTS,
} from './object-names.ts'
import type { RunFacts } from './run-record.ts'
import { neededRuns } from './run-retention.ts'

export interface SweepOptions {
  readonly token: number
  /** Throws FENCED when a higher token exists. */
  readonly confirm: () => Promise<void>
  /** Kept from sweep to sweep, so that only new manifests are read. */
  readonly folder: ManifestFolder
  /** Which of the snapshots stay (retention.ts), one answer each in the same order. */
  readonly decide: (snapshots: readonly SnapshotFacts[]) => readonly { readonly keep: boolean }[]
  /** Names like `segments/3-17.seg`. May change while the sweep runs, under the rule above. */
  readonly liveSegments: ReadonlySet<string>
  /** Also clear what starts and crashes left: records of these runs, temporary files, old locks. Once per start is enough. */
  readonly leftovers?: { readonly runs: readonly RunFacts[] }
}

export interface SweepReport {
  readonly removedManifests: readonly string[]
  readonly removedSegments: readonly string[]
  readonly removedRuns: readonly number[]
  readonly removedLocks: readonly string[]
  readonly removedTemporaries: number
  readonly freedBytes: number
  /** The manifest that could not be read: nothing was deleted. */
  readonly stopped: { readonly file: string; readonly error: MillraceError } | undefined
}

/** What a sweep would take away now. */
export interface SweepPlan {
  readonly manifests: readonly DroppedManifest[]
  readonly segments: readonly StoredObject[]
  /** With `leftovers`: temporary files of writes that were cut off. Old locks and records go too, which are not worth a word. */
  readonly temporaries: readonly Temporary[]
  readonly kept: readonly SnapshotFacts[]
  /** The manifest that could not be read: nothing may be deleted. */
  readonly stopped: SweepReport['stopped']
}

export interface Temporary {
  /** In the job's folder. */
  readonly file: string
  readonly sizeBytes: number
}

export type DroppedManifest = SnapshotFacts & { readonly file: string }

/** @throws FENCED, and STORE_FAILED when the store does; what was not deleted then is found by the next sweep */
export async function sweep(store: SnapshotStore, options: SweepOptions): Promise<SweepReport> {
  const { leftovers, ...plan } = options
  const { manifests, segments, kept, stopped } = await planSweep(store, plan)
  if (stopped !== undefined) return { ...NOTHING, stopped }
  const removedManifests = await removeManifests(store, options, manifests)
  const removedSegments = await removeSegments(store, options, segments)
  const freed = [
    ...manifests.map(({ manifestSizeBytes }) => manifestSizeBytes),
    ...segments.map(({ sizeBytes }) => sizeBytes),
  ]
  return {
    removedManifests,
    removedSegments,
    removedRuns: leftovers === undefined ? [] : await removeRuns(store, options, leftovers.runs, kept),
    ...(leftovers === undefined ? { removedLocks: [], removedTemporaries: 0 } : await removeLeftovers(store, options)),
    freedBytes: freed.reduce((sum, size) => sum + size, 0),
    stopped: undefined,
  }
}

const NOTHING = {
  removedManifests: [],
  removedSegments: [],
  removedRuns: [],
  removedLocks: [],
  removedTemporaries: 0,
  freedBytes: 0,
}

/** Reads only. @throws STORE_FAILED */
export async function planSweep(
  store: SnapshotStore,
  options: Pick<SweepOptions, 'token' | 'folder' | 'decide' | 'liveSegments' | 'leftovers'>,
): Promise<SweepPlan> {
  const listed = await store.list(SEGMENTS)
  const live = new Set(options.liveSegments)
  const listing = await options.folder.read()
  const stopped = unreadable(listing)
  if (stopped !== undefined) return { manifests: [], segments: [], temporaries: [], kept: [], stopped }

  const { kept, dropped } = divide(listing, options.decide)
  const named = new Set(kept.flatMap(({ segments }) => segments.map(({ file }) => file)))
  const isGarbage = ({ name }: StoredObject): boolean => {
    const file = `${SEGMENTS}/${name}`
    const parsed = parseSegmentName(name)
    return (
      parsed !== undefined &&
      parsed.token <= options.token &&
      !named.has(file) &&
      !live.has(file) &&
      !options.liveSegments.has(file)
    )
  }
  const temporaries = options.leftovers === undefined ? [] : await findTemporaries(store, options)
  return { manifests: dropped, segments: listed.filter(isGarbage), temporaries, kept, stopped: undefined }
}

function divide(
  { manifests }: FolderListing,
  decide: SweepOptions['decide'],
): { kept: SnapshotFacts[]; dropped: DroppedManifest[] } {
  const readable = manifests.flatMap(({ file, facts }) => (isMillraceError(facts) ? [] : [{ ...facts, file }]))
  const verdicts = decide(readable)
  return {
    kept: readable.filter((_, i) => verdicts[i]?.keep),
    dropped: readable.filter((_, i) => !verdicts[i]?.keep),
  }
}

/** Invariant 8: a manifest that cannot be read, or that a newer version may have put there under a new name. */
function unreadable({ manifests, unknown }: FolderListing): SweepReport['stopped'] {
  const broken = manifests.find((manifest): manifest is ManifestFile & { facts: MillraceError } =>
    isMillraceError(manifest.facts),
  )
  if (broken !== undefined) return { file: broken.file, error: broken.facts }
  const [file] = unknown
  if (file === undefined) return undefined
  return {
    file,
    error: new MillraceError('SNAPSHOT_VERSION', `${file} is not a name of a manifest that this Millrace knows`),
  }
}

async function removeManifests(
  store: SnapshotStore,
  { confirm, folder }: SweepOptions,
  dropped: readonly DroppedManifest[],
): Promise<string[]> {
  if (dropped.length > 0) await confirm()
  for (const { file } of dropped) {
    failpoint('retention.before-manifest-delete')
    folder.forget(file)
    await store.remove(file)
    failpoint('retention.after-manifest-delete')
  }
  return dropped.map(({ file }) => file)
}

async function removeSegments(
  store: SnapshotStore,
  { confirm }: SweepOptions,
  garbage: readonly StoredObject[],
): Promise<string[]> {
  const files = garbage.map(({ name }) => `${SEGMENTS}/${name}`)
  if (files.length > 0) await confirm()
  for (const file of files) {
    failpoint('sweep.before-delete')
    await store.remove(file)
    failpoint('sweep.after-delete')
  }
  return files
}

/** After the manifests, so that no snapshot is ever without the records that it needs. A run without its end is none that needs one. */
async function removeRuns(
  store: SnapshotStore,
  { confirm }: SweepOptions,
  runs: readonly RunFacts[],
  kept: readonly SnapshotFacts[],
): Promise<number[]> {
  const needed = neededRuns(runs, kept)
  const spare = runs.filter(({ run }) => !needed.has(run))
  if (spare.length > 0) await confirm()
  for (const file of spare.flatMap(({ run }) => [runEndName(run), runName(run)])) {
    failpoint('sweep.before-run-delete')
    await store.remove(file)
    failpoint('sweep.after-run-delete')
  }
  return spare.map(({ run }) => run)
}

/** Locks below the own one say nothing any more. */
async function removeLeftovers(
  store: SnapshotStore,
  options: SweepOptions,
): Promise<{ removedLocks: string[]; removedTemporaries: number }> {
  const { token, confirm } = options
  await confirm()
  const removedLocks = (await store.list(LOCKS))
    .filter(({ name }) => (parseLockName(name) ?? Infinity) < token)
    .map(({ name }) => lockName(parseLockName(name)!))
  for (const lock of removedLocks) await store.remove(lock)

  let removedTemporaries = 0
  for (const [folder, isLeft] of temporaryRules(options)) {
    removedTemporaries += await store.removeTemporary(folder, isLeft)
  }
  return { removedLocks, removedTemporaries }
}

async function findTemporaries(
  store: SnapshotStore,
  options: Pick<SweepOptions, 'token' | 'liveSegments'>,
): Promise<Temporary[]> {
  const files: string[] = []
  for (const [folder, isLeft] of temporaryRules(options)) {
    await store.removeTemporary(folder, (name, file) => {
      if (isLeft(name)) files.push(folder === '' ? file : `${folder}/${file}`)
      return false
    })
  }
  return Promise.all(files.map(async file => ({ file, sizeBytes: (await store.size(file)) ?? 0 })))
}

/** By folder, which of the names that were to be given come of no write under way. Segments may be in the making. */
function temporaryRules({
  token,
  liveSegments,
}: Pick<SweepOptions, 'token' | 'liveSegments'>): readonly (readonly [string, (name: string) => boolean])[] {
  return [
    [
      SEGMENTS,
      name => (parseSegmentName(name)?.token ?? Infinity) <= token && !liveSegments.has(`${SEGMENTS}/${name}`),
    ],
    // One of the own token too: whoever died while taking it never owned it, so this process took the same one.
    [LOCKS, name => (parseLockName(name) ?? Infinity) <= token],
    [MANIFESTS, () => true],
    [RUNS, () => true],
    ['', () => true],
  ]
}
