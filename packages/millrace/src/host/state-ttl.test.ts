/** Jobs whose state expires, over restarts: by event time as without them, and under another time to live than the one before. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as immediate } from 'node:timers/promises'
import { buildGraph } from '../api/index.ts'
import { planJob } from '../graph/index.ts'
import {
  collection,
  defineJob,
  map,
  memory,
  run,
  value,
  type JobDefinition,
  type Source,
  type StateOptions,
} from '../index.ts'
import { findSnapshot } from '../snapshot/catalogue.ts'
import { lastTouchOf } from '../snapshot/expiry.ts'
import type { Manifest } from '../snapshot/manifest-types.ts'
import { planRestore } from '../snapshot/restore-plan.ts'
import { openSegment } from '../snapshot/segment-reader.ts'
import type { Storage } from '../store/contract.ts'
import { memoryStorage } from '../store/memory/index.ts'
import { plannedJob } from './planned-job.ts'

interface Visit {
  readonly user: string
  readonly at: number
}

type Ttl = StateOptions['ttl']

const event = (ttl: number, updateOn: 'write' | 'read-and-write' = 'write'): Ttl => ({ ttl, updateOn, time: 'event' })
const visits = (...said: (readonly [user: string, at: number])[]): Visit[] => said.map(([user, at]) => ({ user, at }))

/** Each run has the sources of those before it, which have ended, and one of its own. `held`: what the states held before each visit. */
function job(runs: readonly (readonly Visit[])[], ttl: Ttl, held: unknown[] = []): JobDefinition<any> {
  const options = ttl === undefined ? {} : { ttl }
  return defineJob('visits', flow => {
    const [first, ...more] = runs.map((records, i) => flow.source(`visits-${i}`, collection(records)))
    first
      .union(...more)
      .eventTime(({ at }) => at)
      .keyBy(({ user }) => user)
      .process('seen', {
        state: { last: value<number>(options), all: map<number, true>(options) },
        onRecord({ user, at }, ctx) {
          held.push([user, at, ctx.state.last.get() ?? null, ...ctx.state.all.keys()])
          ctx.state.last.set(at)
          ctx.state.all.set(at, true)
        },
      })
      .sink('out', memory())
  })
}

async function go(storage: Storage, definition: JobDefinition<any>): Promise<Manifest> {
  const from = (await storage.job('visits').list('manifests')).length === 0 ? {} : { from: 'latest' }
  const handle = await run(definition, { storage, ...from, checkpointing: { onFinish: 'retain' } })
  await handle.finished
  return findSnapshot(storage.job('visits'), 'visits', { kind: 'latest', job: undefined })
}

async function heldOver(ttl: Ttl, ...runs: readonly (readonly Visit[])[]): Promise<unknown[]> {
  const storage = memoryStorage()
  const held: unknown[] = []
  for (let i = 1; i <= runs.length; i++) await go(storage, job(runs.slice(0, i), ttl, held))
  return held
}

const RECORDS = visits(['a', 0], ['b', 4], ['a', 9], ['b', 15], ['c', 20], ['a', 19], ['b', 40], ['a', 41], ['b', 45])

for (const updateOn of ['write', 'read-and-write'] as const) {
  test(`what expires in event time does so at the same record, wherever the job was stopped (${updateOn})`, async () => {
    const expected = await heldOver(event(10, updateOn), RECORDS)
    assert.deepEqual(expected[2], ['a', 9, 0, 0])
    // The watermark was 19 then, and is 39 now.
    assert.deepEqual(expected[6], ['b', 40, 15, 15])
    assert.deepEqual(expected[7], ['a', 41, null])
    for (let stop = 1; stop < RECORDS.length; stop++) {
      const held = await heldOver(event(10, updateOn), RECORDS.slice(0, stop), RECORDS.slice(stop))
      assert.deepEqual(held, expected, `stopped after ${stop}`)
    }
  })
}

/** What a state with a ttl had been touched at, and how it is when it is changed. */
async function changed(before: Ttl, after: Ttl, then: readonly Visit[]) {
  const storage = memoryStorage()
  const first = visits(['a', 1000], ['b', 1008], ['z', 1011])
  const held: unknown[] = []
  const second = job([first, then], after, held)
  const plan = planRestore(await go(storage, job([first], before)), plannedJob(planJob(buildGraph(second, {}))))
  assert.ok(plan.accepted)
  const entry = plan.entries.find(({ state }) => state === 'last')!
  const manifest = await go(storage, second)
  return { verdict: entry.verdict, reason: entry.reason, held, manifest, touches: await touchesOf(storage, manifest) }
}

/** Of the values of 'last', by what they are. */
async function touchesOf(storage: Storage, manifest: Manifest): Promise<number[]> {
  const state = manifest.operators.flatMap(({ states }) => states).find(({ name }) => name === 'last')!
  const touches: number[] = []
  for (const ref of manifest.segments) {
    const scan = (await openSegment(storage.job('visits'), ref)).scan()
    for (;;) {
      while (scan.advance()) {
        const { stateId, op, lastTouchMs } = scan.entry
        if (stateId === state.id && op !== 1) touches.push(lastTouchOf(state, lastTouchMs) ?? -1)
      }
      if (!scan.needsRefill) break
      await scan.refill()
    }
  }
  return touches.sort((a, b) => a - b)
}

