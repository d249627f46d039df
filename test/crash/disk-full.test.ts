/**
 * A job whose storage fails for a while: checkpoints are aborted and reported, the job goes on, and once the storage works again the
 * next checkpoint holds everything. The output of all starts together is every record once, in order.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import {
  defineJob,
  files,
  generator,
  isMillraceError,
  run,
  type JobEvent,
  type JobHandle,
  type RunOptions,
} from 'millrace'
import { publishRunRecord, readRuns } from '../../packages/millrace/src/snapshot/run-record.ts'
import { encodeLock } from '../../packages/millrace/src/snapshot/lock-record.ts'
import { fsck } from '../../packages/millrace/src/snapshot/fsck.ts'
import { lockName } from '../../packages/millrace/src/snapshot/object-names.ts'
import { memoryStorage } from '../../packages/millrace/src/store/memory/index.ts'
import type { SnapshotStore, Storage } from '../../packages/millrace/src/store/contract.ts'
import { FaultyStorage, type FaultyStore } from '../../packages/millrace/src/testing/faulty-store.ts'
import { currentProcess } from '../../packages/millrace/src/host/process-identity.ts'

const NAME = 'numbered'

type Outcome = Extract<JobEvent, { readonly type: 'checkpoint' }>['outcome']

/** A storage, an output directory, and starts of a job that writes `<key> <how often it came>` for each record. */
class Bench {
  readonly storage: FaultyStorage
  readonly store: FaultyStore
  readonly inner: Storage
  readonly out: string
  readonly outcomes: Outcome[] = []
  readonly events: JobEvent[] = []
  private readonly waiting: { readonly isIt: (outcome: Outcome) => boolean; resolve(outcome: Outcome): void }[] = []

  readonly keys: number

  constructor(context: TestContext, keys = 50) {
    this.keys = keys
    this.inner = memoryStorage()
    this.storage = new FaultyStorage(this.inner)
    this.store = this.storage.job(NAME)
    const dir = mkdtempSync(join(tmpdir(), 'millrace-disk-full-'))
    context.after(() => rmSync(dir, { recursive: true, force: true }))
    this.out = join(dir, 'out')
  }

  start(options: Partial<RunOptions> & { readonly count?: number; readonly rate?: number } = {}): Promise<JobHandle> {
    const { count, rate = 20_000, ...runOptions } = options
    const source = generator({ next: i => i, rate, ...(count !== undefined && { count }) })
    const job = defineJob(NAME, flow => {
      flow
        .source('numbers', source)
        .map(i => ({ key: i % this.keys, n: 1 }))
        .keyBy(record => record.key)
        .reduce('counts', (a, b) => ({ key: a.key, n: a.n + b.n }))
        .map(({ key, n }) => `${key} ${n}`)
        .sink('out', files.writeLines(this.out))
    })
    return run(job, {
      storage: this.storage,
      ...runOptions,
      checkpointing: { interval: 10, tolerableFailures: 100_000, ...runOptions.checkpointing },
      restart: { initialDelay: 1, ...runOptions.restart },
      onEvent: event => this.receive(event),
    })
  }

  private receive(event: JobEvent): void {
    this.events.push(event)
    if (event.type !== 'checkpoint') return
    this.outcomes.push(event.outcome)
    for (const waiter of this.waiting.filter(({ isIt }) => isIt(event.outcome))) {
      this.waiting.splice(this.waiting.indexOf(waiter), 1)
      waiter.resolve(event.outcome)
    }
  }

  /** The next checkpoint that ends like that. */
  next(isIt: (outcome: Outcome) => boolean): Promise<Outcome> {
    return new Promise(resolve => this.waiting.push({ isIt, resolve }))
  }

  async nextComplete(count = 1): Promise<Outcome> {
    let outcome = await this.next(isComplete)
    for (let i = 1; i < count; i++) outcome = await this.next(isComplete)
    return outcome
  }

  async nextFailed(count = 1): Promise<Outcome> {
    let outcome = await this.next(each => !isComplete(each))
    for (let i = 1; i < count; i++) outcome = await this.next(each => !isComplete(each))
    return outcome
  }

  /** Breaks the next call and the one after, of which one may be a merge's, until it was a checkpoint's. */
  async failCheckpoint(breakCall: (call: number) => void): Promise<Outcome> {
    for (;;) {
      for (const call of [1, 2]) breakCall(call)
      const outcome = await this.next(() => true)
      this.store.heal()
      if (!isComplete(outcome)) return outcome
    }
  }

