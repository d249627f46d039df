/** What a subtask says of event time when splits of it have ended or are idle, while others have records. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventTimeNode } from '../../graph/index.ts'
import type { Input } from '../chain.ts'
import { Output, Outputs } from '../output.ts'
import { Meters } from '../meters.ts'
import type { Services } from '../services.ts'
import { EventTimeOperator, NO_SPLIT } from './event-time.ts'

function eventTime({ idleAfterMs, hasOtherInput = false }: { idleAfterMs?: number; hasOtherInput?: boolean } = {}) {
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
    meters: new Meters(),
  }
  const node: EventTimeNode = {
    kind: 'eventTime',
    id: 1,
    name: 'time',
    inputs: [{ from: 0 }],
    options: {},
    timestamp: (record: number) => record,
    outOfOrdernessMs: 0,
    idleAfterMs,
  }
  const plan = { node: 1, id: 'in/0', splitSources: [0], hasOtherInput }
  const operator = new EventTimeOperator(node, plan, new Outputs(new Output([reader]), new Map()), services)
  const record = (split: number, at: number) => {
    services.chain.split = split
    operator.push(at)
  }
  return { said, operator, record, clock: services.clock }
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

test('a split whose reader is caught up for idleAfter stops holding the watermark back, until it has a record again', () => {
  const { said, operator, record, clock } = eventTime({ idleAfterMs: 100 })
  for (const split of [1, 2]) operator.addSplit(split, undefined)
  operator.start(undefined)
  record(1, 10)
  record(2, 20)
  assert.equal(operator.idleDueMs, Infinity)
  operator.caughtUp(1)
  assert.equal(operator.idleDueMs, 100)
  clock.nowMs = 99
  operator.caughtUp(1)
  assert.deepEqual(said, [9])
  clock.nowMs = 100
  operator.caughtUp(1)
  assert.deepEqual(said, [9, 19])
  record(1, 15)
  record(2, 30)
  assert.deepEqual(said, [9, 19])
})

test('time in which a split is not asked does not make it idle', () => {
  const { said, operator, record, clock } = eventTime({ idleAfterMs: 100 })
  for (const split of [1, 2]) operator.addSplit(split, undefined)
  operator.start(undefined)
  record(1, 10)
  clock.nowMs = 1000
  record(2, 20)
  record(2, 21)
  assert.deepEqual(said, [9])
  operator.caughtUp(1)
  clock.nowMs = 5000
  record(1, 12)
  operator.caughtUp(1)
  assert.equal(operator.idleDueMs, 5100)
  assert.deepEqual(said, [9, 11])
})

test('when all are idle the watermark goes to the highest, in whatever order they went', () => {
  for (const order of [
    [1, 2],
    [2, 1],
  ]) {
    const { said, operator, record, clock } = eventTime({ idleAfterMs: 100 })
    for (const split of [1, 2]) operator.addSplit(split, undefined)
    operator.start(undefined)
    record(1, 10)
    record(2, 20)
    for (const split of order) operator.caughtUp(split)
    clock.nowMs = 100
    for (const split of order) operator.caughtUp(split)
    assert.deepEqual(said, [9, 19, 'idle'])
  }
})

test('records without a split are idle when nothing comes for idleAfter, not counting time in which nothing could', () => {
  const { said, operator, record, clock } = eventTime({ idleAfterMs: 100, hasOtherInput: true })
  operator.start(undefined)
  record(NO_SPLIT, 10)
  operator.stepped(false)
  clock.nowMs = 150
  operator.stepped(true)
  assert.equal(operator.idleDueMs, Infinity)
  operator.stepped(false)
  clock.nowMs = 249
  operator.stepped(false)
  assert.deepEqual(said, [9])
  clock.nowMs = 250
  operator.stepped(false)
  assert.deepEqual(said, [9, 'idle'])
})
