import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { isMillraceError } from '../base/errors.ts'
import { onFailpoint } from '../base/failpoint.ts'
import {
  encodeLock,
  LOCK_SIZE_LIMIT,
  type LockRecord,
  type ProcessIdentity,
  readLockRecord,
} from '../snapshot/lock-record.ts'
import type { SnapshotStore } from '../store/contract.ts'
import { FaultyStore } from '../testing/faulty-store.ts'
import { localStorage } from '../store/local/index.ts'
import { memoryStorage } from '../store/memory/index.ts'
import { acquireLock, inspectLock, type JobLock, type LockClock, type LockOptions } from './lock.ts'

const START = 1_700_000_000_000

/** Time that passes only when somebody sleeps; `onSleep` plays the rest of the world meanwhile. */
class TestClock implements LockClock {
  time = START
  onSleep: () => Promise<void> = async () => undefined

  now(): number {
    return this.time
  }

  async sleep(ms: number): Promise<void> {
    this.time += ms
    await this.onSleep()
  }
}

const here = (pid: number): ProcessIdentity => ({
  pid,
  host: 'here',
  bootId: 'boot',
  pidNamespace: 'ns',
  processStart: `start-${pid}`,
})
const there = (pid: number): ProcessIdentity => ({ ...here(pid), host: 'there', bootId: 'other boot' })

interface World {
  readonly store: FaultyStore
  readonly clock: TestClock
  /** Pids that live on this host. */
  readonly alive: Set<number>
  readonly messages: string[]
  acquire(self: ProcessIdentity, options?: Partial<LockOptions>): Promise<JobLock>
}

function makeWorld(inner?: SnapshotStore): World {
  const clock = new TestClock()
  const store = new FaultyStore(inner ?? memoryStorage({ now: () => clock.time }).job('job'))
  const alive = new Set([1, 2, 3])
  const messages: string[] = []
  const options: LockOptions = {
    job: 'job',
    isAlive: owner => alive.has(owner.pid),
    onWait: message => messages.push(message),
  }
  return {
    store,
    clock,
    alive,
    messages,
    acquire: (self, more = {}) => acquireLock(store, self, clock, { ...options, ...more }),
  }
}

const isLocked = (error: unknown): boolean => isMillraceError(error, 'JOB_LOCKED')
const isFenced = (error: unknown): boolean => isMillraceError(error, 'FENCED')

async function localStore(context: TestContext): Promise<SnapshotStore> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-lock-'))
  context.after(() => rm(folder, { recursive: true, force: true }))
  return localStorage(folder).job('job')
}

test('the first owner has token 1, and its lock says who it is', async () => {
  const { store, acquire } = makeWorld()
  const lock = await acquire(here(1))
  assert.equal(lock.token, 1)
  const record = await readLockRecord(store, 1)
  assert.deepEqual(record, { ...here(1), token: 1, acquiredAtMs: START, leaseUntilMs: START + 15_000, released: false })
})

test('a second process is refused while the first lives, with pid, host, since when and what to do', async () => {
  const { clock, acquire, alive } = makeWorld()
  await acquire(here(1))
  clock.time += 60_000
  await assert.rejects(acquire(here(2)), error => {
    assert.ok(isMillraceError(error, 'JOB_LOCKED'))
    assert.match(error.message, /^'job' is run by process 1 on here, since 2023-11-14T22:13:20.000Z \(60 s ago\)$/)
    // What to do is the page of the error for who wants to run the job.
    assert.equal(error.hint, undefined)
    assert.equal(error.context['pid'], 1)
    return true
  })
  // Another run in the same process is no exception.
  await assert.rejects(acquire(here(1)), isLocked)
  assert.ok(alive.has(1))
})

test('invariant 7: a dead owner of this host is replaced at once, by the next token, and its file stays', async () => {
  const { store, clock, alive, acquire } = makeWorld()
  await acquire(here(1))
  alive.delete(1)
  const lock = await acquire(here(2))
  assert.equal(lock.token, 2)
  assert.equal(clock.time, START)
  assert.equal((await readLockRecord(store, 1)).pid, 1)
})

test('a released lock is free at once, from anywhere', async () => {
  const { clock, acquire } = makeWorld()
  const first = await acquire(there(9))
  await first.release()
  assert.equal((await acquire(here(1))).token, 2)
  assert.equal(clock.time, START)
})

test('a lock that could not be released is free for its own process, and for nobody else while that lives', async context => {
  const { clock } = makeWorld()
  const store = await localStore(context)
  const broken = new FaultyStore(store)
  const lock = await acquireLock(broken, here(1), clock, { job: 'job', isAlive: () => true })
  broken.failWrites('ENOSPC')
  await assert.rejects(lock.release())
  await assert.rejects(acquireLock(store, here(2), clock, { job: 'job', isAlive: () => true }), isLocked)
  assert.equal((await acquireLock(store, here(1), clock, { job: 'job', isAlive: () => true })).token, 2)
})