  get parts(): string[] {
    return existsSync(this.out)
      ? readdirSync(this.out)
          .filter(name => !name.startsWith('.'))
          .sort()
      : []
  }

  /** Every record once, in order, as far as the output goes. Returns how many. */
  assertExact(): number {
    const lines = this.parts
      .map(part => readFileSync(join(this.out, part), 'utf8'))
      .join('')
      .split('\n')
      .slice(0, -1)
    for (const [i, line] of lines.entries()) {
      if (line !== `${i % this.keys} ${Math.floor(i / this.keys) + 1}`)
        assert.fail(`line ${i} of ${lines.length} is '${line}'`)
    }
    return lines.length
  }

  get started(): Extract<JobEvent, { readonly type: 'started' }>[] {
    return this.events.filter(event => event.type === 'started')
  }
}

const isComplete = (outcome: Outcome): boolean => outcome.outcome === 'complete'
const failsWith = (code: string) => (error: unknown) => isMillraceError(error) && error.code === code

for (const error of ['ENOSPC', 'EROFS'] as const) {
  test(`${error} for a while: checkpoints fail and say so, the job goes on, and the next one that works holds everything`, async context => {
    const bench = new Bench(context)
    const first = await bench.start()
    await bench.nextComplete(3)
    bench.store.failWrites(error)
    const before = first.status().progress?.sources[0]?.records ?? 0
    const failed = await bench.nextFailed(20)
    assert.ok(failed.error!.includes(error), failed.error)
    assert.equal(first.status().state, 'running')
    assert.equal(first.status().restarts, 0)
    bench.store.heal()
    const healed = await bench.nextComplete()
    // Records went on while nothing could be stored.
    assert.ok(healed.id >= failed.id + 1)
    await first.cancel()
    assert.ok((first.status().progress?.sources[0]?.records ?? 0) > before)

    const last = bench.outcomes.findLast(isComplete)!
    const second = await bench.start()
    assert.equal(bench.started.at(-1)!.manifest!.id, last.id)
    await bench.nextComplete(2)
    await second.stop()
    assert.ok(bench.assertExact() > bench.keys)
    assert.deepEqual((await fsck(bench.inner.job(NAME), NAME)).findings, [])
  })
}

test('invariant 3: after failed checkpoints a kill and a restart find every change since the last published one', async context => {
  const bench = new Bench(context)
  const first = await bench.start()
  await bench.nextComplete(2)
  for (let round = 0; round < 6; round++) {
    const operation = (['create', 'write', 'finish'] as const)[round % 3]
    await bench.failCheckpoint(call =>
      bench.store.fail(operation, { call, nameIncludes: 'segments/', error: 'ENOSPC' }),
    )
    await bench.nextComplete()
  }
  await first.cancel()
  const second = await bench.start()
  await bench.nextComplete(2)
  await second.stop()
  bench.assertExact()
})

test('invariant 3: a write that fails while much state is still being serialised loses none of it', async context => {
  const bench = new Bench(context, 30_000)
  const busy = { rate: 300_000, checkpointing: { interval: 150 } }
  const first = await bench.start(busy)
  await bench.nextComplete()
  for (const operation of ['create', 'write'] as const) {
    await bench.failCheckpoint(call =>
      bench.store.fail(operation, { call, nameIncludes: 'segments/', error: 'ENOSPC' }),
    )
    await bench.nextComplete()
  }
  await first.cancel()
  const second = await bench.start(busy)
  await bench.nextComplete()
  await second.stop()
  assert.ok(bench.assertExact() > 2 * bench.keys)
})

test('a segment of which half was written is garbage that is swept', async context => {
  const bench = new Bench(context)
  const handle = await bench.start()
  await bench.nextComplete(2)
  await bench.failCheckpoint(call => bench.store.tear('write', { call, nameIncludes: 'segments/', error: 'ENOSPC' }))
  await bench.nextComplete(3)
  await handle.stop()
  bench.assertExact()
  assert.deepEqual((await fsck(bench.inner.job(NAME), NAME)).findings, [])
})

test('a manifest that cannot be published fails its checkpoint; its output is committed by the next', async context => {
  const bench = new Bench(context)
  const handle = await bench.start()
  await bench.nextComplete(2)
  const failure = bench.next(({ outcome }) => outcome === 'publish-failed')
  bench.store.fail('publish', { nameIncludes: 'manifests/', error: 'ENOSPC' })
  const failed = await failure
  const next = await bench.nextComplete()
  assert.ok(next.id > failed.id)
  await handle.stop()
  bench.assertExact()
  // Invariant 2: an abort discards no committable.
  assert.ok(
    bench.parts.some(part => part.includes(String(failed.id).padStart(12, '0'))),
    bench.parts.join(' '),
  )
})

