/** Whole jobs in this process: starts, stops, restarts and what they leave behind. Crashes of a process are in test/crash. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import {
  blackhole,
  collection,
  count,
  defineJob,
  files,
  generator,
  memory,
  run,
  sum,
  tumbling,
  type,
  value,
  type Flow,
  type JobDefinition,
  type JobEvent,
} from '../index.ts'
import type { Sink, Source } from '../connectors/contract.ts'
import { memoryStorage } from '../store/memory/index.ts'

const FAST = { restart: { initialDelay: 1, maxDelay: 1 } } as const

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-run-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return dir
}

async function linesIn(dir: string): Promise<string[]> {
  const parts = (await readdir(dir)).filter(name => name.startsWith('part-')).sort()
  const texts = await Promise.all(parts.map(part => readFile(join(dir, part), 'utf8')))
  return texts.join('').split('\n').slice(0, -1)
}

/** Counts that go on growing: 200 records a second, so that a test decides when it ends. */
function ticking(name: string, out: string): JobDefinition<any> {
  return defineJob(name, flow => {
    flow
      .source('ticks', generator({ rate: 2000, next: i => i }))
      .keyBy(i => i % 3)
      .aggregate('counts', count())
      .sink('out', files.writeJson(out))
  })
}

/** Resolves with the event once one of this type came. */
function waitFor<T extends JobEvent['type']>(
  wanted: T,
  accept: (event: Extract<JobEvent, { type: T }>) => boolean = () => true,
) {
  const { promise, resolve } = Promise.withResolvers<Extract<JobEvent, { type: T }>>()
  const onEvent = (event: JobEvent) => {
    if (event.type === wanted && accept(event as Extract<JobEvent, { type: T }>))
      resolve(event as Extract<JobEvent, { type: T }>)
  }
  return { promise, onEvent }
}

test('a bounded job in memory runs to its end and hands out the rows of its memory sinks', async () => {
  const job = defineJob('words', flow => {
    flow
      .source('in', collection(['a', 'b', 'a']))
      .keyBy(w => w)
      .aggregate('counts', count())
      .sink('out', memory())
  })
  const handle = await run(job)
  assert.equal(await handle.finished, 'finished')
  assert.deepEqual(handle.rows('out'), [
    { key: 'a', value: 1 },
    { key: 'b', value: 1 },
    { key: 'a', value: 2 },
  ])
})

test('a job that was stopped goes on where it was when it is run again', async t => {
  const dir = await folder(t)
  const out = join(dir, 'out')
  for (let round = 0; round < 3; round++) {
    const complete = waitFor('checkpoint')
    const started = waitFor('started')
    const handle = await run(ticking('ticking', out), {
      storage: join(dir, 'store'),
      checkpointing: { interval: 20 },
      onEvent: event => {
        complete.onEvent(event)
        started.onEvent(event)
      },
    })
    assert.equal((await started.promise).decision.kind, round === 0 ? 'fresh' : 'restore')
    await complete.promise
    await handle.stop()
    assert.equal(await handle.finished, 'stopped')
  }
  const rows = (await linesIn(out)).map(line => JSON.parse(line) as { key: number; value: number })
  const seen = [0, 0, 0]
  for (const { key, value: n } of rows) assert.equal(n, ++seen[key], 'every count once, in order')
  assert.ok(rows.length > 0)
})

test('a function that throws once restarts the job from its latest checkpoint, and nothing is lost or doubled', async () => {
  let failures = 0
  const job = defineJob('flaky', flow => {
    flow
      .source('in', generator({ count: 3000, next: i => i }))
      .map(i => {
        if (i === 1500 && failures++ === 0) throw new Error('once')
        return i
      })
      .keyBy(i => i % 2)
      .aggregate(
        'sum',
        sum(i => i),
      )
      .sink('out', memory())
  })
  const restarting = waitFor('restarting')
  const handle = await run(job, { ...FAST, onEvent: restarting.onEvent, checkpointing: { interval: 5 } })
  assert.match((await restarting.promise).error.message, /operator 'map-1' threw once, record 1500/)
  await handle.finished
  const rows = handle.rows('out') as { key: number; value: number }[]
  assert.equal(rows.length, 3000)
  assert.equal(rows.at(-1)!.value, 1500 * 1500)
})

