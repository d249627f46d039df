import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decideRestart, startRestarts, type Failure } from './restart-strategy.ts'

const OPTIONS = {
  strategy: 'exponential-delay',
  initialDelayMs: 100,
  maxDelayMs: 350,
  multiplier: 2,
  jitter: 0.1,
  resetAfterMs: 10_000,
} as const

function failure(records: number, signature = 'a', code = 'USER_FUNCTION_FAILED'): Failure {
  return { records, error: { code, message: 'm', hint: undefined, stack: '', signature, context: {} } }
}

test('delays grow up to the limit, are varied by the jitter, and start over after a calm time', () => {
  let state = startRestarts(OPTIONS, 0)
  const delays: number[] = []
  for (let i = 0; i < 4; i++) {
    const decision = decideRestart(OPTIONS, state, failure(i), 0, 0.5)
    assert.ok(decision.kind === 'restart')
    delays.push(decision.delayMs)
    state = decision.state
  }
  assert.deepEqual(delays, [100, 200, 350, 350])
  const low = decideRestart(OPTIONS, state, failure(9), 1, 0)
  assert.ok(low.kind === 'restart' && low.delayMs === 315)
  const calm = decideRestart(OPTIONS, state, failure(9), 10_001, 0.5)
  assert.ok(calm.kind === 'restart' && calm.delayMs === 100)
})

test('invariant 10: the same error twice without source progress gives up; with progress, or another error, it does not', () => {
  const first = decideRestart(OPTIONS, startRestarts(OPTIONS, 0), failure(10), 0, 0.5)
  assert.ok(first.kind === 'restart')
  const again = (next: Failure) => decideRestart(OPTIONS, first.state, next, 0, 0.5)
  assert.deepEqual(again(failure(10)), { kind: 'give-up', why: 'deterministic' })
  assert.equal(again(failure(11)).kind, 'restart')
  assert.equal(again(failure(10, 'b')).kind, 'restart')
})

test('what the world outside did is tried again for ever', () => {
  const first = decideRestart(OPTIONS, startRestarts(OPTIONS, 0), failure(10, 'a', 'SINK_FAILED'), 0, 0.5)
  assert.ok(first.kind === 'restart')
  assert.equal(decideRestart(OPTIONS, first.state, failure(10, 'a', 'SINK_FAILED'), 0, 0.5).kind, 'restart')
})

test('a fenced process, and strategy none, do not restart', () => {
  assert.equal(decideRestart(OPTIONS, startRestarts(OPTIONS, 0), failure(1, 'a', 'FENCED'), 0, 0).kind, 'give-up')
  assert.equal(
    decideRestart({ ...OPTIONS, strategy: 'none' }, startRestarts(OPTIONS, 0), failure(1), 0, 0).kind,
    'give-up',
  )
})