test('more failures in a row than tolerated: the job fails, and a later start loses nothing', async context => {
  const bench = new Bench(context)
  const first = await bench.start({ checkpointing: { tolerableFailures: 3 } })
  await bench.nextComplete(2)
  bench.store.failWrites('ENOSPC')
  await assert.rejects(first.finished, failsWith('CHECKPOINT_FAILED'))
  assert.equal(bench.outcomes.filter(outcome => !isComplete(outcome)).length, 4)
  bench.store.heal()
  const last = bench.outcomes.findLast(isComplete)!
  const second = await bench.start()
  assert.equal(bench.started.at(-1)!.manifest!.id, last.id)
  await bench.nextComplete(2)
  await second.stop()
  bench.assertExact()
})

test('failures within what is tolerated are forgotten at the next checkpoint that works', async context => {
  const bench = new Bench(context)
  const handle = await bench.start({ checkpointing: { tolerableFailures: 1 } })
  for (let round = 0; round < 4; round++) {
    await bench.failCheckpoint(call => bench.store.fail('create', { call, nameIncludes: 'segments/' }))
    await bench.nextComplete()
  }
  await handle.stop()
  bench.assertExact()
})

test('the final checkpoint of a bounded job fails: the job fails, and the next start finishes it', async context => {
  const bench = new Bench(context)
  const first = await bench.start({ count: 3000, checkpointing: { interval: '1h' } })
  bench.store.failWrites('ENOSPC')
  await assert.rejects(first.finished, failsWith('CHECKPOINT_FAILED'))
  bench.store.heal()
  const second = await bench.start({ count: 3000 })
  assert.equal(await second.finished, 'finished')
  assert.equal(bench.assertExact(), 3000)
})

test('a failed stop says so, and the job goes on; once there is room it is stopped, and nothing is lost', async context => {
  const bench = new Bench(context)
  const first = await bench.start()
  await bench.nextComplete(2)
  bench.store.failWrites('EROFS')
  await assert.rejects(first.stop(), failsWith('STOP_FAILED'))
  bench.store.heal()
  await bench.nextComplete()
  await first.stop()
  assert.equal(await first.finished, 'stopped')
  bench.assertExact()
})

test('invariant 2: a manifest whose publish lost its reply counts as published', async context => {
  const bench = new Bench(context)
  const first = await bench.start()
  await bench.nextComplete(2)
  bench.store.losePublishReply({ nameIncludes: 'manifests/' })
  const outcomes = bench.outcomes.length
  await bench.nextComplete(2)
  assert.ok(bench.outcomes.slice(outcomes).every(isComplete))
  assert.equal(first.status().restarts, 0)
  await first.cancel()
  const second = await bench.start()
  await bench.nextComplete()
  await second.stop()
  bench.assertExact()
})

test('invariant 2: a publish whose outcome stays unknown ends the attempt, and the restart finds what is there', async context => {
  const bench = new Bench(context)
  const failed = new Error('the connection broke')
  let unknown: string | undefined
  let isReread = false
  const storage = overriding(bench.inner, store => ({
    publish: async (name: string, bytes: Uint8Array) => {
      const outcome = await store.publish(name, bytes)
      if (unknown !== undefined || !name.startsWith('manifests/') || bench.outcomes.length < 3) return outcome
      unknown = name
      throw failed
    },
    read: async (name: string, ...range: readonly number[]) => {
      if (name === unknown && !isReread) {
        isReread = true
        throw failed
      }
      return store.read(name, ...range)
    },
  }))
  const handle = await bench.start({ storage })
  await bench.nextComplete(5)
  assert.equal(handle.status().restarts, 1)
  assert.equal(bench.started.at(-1)!.manifest!.id, idOf(unknown!), 'what was published in silence was found')
  assert.ok(!bench.outcomes.some(outcome => outcome.id === idOf(unknown!)), 'it was neither completed nor aborted')
  await handle.stop()
  bench.assertExact()
})

test('a store that is poisoned by a failed fsync ends the job; another process goes on', async context => {
  const bench = new Bench(context)
  const first = await bench.start()
  await bench.nextComplete(2)
  bench.store.poison()
  await assert.rejects(first.finished, failsWith('STORE_POISONED'))
  bench.store.heal()
  const second = await bench.start()
  await bench.nextComplete()
  await second.stop()
  bench.assertExact()
})