test('invariant 7: a pid of another host, boot or pid namespace is not trusted: its lease is waited for', async () => {
  for (const owner of [
    there(1),
    { ...here(1), bootId: 'x' },
    { ...here(1), pidNamespace: 'x' },
    { ...here(1), bootId: null, pidNamespace: null, processStart: null },
  ]) {
    const { clock, alive, messages, acquire } = makeWorld()
    await acquire(owner)
    alive.clear()
    const lock = await acquire(here(2))
    assert.equal(lock.token, 2)
    assert.equal(clock.time, START + 15_000)
    assert.equal(messages.length, 1)
    assert.match(messages[0], /process 1 on .*waiting 15 s/)
  }
})

test('a lease that has run out is not waited for', async () => {
  const { clock, acquire, messages } = makeWorld()
  await acquire(there(9))
  clock.time += 15_000
  assert.equal((await acquire(here(1))).token, 2)
  assert.deepEqual(messages, [])
})

test('an owner elsewhere that goes on renewing is alive', async () => {
  const { clock, acquire } = makeWorld()
  const other = await acquire(there(9))
  clock.onSleep = async () => {
    if (clock.time >= START + 5_000) await other.renew()
  }
  await assert.rejects(acquire(here(1)), isLocked)
  assert.equal(clock.time, START + 5_000)
})

test('an owner elsewhere that lets go while it is waited for is replaced then', async () => {
  const { clock, acquire } = makeWorld()
  const other = await acquire(there(9))
  clock.onSleep = async () => {
    if (clock.time >= START + 2_000) await other.release()
  }
  assert.equal((await acquire(here(1))).token, 2)
  assert.equal(clock.time, START + 2_000)
})

test('without waiting, a lease that runs is JOB_LOCKED', async () => {
  const { clock, acquire } = makeWorld()
  await acquire(there(9))
  await assert.rejects(acquire(here(1), { wait: false }), isLocked)
  assert.equal(clock.time, START)
})

test('a clock elsewhere that is ahead does not make anyone wait longer than a lease', async () => {
  const { store, clock, acquire } = makeWorld()
  const lock: LockRecord = { ...there(9), token: 4, acquiredAtMs: START, leaseUntilMs: START + 1e9, released: false }
  await store.publish('locks/lock-4', encodeLock(lock))
  assert.equal((await acquire(here(1))).token, 5)
  assert.equal(clock.time, START + 15_000)
})

describe('a lock file that cannot be trusted is judged by its age alone:', () => {
  const good: LockRecord = { ...here(3), token: 7, acquiredAtMs: START, leaseUntilMs: START + 15_000, released: true }
  const files: readonly (readonly [string, Uint8Array])[] = [
    ['damaged', encodeLock(good).with(50, 0)],
    ['cut', encodeLock(good).subarray(0, 40)],
    ['empty', new Uint8Array()],
    ['foreign', new TextEncoder().encode('{"pid": 3, "released": true}')],
    ['of another token', encodeLock({ ...good, token: 6 })],
    ['huge', new Uint8Array(LOCK_SIZE_LIMIT + 1)],
  ]
  for (const [what, bytes] of files) {
    test(what, async () => {
      const { store, clock, acquire, messages } = makeWorld()
      await store.publish('locks/lock-7', bytes)
      clock.time += 5_000
      assert.equal((await acquire(here(1))).token, 8)
      assert.equal(clock.time, START + 15_000)
      assert.match(messages[0], /cannot be read/)
      if (what === 'huge') assert.ok(!store.calls.includes('read locks/lock-7'))
    })
  }

  test('changed in the future', async () => {
    const { store, clock, acquire } = makeWorld()
    clock.time += 1e9
    await store.publish('locks/lock-7', new Uint8Array())
    clock.time -= 1e9
    assert.equal((await acquire(here(1))).token, 8)
    assert.equal(clock.time, START + 15_000)
  })
})

test('other files in the folder are left alone; a token beyond all counting is refused', async () => {
  const { store, acquire } = makeWorld()
  for (const name of ['lock-', 'lock-x', 'lock-007', 'notes.txt', 'lock-99999999999999999'])
    await store.publish(`locks/${name}`, new Uint8Array())
  const lock = await acquire(here(1))
  assert.equal(lock.token, 1)
  await lock.release()
  await store.publish(
    'locks/lock-999999999999999',
    encodeLock({ ...here(1), token: 999_999_999_999_999, acquiredAtMs: 0, leaseUntilMs: 0, released: true }),
  )
  await assert.rejects(acquire(here(1)), error => isMillraceError(error, 'STORAGE_INVALID'))
})

