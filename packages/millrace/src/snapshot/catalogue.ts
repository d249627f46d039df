/** What a storage holds, for people: its jobs, a job's snapshots, and a snapshot by its name. Reads only; no lock is needed. */
import { isMillraceError, MillraceError } from '../base/errors.ts'
import type { SnapshotStore, Storage } from '../store/contract.ts'
import { ancestry, isStray, recordsByRun } from './lineage.ts'
import { ManifestFolder, type ManifestFile, type SnapshotFacts } from './manifest-folder.ts'
import { readManifest } from './manifest.ts'
import type { Manifest, SnapshotKind } from './manifest-types.ts'
import { readRuns, type RunFacts } from './run-record.ts'
import { formatSnapshotId, snapshotNotFound, type SnapshotRef } from './snapshot-id.ts'

export interface SnapshotListing {
  /** `chk-42` */
  readonly name: string
  readonly kind: SnapshotKind
  readonly id: number
  readonly file: string
  /** Undefined when the manifest cannot be read. */
  readonly details: SnapshotDetails | undefined
  /** Why it cannot be read. Damage of segments is found by fsck only. */
  readonly damage: string | undefined
}

export interface SnapshotDetails {
  readonly createdAtMs: number
  readonly durationMs: number
  readonly parallelism: number
  readonly trigger: Manifest['trigger']
  readonly label: string | undefined
  readonly lineage: number
  readonly run: number
  /** What this snapshot wrote, and all that it needs. */
  readonly newBytes: number
  readonly totalBytes: number
  /** `current`: a plain run could go on from it; `older`: of another past; `stray`: left by a fenced process, to be swept. */
  readonly standing: 'current' | 'older' | 'stray'
}

export interface JobListing {
  readonly job: string
  readonly snapshotCount: number
  readonly latest: SnapshotListing | undefined
  readonly lastRun: LastRun | undefined
}

export interface LastRun {
  readonly run: number
  readonly lineage: number
  readonly startedAtMs: number
  /** Undefined: it runs, or it crashed; the lock tells. */
  readonly end: 'finished' | 'cancelled' | 'stopped' | 'failed' | undefined
  readonly endedAtMs: number | undefined
}

/** Snapshots of a job, newest first. */
export async function listSnapshots(store: SnapshotStore, job: string): Promise<SnapshotListing[]> {
  const runs = await readRuns(store, job)
  const { manifests } = await new ManifestFolder(store, job).read()
  return manifests.map(manifest => listingOf(manifest, runs)).toReversed()
}

/** Jobs of a storage by name, each with its newest snapshot. */
export async function listJobs(storage: Storage): Promise<JobListing[]> {
  const jobs = await storage.jobs()
  return Promise.all(
    jobs.map(async job => {
      const store = storage.job(job)
      const snapshots = await listSnapshots(store, job)
      return {
        job,
        snapshotCount: snapshots.length,
        latest: snapshots[0],
        lastRun: lastRunOf(await readRuns(store, job)),
      }
    }),
  )
}

/** The manifest that a name means; `latest` is the newest one that is no stray. @throws SNAPSHOT_NOT_FOUND, or why it cannot be read */
export async function findSnapshot(
  store: SnapshotStore,
  job: string,
  ref: Exclude<SnapshotRef, { kind: 'path' }>,
): Promise<Manifest> {
  const snapshots = await listSnapshots(store, job)
  const found =
    ref.kind === 'latest'
      ? snapshots.find(({ details }) => details?.standing !== 'stray')
      : snapshots.find(({ kind, id }) => kind === ref.snapshot.kind && id === ref.snapshot.id)
  if (found !== undefined) return readManifest(store, job, found.file)
  const name = ref.kind === 'latest' ? 'current snapshot' : formatSnapshotId(ref.snapshot.kind, ref.snapshot.id)
  throw snapshotNotFound(
    job,
    name,
    snapshots.map(snapshot => snapshot.name),
  )
}

/** Of a text that names no snapshot: that one of the jobs has a snapshot of that label. By labels nothing is found: they may be given twice. */
export async function labelMistaken(
  text: string,
  storage: Storage,
  jobs: readonly string[],
): Promise<MillraceError | undefined> {
  for (const job of jobs) {
    const snapshots = await listSnapshots(storage.job(job), job)
    const labelled = snapshots.find(({ details }) => details?.label === text)
    if (labelled === undefined) continue
    const snapshot = `${job}/${labelled.name}`
    return new MillraceError('SNAPSHOT_NOT_FOUND', `'${text}' is the label of ${snapshot}, and no name of a snapshot`, {
      context: { label: text, snapshot },
      hint: `Say ${snapshot}.`,
    })
  }
  return undefined
}

function listingOf({ file, kind, id, facts }: ManifestFile, runs: readonly RunFacts[]): SnapshotListing {
  const listing = { name: formatSnapshotId(kind, id), kind, id, file }
  if (isMillraceError(facts)) return { ...listing, details: undefined, damage: facts.message }
  return { ...listing, details: detailsOf(facts, runs), damage: undefined }
}

function detailsOf(facts: SnapshotFacts, runs: readonly RunFacts[]): SnapshotDetails {
  const { createdAtMs, durationMs, parallelism, trigger, label, lineage, run, id, segments, manifestSizeBytes } = facts
  const sizeOf = (list: readonly { readonly sizeBytes: number }[]): number =>
    list.reduce((sum, { sizeBytes }) => sum + sizeBytes, manifestSizeBytes)
  const isCurrent = ancestry(runs, runs.at(-1)?.run ?? 0).includes(facts)
  const standing = isCurrent ? 'current' : isStray(runs, facts) ? 'stray' : 'older'
  const newBytes = sizeOf(segments.filter(({ checkpoint }) => checkpoint === id))
  const made = { createdAtMs, durationMs, parallelism, trigger, label, lineage, run }
  return { ...made, newBytes, totalBytes: sizeOf(segments), standing }
}

function lastRunOf(runs: readonly RunFacts[]): LastRun | undefined {
  const last = runs.at(-1)
  const record = last === undefined ? undefined : recordsByRun([last]).get(last.run)
  if (last === undefined || record === undefined) return undefined
  const end = last.end === undefined || isMillraceError(last.end) ? undefined : last.end
  return {
    run: record.run,
    lineage: record.lineage,
    startedAtMs: record.startedAtMs,
    end: end?.end,
    endedAtMs: end?.atMs,
  }
}
