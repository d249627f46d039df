/**
 * The job's lock (invariant 7): who may write into a job's folder.
 *
 * - Every owner has a token: the number in `locks/lock-<token>`. The highest token is the owner; there is always at most one.
 * - A token is taken by creating the file of the highest one plus 1, which exactly one process can. Nothing is unlinked to take over;
 *   the loser of a race sees a higher token and is judged against its owner.
 * - An owner is replaced when it released its lock; when it is dead, which only a process of the same kernel and pid namespace can
 *   know; else when its lease has run out. It renews the lease while it lives.
 * - An owner that was replaced without knowing (suspended, cut off) is fenced: it asks `confirm` before whatever cannot be taken back.
 *
 *     free -> created by highest + 1 -> held (renew…) -> released
 *                                        held -> fenced, by a higher token
 */
import { MillraceError } from '../base/errors.ts'
import { failpoint } from '../base/failpoint.ts'
import {
  encodeLock,
  LOCK_SIZE_LIMIT,
  type LockRecord,
  type ProcessIdentity,
  readLockRecord,
} from '../snapshot/lock-record.ts'
import { isDamage } from '../snapshot/manifest-folder.ts'
import { LARGEST_NUMBER, lockName, LOCKS, parseLockName } from '../snapshot/object-names.ts'
import type { SnapshotStore, StoredObject } from '../store/contract.ts'
import { isProcessAlive, sharePids } from './process-identity.ts'

/** Renewed every 5 s, so that two lost renewals do not cost the job. */
export const LEASE_MS = 15_000
export const RENEW_EVERY_MS = 5_000
const LOOK_EVERY_MS = 500

export interface LockClock {
  /** Epoch milliseconds. */
  now(): number
  sleep(ms: number): Promise<void>
}

export interface LockOptions {
  /** For messages. */
  readonly job: string
  readonly leaseMs?: number
  /** Wait for the lease of an owner that cannot be asked whether it lives; else that is JOB_LOCKED at once. Default true. */
  readonly wait?: boolean
  /** Called once, with a sentence, when the wait begins. */
  readonly onWait?: (message: string) => void
  /** Whether a process that shares pids with this one lives. For tests. */
  readonly isAlive?: (owner: ProcessIdentity) => boolean
}

export interface JobLock {
  readonly token: number
  /** Every RENEW_EVERY_MS while the lock is held. @throws FENCED, STORE_FAILED */
  renew(): Promise<void>
  /** Before what cannot be taken back. @throws FENCED when a higher token exists, or the lock is gone */
  confirm(): Promise<void>
  /** Publish the address of the control API. @throws FENCED, STORE_FAILED */
  setControl(address: string): Promise<void>
  /** The job is free at once; for this process even when that could not be written. Nothing happens when it is fenced or released already. @throws STORE_FAILED */
  release(): Promise<void>
}

/** The owner of a job as others see it. */
export interface LockView {
  readonly token: number
  /** Undefined: the file cannot be read. */
  readonly record: LockRecord | undefined
  /** `live`: it owns the job; `free`: the next one may take over at once; `lease`: it may live until `untilMs`. */
  readonly state: 'live' | 'free' | 'lease'
  readonly untilMs: number
}

/**
 * Become the owner of the job.
 * @throws JOB_LOCKED while another process lives (or, for one that cannot be asked, goes on renewing its lease)
 */