test('a checkpoint that takes too long expires, and what comes of it later hurts nobody', async context => {
  const bench = new Bench(context)
  const gate = Promise.withResolvers<void>()
  let isSlow = false
  const slow = overriding(bench.inner, store => ({
    create: async (name: string) => {
      const writer = await store.create(name)
      if (isSlow) await gate.promise
      return writer
    },
  }))
  const handle = await bench.start({ storage: slow, checkpointing: { timeout: 40 } })
  await bench.nextComplete(2)
  isSlow = true
  await bench.next(({ outcome }) => outcome === 'expired')
  await bench.next(({ outcome }) => outcome === 'expired')
  isSlow = false
  gate.resolve()
  await bench.nextComplete(3)
  await handle.stop()
  bench.assertExact()
  assert.deepEqual((await fsck(bench.inner.job(NAME), NAME)).findings, [])
})

test('invariant 7: an owner that is replaced while it publishes leaves a stray, commits nothing more and stops', async context => {
  const bench = new Bench(context)
  const store = bench.inner.job(NAME)
  let stray: string | undefined
  let partsThen: string[] = []
  const fenced = overriding(bench.inner, store => ({
    publish: async (name: string, bytes: Uint8Array) => {
      if (stray === undefined && bench.outcomes.filter(isComplete).length >= 3 && name.startsWith('manifests/')) {
        stray = name
        partsThen = bench.parts
        await takeOver(store, Number(/\d+/.exec(name)![0]))
      }
      return store.publish(name, bytes)
    },
  }))
  const first = await bench.start({ storage: fenced })
  await assert.rejects(first.finished, failsWith('FENCED'))
  assert.ok(stray !== undefined && (await store.size(stray)) !== undefined, 'the stray manifest was published')
  assert.deepEqual(bench.parts, partsThen, 'nothing was committed for it')
  const runs = await readRuns(store, NAME)
  assert.equal(runs.find(({ run }) => run === 1)?.end, undefined, 'it says nothing about an end')

  const second = await bench.start()
  assert.notEqual(`manifests/chk-${String(bench.started.at(-1)!.manifest!.id).padStart(12, '0')}.json`, stray)
  await bench.nextComplete(3)
  await second.stop()
  bench.assertExact()
  assert.equal(await store.size(stray), undefined, 'the stray was swept')
  assert.deepEqual((await fsck(store, NAME)).findings, [])
})

test('invariant 7: an owner that is replaced between two checkpoints publishes nothing more', async context => {
  const bench = new Bench(context)
  const store = bench.inner.job(NAME)
  const first = await bench.start()
  const { id } = await bench.nextComplete(3)
  await takeOver(store, id + 100)
  await assert.rejects(first.finished, failsWith('FENCED'))
  const second = await bench.start()
  await bench.nextComplete(2)
  await second.stop()
  bench.assertExact()
  assert.deepEqual((await fsck(store, NAME)).findings, [])
})

/** What another process leaves that took the job over, started from the newest snapshot below `firstCheckpointId`, and was killed. */
async function takeOver(store: SnapshotStore, firstCheckpointId: number): Promise<void> {
  const newest = (await store.list('manifests')).filter(({ name }) => idOf(name) < firstCheckpointId).at(-1)!
  const { record } = (await readRuns(store, NAME)).at(-1)!
  assert.ok(!isMillraceError(record))
  const token = record.token + 1
  const nowMs = Date.now()
  const lock = { ...currentProcess(), token, acquiredAtMs: nowMs, leaseUntilMs: nowMs, released: true }
  assert.equal(await store.publish(lockName(token), encodeLock(lock)), 'created')
  const { run, format: _, version: __, ...same } = record
  const start = { kind: 'restored', snapshot: { kind: 'checkpoint', id: idOf(newest.name), run } } as const
  await publishRunRecord(store, { ...same, token, run: run + 1, firstCheckpointId, start })
}

function idOf(name: string): number {
  return Number(/\d+/.exec(name)![0])
}

/** The storage with some of its stores' functions replaced. */
function overriding(storage: Storage, replace: (store: SnapshotStore) => Partial<SnapshotStore>): Storage {
  return {
    kind: 'faulty',
    location: storage.location,
    jobs: () => storage.jobs(),
    job(name) {
      const store = storage.job(name)
      const replaced = replace(store)
      return new Proxy(store, {
        get(target, property) {
          const value = Reflect.get(replaced, property) ?? Reflect.get(target, property)
          return typeof value === 'function' ? value.bind(target) : value
        },
      })
    },
  }
}
