/**
 * What a start begins from. `decideStart` is pure: facts that were read -> a decision, or a refusal as an error. `recover` reads the
 * facts, and verifies the files of the chosen snapshot; one that fails becomes a fact, and the decision is made again.
 *
 * Rules:
 * - Only the newest run counts (invariant 6): its own snapshots and those it descends from, newest first.
 * - A snapshot that is damaged is skipped and reported. If none is left, nothing starts: an empty start would lose state silently.
 * - A run without any snapshot in its past crashed before its first one; it is continued under its run id.
 * - Ids of snapshots and runs go on above everything that ever had a name, readable or not.
 */
import { isMillraceError, MillraceError } from '../base/errors.ts'
import type { SnapshotStore } from '../store/contract.ts'
import { type Ancestry, ancestry, isStray, previousLineage, recordsByRun } from './lineage.ts'
import { isDamage, ManifestFolder, type ManifestFile, type SnapshotFacts } from './manifest-folder.ts'
import { readManifest } from './manifest.ts'
import type { Manifest, SnapshotKind } from './manifest-types.ts'
import { readRuns, type Past, type RestoredSnapshot, type RunEnd, type RunFacts, type RunRecord } from './run-record.ts'
import { openSegment, verifySegment } from './segment-reader.ts'
import { formatSnapshotId, snapshotNotFound, type SnapshotRef } from './snapshot-id.ts'

export interface StartFacts {
  readonly job: string
  readonly runs: readonly RunFacts[]
  readonly manifests: readonly ManifestFile[]
  /** False when a sink of the job cannot take back what it committed (`retracts`). */
  readonly sinksRetract: boolean
}

/** What the user asked for; `{}` is a plain start. A `from` by path must have been checked to lie in this job's folder. */
export interface StartRequest {
  readonly fresh?: boolean
  readonly from?: SnapshotRef
}

export type StartDecision = FinishedAlready | FreshStart | RestoringStart

export interface FinishedAlready {
  readonly kind: 'finished'
  readonly end: RunEnd
  /** For retention, as of a new run. */
  readonly previousLineage: number | undefined
}

/** `continued`: a start that crashed before its first snapshot is repeated. `deleted`: the last run was cancelled with its snapshots. */
export interface FreshStart extends NewRun {
  readonly kind: 'fresh'
  readonly reason: 'first' | 'asked' | 'continued' | 'deleted'
}

export interface RestoringStart extends NewRun {
  readonly kind: 'restore'
  readonly snapshot: RestoredSnapshot
  readonly past: Past
  readonly file: string
  readonly createdAtMs: number
  /** Newer snapshots of the same past that cannot be used, newest first: to be reported loudly. */
  readonly skipped: readonly SkippedSnapshot[]
}

export interface SkippedSnapshot {
  readonly kind: SnapshotKind
  readonly id: number
  readonly reason: string
}

interface NewRun {
  readonly run: number
  readonly follows: number
  /** Undefined: make a new one. */
  readonly inheritedRunId: string | undefined
  readonly lineage: number
  /** The lineage that ran last before this one, for retention. */
  readonly previousLineage: number | undefined
  readonly firstCheckpointId: number
}

type Readable = ManifestFile & { readonly facts: SnapshotFacts }

/** @throws NO_USABLE_SNAPSHOT, FALLBACK_REFUSED, SNAPSHOT_NOT_FOUND, SNAPSHOT_DAMAGED, SNAPSHOT_VERSION, SNAPSHOT_WRONG_JOB */
export function decideStart(facts: StartFacts, request: StartRequest): StartDecision {
  if (request.fresh) return freshStart(facts, facts.runs.length === 0 ? 'first' : 'asked')
  if (request.from !== undefined) return restoringStart(facts, named(facts, request.from), [])
  const newest = facts.runs.at(-1)
  if (newest === undefined) return startWithoutRuns(facts)
  const { record, end } = newestRun(facts, newest)
  if (end?.end === 'finished') {
    return { kind: 'finished', end, previousLineage: previousLineage(facts.runs, record.lineage) }
  }
  return continueRun(facts, record, end)
}