test('a sink that fails to prepare its output restarts the job, and nothing of that output is lost', async () => {
  let failures = 0
  const sink = memory()
  const job = defineJob('fragile', flow => {
    flow.source('in', generator({ rate: 20_000, next: i => i })).sink('out', {
      ...sink,
      async open(context, restored) {
        const writer = await sink.open(context, restored)
        return {
          write: (record, timestamp) => writer.write(record, timestamp),
          commit: committables => writer.commit(committables),
          close: () => writer.close(),
          async prepareCommit(checkpointId, last) {
            const prepared = await writer.prepareCommit(checkpointId, last)
            if (checkpointId === 2 && failures++ === 0) throw new Error('once')
            return prepared
          },
        }
      },
    })
  })
  const restarting = waitFor('restarting')
  const again = waitFor('started', ({ decision }) => decision.run === 2)
  const onEvent = (event: JobEvent) => {
    restarting.onEvent(event)
    again.onEvent(event)
  }
  const handle = await run(job, { ...FAST, onEvent, checkpointing: { interval: 5 } })
  assert.equal((await restarting.promise).error.code, 'SINK_FAILED')
  await again.promise
  await handle.stop()
  const rows = handle.rows('out')
  assert.ok(rows.length > 0)
  assert.deepEqual(
    rows,
    rows.map((_, index) => index),
  )
})

test('invariant 10: an error that comes back without progress stops the job and names operator, key and record', async () => {
  const job = defineJob('poison', flow => {
    flow
      .source('in', collection([1, 2, 3]))
      .keyBy(n => n)
      .process('check', {
        emits: type<number>(),
        onRecord(n) {
          if (n === 2) throw new RangeError('bad number')
        },
      })
      .sink('out', memory())
  })
  const handle = await run(job, FAST)
  await assert.rejects(handle.finished, error => {
    assert.equal((error as { code: string }).code, 'DETERMINISTIC_FAILURE')
    assert.match(String(error), /operator 'check' threw RangeError: bad number, key 2, record 2/)
    return true
  })
  assert.equal(handle.status().restarts, 1)
})

test('a promise from a synchronous function is refused with a word about mapAsync', async () => {
  const job = defineJob('promise', flow => {
    const later = (n: number): any => Promise.resolve(n)
    flow
      .source('in', collection([1]))
      .map(later)
      .sink('out', memory())
  })
  const handle = await run(job, { restart: { strategy: 'none' } })
  await assert.rejects(handle.finished, { code: 'ASYNC_FUNCTION', message: /operator 'map-1'.*mapAsync/ })
})

test('invariant 1: a checkpoint takes the position of every source before any further record of any', async t => {
  const dir = await folder(t)
  const job = (end: boolean) =>
    defineJob('two-sources', flow => {
      const left = flow.source(
        'left',
        generator({ next: i => ({ from: 'l', i }), rate: 3000, ...(end && { count: 900 }) }),
      )
      const right = flow.source(
        'right',
        generator({ next: i => ({ from: 'r', i }), rate: 1000, ...(end && { count: 900 }) }),
      )
      left
        .union(right)
        .keyBy(e => e.from)
        .aggregate('counts', count())
        .sink('out', files.writeJson(join(dir, 'out')))
    })
  for (let round = 0; round < 3; round++) {
    const complete = waitFor('checkpoint', event => event.outcome.totalBytes > 0)
    const handle = await run(job(false), {
      storage: join(dir, 'store'),
      checkpointing: { interval: 15 },
      onEvent: complete.onEvent,
    })
    await complete.promise
    await handle.stop()
  }
  const rows = (await linesIn(join(dir, 'out'))).map(line => JSON.parse(line) as { key: string; value: number })
  const seen: { [key: string]: number } = { l: 0, r: 0 }
  for (const { key, value: n } of rows) assert.equal(n, ++seen[key])
  assert.ok(seen.l > 0 && seen.r > 0)
})

