/** How the chains of a slot spend their time: slots under a clock that only the job's own functions, and the test, put forward. */
import { MemoryDiskStore } from '../state/index.ts'
import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { buildGraph, defineJob, type Flow } from '../api/index.ts'
import type { Trigger } from '../checkpoint/mail.ts'
import type { Sink, Source } from '../connectors/contract.ts'
import { blackhole } from '../connectors/index.ts'
import { planExecution, planJob } from '../graph/index.ts'
import { memoryStorage } from '../store/memory/index.ts'
import { allocateExchangeMemory } from './exchange/memory.ts'
import { Slot } from './slot.ts'

/** Every reading of one clock is that of all. */
let nowMs = 0
beforeEach(() => {
  nowMs = 0
})

function spend<T>(ms: number, result: T): T {
  nowMs += ms
  return result
}

/** Blocks of so many records. */
function blocks(size: number, count = Infinity): Source<number> {
  let n = 0
  const read = (output: { record(n: number): void }): 'blocked' => {
    if (n < size * count) for (let i = 0; i < size; i++) output.record(n++)
    return 'blocked'
  }
  return {
    type: 'blocks',
    bounded: false,
    enumerate: async () => [],
    open: async () => ({ read, position: () => n, close: async () => undefined }),
  }
}

/** Takes records as long as `valve.isOpen`. */
function gate(valve: { isOpen: boolean }): Sink<unknown> {
  return {
    type: 'gate',
    retracts: true,
    open: async () => ({
      write() {},
      writable: () => valve.isOpen,
      prepareCommit: async () => ({ committables: [] }),
      commit: async () => undefined,
      close: async () => undefined,
    }),
  }
}

/** All slots of the job, each source with one split in the first of them. */
async function slotsOf(build: (flow: Flow) => void, parallelism = 1): Promise<Slot[]> {
  const job = planJob(buildGraph(defineJob('job', build), {}))
  const execution = planExecution(job, parallelism, 128)
  const sources = job.graph.nodes.flatMap(({ kind, name }) => (kind === 'source' ? [name] : []))
  const keyed = job.graph.nodes.flatMap(({ kind, name }) => (kind === 'keyedProcess' ? [name] : []))
  const ids = { value: 1, '~event-timers': 2, '~processing-timers': 3 }
  const memory = parallelism === 1 ? undefined : allocateExchangeMemory(execution)
  const platform = {
    now: () => nowMs,
    monotonic: () => nowMs,
    store: memoryStorage().job('job'),
    wake() {},
    wakeSlot() {},
    yield: async () => undefined,
    openDiskStore: () => new MemoryDiskStore(),
  }
  const split = { id: 'split', detail: null, position: null, ended: false }
  return Promise.all(
    Array.from({ length: parallelism }, async (_, index) => {
      const plan = {
        job: 'job',
        runId: '00000000',
        slot: index,
        parallelism,
        maxParallelism: 128,
        exchange: memory,
        workingState: { backend: 'heap' },
        compression: 'none',
        stateIds: Object.fromEntries(keyed.map(name => [name, ids])),
        dictionary: { maxParallelism: 128, hashVersion: 1, states: {} },
        restore: undefined,
      } as const
      const slot = new Slot(job, plan, platform, mail => assert.notEqual(mail.type, 'failed', JSON.stringify(mail)))
      const splits = index === 0 ? [split] : []
      await slot.start(Object.fromEntries(sources.map(name => [name, { splits, records: 0, turn: undefined }])))
      return slot
    }),
  )
}

function step(slots: readonly Slot[], times: number): void {
  for (let n = 0; n < times; n++) for (const slot of slots) slot.step()
}

/** [busy, idle, backpressured] by chain. They add up to the time since the slots began, which is the beginning of the clock. */
function timesOf(slot: Slot): { [chain: string]: [number, number, number] } {
  const { chains } = slot.progress()
  for (const { busyMs, idleMs, backpressuredMs } of chains) assert.equal(busyMs + idleMs + backpressuredMs, nowMs)
  return Object.fromEntries(
    chains.map(({ chain, busyMs, idleMs, backpressuredMs }) => [chain, [busyMs, idleMs, backpressuredMs]]),
  )
}

test('a turn belongs to the source that has it, with all that it calls; meanwhile the other one is idle', async () => {
  const slots = await slotsOf(flow => {
    const a = flow.source('a', blocks(3, 1)).map(n => spend(1, n))
    const b = flow.source('b', blocks(1)).map(n => spend(10, n))
    a.union(b)
      .map(n => spend(100, n))
      .sink('out', blackhole())
  })
  step(slots, 2)
  assert.deepEqual(timesOf(slots[0]), { a: [303, 110, 0], b: [110, 303, 0] })
  nowMs += 1000
  assert.deepEqual(timesOf(slots[0]), { a: [303, 1110, 0], b: [110, 1303, 0] })
  assert.deepEqual(slots[0].progress().chains[0].operators, ['a', 'map-1', 'union-1', 'map-3', 'out'])
})

test('what an exchange brings is work of the chain behind it', async () => {
  const slots = await slotsOf(flow => {
    flow
      .source('in', blocks(1))
      .map(() => spend(1, 5))
      .rebalance({ name: 'spread' })
      .map(n => spend(10, n))
      .sink('out', blackhole())
  }, 2)
  step(slots, 1)
  step([slots[0]], 1)
  assert.deepEqual(timesOf(slots[0]), { in: [11, 0, 0], spread: [0, 11, 0] }, 'the first record stays in its slot')
  nowMs += 5
  step(slots, 1)
  assert.deepEqual(timesOf(slots[0]), { in: [12, 15, 0], spread: [0, 27, 0] })
  assert.deepEqual(timesOf(slots[1]), { in: [0, 27, 0], spread: [10, 17, 0] })
})

