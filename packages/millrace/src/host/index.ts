/** Running jobs in this process. */
export type { JobEvent, JobOutcome, OnJobEvent } from './events.ts'
export type { JobStatus, Rescaled, Savepoint, SavepointOptions, StopOptions, Stopped } from './job-runner.ts'
export { start, startOptionsOf } from './run.ts'
export type { JobHandle, RunOptions, StartedJob, StartOptions } from './run.ts'
