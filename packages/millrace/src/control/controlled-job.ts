/** What the control API needs of a job, and how it says what the job is doing. */
import type { JobStatus, Rescaled } from '../host/index.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import type { Answer } from './endpoints.ts'

export interface ControlledJob {
  status(): JobStatus
  /** A checkpoint now: its number, once it is complete. */
  checkpoint(): Promise<number>
  stop(): Promise<void>
  cancel(): Promise<void>
  /** Resolves once the job runs at that parallelism. */
  rescale(parallelism: number): Promise<Rescaled>
}

/** `pid`: of this process. */
export function answerOfStatus(status: JobStatus, pid: number): Answer<'job'> {
  const { job, state, parallelism, run, lineage, restarts, progress, lastCheckpoint } = status
  return {
    job,
    pid,
    state,
    parallelism,
    run: run ?? null,
    lineage: lineage ?? null,
    restarts,
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
