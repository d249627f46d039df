/** Running jobs in this process. */
export type { JobEvent, JobOutcome, OnJobEvent } from './events.ts'
export type { Rescaled, Savepoint, SavepointOptions, StopOptions, Stopped } from './job-requests.ts'
export type { JobStatus } from './job-status.ts'
export { start, startOptionsOf } from './run.ts'
export type { JobHandle, RunOptions, StartedJob, StartOptions } from './run.ts'
