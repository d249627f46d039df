/**
 * `millrace fork SNAPSHOT --as NAME`: a second job that starts from the state of a first one, whose files it never touches. It has a
 * folder of its own with that snapshot in it and the record that it starts from there; `run JOB.ts --as NAME` then is a plain start.
 * The first job may go on running.
 */
import { assertJobName } from '../api/index.ts'
import { SegmentNumbers } from '../checkpoint/segment-numbers.ts'
import { isMillraceError, MillraceError } from '../base/errors.ts'
import { acquireLock } from '../host/lock.ts'
import { currentProcess } from '../host/process-identity.ts'
import { readSnapshotFile, snapshotAtPath } from '../host/snapshot-path.ts'
import { VERSION } from '../host/version.ts'
import { lockClockOf, systemWorld } from '../host/world.ts'
import { adopt, type Adoption, type AdoptionSource } from '../snapshot/adopt.ts'
import { findSnapshot } from '../snapshot/catalogue.ts'
import { ManifestFolder } from '../snapshot/manifest-folder.ts'
import { verifyOutlines } from '../snapshot/recover.ts'
import { readRuns } from '../snapshot/run-record.ts'
import { formatSnapshotId, isSnapshotName } from '../snapshot/snapshot-id.ts'
import type { SnapshotStore } from '../store/contract.ts'
import type { Answer } from './answer.ts'
import { locateSnapshot, openStorage, type StorageFlags } from './storage.ts'
import { oneLine } from './table.ts'
import { formatBytes, formatNumberOf } from './units.ts'

export interface ForkFlags extends StorageFlags {
  readonly as?: string
}

export async function fork(text: string, flags: ForkFlags): Promise<Answer> {
  const { as: job } = flags
  if (job === undefined) {
    throw new MillraceError('USAGE', `the fork of ${text} needs a name`, {
      hint: `Say millrace fork ${text} --as NAME.`,
    })
  }
  assertJobName(job)
  const find = await sourceOf(text, flags)
  const store = (await openStorage(flags)).job(job)
  // Before a lock is taken, so that a folder that is refused stays as it was. What is missing may have been dropped by a running job
  // since it was listed: taking it over looks again.
  await assertFree(store, job)
  await find().catch((error: unknown) => {
    if (!isMillraceError(error, 'OBJECT_MISSING')) throw error
  })
  const lock = await acquireLock(store, currentProcess(), lockClockOf(systemWorld), { job, wait: false })
  try {
    await assertFree(store, job)
    const segments = new SegmentNumbers()
    const adoption = await adopt(find, {
      store,
      job,
      token: lock.token,
      takeSegmentName: () => segments.takeName(lock.token),
      confirm: () => lock.confirm(),
      newRunId: systemWorld.runId(),
      nowMs: systemWorld.now(),
      millrace: VERSION,
    })
    return answerOf(job, adoption)
  } finally {
    await lock.release()
  }
}

/** The snapshot, whole as far as the outlines of its segments tell. @throws SNAPSHOT_NOT_FOUND, JOB_NOT_FOUND; when found, OBJECT_MISSING, SNAPSHOT_DAMAGED */
async function sourceOf(text: string, flags: StorageFlags): Promise<() => Promise<AdoptionSource>> {
  const find = await finderOf(text, flags)
  return async () => {
    const source = await find()
    await verifyOutlines(source.store, source.manifest)
    return source
  }
}

async function finderOf(text: string, flags: StorageFlags): Promise<() => Promise<AdoptionSource>> {
  if (!isSnapshotName(text)) {
    const found = await snapshotAtPath(text)
    return () => readSnapshotFile(found)
  }
  const { store, job, ref } = await locateSnapshot(flags, text)
  return async () => ({ store, manifest: await findSnapshot(store, job, ref) })
}

/** What a fork has left that died before it was done is in nobody's way. @throws JOB_EXISTS */
async function assertFree(store: SnapshotStore, job: string): Promise<void> {
  const runs = await readRuns(store, job)
  const { manifests, unknown } = await new ManifestFolder(store, job).read()
  const isLeftover = manifests.every(({ facts }) => !isMillraceError(facts) && facts.forkedFrom !== undefined)
  if (runs.length === 0 && unknown.length === 0 && isLeftover) return
  throw new MillraceError('JOB_EXISTS', `there is a job '${job}' already, in ${store.location}`, {
    context: { job, folder: store.location },
  })
}

function answerOf(job: string, { from, snapshot, segmentCount, sizeBytes }: Adoption): Answer {
  const origin = `${oneLine(from.job)}/${formatSnapshotId(from.kind, from.id)}`
  const name = `${job}/${formatSnapshotId(snapshot.kind, snapshot.id)}`
  const segments = formatNumberOf(segmentCount, 'segment')
  return {
    json: { job, snapshot: name, forkedFrom: origin, segments: segmentCount, totalBytes: sizeBytes },
    text: `forked ${origin} as ${name} (${segments}, ${formatBytes(sizeBytes)})\n`,
    notes: [`run it with millrace run JOB.ts --as ${job}`],
  }
}
