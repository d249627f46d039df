/**
 * `millrace run --json`: one line of JSON per event, on standard output.
 *
 *     {"type":"started", …}   {"type":"checkpoint", …}   {"type":"progress", …} once a second   {"type":"restarting", …}
 *     {"type":"savepoint", …}
 *     {"type":"log", …}       {"type":"stopping"}        {"type":"ended","outcome":"finished"|"stopped"|"cancelled"|"already-finished", …}
 *
 * With --supervise, {"type":"died","signal","exitStatus","error","delayMs"} comes from the process that watches the one of the job;
 * `delayMs` is null when there is no next start. Stopped between two starts, the run ends with `ended` and its outcome alone.
 *
 * A run that fails or is refused ends with {"error":{"code", "message", "context", "hint", "fix"}} instead of `ended`.
 */
import type { JobEvent } from '../host/events.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import { errorAsJson } from './output.ts'
import type { ProgressMeter } from './progress.ts'
import { recordsOf, type RunSummary } from './run-report.ts'

export function startedJson(job: string, event: Extract<JobEvent, { type: 'started' }>, nowMs: number): object {
  const { decision, manifest, plan, tookMs } = event
  const { kind, run, lineage } = decision
  const from =
    decision.kind === 'fresh'
      ? { reason: decision.reason, snapshot: null, ageMs: null, skipped: [] }
      : {
          reason: null,
          snapshot: formatSnapshotId(decision.snapshot.kind, decision.snapshot.id),
          ageMs: Math.max(0, nowMs - decision.createdAtMs),
          skipped: decision.skipped.map(skipped => ({
            snapshot: formatSnapshotId(skipped.kind, skipped.id),
            reason: skipped.reason,
          })),
        }
  return { type: 'started', job, run, lineage, start: kind, ...from, records: recordsOf(manifest), plan, tookMs }
}

export function checkpointJson({ outcome }: Extract<JobEvent, { type: 'checkpoint' }>): object {
  return {
    type: 'checkpoint',
    snapshot: formatSnapshotId('checkpoint', outcome.id),
    ...outcome,
    error: outcome.error ?? null,
  }
}

export function savepointJson({ outcome }: Extract<JobEvent, { type: 'savepoint' }>): object {
  const { id, checkpointId, label, error, ...facts } = outcome
  return {
    type: 'savepoint',
    snapshot: formatSnapshotId('savepoint', id),
    checkpoint: formatSnapshotId('checkpoint', checkpointId),
    label: label ?? null,
    ...facts,
    error: error ?? null,
  }
}

export function progressJson({ progress }: Extract<JobEvent, { type: 'progress' }>, meter: ProgressMeter): object {
  const { records, recordsPerSecond, fraction } = meter
  return {
    type: 'progress',
    records,
    recordsPerSecond: Math.round(recordsPerSecond),
    fraction: fraction ?? null,
    ...progress,
  }
}

export function restoringJson({ progress }: Extract<JobEvent, { type: 'restoring' }>): object {
  return { type: 'restoring', ...progress }
}

export function restartingJson({ error, delayMs }: Extract<JobEvent, { type: 'restarting' }>): object {
  return { type: 'restarting', error: errorAsJson(error), delayMs }
}

export function endedJson(outcome: string, summary: RunSummary): object {
  return {
    type: 'ended',
    outcome,
    ...summary,
    snapshot: summary.snapshot ?? null,
    discarded: summary.discarded ?? null,
  }
}
