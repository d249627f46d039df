import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expiryOf, lastTouchOf, touchNow } from './expiry.ts'
import type { KeyedStateInfo, OperatorSnapshot } from './manifest-types.ts'

const state = (id: number, more: Partial<KeyedStateInfo> = {}): KeyedStateInfo => ({
  id,
  name: `s${id}`,
  kind: 'value',
  schema: null,
  ...more,
})
const operator = (states: readonly KeyedStateInfo[], watermark?: number): OperatorSnapshot => ({
  name: 'o',
  kind: 'keyedProcess',
  parallelism: 1,
  states,
  ...(watermark !== undefined && { watermark }),
})
const EVENT = { ttlMs: 10, ttlTime: 'event' } as const
const EPOCH = 2 ** 47

test('in processing time an entry expires by the clock', () => {
  const states = [state(1, { ttlMs: 10 }), state(2)]
  let nowMs = 109
  const isExpired = expiryOf(states, { operators: [operator(states, 5000)] }, () => nowMs)
  assert.equal(isExpired(1, 100), false)
  nowMs = 110
  assert.equal(isExpired(1, 100), true)
  assert.equal(isExpired(2, 100), false, 'it has no time to live')
})

test('in event time an entry expires by the watermark of its operator, and not at all where the snapshot says none', () => {
  const [slow, fast, unknown] = [state(1, EVENT), state(2, EVENT), state(3, EVENT)]
  const operators = [operator([slow], -5), operator([fast], 50), operator([unknown])]
  const isExpired = expiryOf([slow, fast, unknown], { operators }, () => 1e15)
  assert.equal(isExpired(1, EPOCH - 14), false)
  assert.equal(isExpired(1, EPOCH - 15), true)
  assert.equal(isExpired(2, EPOCH + 40), true)
  assert.equal(isExpired(3, EPOCH), false)
})

test('the time to live is that of the job, the watermark that of the snapshot', () => {
  const operators = [operator([state(1, { ...EVENT, ttlMs: 1000 })], 50)]
  assert.equal(expiryOf([state(1, EVENT)], { operators }, () => 0)(1, EPOCH + 40), true)
  assert.equal(expiryOf([state(1)], { operators }, () => 0)(1, EPOCH + 40), false)
})

test('what is put into a snapshot by hand was touched now, in event time at the watermark', () => {
  const operators = [operator([state(1, EVENT)], 50), operator([state(2, EVENT)])]
  assert.equal(touchNow(state(1, EVENT), { operators }, 7), EPOCH + 50)
  assert.equal(touchNow(state(2, EVENT), { operators }, 7), undefined)
  assert.equal(touchNow(state(1, { ttlMs: 10 }), { operators }, 7), 7)
  assert.equal(touchNow(state(1), { operators }, 7), undefined)
  assert.equal(lastTouchOf(EVENT, EPOCH + 50), 50)
  assert.equal(lastTouchOf({ ttlMs: 10 }, 7), 7)
})
