/** Subtasks and exchanges of a job at a parallelism. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildGraph, count, defineJob, type Flow } from '../api/index.ts'
import { collection, memory } from '../connectors/index.ts'
import { tumbling } from '../time/index.ts'
import { planExecution } from './execution-plan.ts'
import { planJob } from './job-graph.ts'

const numbers = () => collection([1, 2])

function planOf(build: (flow: Flow) => void, parallelism: number) {
  const job = planJob(buildGraph(defineJob('job', build), {}))
  const plan = planExecution(job, parallelism, 128)
  const nameOf = (id: number) => job.graph.nodes[id].name
  return {
    subtasks: Object.fromEntries(job.graph.nodes.map(({ id, name }) => [name, plan.subtasks[id]])),
    exchanges: plan.exchanges.map(({ from, to, partitioning }) => `${nameOf(from)} -> ${nameOf(to)} ${partitioning}`),
    timestamps: plan.exchanges.map(({ timestamps }) => timestamps),
    eventTimes: job.eventTimes.map(({ splitSources, hasOtherInput }) => [splitSources.length, hasOtherInput]),
  }
}

test('at parallelism 1 every edge is a direct call', () => {
  const build = (flow: Flow) =>
    flow
      .source('in', numbers())
      .rebalance()
      .keyBy(n => n)
      .reduce('r', x => x)
      .sink('out', memory())
  assert.deepEqual(planOf(build, 1).exchanges, [])
})

test('sources, keyed operators and rebalance run at the parallelism of the job, all else at that of its input', () => {
  const { subtasks, exchanges } = planOf(flow => {
    flow
      .source('one', numbers(), { parallelism: 1 })
      .map(n => n, { name: 'map' })
      .rebalance({ name: 'spread' })
      .filter(n => n > 0, { name: 'filter' })
      .keyBy(n => n)
      .reduce('sum', x => x)
      .sink('out', memory())
  }, 4)
  assert.deepEqual(subtasks, { one: 1, map: 1, spread: 4, filter: 4, sum: 4, out: 4 })
  assert.deepEqual(exchanges, ['map -> spread rebalance', 'filter -> sum hash'])
})

test('an operator of its own parallelism has at most that of the job, and records move where it differs', () => {
  const build = (flow: Flow) => flow.source('in', numbers()).sink('out', memory(), { parallelism: 3 })
  assert.deepEqual(planOf(build, 2).subtasks, { in: 2, out: 2 })
  assert.deepEqual(planOf(build, 4).exchanges, ['in -> out rebalance'])
})

test('a union has as many subtasks as its largest input, and smaller ones are spread over them', () => {
  const { subtasks, exchanges } = planOf(flow => {
    const a = flow.source('a', numbers(), { parallelism: 1 })
    const b = flow.source('b', numbers())
    a.union(b).sink('out', memory())
  }, 2)
  assert.equal(subtasks['out'], 2)
  assert.equal(exchanges.length, 1)
  assert.match(exchanges[0], /^a -> /)
})

test('a broadcast edge is an exchange to all subtasks of the keyed operator, at the parallelism of each side', () => {
  const build = (flow: Flow) => {
    const rules = flow.source('rules', numbers(), { parallelism: 1 })
    flow
      .source('in', numbers())
      .keyBy(n => n)
      .connect(rules.broadcast())
      .process('checked', { onRecord() {}, onBroadcast() {} })
      .sink('out', memory())
  }
  const { subtasks, exchanges } = planOf(build, 3)
  assert.deepEqual(subtasks, { rules: 1, in: 3, checked: 3, out: 3 })
  assert.deepEqual(exchanges, ['in -> checked hash', 'rules -> checked broadcast'])
  assert.deepEqual(planOf(build, 1).exchanges, [])
})

test('timestamps travel where event time lies upstream', () => {
  const { timestamps } = planOf(flow => {
    flow
      .source('in', numbers())
      .keyBy(n => n)
      .reduce('before', x => x)
      .eventTime(n => n)
      .keyBy(n => n)
      .window(tumbling('1s'))
      .aggregate('after', count())
      .sink('out', memory())
  }, 2)
  assert.deepEqual(timestamps, [false, true])
})

test('a record that may change slots on its way to event time belongs to no split any more, at parallelism 1 too', () => {
  const split = (build: (flow: Flow) => void) => [1, 4].map(p => planOf(build, p).eventTimes)
  assert.deepEqual(
    split(flow =>
      flow
        .source('in', numbers())
        .map(n => n)
        .eventTime(n => n)
        .sink('out', memory()),
    ),
    [[[1, false]], [[1, false]]],
  )
  assert.deepEqual(
    split(flow =>
      flow
        .source('in', numbers())
        .rebalance()
        .eventTime(n => n)
        .sink('out', memory()),
    ),
    [[[0, true]], [[0, true]]],
  )
})
