import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StateBackend } from '../state/index.ts'
import { ExpirySweep } from './expiry-sweep.ts'

/** A backend whose rounds take so many slices. */
function sweepOf(slicesPerRound: number) {
  const sweptAt: number[] = []
  let nowMs = 0
  const backend = {
    sweepExpired(maxEntries: number) {
      assert.ok(maxEntries <= 1000, 'a slice is short')
      sweptAt.push(nowMs)
      return sweptAt.length % slicesPerRound === 0
    },
  } as StateBackend
  const sweep = new ExpirySweep(backend)
  return { sweep, sweptAt, step: (atMs: number) => sweep.step((nowMs = atMs)) }
}

test('of the many steps of a busy slot one in 5 ms takes a slice, until a round is done; then it rests for a second', () => {
  const { sweptAt, step } = sweepOf(3)
  for (let ms = 0; ms < 1020; ms += 0.5) step(ms)
  assert.deepEqual(sweptAt, [0, 5, 10, 1010, 1015])
})

test('a slot with nothing else to do is woken 20 times a second in a round, and rests as long', () => {
  const { sweep, sweptAt, step } = sweepOf(3)
  let nowMs = 0
  for (let wakes = 0; wakes < 5; wakes++) {
    step(nowMs)
    assert.ok(sweep.idleDueMs > nowMs, 'it may sleep')
    nowMs = sweep.idleDueMs
  }
  assert.deepEqual(sweptAt, [0, 50, 100, 1100, 1150])
})
