/**
 * Which snapshots stay. Pure: what is known of the job -> every manifest kept or dropped, with the reason.
 *
 * - Kept: savepoints, which only their owner deletes; the newest `keepSavepoints` of the periodic ones; what is pinned, such as the
 *   snapshot being restored; the checkpoints of the whole job that the ladder `retain` says (retention-ladder.ts); the newest
 *   checkpoint of the previous lineage, for a way back from a fresh start.
 * - Dropped whatever the number: older periodic savepoints; strays of fenced processes; checkpoints of a lineage that ended without
 *   retaining them.
 *
 * The newest snapshot of the current lineage is never dropped, since ids grow and the ladder keeps at least the last one.
 */
import { assert } from '../base/assert.ts'
import { isMillraceError } from '../base/errors.ts'
import { isStray, recordsByRun } from './lineage.ts'
import type { SnapshotFacts } from './manifest-folder.ts'
import type { SnapshotId } from './object-names.ts'
import { type RetentionLadder, type Rung, rungsOf } from './retention-ladder.ts'
import type { RunFacts } from './run-record.ts'

export interface RetentionPolicy {
  /** How many checkpoints stay. */
  readonly retain: RetentionLadder
  /** How many periodic savepoints stay; at least 1. */
  readonly keepSavepoints: number
  readonly previousLineage: number | undefined
  /** Kept in any case. */
  readonly pinned: readonly Pick<SnapshotId, 'id'>[]
}

export type RetentionReason =
  | 'savepoint'
  | 'old periodic savepoint'
  | 'pinned'
  | Rung
  | 'previous lineage'
  | 'stray'
  | 'not retained'
  | 'subsumed'

export interface RetentionVerdict {
  readonly keep: boolean
  readonly reason: RetentionReason
}

type Facts = Pick<SnapshotFacts, 'kind' | 'id' | 'run' | 'lineage' | 'createdAtMs' | 'trigger'>

/** A verdict per snapshot, in the given order. */
export function decideRetention(
  snapshots: readonly Facts[],
  runs: readonly RunFacts[],
  policy: RetentionPolicy,
): RetentionVerdict[] {
  assert(policy.retain.last >= 1, 'at least one checkpoint is retained')
  const pinned = new Set(policy.pinned.map(({ id }) => id))
  const countable = snapshots
    .filter(snapshot => snapshot.kind === 'checkpoint' && !isStray(runs, snapshot) && !isGivenUp(snapshot, runs))
    .toSorted((a, b) => b.id - a.id)
  const rungs = rungsOf(countable, policy.retain)
  const periodic = snapshots
    .filter(snapshot => isPeriodic(snapshot) && !isStray(runs, snapshot))
    .toSorted((a, b) => b.id - a.id)
  const oldPeriodic = new Set(periodic.slice(policy.keepSavepoints).map(({ id }) => id))
  const previous = countable.find(({ lineage }) => lineage === policy.previousLineage)?.id

  return snapshots.map(snapshot => {
    if (pinned.has(snapshot.id)) return { keep: true, reason: 'pinned' }
    if (isStray(runs, snapshot)) return { keep: false, reason: 'stray' }
    if (oldPeriodic.has(snapshot.id)) return { keep: false, reason: 'old periodic savepoint' }
    if (snapshot.kind === 'savepoint') return { keep: true, reason: 'savepoint' }
    const rung = rungs.get(snapshot.id)
    if (rung !== undefined) return { keep: true, reason: rung }
    if (snapshot.id === previous) return { keep: true, reason: 'previous lineage' }
    return { keep: false, reason: isGivenUp(snapshot, runs) ? 'not retained' : 'subsumed' }
  })
}

/** A savepoint that the engine makes by itself, and so drops. */
export function isPeriodic({ kind, trigger }: Pick<SnapshotFacts, 'kind' | 'trigger'>): boolean {
  return kind === 'savepoint' && trigger === 'interval'
}

/**
 * When the next periodic savepoint is due: `everyMs` after the newest one of the lineage, or else after the lineage began, however often
 * the job was started since.
 */
export function periodicSavepointDueMs(
  snapshots: readonly Pick<SnapshotFacts, 'kind' | 'trigger' | 'lineage' | 'createdAtMs'>[],
  runs: readonly RunFacts[],
  lineage: number,
  everyMs: number,
): number {
  const made = snapshots.filter(snapshot => snapshot.lineage === lineage && isPeriodic(snapshot))
  const first = [...recordsByRun(runs).values()].find(record => record.lineage === lineage)
  assert(first !== undefined, 'the run has begun')
  return Math.max(...(made.length > 0 ? made.map(({ createdAtMs }) => createdAtMs) : [first.startedAtMs])) + everyMs
}

/**
 * Its lineage ended with `onFinish` or `onCancel` 'delete' after it was made; a crash before the sweep changes nothing about that. Also
 * one that the end does not know of, since its publication had failed as far as anybody could tell.
 */
function isGivenUp({ run: maker, lineage }: Facts, runs: readonly RunFacts[]): boolean {
  return runs.some(({ run, record, end }) => {
    if (end === undefined || isMillraceError(end) || isMillraceError(record)) return false
    return !end.retained && record.lineage === lineage && maker <= run
  })
}