/** The plain start after a run that did not finish. */
function continueRun(facts: StartFacts, record: RunRecord, end: RunEnd | undefined): StartDecision {
  const past = ancestry(facts.runs, record.run)
  const areCheckpointsDeleted = end !== undefined && !end.retained
  const candidates = facts.manifests
    .filter(manifest => isInPast(past, manifest) && !(areCheckpointsDeleted && manifest.kind === 'checkpoint'))
    .toSorted((a, b) => b.id - a.id)
  const chosen = candidates.find(isReadable)
  const skipped = [
    ...missingNewest(record, end, candidates, chosen),
    ...candidates.filter(candidate => candidate.id > (chosen?.id ?? 0)).flatMap(skippedOf),
  ]
  if (chosen === undefined) {
    if (areCheckpointsDeleted && candidates.length === 0) return freshStart(facts, 'deleted')
    if (skipped.length === 0)
      return { ...newRun(facts, record.lineage), kind: 'fresh', reason: 'continued', inheritedRunId: record.runId }
    throw noneUsable(facts.job, skipped)
  }
  if (skipped.length > 0 && !facts.sinksRetract) throw fallbackRefused(facts.job, chosen, skipped)
  return restoringStart(facts, chosen, skipped)
}

function freshStart(facts: StartFacts, reason: FreshStart['reason']): FreshStart {
  const lineage = nextLineage(facts.runs, facts.manifests)
  return { ...newRun(facts, lineage), kind: 'fresh', reason, inheritedRunId: undefined }
}

export function nextLineage(runs: readonly RunFacts[], manifests: readonly ManifestFile[]): number {
  const lineages = [
    ...recordsByRun(runs).values(),
    ...manifests.filter(isReadable).map(({ facts: { lineage } }) => ({ lineage })),
  ]
  return Math.max(0, ...lineages.map(fact => fact.lineage)) + 1
}

function restoringStart(facts: StartFacts, chosen: Readable, skipped: readonly SkippedSnapshot[]): RestoringStart {
  const { kind, id, run, runId, lineage, createdAtMs } = chosen.facts
  const { since, output } = ancestry(facts.runs, run, id, runId)
  return {
    ...newRun(facts, lineage),
    kind: 'restore',
    inheritedRunId: runId,
    snapshot: { kind, id, run },
    past: { since, output },
    file: chosen.file,
    createdAtMs,
    skipped,
  }
}

function newRun({ runs, manifests }: StartFacts, lineage: number): Omit<NewRun, 'inheritedRunId'> {
  return {
    run: nextRun(runs, manifests),
    follows: newestRunOf(runs),
    lineage,
    previousLineage: previousLineage(runs, lineage),
    firstCheckpointId: nextCheckpointId(runs, manifests),
  }
}

/** 0: none. */
export function newestRunOf(runs: readonly RunFacts[]): number {
  return runs.at(-1)?.run ?? 0
}

/** The run after all that ever were, also one that died between its adopted snapshot and its record. */
export function nextRun(runs: readonly RunFacts[], manifests: readonly ManifestFile[]): number {
  const makers = manifests.filter(isReadable).map(({ facts }) => facts.run)
  return Math.max(newestRunOf(runs), ...makers) + 1
}

/** The id after all that ever were: of manifests by their names alone, of those gone since by what the runs say. */
export function nextCheckpointId(runs: readonly RunFacts[], manifests: readonly Pick<ManifestFile, 'id'>[]): number {
  const ids = manifests.map(({ id }) => id)
  for (const { record, end } of runs) {
    if (!isMillraceError(record)) ids.push(record.firstCheckpointId - 1)
    if (end !== undefined && !isMillraceError(end)) ids.push(end.lastCheckpointId, end.lastSavepointId ?? 0)
  }
  return Math.max(0, ...ids) + 1
}