test('a snapshot restores at another max parallelism, and the first checkpoint after it is a full one', async t => {
  const storage = memoryStorage()
  const out = join(await folder(t), 'out')
  for (const maxParallelism of [128, 7, 300]) {
    const complete = waitFor('checkpoint')
    const handle = await run(ticking('resize', out), {
      storage,
      maxParallelism,
      checkpointing: { interval: 20 },
      onEvent: complete.onEvent,
    })
    await complete.promise
    await handle.stop()
    const store = storage.job('resize')
    const newest = (await store.list('manifests')).at(-1)!.name
    const manifest = JSON.parse(Buffer.from(await store.read(`manifests/${newest}`)).toString()) as {
      maxParallelism: number
      segments: { base: boolean; maxParallelism: number }[]
    }
    assert.ok(manifest.segments.every(segment => segment.maxParallelism === maxParallelism))
    assert.equal(manifest.segments.at(-1)!.base, true)
  }
  const seen = [0, 0, 0]
  for (const line of await linesIn(out)) {
    const { key, value: n } = JSON.parse(line) as { key: number; value: number }
    assert.equal(n, ++seen[key])
  }
})

test('a finished job does nothing until it is run fresh, and its checkpoints are dropped unless onFinish retains them', async () => {
  const job = defineJob('short', flow => {
    flow
      .source('in', collection([1, 2]))
      .keyBy(n => n)
      .aggregate('c', count())
      .sink('out', memory())
  })
  const storage = memoryStorage()
  const store = storage.job('short')
  await (
    await run(job, { storage })
  ).finished
  assert.deepEqual([await store.list('manifests'), await store.list('segments')], [[], []])
  const again = await run(job, { storage })
  assert.equal(await again.finished, 'already-finished')
  assert.deepEqual(again.rows('out'), [])
  const fresh = await run(job, { storage, fresh: true, checkpointing: { onFinish: 'retain' } })
  assert.equal(await fresh.finished, 'finished')
  assert.equal(fresh.rows('out').length, 2)
  assert.equal((await store.list('manifests')).length, 1)
})

test('cancel takes no snapshot; retained checkpoints stay, and go with onCancel delete', async t => {
  const out = join(await folder(t), 'out')
  for (const onCancel of ['retain', 'delete'] as const) {
    const storage = memoryStorage()
    const complete = waitFor('checkpoint')
    const handle = await run(ticking('cancelled', out), {
      storage,
      checkpointing: { interval: 20, onCancel },
      onEvent: complete.onEvent,
    })
    await complete.promise
    await handle.cancel()
    assert.equal(await handle.finished, 'cancelled')
    const left = await storage.job('cancelled').list('manifests')
    assert.equal(left.length > 0, onCancel === 'retain')
    if (onCancel === 'delete') assert.deepEqual(await storage.job('cancelled').list('segments'), [])
  }
})

test('retain bounds what is kept, over many checkpoints and restarts', async t => {
  const storage = memoryStorage()
  const out = join(await folder(t), 'out')
  for (let round = 0; round < 3; round++) {
    let complete = 0
    const enough = waitFor('checkpoint', () => ++complete === 12)
    const handle = await run(ticking('kept', out), {
      storage,
      checkpointing: { interval: 5, retain: 2 },
      onEvent: enough.onEvent,
    })
    await enough.promise
    await handle.stop()
    const store = storage.job('kept')
    assert.equal((await store.list('manifests')).length, 2)
    assert.ok((await store.list('segments')).length <= 12)
    assert.equal((await store.list('locks')).length, 1)
  }
})

