/** A start from a snapshot of another folder: another job's, or one that was written to be moved. */
import { dirname, join } from 'node:path'
import { adopt, withoutForeignOutput, type AdoptionSource } from '../snapshot/adopt.ts'
import { verifySnapshot } from '../snapshot/recover.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import { planOf } from './attempt.ts'
import type { JobRecords } from './job-records.ts'
import type { RunnerOptions } from './job-runner.ts'
import { VERSION } from './version.ts'

/**
 * A snapshot of another folder becomes this job's newest, from which it then starts. What the job cannot go on from is refused first, so
 * that nothing has changed for its next start.
 */
export async function takeOver(
  find: () => Promise<AdoptionSource>,
  options: RunnerOptions,
  { lock, segments }: JobRecords,
): Promise<void> {
  const { job, store, world, onEvent } = options
  let folder = ''
  const findFitting = async (): Promise<AdoptionSource> => {
    const source = await find()
    folder = source.store.location
    planOf(options, withoutForeignOutput(source.manifest, job))
    await verifySnapshot(source.store, source.manifest)
    return source
  }
  const { from, snapshot } = await adopt(findFitting, {
    store,
    job,
    token: lock.token,
    takeSegmentName: () => segments.takeName(lock.token),
    confirm: () => lock.confirm(),
    newRunId: world.runId(),
    nowMs: world.now(),
    millrace: VERSION,
  })
  const name = `${from.job}/${formatSnapshotId(from.kind, from.id)}`
  // A name says where it lies only in the own storage.
  const isBeside = folder === join(dirname(store.location), from.job)
  const message = `took over ${name}${isBeside ? '' : ` of ${folder}`} as ${formatSnapshotId(snapshot.kind, snapshot.id)}`
  onEvent({ type: 'log', level: 'info', message })
}
