/** Savepoints of whole jobs in this process: what is in them, where they go, what becomes of them, and stops that make one. */
import assert from 'node:assert/strict'
import { cp, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import {
  blackhole,
  count,
  defineJob,
  generator,
  memory,
  run,
  tumbling,
  type JobDefinition,
  type JobEvent,
  type JobHandle,
  type RunOptions,
} from '../index.ts'
import type { Source } from '../connectors/contract.ts'
import { ManifestFolder } from '../snapshot/manifest-folder.ts'
import { readManifest } from '../snapshot/manifest.ts'
import type { Manifest } from '../snapshot/manifest-types.ts'
import { isPeriodic } from '../snapshot/retention.ts'
import type { Storage } from '../store/contract.ts'
import { localStorage } from '../store/local/index.ts'
import { memoryStorage } from '../store/memory/index.ts'
import { FaultyStore } from '../testing/faulty-store.ts'

const NEVER = { interval: '1h' } as const

async function makeFolder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-savepoint-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** Counts that go on growing, by key; every row is `{ key, value }`. */
const counting = defineJob('counting', flow => {
  flow
    .source('ticks', generator({ rate: 5000, next: i => i }))
    .keyBy(i => i % 7)
    .aggregate('counts', count())
    .sink('out', memory())
})

/** Starts it, and stops it at the end of the test if that has not been done. */
async function start(t: TestContext, job: JobDefinition<any>, options: RunOptions): Promise<JobHandle> {
  const handle = await run(job, { checkpointing: NEVER, ...options })
  handle.finished.catch(() => undefined)
  t.after(() => handle.cancel().catch(() => undefined))
  return handle
}

/** By id, whatever their kind. */
async function filesOf(storage: Storage): Promise<string[]> {
  const { manifests } = await new ManifestFolder(storage.job('counting'), 'counting').read()
  return manifests.map(({ file }) => file)
}

async function manifestsOf(storage: Storage, job = 'counting'): Promise<string[]> {
  return (await storage.job(job).list('manifests')).map(({ name }) => name)
}

function recordsOf({ operators }: Manifest): number {
  return operators.find(({ name }) => name === 'ticks')!.source!.records
}

/** Every key was counted without a gap, up to the last of so many records. */
function assertCounted(rows: readonly { key: number; value: number }[], records: number): void {
  const last = new Map<number, number>()
  for (const { key, value } of rows) {
    const before = last.get(key)
    if (before !== undefined) assert.equal(value, before + 1)
    last.set(key, value)
  }
  for (const [key, value] of last) assert.equal(value, Math.ceil((records - key) / 7), `key ${key}`)
  assert.ok(last.size > 0)
}

/** Until the job has read so many records. */
async function untilRead(handle: JobHandle, records: number): Promise<void> {
  while ((handle.status().progress?.sources[0]?.records ?? 0) < records) await handle.checkpoint()
}

test('a savepoint holds everything before the call; the job goes on, and its checkpoints come and go beside it', async t => {
  const storage = memoryStorage()
  const handle = await start(t, counting, { storage, checkpointing: { ...NEVER, retain: 1 } })
  await handle.checkpoint()
  const before = handle.rows('out').length
  const savepoint = await handle.savepoint({ label: 'before the upgrade' })
  assert.deepEqual(savepoint, { id: 'sp-3', checkpoint: 'chk-2', path: undefined })
  const manifest = await readManifest(storage.job('counting'), 'counting', 'manifests/sp-000000000003.json')
  assert.ok(recordsOf(manifest) >= before)
  assert.equal(manifest.label, 'before the upgrade')
  for (let i = 0; i < 3; i++) await handle.checkpoint()
  await handle.stop()
  assert.deepEqual(await manifestsOf(storage), ['chk-000000000007.json', 'sp-000000000003.json'])
  const again = await start(t, counting, { storage, from: 'sp-3' })
  await again.checkpoint()
  await again.stop()
  const last = await readManifest(storage.job('counting'), 'counting', (await filesOf(storage)).at(-1)!)
  assert.ok(recordsOf(last) > recordsOf(manifest))
  assertCounted(again.rows('out'), recordsOf(last))
})

test('savepoints survive the end of a job that deletes its checkpoints, and a plain run goes on from one', async t => {
  const storage = memoryStorage()
  const handle = await start(t, counting, { storage, checkpointing: { ...NEVER, onCancel: 'delete' } })
  await handle.savepoint()
  await handle.cancel()
  assert.deepEqual(await manifestsOf(storage), ['sp-000000000002.json'])
  const events: JobEvent[] = []
  const again = await start(t, counting, { storage, onEvent: event => void events.push(event) })
  const started = events.find(event => event.type === 'started')
  assert.deepEqual(started?.decision.kind === 'restore' && started.decision.snapshot, {
    kind: 'savepoint',
    id: 2,
    run: 1,
  })
  assert.equal((await again.checkpoint()).id, 'chk-3')
})

test('the job goes on exactly once from the checkpoint beside a savepoint that its owner has deleted', async t => {
  const storage = memoryStorage()
  const handle = await start(t, counting, { storage })
  const { id } = (await handle.stop({ savepoint: true })).savepoint!
  assert.equal(id, 'sp-2')
  await storage.job('counting').remove('manifests/sp-000000000002.json')
  const warnings: string[] = []
  const onEvent = (event: JobEvent): void => {
    if (event.type === 'log') warnings.push(event.message)
  }
  const again = await start(t, counting, { storage, onEvent })
  // The id of the savepoint is not used again.
  assert.equal((await again.checkpoint()).id, 'chk-3')
  assert.deepEqual(warnings, [])
})

test('a self-contained savepoint restores after it was moved, with nothing else there', async t => {
  const dir = await makeFolder(t)
  const storage = memoryStorage()
  const handle = await start(t, counting, { storage })
  await untilRead(handle, 1000)
  const told: number[] = []
  const to = join(dir, 'backup')
  const savepoint = await handle.savepoint({ to, label: 'mine', onProgress: fraction => told.push(fraction) })
  assert.deepEqual([savepoint.path, told.at(-1)], [to, 1])
  await handle.cancel()
  assert.deepEqual((await readdir(to)).toSorted(), ['manifests', 'segments'])
  assert.equal((await readdir(join(to, 'segments'))).length, 1)

  await rename(to, join(dir, 'counting'))
  const moved = localStorage(dir)
  const { manifests } = await new ManifestFolder(moved.job('counting'), 'counting').read()
  assert.deepEqual(
    manifests.map(({ kind, facts }) => [kind, 'label' in facts && facts.label]),
    [['savepoint', 'mine']],
  )
  const again = await start(t, counting, { storage: moved, from: savepoint.id, maxParallelism: 64 })
  await again.checkpoint()
  await again.stop()
  const last = await readManifest(moved.job('counting'), 'counting', (await filesOf(moved)).at(-1)!)
  assertCounted(again.rows('out'), recordsOf(last))
})

test('a folder that cannot be used is said before anything is asked of the job', async t => {
  const dir = await makeFolder(t)
  const storage = memoryStorage()
  const handle = await start(t, counting, { storage })
  await cp(import.meta.filename, join(dir, 'a-file'))
  await assert.rejects(handle.savepoint({ to: dir }), { code: 'SAVEPOINT_FOLDER' })
  await assert.rejects(handle.stop({ savepoint: { to: dir } }), { code: 'SAVEPOINT_FOLDER' })
  await assert.rejects(handle.savepoint({ label: '' }), { code: 'OPTION_INVALID' })
  await assert.rejects(handle.savepoint({ label: 'a\nb' }), { code: 'OPTION_INVALID' })
  assert.equal(handle.status().state, 'running')
  assert.deepEqual(await manifestsOf(storage), [])
})

test('a stop whose savepoint cannot be written to its folder says so; the job goes on, and loses and doubles nothing', async t => {
  const dir = await makeFolder(t)
  const inner = memoryStorage().job('counting')
  const store = new FaultyStore(inner)
  const storage: Storage = { kind: 'faulty', location: 'memory', job: () => store, jobs: async () => ['counting'] }
  const restarted = Promise.withResolvers<void>()
  let starts = 0
  const handle = await start(t, counting, {
    storage,
    // No merge reads segments.
    checkpointing: { ...NEVER, incremental: false },
    onEvent: event => {
      if (event.type === 'started' && ++starts === 2) restarted.resolve()
    },
  })
  await untilRead(handle, 500)
  // The first read of a segment is that of the copy.
  store.fail('read', { nameIncludes: 'segments/' })
  const to = join(dir, 'backup')
  await assert.rejects(handle.stop({ savepoint: { to } }), {
    code: 'STOP_FAILED',
    message: /was not stopped, and goes on/,
  })
  assert.deepEqual(await readdir(dir), [])
  await restarted.promise
  assert.deepEqual((await handle.stop({ savepoint: { to } })).savepoint?.path, to)
  assert.equal(await handle.finished, 'stopped')
  const seen = new Map<number, number>()
  for (const { key, value } of handle.rows('out')) {
    assert.equal(value, (seen.get(key) ?? 0) + 1)
    seen.set(key, value)
  }
})

test('periodic savepoints are made of checkpoints and the oldest are dropped; those that were asked for stay', async t => {
  const storage = memoryStorage({ now: Date.now })
  const enough = Promise.withResolvers<void>()
  let periodic = 0
  const checkpointing = { interval: 5, savepointEvery: 10, keepSavepoints: 2, retain: 1 }
  const handle = await start(t, counting, {
    storage,
    checkpointing,
    onEvent(event) {
      if (event.type === 'savepoint' && event.outcome.trigger === 'interval' && ++periodic === 6) enough.resolve()
    },
  })
  const own = await handle.savepoint()
  await enough.promise
  await handle.stop()
  const { manifests } = await new ManifestFolder(storage.job('counting'), 'counting').read()
  const facts = manifests.flatMap(manifest => ('kind' in manifest.facts ? [manifest.facts] : []))
  assert.equal(facts.filter(isPeriodic).length, 2)
  assert.deepEqual(
    facts.filter(each => each.kind === 'savepoint' && !isPeriodic(each)).map(({ id }) => `sp-${id}`),
    [own.id],
  )
  assert.equal(facts.filter(({ kind }) => kind === 'checkpoint').length, 1)
})

test('the time of a periodic savepoint goes on over restarts', async t => {
  const storage = memoryStorage({ now: Date.now })
  const made: number[] = []
  const options: RunOptions = {
    storage,
    checkpointing: { interval: 1, savepointEvery: '200ms' },
    onEvent: event => void (event.type === 'savepoint' && made.push(event.outcome.id)),
  }
  // Each run is far shorter than that.
  const deadline = Date.now() + 20_000
  while (made.length === 0 && Date.now() < deadline) {
    const handle = await start(t, counting, options)
    await handle.checkpoint()
    await handle.stop()
  }
  assert.equal(made.length, 1)
})

// ------------------------------------------------------------------------------------------------------------- stopping

/** Unbounded, and never has anything to say. */
const silent: Source<number> = {
  type: 'silent',
  bounded: false,
  enumerate: async () => [{ id: 'only', detail: null }],
  open: async () => ({ read: () => 'caught-up', position: () => null, close: async () => undefined }),
}

test('sources that never end, or have nothing to say, do not delay a stop, drained or not', async t => {
  for (const options of [{}, { drain: true }, { drain: true, savepoint: true }]) {
    const job = defineJob('idle', flow => {
      flow
        .source('ticks', generator({ rate: 1, next: i => i }))
        .union(flow.source('silent', silent).eventTime(n => n))
        .sink('out', blackhole())
    })
    const handle = await start(t, job, { checkpointing: { ...NEVER, timeout: '5s' } })
    await handle.stop(options)
    assert.equal(await handle.finished, 'stopped')
  }
})

/** A window and an event-time timer that no record reaches the end of. */
const windowed = defineJob('windowed', flow => {
  const ticks = flow.source('ticks', generator({ rate: 5000, next: i => i })).eventTime(i => i)
  const byKey = ticks.keyBy(i => i % 3)
  byKey.window(tumbling('1d')).aggregate('sums', count()).sink('windows', memory())
  byKey
    .process('late', {
      onRecord(_record, ctx) {
        ctx.timers.onEventTime(1e15)
      },
      onTimer(time, ctx) {
        ctx.emit(`${ctx.key} at ${time}`)
      },
    })
    .sink('timers', memory())
})

test('a drained stop fires every window and event-time timer before its final snapshot, whose state is then empty', async t => {
  const storage = memoryStorage()
  const handle = await start(t, windowed, { storage })
  await untilRead(handle, 10)
  assert.deepEqual([handle.rows('windows'), handle.rows('timers')], [[], []])
  const { savepoint } = await handle.stop({ drain: true, savepoint: true })
  const manifest = await readManifest(
    storage.job('windowed'),
    'windowed',
    `manifests/sp-${savepoint!.id.slice(3).padStart(12, '0')}.json`,
  )
  const windows: { value: number }[] = [...handle.rows('windows')]
  assert.equal(
    windows.reduce((sum, { value }) => sum + value, 0),
    recordsOf(manifest),
  )
  assert.deepEqual(
    [...handle.rows('timers')].toSorted((a, b) => (a < b ? -1 : 1)),
    ['0 at 1000000000000000', '1 at 1000000000000000', '2 at 1000000000000000'],
  )
})

test('a stop that is not drained fires nothing: windows go on when the job is run again', async t => {
  const storage = memoryStorage()
  const handle = await start(t, windowed, { storage })
  await untilRead(handle, 10)
  await handle.stop()
  assert.deepEqual([handle.rows('windows'), handle.rows('timers')], [[], []])
  const again = await start(t, windowed, { storage })
  await again.stop({ drain: true })
  const windows: { value: number }[] = [...again.rows('windows')]
  assert.equal(
    windows.reduce((sum, { value }) => sum + value, 0),
    again.status().progress?.sources[0]?.records,
  )
})
