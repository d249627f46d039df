/** `millrace jobs`: the jobs of a storage, what each is doing, and its newest snapshot. */
import { JobClient } from '../control/client.ts'
import type { Answer as ControlAnswer } from '../control/endpoints.ts'
import { inspectLock } from '../host/lock.ts'
import { currentProcess } from '../host/process-identity.ts'
import { listJobs, type JobListing } from '../snapshot/catalogue.ts'
import type { LockRecord } from '../snapshot/lock-record.ts'
import type { Storage } from '../store/contract.ts'
import type { Answer } from './answer.ts'
import { commandToken } from './config.ts'
import { snapshotAsJson } from './snapshots.ts'
import { openStorage, type StorageFlags } from './storage.ts'
import { formatTable } from './table.ts'
import { formatAge, formatBytes, formatCount } from './units.ts'

/**
 * `running`: by a live process. `leased`: by one that cannot be asked, whose lease lasts. `crashed`: the last run has no end.
 * `idle`: there are files, but no run that can be read.
 */
export type JobState = 'running' | 'leased' | 'finished' | 'stopped' | 'cancelled' | 'failed' | 'crashed' | 'idle'

interface JobFacts extends JobListing {
  readonly state: JobState
  readonly owner: JobOwner | undefined
  /** What the running job says of itself; undefined when it does not answer at once, or not to us. */
  readonly live: LiveFacts | undefined
}

type LiveFacts = Pick<
  ControlAnswer<'job'>,
  | 'state'
  | 'parallelism'
  | 'stateBackend'
  | 'recordsPerSecond'
  | 'startedAtMs'
  | 'restarts'
  | 'restorableAtMs'
  | 'restoring'
>

/** A list waits no longer for a job that hangs. */
const ANSWER_TIMEOUT_MS = 500

interface JobOwner {
  readonly pid: number
  readonly host: string
  readonly sinceMs: number
  /** Address of the control API, on that host. */
  readonly control: string | null
}

export async function jobs(flags: StorageFlags): Promise<Answer> {
  const storage = await openStorage(flags)
  const nowMs = Date.now()
  const listings = await listJobs(storage)
  const found = await Promise.all(listings.map(listing => factsOf(storage, listing, nowMs)))
  return {
    json: { storage: storage.location, jobs: found.map(asJson) },
    text:
      found.length === 0
        ? ''
        : formatTable(
            COLUMNS,
            found.map(facts => rowOf(facts, nowMs)),
          ),
    notes: found.length === 0 ? [`no jobs in ${storage.location}`] : [],
  }
}

async function factsOf(storage: Storage, listing: JobListing, nowMs: number): Promise<JobFacts> {
  const lock = await inspectLock(storage.job(listing.job), currentProcess(), nowMs)
  const owned = lock !== undefined && lock.state !== 'free'
  const record = owned ? lock.record : undefined
  const state = owned ? (lock.state === 'live' ? 'running' : 'leased') : endedState(listing)
  const live = state === 'running' ? await liveFacts(storage, listing.job) : undefined
  return { ...listing, state, owner: record && ownerOf(record), live }
}

async function liveFacts(storage: Storage, job: string): Promise<LiveFacts | undefined> {
  try {
    const options = { timeoutMs: ANSWER_TIMEOUT_MS, patienceMs: 0, token: await commandToken() }
    return await new JobClient(job, storage.job(job), options).status()
  } catch {
    return undefined
  }
}

function ownerOf({ pid, host, acquiredAtMs, control }: LockRecord): JobOwner {
  return { pid, host, sinceMs: acquiredAtMs, control: control ?? null }
}

function endedState({ lastRun }: JobListing): JobState {
  return lastRun === undefined ? 'idle' : (lastRun.end ?? 'crashed')
}

const COLUMNS = [
  { title: 'JOB' },
  { title: 'STATE' },
  { title: 'UPTIME', right: true },
  { title: 'RECORDS/S', right: true },
  { title: 'SNAPSHOTS', right: true },
  { title: 'LATEST' },
  { title: 'AGE', right: true },
  { title: 'SIZE', right: true },
  { title: 'PROCESS' },
]

function rowOf({ job, state, snapshotCount, latest, owner, live }: JobFacts, nowMs: number): string[] {
  const details = latest?.details
  return [
    job,
    state,
    live === undefined ? '' : formatAge(live.startedAtMs, nowMs),
    live === undefined ? '' : formatCount(live.recordsPerSecond),
    formatCount(snapshotCount),
    latest?.name ?? '-',
    details === undefined ? '-' : formatAge(details.createdAtMs, nowMs),
    details === undefined ? '-' : formatBytes(details.totalBytes),
    owner === undefined ? '' : `${owner.pid} on ${owner.host}`,
  ]
}

function asJson({ job, state, snapshotCount, latest, lastRun, owner, live }: JobFacts): object {
  const { run, lineage, startedAtMs, end, endedAtMs } = lastRun ?? {}
  return {
    job,
    state,
    snapshots: snapshotCount,
    latest: latest === undefined ? null : snapshotAsJson(latest),
    lastRun:
      lastRun === undefined ? null : { run, lineage, startedAtMs, end: end ?? null, endedAtMs: endedAtMs ?? null },
    owner: owner ?? null,
    live: live === undefined ? null : liveAsJson(live),
  }
}

function liveAsJson({
  state,
  parallelism,
  stateBackend,
  recordsPerSecond,
  startedAtMs,
  restarts,
  restorableAtMs,
  restoring,
}: LiveFacts): LiveFacts {
  return { state, parallelism, stateBackend, recordsPerSecond, startedAtMs, restarts, restorableAtMs, restoring }
}
