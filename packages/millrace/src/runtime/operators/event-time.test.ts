/** What a subtask says of event time when it has no more splits to read, while others have. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventTimeNode } from '../../graph/index.ts'
import type { Input } from '../chain.ts'
import { Output, Outputs } from '../output.ts'
import { Counters, type Services } from '../services.ts'
import { EventTimeOperator, NO_SPLIT } from './event-time.ts'

function eventTime() {
  const said: (number | string)[] = []
  const reader: Input = {
    push: () => undefined,
    watermark: time => void said.push(time),
    idle: isIdle => void said.push(isIdle ? 'idle' : 'active'),
  }
  const services: Services = {
    chain: { timestamp: NaN, split: NO_SPLIT },
    clock: { nowMs: 0 },
    log: { info: () => undefined, warn: () => undefined },
    counters: new Counters(),
  }
  const node: EventTimeNode = {
    kind: 'eventTime',
    id: 1,
    name: 'time',
    inputs: [{ from: 0 }],
    options: {},
    timestamp: (record: number) => record,
    outOfOrdernessMs: 0,
    idleAfterMs: undefined,
  }
  const plan = { node: 1, id: 'in/0', splitSources: [0], hasOtherInput: false }
  const operator = new EventTimeOperator(node, plan, new Outputs(new Output([reader]), new Map()), services)
  const record = (split: number, at: number) => {
    services.chain.split = split
    operator.push(at)
  }
  return { said, operator, record }
}

test('a subtask whose splits have ended is complete: behind every time there is, but before the end of input', () => {
  const { said, operator, record } = eventTime()
  operator.addSplit(1, undefined)
  operator.addSplit(2, undefined)
  operator.start(undefined)
  record(1, 10)
  record(2, 20)
  operator.endSplit(1)
  assert.deepEqual(said, [9, 19])
  operator.endSplit(2)
  operator.watermark(Infinity)
  assert.deepEqual(said, [9, 19, Number.MAX_VALUE, Infinity])
})

test('so is one that got no split of a bounded source', () => {
  const { said, operator } = eventTime()
  operator.start(undefined)
  assert.deepEqual(said, [Number.MAX_VALUE])
})

test('one that may get splits later is idle until it does', () => {
  const { said, operator } = eventTime()
  operator.mayGetSplits = true
  operator.start(undefined)
  assert.deepEqual(said, ['idle'])
  operator.addSplit(1, undefined)
  operator.update()
  assert.deepEqual(said, ['idle', 'active'])
})

test('while restored splits are added nothing is said, even if the first ones had ended', () => {
  const { said, operator } = eventTime()
  operator.addSplit(1, 10)
  operator.endSplit(1)
  operator.addSplit(2, 20)
  operator.start(undefined)
  assert.deepEqual(said, [19])
})
