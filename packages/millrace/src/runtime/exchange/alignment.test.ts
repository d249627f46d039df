/** When a slot passes a barrier on, and when it has passed it (DESIGN invariant 1). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ExecutionPlan } from '../../graph/index.ts'
import { planExecution, planJob } from '../../graph/index.ts'
import { buildGraph, defineJob, type Flow } from '../../api/index.ts'
import { collection, memory } from '../../connectors/index.ts'
import { Alignment } from './alignment.ts'
import { slotReach } from './slot-reach.ts'

function plan(build: (flow: Flow) => void, parallelism = 2): ExecutionPlan {
  return planExecution(planJob(buildGraph(defineJob('job', build), {})), parallelism, 128)
}

/** An alignment of slot 0 for barrier 7 in which every exchange has one channel from another slot. */
function align(execution: ExecutionPlan) {
  const arrived = new Set<number>()
  const written: number[] = []
  const ids = execution.exchanges.map(({ id }) => id)
  const alignment = new Alignment(
    7,
    slotReach(execution, 0),
    ids.map(id => ({ id, standsAt: barrier => barrier === 7 && arrived.has(id) })),
    ids.map(id => ({ id, writeBarrier: barrier => written.push(barrier * 10 + id) })),
  )
  return { alignment, arrived, written }
}

const TWO_STAGES = plan(flow =>
  flow
    .source('in', collection([1]))
    .keyBy(n => n)
    .reduce('a', x => x)
    .keyBy(n => -n)
    .reduce('b', x => x)
    .sink('out', memory()),
)

test('what the sources write to gets the barrier at once, the next stage only when the one before has passed', () => {
  const { alignment, arrived, written } = align(TWO_STAGES)
  assert.equal(alignment.advance(), false)
  assert.deepEqual(written, [70])
  arrived.add(1)
  assert.equal(alignment.advance(), false)
  assert.deepEqual(written, [70], 'stage b has its barrier from the other slot, but not from this one')
  arrived.add(0)
  assert.equal(alignment.advance(), true)
  assert.deepEqual(written, [70, 71])
})

test('a barrier is passed on once, however often it is asked', () => {
  const { alignment, written } = align(TWO_STAGES)
  for (let i = 0; i < 3; i++) assert.equal(alignment.advance(), false)
  assert.deepEqual(written, [70])
})

test('an exchange behind a union waits for all that flows into the union', () => {
  const execution = plan(flow => {
    const a = flow.source('a', collection([1]))
    const counted = a.keyBy(n => n).reduce('count', x => x)
    a.union(counted)
      .keyBy(n => n)
      .reduce('all', x => x)
      .sink('out', memory())
  })
  const { alignment, arrived, written } = align(execution)
  alignment.advance()
  assert.deepEqual(written, [70], 'only into count: the union is still written to by count')
  arrived.add(0)
  alignment.advance()
  assert.deepEqual(written, [70, 71])
  arrived.add(1)
  assert.equal(alignment.advance(), true)
})

test('a slot that nothing is exchanged with has passed at once', () => {
  const execution = plan(flow => flow.source('in', collection([1])).sink('out', memory()))
  assert.equal(align(execution).alignment.advance(), true)
})

test('reach follows direct calls and own channels, and ends where the operator has no subtask in the slot', () => {
  const execution = plan(flow => {
    flow
      .source('in', collection([1]))
      .keyBy(n => n)
      .reduce('a', x => x)
      .sink('out', memory(), { parallelism: 1 })
  })
  assert.deepEqual(
    execution.exchanges.map(({ partitioning, fromSubtasks, toSubtasks }) => [partitioning, fromSubtasks, toSubtasks]),
    [
      ['hash', 2, 2],
      ['rebalance', 2, 1],
    ],
  )
  const reachOf = (slot: number) => {
    const [reach] = slotReach(execution, slot).operators.values()
    return [[...reach.exchanges].sort((a, b) => a - b), reach.sinks.size]
  }
  assert.deepEqual(reachOf(0), [[0, 1], 1])
  assert.deepEqual(reachOf(1), [[0, 1], 0])
})
