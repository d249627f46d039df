/** Several slots' exchanges on one thread: aborts, late barriers, uneven slots. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildGraph, defineJob } from '../../api/index.ts'
import { collection, memory } from '../../connectors/index.ts'
import { planExecution, planJob } from '../../graph/index.ts'
import { ChainTimes } from '../chain-times.ts'
import { allocateExchangeMemory } from './memory.ts'
import { SlotExchange } from './slot-exchange.ts'

const SLOTS = 3

/** A source that is keyed twice, in three slots; records are numbers, and what arrives at the last operator is gathered by slot. */
function slots() {
  const job = defineJob('job', flow =>
    flow
      .source('in', collection([1]))
      .keyBy((n: number) => n)
      .reduce('a', x => x)
      .keyBy(n => n + 1)
      .reduce('b', x => x)
      .sink('out', memory()),
  )
  const plan = planExecution(planJob(buildGraph(job, {})), SLOTS, 128)
  const [first, second] = plan.exchanges
  const shared = allocateExchangeMemory(plan)
  const fail = (error: unknown) => error
  return Array.from({ length: SLOTS }, (_, slot) => {
    const chain = { timestamp: NaN, split: 0 }
    const arrived: number[] = []
    const exchange = new SlotExchange({
      plan,
      slot,
      memory: shared,
      chain,
      chainTimes: new ChainTimes(plan, slot, () => 0),
      wake() {},
      isWritable: () => true,
    })
    const time = { watermark() {}, idle() {} }
    const end = (n: number) => void arrived.push(n)
    exchange.addInput(second, { push: end, pushKeyed: (_key, _hash, n) => end(n), ...time }, fail)
    const between = exchange.addOutput(second, fail)
    exchange.addInput(first, { push: between.push, pushKeyed: (_key, _hash, n) => between.push(n), ...time }, fail)
    const source = exchange.addOutput(first, fail)
    return { exchange, source, arrived, aligned: 0 }
  })
}

type Slots = ReturnType<typeof slots>

/** Steps all slots until nothing can move any more: a barrier takes a round a stage. */
function settle(all: Slots): void {
  for (let quietRounds = 0; quietRounds < 5; quietRounds++) {
    for (const slot of all) {
      if (slot.exchange.read()) quietRounds = 0
      if (slot.exchange.aligned()) slot.aligned++
      slot.exchange.flush()
    }
  }
}

const numbers = Array.from({ length: 1000 }, (_, n) => n)
const arrivedAt = (all: Slots) => all.flatMap(({ arrived }) => arrived).sort((a, b) => a - b)

test('every record arrives once at the subtask of its key, over two exchanges', () => {
  const all = slots()
  for (const n of numbers) all[n % SLOTS].source.push(n)
  settle(all)
  assert.deepEqual(arrivedAt(all), numbers)
  for (const { arrived } of all) assert.ok(arrived.length > 200)
})

test('a slot has passed a barrier when everybody has sent it, and holds exactly what was before it', () => {
  const all = slots()
  for (const n of numbers) all[n % SLOTS].source.push(n)
  all[0].exchange.align(1)
  all[1].exchange.align(1)
  settle(all)
  assert.deepEqual(
    all.map(({ aligned }) => aligned),
    [0, 0, 0],
    'slot 2 has not had its trigger',
  )
  // It goes on meanwhile; what it sends still belongs before the barrier.
  for (const n of numbers) all[2].source.push(n)
  all[2].exchange.align(1)
  settle(all)
  assert.deepEqual(
    all.map(({ aligned }) => aligned),
    [1, 1, 1],
  )
  assert.equal(arrivedAt(all).length, 2 * numbers.length)
})

test('an abort in the middle of an alignment releases what waits, also barriers that arrive after it', () => {
  const all = slots()
  all[0].exchange.align(1)
  all[1].exchange.align(1)
  settle(all)
  all[0].exchange.release(1)
  all[1].exchange.release(1)
  for (const n of numbers) all[n % 2].source.push(n)
  settle(all)
  // Slot 2 stands at the barriers of 1: its abort is still on the way.
  assert.ok(arrivedAt(all).length < numbers.length)
  all[2].exchange.release(1)
  settle(all)
  assert.deepEqual(arrivedAt(all), numbers)
})

test('the next barrier may overtake an abort: a channel that stands at it waits for its own checkpoint', () => {
  const all = slots()
  all[0].exchange.align(1)
  settle(all)
  // Slots 1 and 2 never begin checkpoint 1: it is aborted, and 2 begins; slot 0 learns of both late.
  for (const slot of [1, 2]) {
    all[slot].exchange.release(1)
    all[slot].exchange.align(2)
  }
  settle(all)
  assert.deepEqual(
    all.map(({ aligned }) => aligned),
    [0, 0, 0],
  )
  all[0].exchange.release(1)
  for (const n of numbers) all[0].source.push(n)
  all[0].exchange.align(2)
  settle(all)
  assert.deepEqual(
    all.map(({ aligned }) => aligned),
    [1, 1, 1],
  )
  assert.deepEqual(arrivedAt(all), numbers)
})