export async function acquireLock(
  store: SnapshotStore,
  self: ProcessIdentity,
  clock: LockClock,
  options: LockOptions,
): Promise<JobLock> {
  const { job, leaseMs = LEASE_MS, wait = true, onWait = () => undefined } = options
  let waiting: { readonly token: number; readonly leaseUntilMs: number; readonly endMs: number } | undefined
  for (;;) {
    const now = clock.now()
    const owner = await inspectLock(store, self, now, options)
    if (owner === undefined || owner.state === 'free') {
      const lock = await takeToken(store, self, now, (owner?.token ?? 0) + 1, options)
      if (lock === undefined) continue
      return new HeldLock(store, clock, lock, leaseMs)
    }
    if (owner.state === 'live' || !wait) throw jobLocked(options, owner, now)
    if (waiting?.token !== owner.token) {
      // A clock of another host that is ahead must not make this one wait longer than any lease lasts.
      waiting = { token: owner.token, leaseUntilMs: owner.untilMs, endMs: Math.min(owner.untilMs, now + leaseMs) }
      onWait(
        `'${job}' was last run by ${described(owner)}; waiting ${Math.ceil((waiting.endMs - now) / 1000)} s for its lease to run out`,
      )
    } else if (owner.untilMs > waiting.leaseUntilMs) {
      throw jobLocked(options, owner, now)
    } else if (now >= waiting.endMs) {
      const lock = await takeToken(store, self, now, owner.token + 1, options)
      if (lock !== undefined) return new HeldLock(store, clock, lock, leaseMs)
      continue
    }
    await clock.sleep(Math.max(1, Math.min(LOOK_EVERY_MS, waiting.endMs - now)))
  }
}

/** Who owns the job; undefined when nobody ever did. Takes nothing. */
export async function inspectLock(
  store: SnapshotStore,
  self: ProcessIdentity,
  nowMs: number,
  options: Pick<LockOptions, 'leaseMs' | 'isAlive'> = {},
): Promise<LockView | undefined> {
  const { leaseMs = LEASE_MS, isAlive = isProcessAlive } = options
  const highest = await highestLock(store)
  if (highest === undefined) return undefined
  const { token, object } = highest
  const record = await readTrusted(store, token, object)
  if (record === undefined) {
    const untilMs = object.modifiedAtMs + leaseMs
    return { token, record, state: nowMs < untilMs ? 'lease' : 'free', untilMs }
  }
  const untilMs = record.leaseUntilMs
  if (record.released) return { token, record, state: 'free', untilMs }
  if (sharePids(record, self)) {
    const state = isAlive(record) && !isGivenUp(store, record, self) ? 'live' : 'free'
    return { token, record, state, untilMs }
  }
  return { token, record, state: nowMs < untilMs ? 'lease' : 'free', untilMs }
}

/**
 * Locks that this process holds, by place and token, with how many: stores in memory may share a name. A lock that was let go while
 * the storage could not be written still says in its file that it is held; its process knows better.
 */
const held = new Map<string, number>()

function heldKey(store: SnapshotStore, token: number): string {
  return `${token} ${store.location}`
}

function isGivenUp(store: SnapshotStore, record: LockRecord, self: ProcessIdentity): boolean {
  const isOwn = record.pid === self.pid && record.processStart === self.processStart
  return isOwn && !held.has(heldKey(store, record.token))
}

interface HighestLock {
  readonly token: number
  readonly object: StoredObject
}

async function highestLock(store: SnapshotStore): Promise<HighestLock | undefined> {
  let highest: HighestLock | undefined
  for (const object of await store.list(LOCKS)) {
    const token = parseLockName(object.name)
    if (token !== undefined && token > (highest?.token ?? 0)) highest = { token, object }
  }
  return highest
}

/** What is in the file, if it is a lock. A file that is damaged, huge or foreign is undefined: nothing in it is believed. */
async function readTrusted(
  store: SnapshotStore,
  token: number,
  { sizeBytes }: StoredObject,
): Promise<LockRecord | undefined> {
  if (sizeBytes > LOCK_SIZE_LIMIT) return undefined
  try {
    return await readLockRecord(store, token)
  } catch (error) {
    if (isDamage(error)) return undefined
    throw error
  }
}

