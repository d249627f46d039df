/**
 * `millrace delete SNAPSHOT`: one snapshot by its name, and the segments that no other one names. It takes the job's lock, so that a
 * running job cannot lose what it stands on, and neither can anything be deleted by two at once.
 */
import { MillraceError } from '../base/errors.ts'
import { acquireLock, type JobLock } from '../host/lock.ts'
import { currentProcess } from '../host/process-identity.ts'
import { lockClockOf, systemWorld } from '../host/world.ts'
import { listSnapshots, type SnapshotListing } from '../snapshot/catalogue.ts'
import type { SnapshotPlace } from '../reading/index.ts'
import { ManifestFolder } from '../snapshot/manifest-folder.ts'
import { formatSnapshotId, parseSnapshotRef, snapshotNotFound } from '../snapshot/snapshot-id.ts'
import { sweep, type SweepReport } from '../snapshot/sweep.ts'
import type { Answer } from './answer.ts'
import { confirm } from './confirm.ts'
import { locateSnapshot, type StorageFlags } from './storage.ts'
import { formatAge, formatBytes, formatNumberOf } from './units.ts'

export interface DeleteFlags extends StorageFlags {
  readonly yes?: boolean
}

export async function deleteSnapshot(text: string, flags: DeleteFlags): Promise<Answer> {
  if (parseSnapshotRef(text).kind !== 'id') {
    throw new MillraceError(
      'USAGE',
      `'${text}' is not the name of one snapshot; what is deleted is named in full, such as JOB/chk-42`,
    )
  }
  const place = await locateSnapshot(flags, text)
  const { store, job } = place
  const asked = await choose(place)
  const name = `${job}/${asked.victim.name}`
  if (flags.yes !== true && !(await confirm(questionOf(name, asked), `deleting ${name}`))) {
    return { json: { deleted: null }, text: '', notes: ['nothing was deleted'] }
  }
  const lock = await acquireLock(store, currentProcess(), lockClockOf(systemWorld), { job, wait: false })
  try {
    // A run may have come and gone since.
    const { victim, isNext } = await choose(place)
    await lock.confirm()
    await store.remove(victim.file)
    return answerOf(name, await sweepUnnamed(place, lock), isNext)
  } finally {
    await lock.release()
  }
}

interface Choice {
  readonly victim: SnapshotListing
  /** A plain run would start from it. */
  readonly isNext: boolean
}

/** Also one that cannot be read, since that is what deleting it is for. */
async function choose({ store, job, ref }: SnapshotPlace): Promise<Choice> {
  const { snapshot } = ref as Extract<typeof ref, { kind: 'id' }>
  const all = await listSnapshots(store, job)
  const victim = all.find(({ kind, id }) => kind === snapshot.kind && id === snapshot.id)
  if (victim === undefined) {
    const have = all.map(({ name }) => name)
    throw snapshotNotFound(job, formatSnapshotId(snapshot.kind, snapshot.id), have)
  }
  return { victim, isNext: victim === all.find(({ details }) => details?.standing === 'current') }
}

function questionOf(name: string, { victim: { details }, isNext }: Choice): string {
  const what =
    details === undefined
      ? 'cannot be read'
      : `${formatAge(details.createdAtMs, Date.now())} old, ${formatBytes(details.totalBytes)}`
  return `Delete ${name} (${what})?${isNext ? ' The next run would start from it.' : ''}`
}

async function sweepUnnamed({ store, job }: SnapshotPlace, lock: JobLock): Promise<SweepReport> {
  return sweep(store, {
    token: lock.token,
    confirm: () => lock.confirm(),
    folder: new ManifestFolder(store, job),
    decide: snapshots => snapshots.map(() => ({ keep: true })),
    liveSegments: new Set(),
  })
}

function answerOf(name: string, { removedSegments, freedBytes, stopped }: SweepReport, isNext: boolean): Answer {
  const notes = [
    ...(isNext
      ? ['it was the newest snapshot: the next run goes on from an older one, or is refused if there is none']
      : []),
    ...(stopped === undefined
      ? []
      : [`its segments stay, since ${stopped.file} cannot be read: ${stopped.error.message}`]),
  ]
  return {
    json: {
      deleted: name,
      removedSegments,
      freedBytes,
      stopped: stopped === undefined ? null : { file: stopped.file, message: stopped.error.message },
    },
    text: `deleted ${name} and ${formatNumberOf(removedSegments.length, 'segment')} (${formatBytes(freedBytes)})\n`,
    notes,
  }
}