for (const [kind, make] of [
  ['memory', async () => undefined],
  ['local', localStore],
] as const) {
  test(`invariant 7: of many that want the job at once exactly one gets it (${kind})`, async context => {
    const { store, acquire, alive } = makeWorld(await make(context))
    const pids = Array.from({ length: 30 }, (_, i) => 100 + i)
    for (const pid of pids) alive.add(pid)
    for (const round of [1, 2, 3]) {
      const living = pids.filter(pid => alive.has(pid))
      const outcomes = await Promise.allSettled(living.map(pid => acquire(here(pid))))
      const winners = outcomes.flatMap(outcome => (outcome.status === 'fulfilled' ? [outcome.value] : []))
      assert.equal(winners.length, 1)
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') assert.ok(isLocked(outcome.reason), String(outcome.reason))
      assert.equal(winners[0].token, round)
      await winners[0].confirm()
      // The next round takes over from a dead owner, or a released lock.
      if (round === 1) alive.delete((await readLockRecord(store, round)).pid)
      else await winners[0].release()
    }
  })
}

test('invariant 7: a token that was free only because others swept meanwhile does not make an owner', async () => {
  const { store, acquire, alive } = makeWorld()
  const first = await acquire(here(1))
  await first.release()
  // Between looking and taking token 2, process 2 and then 3 own the job, and 3 sweeps what is below its own.
  const publish = store.publish.bind(store)
  store.publish = async (name, bytes) => {
    store.publish = publish
    await (await acquire(here(2))).release()
    await acquire(here(3))
    await store.remove('locks/lock-1')
    await store.remove('locks/lock-2')
    return publish(name, bytes)
  }
  alive.add(4)
  await assert.rejects(acquire(here(4)), isLocked)
})

test('invariant 7: a process that was replaced is fenced: it confirms, renews and publishes nothing', async () => {
  const { store, alive, acquire } = makeWorld()
  const old = await acquire(here(1))
  await old.confirm()
  alive.delete(1)
  const next = await acquire(here(2))
  const before = await store.read('locks/lock-1')
  for (const call of [() => old.confirm(), () => old.renew(), () => old.setControl('http://127.0.0.1:1')])
    await assert.rejects(call, isFenced)
  await old.release()
  assert.deepEqual(await store.read('locks/lock-1'), before)
  await next.confirm()
})

test('a lock whose file is gone is fenced too', async () => {
  const { store, acquire } = makeWorld()
  const lock = await acquire(here(1))
  await store.remove('locks/lock-1')
  await assert.rejects(lock.confirm(), isFenced)
  await assert.rejects(lock.renew(), isFenced)
  assert.deepEqual(await store.list('locks'), [])
})

test('renewing extends the lease and keeps the rest', async () => {
  const { store, clock, acquire } = makeWorld()
  const lock = await acquire(here(1))
  await lock.setControl('http://127.0.0.1:4711')
  clock.time += 5_000
  await lock.renew()
  assert.deepEqual(await readLockRecord(store, 1), {
    ...here(1),
    token: 1,
    acquiredAtMs: START,
    leaseUntilMs: START + 20_000,
    control: 'http://127.0.0.1:4711',
    released: false,
  })
})

test('changes of a lock land in the order of the calls, and nothing after the release', async () => {
  const { store, acquire } = makeWorld()
  const lock = await acquire(here(1))
  await Promise.all([
    lock.renew(),
    lock.setControl('a'),
    lock.renew(),
    lock.release(),
    lock.renew(),
    lock.setControl('b'),
  ])
  const record = await readLockRecord(store, 1)
  assert.equal(record.released, true)
  assert.equal(record.control, 'a')
})

test('a renewal that fails is reported and does not stop later ones', async () => {
  const { store, clock, acquire } = makeWorld()
  const lock = await acquire(here(1))
  store.failWrites('ENOSPC')
  await assert.rejects(lock.renew(), error => isMillraceError(error, 'STORE_FAILED'))
  await assert.rejects(lock.release(), error => isMillraceError(error, 'STORE_FAILED'))
  store.heal()
  clock.time += 1000
  await lock.renew()
  assert.equal((await readLockRecord(store, 1)).leaseUntilMs, START + 16_000)
})

test('who owns a job can be seen without taking it', async () => {
  const { store, clock, alive, acquire } = makeWorld()
  const look = async (self: ProcessIdentity): Promise<string | undefined> =>
    (await inspectLock(store, self, clock.time, { isAlive: owner => alive.has(owner.pid) }))?.state
  assert.equal(await look(here(2)), undefined)
  const lock = await acquire(here(1))
  assert.equal(await look(here(2)), 'live')
  assert.equal(await look(there(2)), 'lease')
  clock.time += 15_000
  assert.equal(await look(there(2)), 'free')
  alive.delete(1)
  assert.equal(await look(here(2)), 'free')
  alive.add(1)
  await lock.release()
  assert.equal(await look(here(2)), 'free')
})

test('the failpoints lie around the creation of a lock', async context => {
  const passed: string[] = []
  onFailpoint(name => void passed.push(name))
  context.after(() => onFailpoint(undefined))
  await makeWorld().acquire(here(1))
  assert.deepEqual(passed, ['lock.before-create', 'lock.after-create'])
})
