/** What two jobs wrote with their file sinks, compared from where their pasts part. */
import { diffOutputs, type OutputOwner, type SinkDiff } from '../connectors/files/index.ts'
import { ancestry, type Ancestry } from '../snapshot/lineage.ts'
import { readRuns } from '../snapshot/run-record.ts'
import type { Storage } from '../store/contract.ts'

export interface OutputsOptions {
  readonly storage: Storage
  readonly jobs: readonly [string, string]
  /** Where their sinks write. */
  readonly dirs: readonly string[]
  readonly hasHeader: boolean
}

/** @throws SOURCE_FAILED, STORE_FAILED */
export async function diffJobOutputs({ storage, jobs, dirs, hasHeader }: OutputsOptions): Promise<SinkDiff[]> {
  const [a, b] = jobs
  const [pastOfA, pastOfB] = await Promise.all(jobs.map(job => pastOf(storage, job)))
  // What the one wrote and the other has in its past was written before the fork.
  const owner = (job: string, other: Ancestry): OutputOwner => ({
    job,
    isShared: (runId, checkpoint) => other.includesOutput(runId, checkpoint),
  })
  return diffOutputs({ dirs, owners: [owner(a, pastOfB), owner(b, pastOfA)], hasHeader })
}

async function pastOf(storage: Storage, job: string): Promise<Ancestry> {
  const runs = await readRuns(storage.job(job), job)
  return ancestry(runs, runs.at(-1)?.run ?? 0)
}
