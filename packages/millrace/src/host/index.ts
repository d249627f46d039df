/** Running jobs in this process. */
export type { JobEvent, JobOutcome, OnJobEvent } from './events.ts'
export type { JobStatus } from './job-runner.ts'
export { run, start } from './run.ts'
export type { JobHandle, RunOptions, StartOptions } from './run.ts'