test('a second run of the same job and storage is refused while the first lives', async t => {
  const storage = memoryStorage()
  const out = join(await folder(t), 'out')
  const first = await run(ticking('locked', out), { storage })
  t.after(() => first.cancel())
  await assert.rejects(run(ticking('locked', out), { storage }), {
    code: 'JOB_LOCKED',
    message: new RegExp(`process ${process.pid} on `),
  })
  await run(ticking('locked', out), { storage, as: 'other' }).then(other => other.cancel())
  await first.cancel()
  await run(ticking('locked', out), { storage }).then(third => third.cancel())
})

test('state of an operator that is gone is refused, and goes when that is allowed', async () => {
  const storage = memoryStorage()
  const make = (name: string, extra = false) =>
    defineJob('changing', flow => {
      const numbers = flow.source('in', generator({ rate: 2000, next: i => i })).keyBy(i => i % 2)
      numbers.aggregate(name, count()).sink('out', memory())
      if (extra) numbers.process('extra', { state: { n: value<number>() }, onRecord: (n, ctx) => ctx.state.n.set(n) })
    })
  const first = waitFor('checkpoint')
  const handle = await run(make('counts', true), { storage, checkpointing: { interval: 20 }, onEvent: first.onEvent })
  await first.promise
  await handle.stop()
  await assert.rejects(run(make('counts'), { storage }), { code: 'STATE_DROPPED', message: /extra/ })
  const second = waitFor('checkpoint')
  const allowed = await run(make('counts'), {
    storage,
    allowDroppedState: true,
    checkpointing: { interval: 20 },
    onEvent: second.onEvent,
  })
  await second.promise
  await allowed.stop()
  const rows = allowed.rows('out') as { value: number }[]
  assert.ok(rows[0].value > 1, 'the kept count goes on')
})

interface Reading {
  readonly at: number
  readonly key: number
}

/** Readings up to 300 ms out of order, where 50 are allowed: some are late. */
const readings = () =>
  generator<Reading>({ count: 6000, splits: 3, next: i => ({ at: i * 10 + ((i * 7919) % 300), key: i % 5 }) })

const EVENT_TIME_JOBS: { readonly [what: string]: (flow: Flow, out: string) => void } = {
  'per split': (flow, out) => {
    flow
      .source('events', readings())
      .eventTime(e => e.at, { outOfOrderness: 50 })
      .keyBy(e => e.key)
      .window(tumbling(1000))
      .aggregate('per-second', count())
      .sink('out', files.writeJson(out))
  },
  'behind an operator with state': (flow, out) => {
    flow
      .source('events', readings())
      .keyBy(e => e.key)
      .process('pass', { emits: type<Reading>(), onRecord: (e, ctx) => ctx.emit(e) })
      .eventTime(e => e.at, { outOfOrderness: 50 })
      .keyBy(e => e.key)
      .window(tumbling(1000))
      .aggregate('per-second', count())
      .sink('out', files.writeJson(out))
  },
  'two of one source': (flow, out) => {
    const events = flow.source('events', readings())
    const windows = (name: string, shift: number) =>
      events
        .eventTime(e => e.at + shift, { outOfOrderness: 50 })
        .keyBy(e => e.key)
        .window(tumbling(1000))
        .aggregate(name, count())
    windows('near', 0).union(windows('far', 1e6)).sink('out', files.writeJson(out))
  },
}

for (const [what, build] of Object.entries(EVENT_TIME_JOBS)) {
  test(`invariant 9: event time ${what}: what comes out does not depend on how often the job is stopped`, async t => {
    const dir = await folder(t)
    const job = (out: string) => defineJob('event-time', flow => build(flow, join(dir, out)))
    await (
      await run(job('calm'))
    ).finished
    const calm = await linesIn(join(dir, 'calm'))
    const storage = memoryStorage()
    for (let i = 0; ; i++) {
      assert.ok(i < 500, 'it ends')
      const handle = await run(job('stopped'), { storage, checkpointing: { interval: '1h' } })
      if (i > 20) assert.notEqual(await handle.finished, 'stopped')
      else await handle.stop()
      if ((await handle.finished) !== 'stopped') break
    }
    assert.deepEqual(await linesIn(join(dir, 'stopped')), calm)
    assert.ok(calm.length > 300)
  })
}