function startWithoutRuns(facts: StartFacts): StartDecision {
  if (facts.manifests.length === 0) return freshStart(facts, 'first')
  const message = `job '${facts.job}' has snapshots but no record of a run, so it is not known which one comes last`
  throw new MillraceError('SNAPSHOT_DAMAGED', message, { hint: 'name one with --from, or start over with --fresh' })
}

function newestRun(facts: StartFacts, { run, record, end }: RunFacts): { record: RunRecord; end: RunEnd | undefined } {
  const broken = isMillraceError(record) ? record : isMillraceError(end) ? end : undefined
  if (isMillraceError(record) || isMillraceError(end)) {
    const message = `the newest run (${run}) of '${facts.job}' cannot be read, so it is not known what to go on from: ${broken!.message}`
    throw new MillraceError(broken!.code, message, {
      hint: 'name a snapshot with --from, or start over with --fresh',
      cause: broken,
    })
  }
  return { record, end }
}

function named(facts: StartFacts, ref: SnapshotRef): Readable {
  if (ref.kind !== 'path' && ref.job !== undefined && ref.job !== facts.job) {
    throw new MillraceError(
      'SNAPSHOT_WRONG_JOB',
      `--from names a snapshot of job '${ref.job}', but this is job '${facts.job}'`,
    )
  }
  const found =
    ref.kind === 'latest'
      ? facts.manifests.filter(manifest => !isReadable(manifest) || !isStray(facts.runs, manifest.facts)).at(-1)
      : facts.manifests.find(({ kind, id }) => kind === ref.snapshot.kind && id === ref.snapshot.id)
  if (found === undefined) {
    const text = ref.kind === 'latest' ? 'current snapshot' : formatSnapshotId(ref.snapshot.kind, ref.snapshot.id)
    const have = facts.manifests.toReversed().map(({ kind, id }) => formatSnapshotId(kind, id))
    throw snapshotNotFound(facts.job, text, have)
  }
  if (!isReadable(found)) throw found.facts
  if (isStray(facts.runs, found.facts)) throw strayNamed(found.facts)
  return found
}

function strayNamed({ kind, id }: SnapshotFacts): MillraceError {
  const name = formatSnapshotId(kind, id)
  const message = `${name} was written by a process that had been replaced, and what it holds was never committed, so nothing goes on from it`
  return new MillraceError('SNAPSHOT_NOT_FOUND', message, { context: { id } })
}

function isInPast(past: Ancestry, manifest: ManifestFile): boolean {
  return isReadable(manifest) ? past.includes(manifest.facts) : past.mayInclude(manifest.id)
}

function isReadable(manifest: ManifestFile): manifest is Readable {
  return !isMillraceError(manifest.facts)
}

/** One that a newer version wrote is not broken: an older version must not go back behind it by itself. */
function skippedOf({ kind, id, facts }: ManifestFile): SkippedSnapshot[] {
  if (!isMillraceError(facts)) return []
  if (facts.code === 'SNAPSHOT_VERSION') throw facts
  return [{ kind, id, reason: facts.message }]
}

/** The newest snapshot that the run is known to have had, if it is gone and nothing newer is there. */
function missingNewest(
  { start, firstCheckpointId }: RunRecord,
  end: RunEnd | undefined,
  candidates: readonly ManifestFile[],
  chosen: ManifestFile | undefined,
): SkippedSnapshot[] {
  const restored = start.kind === 'restored' ? start.snapshot.id : start.kind === 'adopted' ? firstCheckpointId : 0
  const last = Math.max(restored, end?.lastCheckpointId ?? 0)
  if (last === 0 || (chosen?.id ?? 0) >= last || candidates.some(({ id }) => id >= last)) return []
  const kind = start.kind === 'restored' && last === restored ? start.snapshot.kind : 'checkpoint'
  const wasGivenUp = end !== undefined && !end.retained
  return [{ kind, id: last, reason: wasGivenUp ? 'it was deleted as the job was cancelled' : 'its manifest is gone' }]
}

