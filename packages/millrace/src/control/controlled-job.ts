/** What the control API needs of a job, and how it says what the job is doing. */
import type { JobStatus, Rescaled, Savepoint, SavepointOptions, StopOptions, Stopped } from '../host/index.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import type { Answer, OperationAnswer, Result } from './endpoints.ts'

export interface ControlledJob {
  status(): JobStatus
  /** A checkpoint now: its number, once it is complete. */
  checkpoint(): Promise<number>
  savepoint(options: SavepointOptions): Promise<Savepoint>
  stop(options: StopOptions): Promise<Stopped>
  cancel(): Promise<void>
  /** Resolves once the job runs at that parallelism. */
  rescale(parallelism: number): Promise<Rescaled>
}

/** `pid`: of this process. */
export function answerOfStatus(status: JobStatus, pid: number): Answer<'job'> {
  const { job, state, parallelism, stateBackend, run, lineage, restarts, restoring, progress, lastCheckpoint } = status
  const { startedAtMs, recordsPerSecond, restorableAtMs } = status
  return {
    job,
    pid,
    state,
    parallelism,
    stateBackend,
    run: run ?? null,
    lineage: lineage ?? null,
    restarts,
    startedAtMs,
    recordsPerSecond,
    restorableAtMs: restorableAtMs ?? null,
    restoring: restoring ?? null,
    sources: (progress?.sources ?? []).map(({ source, records, fraction }) => ({
      source,
      records,
      fraction: fraction ?? null,
    })),
    lastCheckpoint: lastCheckpoint === undefined ? null : checkpointAnswer(lastCheckpoint),
  }
}

function checkpointAnswer({
  id,
  error,
  ...facts
}: NonNullable<JobStatus['lastCheckpoint']>): NonNullable<Answer<'job'>['lastCheckpoint']> {
  return { snapshot: formatSnapshotId('checkpoint', id), ...facts, error: error ?? null }
}

/** An operation that is running, with how far it is. */
export function withProgress(answer: OperationAnswer, status: JobStatus, nowMs: number): OperationAnswer {
  if (answer.state !== 'running') return answer
  const { state: job, pendingCheckpoint: pending, savepointFolders } = status
  const checkpoint = pending && {
    snapshot: formatSnapshotId('checkpoint', pending.id),
    elapsedMs: nowMs - pending.startedAtMs,
    acknowledgedSlots: pending.acknowledgedSlots,
    slots: pending.slots,
  }
  const folders = [...savepointFolders]
  const elapsedMs = nowMs - answer.startedAtMs
  return { ...answer, progress: { elapsedMs, job, checkpoint: checkpoint ?? null, folders } }
}

export function savepointAnswer({ id, checkpoint, path }: Savepoint): Result<'savepoint'> {
  return { savepoint: id, checkpoint, path: path ?? null }
}