test('a bounded source that waits for the clock does not hold up another', async () => {
  const job = defineJob('speeds', flow => {
    flow.source('slow', generator({ count: 100_000, rate: 100, next: i => i })).sink('a', blackhole())
    flow.source('fast', generator({ count: 20_000, next: i => i })).sink('b', blackhole())
  })
  const ended = waitFor(
    'progress',
    ({ progress }) => progress.sources.find(source => source.source === 'fast')!.fraction === 1,
  )
  const handle = await run(job, { onEvent: ended.onEvent })
  await ended.promise
  assert.equal(handle.status().state, 'running')
  await handle.cancel()
})

test('a split that has nothing does not keep the others waiting', { timeout: 10_000 }, async () => {
  const { promise: all, resolve } = Promise.withResolvers<void>()
  const source: Source<number> = {
    type: 'uneven',
    bounded: false,
    enumerate: async () => ['quiet', 'busy'].map(id => ({ id, detail: null })),
    open: async ({ id }) => {
      let next = 0
      return {
        read(output, maxRecords) {
          if (id === 'quiet') return 'blocked'
          for (let i = 0; i < maxRecords && next < 5000; i++) output.record(next++)
          return next < 5000 ? 'more' : 'blocked'
        },
        position: () => next,
        close: async () => {},
      }
    },
  }
  const job = defineJob('uneven', flow =>
    flow
      .source('in', source)
      .map(n => {
        if (n === 4999) resolve()
        return n
      })
      .sink('out', blackhole()),
  )
  const handle = await run(job, { checkpointing: { interval: '1h' } })
  await all
  await handle.cancel()
})

test('a split that waits for its turn longer than idleAfter is not idle, and its records are not late', async () => {
  const COUNT = 6000
  const job = defineJob('slow', flow => {
    flow
      .source('in', generator({ count: COUNT, splits: 3, next: at => ({ at }) }))
      .map(record => {
        const fromMs = performance.now()
        while (performance.now() - fromMs < 0.01);
        return record
      })
      .eventTime(({ at }) => at, { idleAfter: 1 })
      .keyBy(() => 'all')
      .window(tumbling(100))
      .aggregate('counts', count())
      .sink('out', memory())
  })
  const handle = await run(job)
  await handle.finished
  const counted = handle.rows('out').map(row => (row as { value: number }).value)
  assert.deepEqual(
    counted,
    Array.from({ length: COUNT / 100 }, () => 100),
  )
})

test('splits at a rate are read side by side, also of a bounded source without event time', async () => {
  const COUNT = 400
  const job = defineJob('paced', flow => {
    flow.source('in', generator({ count: COUNT, rate: 2000, splits: 8, next: i => i })).sink('out', memory())
  })
  const handle = await run(job)
  await handle.finished
  // One after the other would be 0, 8, 16, … to the end, before 1 comes.
  const rows = handle.rows('out') as number[]
  assert.ok(rows.indexOf(1) < rows.indexOf(COUNT - 8), rows.join())
})

test('a reader that cannot say how far it is fails the job', async () => {
  const source = collection([1, 2, 3])
  const broken: Source<number> = {
    ...source,
    async open(split, position, context) {
      const reader = await source.open(split, position, context)
      return {
        read: () => 'blocked',
        position: () => reader.position(),
        progress() {
          throw new Error('no idea')
        },
        close: () => reader.close(),
      }
    },
  }
  const job = defineJob('lost', flow => flow.source('in', broken).sink('out', blackhole()))
  const handle = await run(job, { restart: { strategy: 'none' } })
  await assert.rejects(handle.finished, { code: 'SOURCE_FAILED', message: /no idea/ })
})