test('a snapshot says the watermark of the operator, and which time its touches are of', async () => {
  const { manifest, touches } = await changed(event(100), event(100), [])
  const { watermark, states } = manifest.operators.find(({ name }) => name === 'seen')!
  assert.equal(watermark, 1010)
  assert.deepEqual([states[0].ttlMs, states[0].ttlTime], [100, 'event'])
  assert.deepEqual(touches, [1000, 1008, 1011])
})

test('a shorter ttl applies to what is there, a longer one too; the snapshot goes on as a delta', async () => {
  const shorter = await changed(event(100), event(10), visits(['a', 1011], ['b', 1012]))
  assert.deepEqual([shorter.verdict, shorter.reason], ['migrated', 'ttl 100ms in event time -> 10ms in event time'])
  assert.deepEqual(shorter.held, [
    ['a', 1011, null],
    ['b', 1012, 1008, 1008],
  ])
  assert.ok(shorter.manifest.segments.some(({ base }) => !base))
  const longer = await changed(event(12), event(100), visits(['a', 1050]))
  assert.deepEqual(longer.held, [['a', 1050, 1000, 1000]])
})

test('a ttl that is new counts from the watermark of the restore, and from then on everything has a touch', async () => {
  const { verdict, reason, held, manifest, touches } = await changed(undefined, event(10), visits(['a', 1019]))
  assert.deepEqual([verdict, reason], ['migrated', 'ttl none -> 10ms in event time, counted from the start of the job'])
  assert.deepEqual(held, [['a', 1019, 1000, 1000]])
  assert.ok(manifest.segments.every(({ base }) => base))
  assert.deepEqual(touches, [1010, 1010, 1019])
  const later = await changed(undefined, event(10), visits(['a', 1021], ['b', 1022]))
  assert.deepEqual(later.held[1], ['b', 1022, null])
})

test('a ttl that is gone is forgotten: what was about to expire lives until it is cleared', async () => {
  const { verdict, reason, held, manifest } = await changed(event(12), undefined, visits(['a', 5000], ['b', 9000]))
  assert.deepEqual([verdict, reason], ['migrated', 'ttl 12ms in event time -> none'])
  assert.deepEqual(held, [
    ['a', 5000, 1000, 1000],
    ['b', 9000, 1008, 1008],
  ])
  assert.ok(manifest.segments.every(({ base }) => base))
})

test('a ttl that goes by the other time counts anew', async () => {
  const toEvent = await changed('7d', event(10), visits(['a', 1015]))
  assert.equal(toEvent.reason, 'ttl 7d -> 10ms in event time, counted from the start of the job')
  assert.deepEqual(toEvent.held, [['a', 1015, 1000, 1000]])
  assert.deepEqual(toEvent.touches, [1010, 1010, 1015])
  const startedMs = Date.now()
  const toProcessing = await changed(event(100), '1d', visits(['a', 5000]))
  assert.equal(toProcessing.reason, 'ttl 100ms in event time -> 1d, counted from the start of the job')
  assert.deepEqual(toProcessing.held, [['a', 5000, 1000, 1000]])
  for (const touch of toProcessing.touches) assert.ok(touch >= startedMs && touch <= Date.now(), String(touch))
})

/** Hands out the records, then waits for ever. */
function waiting(records: Visit[]): Source<Visit> {
  return {
    type: 'waiting',
    bounded: false,
    enumerate: async () => [{ id: 'only', detail: null }],
    open: async () => ({
      read(output) {
        for (const visit of records.splice(0)) output.record(visit)
        return 'blocked'
      },
      position: () => 0,
      close: async () => undefined,
    }),
  }
}

test(
  'a running job gives back what expired and nobody asks for, also while it has nothing to do',
  { timeout: 20_000 },
  async () => {
    const definition = defineJob('visits', flow => {
      flow
        .source('visits', waiting(visits(['a', 0], ['b', 1], ['c', 2], ['z', 1000])))
        .eventTime(({ at }) => at)
        .keyBy(({ user }) => user)
        .process('seen', {
          state: { last: value<number>({ ttl: event(10) }) },
          onRecord: ({ at }, ctx) => ctx.state.last.set(at),
        })
        .sink('out', memory())
    })
    const handle = await run(definition)
    while (handle.status().progress?.sources[0]?.records !== 4) await immediate()
    while (handle.status().progress!.entries !== 1) await immediate()
    await handle.cancel()
  },
)

test('a record without a timestamp cannot touch state that expires in event time', async () => {
  const definition = defineJob('visits', flow => {
    flow
      .source('numbers', collection([1]))
      .keyBy(n => n)
      .process('seen', {
        state: { last: value<number>({ ttl: event(1) }) },
        onRecord: (n, ctx) => ctx.state.last.set(n),
      })
      .sink('out', memory())
  })
  const handle = await run(definition, { restart: { strategy: 'none' } as never })
  await assert.rejects(handle.finished, { code: 'NO_EVENT_TIME' })
})