function noneUsable(job: string, skipped: readonly SkippedSnapshot[]): MillraceError {
  return new MillraceError(
    'NO_USABLE_SNAPSHOT',
    `no snapshot of '${job}' that its last run could go on from is usable: ${listed(skipped)}`,
    {
      context: { job, skipped },
    },
  )
}

function fallbackRefused(job: string, chosen: Readable, skipped: readonly SkippedSnapshot[]): MillraceError {
  const target = formatSnapshotId(chosen.kind, chosen.id)
  const message = `'${job}' could go on from ${target}, but a sink cannot take back what was committed after it: ${listed(skipped)}`
  return new MillraceError('FALLBACK_REFUSED', message, {
    context: { job, target, skipped },
    hint: `--from ${target} accepts that output is repeated`,
  })
}

/** One damaged segment may be the reason of many. */
function listed(skipped: readonly SkippedSnapshot[]): string {
  return [...Map.groupBy(skipped, ({ reason }) => reason)]
    .map(([reason, all]) => `${all.map(({ kind, id }) => formatSnapshotId(kind, id)).join(', ')} (${reason})`)
    .join('; ')
}

export interface RecoverOptions {
  readonly job: string
  readonly request: StartRequest
  readonly sinksRetract: boolean
  /** Throws when a file that the manifest names is missing or damaged. Default: `verifySnapshot`. */
  readonly verify?: (store: SnapshotStore, manifest: Manifest) => Promise<void>
}

export interface Recovery {
  readonly decision: StartDecision
  /** Of the chosen snapshot, verified. */
  readonly manifest: Manifest | undefined
  readonly runs: readonly RunFacts[]
}

/** Choose what to start from. Only by the lock's holder, else what is read may change meanwhile. @throws as `decideStart` */
export async function recover(store: SnapshotStore, options: RecoverOptions): Promise<Recovery> {
  const { job, request, sinksRetract, verify = verifySnapshot } = options
  const runs = await readRuns(store, job)
  let { manifests } = await new ManifestFolder(store, job).read()
  for (;;) {
    const decision = decideStart({ job, runs, manifests, sinksRetract }, request)
    if (decision.kind !== 'restore') return { decision, manifest: undefined, runs }
    try {
      const manifest = await readManifest(store, job, decision.file)
      await verify(store, manifest)
      return { decision, manifest, runs }
    } catch (error) {
      if (!isDamage(error)) throw error
      manifests = manifests.map(manifest =>
        manifest.file === decision.file ? { ...manifest, facts: error } : manifest,
      )
    }
  }
}

/** Every segment that the manifest names is there and intact. @throws OBJECT_MISSING, SNAPSHOT_DAMAGED, SNAPSHOT_VERSION */
export async function verifySnapshot(store: SnapshotStore, manifest: Pick<Manifest, 'segments'>): Promise<void> {
  for (const segment of manifest.segments) await verifySegment(store, segment)
}

/**
 * Every segment that the manifest names is there and whole as far as its outline tells: reading all of it is for the restore, and for fsck.
 * @throws as `verifySnapshot`
 */
export async function verifyOutlines(store: SnapshotStore, manifest: Pick<Manifest, 'segments'>): Promise<void> {
  for (const segment of manifest.segments) await openSegment(store, segment)
}

/** The record of the run that a decision starts. `runId` is used unless the run inherits one. */
export function runRecordOf(
  decision: FreshStart | RestoringStart,
  made: Pick<RunRecord, 'job' | 'token' | 'runId' | 'startedAtMs' | 'millrace' | 'maxParallelism'>,
): Omit<RunRecord, 'format' | 'version'> {
  const { run, follows, lineage, firstCheckpointId, inheritedRunId } = decision
  return {
    ...made,
    run,
    follows,
    runId: inheritedRunId ?? made.runId,
    lineage,
    firstCheckpointId,
    start:
      decision.kind === 'fresh'
        ? { kind: 'fresh' }
        : { kind: 'restored', snapshot: decision.snapshot, past: decision.past },
  }
}