test('timers of a wall-clock time wait for a sink that cannot take what they emit', async () => {
  const KEYS = 5000
  const dueMs = Date.now() + 300
  const taken: unknown[] = []
  const full = Promise.withResolvers<void>()
  let mayTake = false
  let wake = (): void => undefined
  const slowSink: Sink<number> = {
    type: 'slow',
    retracts: true,
    async open(context) {
      wake = () => context.wake()
      return {
        write: row => {
          taken.push(row)
          full.resolve()
        },
        writable: () => mayTake || taken.length === 0,
        prepareCommit: async () => ({ committables: [] }),
        commit: async () => undefined,
        close: async () => undefined,
      }
    },
  }
  const job = defineJob('alarms', flow => {
    flow
      .source('in', generator({ next: i => i, rate: KEYS * 10 }))
      .keyBy(i => i % KEYS)
      .process('alarms', {
        emits: type<number>(),
        onRecord(i, ctx) {
          if (i < KEYS) ctx.timers.onProcessingTime(dueMs)
        },
        onTimer: (_time, ctx) => ctx.emit(ctx.key),
      })
      .sink('out', slowSink)
  })
  const handle = await run(job)
  await full.promise
  await new Promise(resolve => setTimeout(resolve, 20))
  assert.ok(taken.length < KEYS / 2, `${taken.length} rows were pushed at a sink that takes none`)
  mayTake = true
  wake()
  await until(() => taken.length === KEYS)
  await handle.cancel()
})

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 200 && !condition(); turn++) await new Promise(resolve => setTimeout(resolve, 5))
  assert.ok(condition(), condition.toString())
}

test('several sources with several splits that have nothing to say let the slot sleep', async () => {
  let reads = 0
  const quiet: Source<number> = {
    type: 'quiet',
    bounded: false,
    enumerate: async () => [1, 2, 3].map(id => ({ id: `${id}`, detail: null })),
    open: async () => ({
      read() {
        reads++
        return 'caught-up'
      },
      position: () => null,
      close: async () => undefined,
    }),
  }
  const job = defineJob('quiet', flow => {
    for (const name of ['a', 'b', 'c']) flow.source(name, quiet).sink(`${name}-out`, blackhole())
  })
  const handle = await run(job)
  await new Promise(resolve => setTimeout(resolve, 100))
  await handle.cancel()
  assert.ok(reads < 100, `${reads} reads`)
})

test('keys of another type than those of the snapshot are refused where the key function has changed, and only there', async () => {
  const storage = memoryStorage()
  const jobOf = (first: number, keyBy: (i: number) => number | string | readonly number[]) =>
    defineJob('keys', flow => {
      flow
        .source('in', generator({ next: i => first + i, rate: 10_000 }))
        .keyBy(keyBy)
        .aggregate('counts', count())
        .sink('out', blackhole())
    })
  const begin = async (job: JobDefinition<any>) => {
    const waiting = waitFor('progress', ({ progress }) => progress.sources[0].records > 0)
    const handle = await run(job, { storage, ...FAST, onEvent: waiting.onEvent })
    return { handle, waiting }
  }
  const mixed = (i: number) => (i === 5000 ? 'rare' : i)
  const first = await begin(jobOf(0, mixed))
  await first.waiting.promise
  await first.handle.stop()

  const changed = await begin(jobOf(0, i => `${i}`))
  await assert.rejects(changed.handle.finished, {
    code: 'STATE_INCOMPATIBLE',
    message: /'counts': its keys were number/,
  })
  const tuples = await begin(jobOf(0, i => [i]))
  await assert.rejects(tuples.handle.finished, { code: 'STATE_INCOMPATIBLE' })

  const same = await begin(jobOf(4999, mixed))
  await same.waiting.promise
  await same.handle.stop()
  const rewritten = await begin(jobOf(0, i => 2 * i))
  await rewritten.waiting.promise
  await rewritten.handle.stop()
})
