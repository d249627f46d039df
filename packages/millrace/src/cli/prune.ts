/**
 * `millrace prune JOB`: clears up in the folder of a job that is not running. What goes is what its next run would clear up as well, and
 * with --retain also checkpoints beyond the newest N. Savepoints stay: each is deleted by its name.
 */
import { acquireLock } from '../host/lock.ts'
import { currentProcess } from '../host/process-identity.ts'
import { lockClockOf, systemWorld } from '../host/world.ts'
import { MillraceError } from '../base/errors.ts'
import { previousLineage, recordsByRun } from '../snapshot/lineage.ts'
import { ManifestFolder, type SnapshotFacts } from '../snapshot/manifest-folder.ts'
import { LARGEST_NUMBER } from '../snapshot/object-names.ts'
import { decideRetention, type RetentionReason, type RetentionVerdict } from '../snapshot/retention.ts'
import { readRuns } from '../snapshot/run-record.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import { planSweep, sweep, type SweepPlan } from '../snapshot/sweep.ts'
import type { SnapshotStore } from '../store/contract.ts'
import type { Answer } from './answer.ts'
import { confirm } from './confirm.ts'
import { findJob, openStorage, type StorageFlags } from './storage.ts'
import { formatTable } from './table.ts'
import { formatBytes, formatNumberOf } from './units.ts'

export interface PruneFlags extends StorageFlags {
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly retain?: string
}

export async function prune(jobOrFile: string, flags: PruneFlags): Promise<Answer> {
  const last = retainOf(flags)
  const storage = await openStorage(flags)
  const job = await findJob(storage, jobOrFile)
  const store = storage.job(job)
  const planned = await planOf(store, job, last)
  if (planned.stopped !== undefined) throw planned.stopped.error
  const isNothing = planned.manifests.length + planned.segments.length + planned.temporaries.length === 0
  if (flags.dryRun === true) return answerOf(job, planned, false)
  const question = `Delete ${countsOf(planned)} of ${job}?`
  if (!isNothing && flags.yes !== true && !(await confirm(question, `clearing up '${job}'`))) {
    return { json: { job, removed: false }, text: '', notes: ['nothing was deleted'] }
  }
  const lock = await acquireLock(store, currentProcess(), lockClockOf(systemWorld), { job, wait: false })
  try {
    // A run may have come and gone since.
    const now = await planOf(store, job, last)
    const { stopped } = await sweep(store, {
      ...now.options,
      token: lock.token,
      confirm: () => lock.confirm(),
    })
    if (stopped !== undefined) throw stopped.error
    return answerOf(job, now, true)
  } finally {
    await lock.release()
  }
}

function retainOf({ retain }: PruneFlags): number {
  if (retain === undefined) return Infinity
  const last = Number(retain)
  if (Number.isSafeInteger(last) && last >= 1) return last
  throw new MillraceError('USAGE', `--retain is '${retain}'; it must be a whole number from 1 up`)
}

interface Planned extends SweepPlan {
  /** By the name of the snapshot. */
  readonly reasons: ReadonlyMap<string, RetentionReason>
  readonly options: Pick<Parameters<typeof planSweep>[1], 'folder' | 'decide' | 'liveSegments' | 'leftovers'>
}

async function planOf(store: SnapshotStore, job: string, last: number): Promise<Planned> {
  const runs = await readRuns(store, job)
  const reasons = new Map<string, RetentionReason>()
  const retain = { last, hourly: 0, daily: 0 }
  // How many periodic savepoints stay is said where the job runs; savepoints go by name alone.
  const newest = [...recordsByRun(runs).values()].at(-1)
  const previous = newest && previousLineage(runs, newest.lineage)
  const policy = { retain, keepSavepoints: Infinity, previousLineage: previous, pinned: [] }
  const decide = (snapshots: readonly SnapshotFacts[]): RetentionVerdict[] => {
    const verdicts = decideRetention(snapshots, runs, policy)
    snapshots.forEach(({ kind, id }, i) => reasons.set(formatSnapshotId(kind, id), verdicts[i].reason))
    return verdicts
  }
  const options = {
    folder: new ManifestFolder(store, job),
    decide,
    liveSegments: new Set<string>(),
    leftovers: { runs },
  }
  return { ...(await planSweep(store, { ...options, token: LARGEST_NUMBER })), reasons, options }
}

const REASONS: { readonly [Reason in RetentionReason]?: string } = {
  stray: 'left by a process that had been replaced',
  'not retained': 'its run ended without retaining it',
  subsumed: 'beyond the newest that are retained',
}

function answerOf(job: string, { manifests, segments, temporaries, reasons }: Planned, removed: boolean): Answer {
  const sizeOf = (sizes: readonly number[]): number => sizes.reduce((sum, size) => sum + size, 0)
  const totalBytes = sizeOf([
    ...manifests.map(({ manifestSizeBytes }) => manifestSizeBytes),
    ...[...segments, ...temporaries].map(({ sizeBytes }) => sizeBytes),
  ])
  const snapshots = manifests.map(({ kind, id, manifestSizeBytes }) => {
    const file = formatSnapshotId(kind, id)
    const reason = reasons.get(file)!
    return { file, reason: REASONS[reason] ?? reason, sizeBytes: manifestSizeBytes }
  })
  const unnamed = segments.map(({ name, sizeBytes }) => {
    return { file: `segments/${name}`, reason: 'no snapshot that stays needs it', sizeBytes }
  })
  const unfinished = temporaries.map(each => ({ ...each, reason: 'a temporary file of an unfinished write' }))
  const items = [...snapshots, ...unnamed, ...unfinished]
  const verb = removed ? 'deleted' : 'would delete'
  return {
    json: { job, removed, items, totalBytes },
    text:
      items.length === 0
        ? `${job}: nothing to clear up\n`
        : `${formatTable(
            COLUMNS,
            items.map(({ file, reason, sizeBytes }) => [file, formatBytes(sizeBytes), reason]),
          )}\n${verb} ${countsOf({ manifests, segments, temporaries })} (${formatBytes(totalBytes)})\n`,
  }
}

const COLUMNS = [{ title: 'FILE' }, { title: 'SIZE', right: true }, { title: 'WHY' }]

function countsOf({
  manifests,
  segments,
  temporaries,
}: Pick<SweepPlan, 'manifests' | 'segments' | 'temporaries'>): string {
  const counts = [formatNumberOf(manifests.length, 'snapshot'), formatNumberOf(segments.length, 'segment')]
  return temporaries.length === 0
    ? counts.join(' and ')
    : `${counts.join(', ')} and ${formatNumberOf(temporaries.length, 'temporary file')}`
}
