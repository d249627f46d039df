/** What only timers have: they are held by time, and a full snapshot wants them by key group. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeapBackend } from './heap-backend.ts'

const TIMERS = 5000
const STEP = 64

test('a full snapshot deals timers out to their key groups a few a step, while they come and go', () => {
  const backend = new HeapBackend(8, { nowMs: 0 })
  const states = backend.keyedStates('alarms')
  const timers = states.timers(1)
  const register = (key: number, time: number): void => {
    states.keys.bind(key)
    timers.register(time)
  }
  for (let key = 0; key < TIMERS; key++) register(key, key % 10)
  backend.freeze({ checkpointId: 1, baseCheckpointId: undefined, full: true })
  const written: number[] = []
  const consumer = { add: (op: number) => void written.push(op) }
  let steps = 0
  let before = 0
  for (; !backend.collect(consumer, STEP); steps++) {
    assert.ok(written.length - before <= STEP)
    before = written.length
    if (steps % 10 === 0) {
      timers.pop(Infinity)
      register(TIMERS + steps, steps % 10)
    }
  }
  assert.deepEqual(
    written,
    Array.from({ length: TIMERS }, () => 0),
  )
  assert.ok(steps >= (2 * TIMERS) / STEP, `${steps} steps`)
})
