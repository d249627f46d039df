/** What a running job has to say to people: events -> lines. Pure. */
import type { CheckpointOutcome, SavepointOutcome } from '../checkpoint/coordinator.ts'
import type { JobEvent } from '../host/events.ts'
import type { Manifest } from '../snapshot/manifest-types.ts'
import type { PlanEntry } from '../snapshot/restore-plan.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import { oneLine } from './table.ts'
import { formatAge, formatBytes, formatCount, formatElapsed, formatNumberOf } from './units.ts'

type Started = Extract<JobEvent, { type: 'started' }>

const FRESH = {
  first: 'fresh start',
  asked: 'fresh start, as asked; the last snapshot of the run before, if it left one, stays for --from',
  continued: 'fresh start again: the last run ended before its first checkpoint',
  deleted: 'fresh start: the last run was cancelled and its checkpoints were deleted',
} as const

/** `how`: a start of the command from the job's own past, from a snapshot that was named, or again after a failure. */
export function startedLines(
  { decision, manifest, plan }: Started,
  how: 'resumed' | 'started' | 'restarted',
  nowMs: number,
): string[] {
  if (decision.kind === 'fresh') return [how === 'restarted' ? 'restarted from the beginning' : FRESH[decision.reason]]
  const { kind, id } = decision.snapshot
  const records = formatNumberOf(recordsOf(manifest), 'record')
  const age = formatAge(decision.createdAtMs, nowMs)
  return [`${how} from ${kind} ${formatSnapshotId(kind, id)} (${age} old), ${records} so far`, ...planLines(plan)]
}

/** That the snapshot had read, of all its sources. */
export function recordsOf(manifest: Manifest | undefined): number {
  return manifest?.operators.reduce((sum, { source }) => sum + (source?.records ?? 0), 0) ?? 0
}

/** What is not simply kept. States of the engine itself (timers, windows) come with their operator. */
function planLines(plan: readonly PlanEntry[]): string[] {
  return plan
    .filter(({ verdict, state }) => verdict !== 'kept' && state?.startsWith('~') !== true)
    .map(({ verdict, what, operator, state, reason }) => {
      const name = state === undefined ? operator : `${operator}.${state}`
      return `  ${verdict}: ${what} '${oneLine(name)}'${reason === undefined ? '' : ` (${oneLine(reason)})`}`
    })
}

export function checkpointLine(checkpoint: CheckpointOutcome): string {
  const { id, outcome, durationMs, newBytes, totalBytes, alignmentMs, error } = checkpoint
  const name = formatSnapshotId('checkpoint', id)
  if (outcome !== 'complete') return `checkpoint ${name} failed (${outcome}): ${error ?? 'unknown reason'}`
  const aligned = alignmentMs < 1 ? '' : ` (${formatElapsed(alignmentMs)} aligning)`
  return `checkpoint ${name} complete in ${formatElapsed(durationMs)}${aligned}, ${formatBytes(newBytes)} new, ${formatBytes(totalBytes)} in all`
}

export function savepointLine({ id, checkpointId, label, error }: SavepointOutcome): string {
  const name = formatSnapshotId('savepoint', id)
  const of = `of ${formatSnapshotId('checkpoint', checkpointId)}`
  if (error !== undefined) return `savepoint ${name} ${of} could not be made: ${error}`
  return `savepoint ${name} ${of}${label === undefined ? '' : `: ${label}`}`
}

export function restartingLine({ error, delayMs }: Extract<JobEvent, { type: 'restarting' }>): string {
  return `${error.code}: ${error.message}\n  restarting in ${formatElapsed(delayMs)}`
}

export interface RunSummary {
  readonly job: string
  /** Since the fresh start, and those of this run. */
  readonly records: number
  readonly newRecords: number
  readonly elapsedMs: number
  readonly checkpoints: number
  /** The newest complete snapshot: made by this run, or what it started from. Once the job has finished it may be deleted. */
  readonly snapshot: string | undefined
  /** Of a dry run: records that its sinks dropped. */
  readonly discarded: number | undefined
}

export function endedLine(
  outcome: 'finished' | 'stopped' | 'cancelled' | 'already-finished',
  summary: RunSummary,
): string {
  const { job, records, newRecords, elapsedMs, checkpoints, snapshot, discarded } = summary
  if (outcome === 'already-finished') return `nothing to do: '${job}' has finished; --fresh runs it again`
  const ofThisRun = newRecords === records ? '' : `, ${formatCount(newRecords)} of them in this run,`
  const facts = `${formatNumberOf(records, 'record')}${ofThisRun} in ${formatElapsed(elapsedMs)}, ${formatNumberOf(checkpoints, 'checkpoint')}${
    discarded === undefined ? '' : `; dry run: ${formatNumberOf(discarded, 'record')} for its sinks dropped`
  }`
  if (outcome === 'stopped')
    return `stopped${snapshot === undefined ? '' : ` at ${snapshot}`}; run again to go on (${facts})`
  return `${outcome}: ${facts}`
}