test('timers count for the chain that their operator is in', async () => {
  const slots = await slotsOf(flow => {
    flow
      .source('in', blocks(1))
      .keyBy(n => n)
      .process('wait', {
        state: {},
        onRecord: (_n, ctx) => ctx.timers.onProcessingTime(1000),
        onTimer: () => spend(7, undefined),
      })
      .sink('out', blackhole())
  })
  step(slots, 1)
  nowMs = 1000
  step(slots, 1)
  assert.deepEqual(timesOf(slots[0]), { in: [7, 1000, 0] })
})

test('a chain that has no turn for want of room is backpressured, from the step that refuses it until its next turn', async () => {
  const valve = { isOpen: false }
  const slots = await slotsOf(flow => {
    flow
      .source('in', blocks(2))
      .map(n => spend(1, n))
      .sink('out', gate(valve))
    flow
      .source('other', blocks(2))
      .map(n => spend(1, n))
      .sink('free', blackhole())
  })
  nowMs += 100
  step(slots, 1)
  nowMs += 50
  step(slots, 3)
  assert.deepEqual(timesOf(slots[0]), { in: [0, 100, 50], other: [0, 100, 50] }, "the other's turn comes after it")
  valve.isOpen = true
  nowMs += 8
  step(slots, 1)
  assert.deepEqual(timesOf(slots[0]), { in: [2, 100, 58], other: [0, 102, 58] })
})

test('it is so also while others have their turns in the step that ends it', async () => {
  const valve = { isOpen: false }
  const slots = await slotsOf(flow => {
    flow
      .source('first', blocks(1, 1))
      .keyBy(n => n)
      .process('opener', {
        state: {},
        onRecord: (_n, ctx) => ctx.timers.onProcessingTime(1000),
        onTimer() {
          valve.isOpen = spend(7, true)
        },
      })
      .sink('free', blackhole())
    flow.source('second', blocks(1)).sink('out', gate(valve))
  })
  step(slots, 2)
  nowMs = 1000
  step(slots, 1)
  assert.deepEqual(timesOf(slots[0]), { first: [7, 0, 1000], second: [0, 0, 1007] })
})

test('and what is refused in the middle of its turn is backpressured from the end of the turn', async () => {
  const valve = { isOpen: true }
  const slots = await slotsOf(flow => {
    flow
      .source('in', blocks(500, 1))
      .map(n => n.toString().padEnd(500))
      .rebalance({ name: 'spread' })
      .map(text => {
        valve.isOpen = false
        return spend(1, text)
      })
      .sink('out', gate(valve))
  }, 2)
  step(slots, 2)
  valve.isOpen = true
  const beganMs = nowMs
  step([slots[1]], 1)
  const busyMs = nowMs - beganMs
  assert.ok(busyMs > 0 && busyMs < 250, 'not all of its pages')
  nowMs += 100
  const { spread } = timesOf(slots[1])
  assert.deepEqual([spread[0], spread[2]], [busyMs, 100])
})

test('backpressure goes upstream through the exchange, once it is full', async () => {
  const valve = { isOpen: false }
  const slots = await slotsOf(flow => {
    flow
      .source('in', blocks(500))
      .map(n => n.toString().padEnd(500))
      .rebalance({ name: 'spread' })
      .map(text => spend(1, text))
      .sink('out', gate(valve), { parallelism: 2 })
  }, 2)
  const [, second] = slots
  step([slots[0]], 1)
  assert.equal(timesOf(slots[0]).in[2], 0)
  nowMs += 100
  step([second], 1)
  nowMs += 100
  const { in: source, spread } = timesOf(second)
  assert.deepEqual([source[2], spread[2]], [100, 100], 'a source without splits might get some')
  step([slots[0]], 1)
  nowMs += 100
  assert.equal(timesOf(slots[0]).in[2], 300)
})

test('an alignment holds the sources until it is over, and what has the barrier', async () => {
  const slots = await slotsOf(flow => {
    flow.source('in', blocks(1)).rebalance({ name: 'spread' }).sink('out', blackhole())
  }, 2)
  const trigger: Trigger = {
    checkpointId: 1,
    baseCheckpointId: undefined,
    full: true,
    segment: { file: 'segments/1-1.seg', id: 1 },
    last: false,
    drain: false,
  }
  step(slots, 4)
  slots[0].receive({ type: 'trigger', trigger })
  step(slots, 2)
  nowMs += 100
  step(slots, 1)
  assert.deepEqual(timesOf(slots[0]), { in: [0, 0, 100], spread: [0, 100, 0] })
  assert.deepEqual(timesOf(slots[1]), { in: [0, 100, 0], spread: [0, 0, 100] })
  for (const slot of slots) slot.receive({ type: 'abort', checkpointId: 1 })
  step(slots, 1)
  nowMs += 10
  step(slots, 1)
  assert.deepEqual(timesOf(slots[0]), { in: [0, 10, 100], spread: [0, 110, 0] })
  assert.deepEqual(timesOf(slots[1]), { in: [0, 110, 0], spread: [0, 10, 100] })
})
