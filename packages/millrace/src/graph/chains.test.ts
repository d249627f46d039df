/** Which operators of a slot call each other directly. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildGraph, defineJob, type Flow } from '../api/index.ts'
import { collection, memory } from '../connectors/index.ts'
import { chainsOf } from './chains.ts'
import { planExecution } from './execution-plan.ts'
import { planJob } from './job-graph.ts'

const numbers = () => collection([1, 2])

/** By the name of the head: names of its operators, in that slot. */
function chains(build: (flow: Flow) => void, parallelism: number, slot = 0): { [head: string]: string } {
  const job = planJob(buildGraph(defineJob('job', build), {}))
  const nameOf = (id: number) => job.graph.nodes[id].name
  return Object.fromEntries(
    chainsOf(planExecution(job, parallelism, 128), slot).map(({ head, operators }) => [
      nameOf(head),
      operators.map(nameOf).join(' '),
    ]),
  )
}

function twoStages(flow: Flow): void {
  flow
    .source('in', numbers())
    .map(n => n, { name: 'double' })
    .keyBy(n => n)
    .reduce('sum', x => x)
    .sink('out', memory(), { parallelism: 2 })
}

test('in one slot a chain is all that a source leads to; in several an exchange begins another one', () => {
  assert.deepEqual(chains(twoStages, 1), { in: 'in double sum out' })
  assert.deepEqual(chains(twoStages, 2), { in: 'in double', sum: 'sum', out: 'out' })
})

test('a slot has the chains of the operators that have a subtask in it', () => {
  assert.deepEqual(chains(twoStages, 3, 2), { in: 'in double', sum: 'sum' })
})

test('what two sources lead to by direct calls is in the chain of each', () => {
  const build = (flow: Flow) => {
    flow.source('a', numbers()).union(flow.source('b', numbers())).sink('out', memory())
  }
  assert.deepEqual(chains(build, 2), { a: 'a union-1 out', b: 'b union-1 out' })
})