/** Create the lock of this token. Undefined: somebody else was first. */
async function takeToken(
  store: SnapshotStore,
  self: ProcessIdentity,
  nowMs: number,
  token: number,
  { job, leaseMs = LEASE_MS }: LockOptions,
): Promise<LockRecord | undefined> {
  if (token > LARGEST_NUMBER) {
    throw new MillraceError(
      'STORAGE_INVALID',
      `${store.location}/${LOCKS} holds the lock ${token - 1}, which no run of '${job}' made; remove it`,
    )
  }
  const record: LockRecord = { ...self, token, acquiredAtMs: nowMs, leaseUntilMs: nowMs + leaseMs, released: false }
  failpoint('lock.before-create')
  const outcome = await store.publish(lockName(token), encodeLock(record))
  failpoint('lock.after-create')
  if (outcome === 'exists') return undefined
  // The token was free, but not the highest, when others came, went and swept the files in between since this process looked.
  const highest = await highestLock(store)
  return highest?.token === token ? record : undefined
}

class HeldLock implements JobLock {
  readonly #store: SnapshotStore
  readonly #clock: LockClock
  readonly #leaseMs: number
  #record: LockRecord
  #isLetGo = false
  /** Writes of the file, one after the other: an older content must not land last. */
  #writes: Promise<void> = Promise.resolve()

  constructor(store: SnapshotStore, clock: LockClock, record: LockRecord, leaseMs: number) {
    this.#store = store
    this.#clock = clock
    this.#record = record
    this.#leaseMs = leaseMs
    held.set(this.#key, (held.get(this.#key) ?? 0) + 1)
  }

  get #key(): string {
    return heldKey(this.#store, this.token)
  }

  get token(): number {
    return this.#record.token
  }

  async confirm(): Promise<void> {
    const highest = await highestLock(this.#store)
    if (highest?.token === this.token) return
    const found = highest === undefined ? 'its lock file is gone' : `the lock ${highest.token} exists`
    const message = `${this.#store.location}: this process holds the lock ${this.token}, but ${found}; it stops without committing anything more`
    throw new MillraceError('FENCED', message, { context: { token: this.token, highest: highest?.token } })
  }

  renew(): Promise<void> {
    return this.#update(record => record)
  }

  setControl(address: string): Promise<void> {
    return this.#update(record => ({ ...record, control: address }))
  }

  async release(): Promise<void> {
    try {
      await this.#update(record => ({ ...record, released: true }))
    } catch (error) {
      if (!(error instanceof MillraceError && error.code === 'FENCED')) throw error
    } finally {
      this.#letGo()
    }
  }

  /** Once. */
  #letGo(): void {
    if (this.#isLetGo) return
    this.#isLetGo = true
    const count = held.get(this.#key)! - 1
    if (count === 0) held.delete(this.#key)
    else held.set(this.#key, count)
  }

  /** Write the record with a fresh lease, after earlier writes. A timer that fires after the release changes nothing. */
  #update(change: (record: LockRecord) => LockRecord): Promise<void> {
    const write = async (): Promise<void> => {
      if (this.#record.released) return
      await this.confirm()
      const record = { ...change(this.#record), leaseUntilMs: this.#clock.now() + this.#leaseMs }
      await this.#store.replace(lockName(this.token), encodeLock(record))
      this.#record = record
    }
    const done = this.#writes.then(write)
    this.#writes = done.catch(() => undefined)
    return done
  }
}

/** Who does not wait does not want to run the job, so the advice of the error's page is not for them. */
function jobLocked({ job, wait = true }: LockOptions, owner: LockView, nowMs: number): MillraceError {
  const { record, token } = owner
  const message = `'${job}' is run by ${described(owner)}, since ${agoOf(record, nowMs)}`
  return new MillraceError('JOB_LOCKED', message, {
    context: { job, token, pid: record?.pid, host: record?.host, control: record?.control },
    ...(!wait && { hint: 'Stop that process first.' }),
  })
}

function described({ record }: LockView): string {
  return record === undefined ? 'a process whose lock cannot be read' : `process ${record.pid} on ${record.host}`
}

function agoOf(record: LockRecord | undefined, nowMs: number): string {
  if (record === undefined) return 'an unknown time'
  const seconds = Math.max(0, Math.round((nowMs - record.acquiredAtMs) / 1000))
  return `${new Date(record.acquiredAtMs).toISOString()} (${seconds} s ago)`
}
