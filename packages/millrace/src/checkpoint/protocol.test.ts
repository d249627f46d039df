import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  nextTickMs,
  startProtocol,
  transition,
  type ProtocolAction,
  type ProtocolEvent,
  type ProtocolState,
} from './protocol.ts'

const OPTIONS = { intervalMs: 100, timeoutMs: 1000, minPauseMs: 20, tolerableFailures: 2, incremental: true }

function run(state: ProtocolState, ...events: ProtocolEvent[]): { state: ProtocolState; actions: ProtocolAction[] } {
  const actions: ProtocolAction[] = []
  for (const event of events) {
    const next = transition(state, event)
    state = next.state
    actions.push(...next.actions)
  }
  return { state, actions }
}

const start = (over = {}) => startProtocol({ ...OPTIONS, ...over }, 7, 6, 0)

test('a checkpoint is triggered on the interval, published once acknowledged, and complete once published', () => {
  const { actions, state } = run(
    start(),
    { type: 'tick', nowMs: 99 },
    { type: 'tick', nowMs: 100 },
    { type: 'acknowledged', id: 7, nowMs: 110 },
    { type: 'published', id: 7, nowMs: 120 },
  )
  assert.deepEqual(
    actions.map(action => action.type),
    ['trigger', 'publish', 'complete'],
  )
  assert.equal(state.baseId, 7)
  assert.equal(nextTickMs(state), 200)
})

test('invariant 3: after a failed checkpoint the next delta still builds on the last published one', () => {
  const { actions } = run(
    start(),
    { type: 'tick', nowMs: 100 },
    { type: 'declined', id: 7, nowMs: 105 },
    { type: 'tick', nowMs: 200 },
  )
  const triggers = actions.filter(action => action.type === 'trigger')
  assert.deepEqual(
    triggers.map(trigger => [trigger.pending.id, trigger.baseId]),
    [
      [7, 6],
      [8, 6],
    ],
  )
})

test('invariant 2: a checkpoint that is publishing neither expires nor is declined', () => {
  const { state, actions } = run(
    start(),
    { type: 'tick', nowMs: 100 },
    { type: 'acknowledged', id: 7, nowMs: 110 },
    { type: 'tick', nowMs: 100_000 },
    { type: 'declined', id: 7, nowMs: 100_001 },
  )
  assert.deepEqual(
    actions.map(action => action.type),
    ['trigger', 'publish'],
  )
  assert.equal(state.pending?.phase, 'publishing')
})

test('a checkpoint that is not acknowledged in time is aborted, and its late acknowledgement is ignored', () => {
  const { state, actions } = run(
    start(),
    { type: 'tick', nowMs: 100 },
    { type: 'tick', nowMs: 1099 },
    { type: 'tick', nowMs: 1100 },
    { type: 'acknowledged', id: 7, nowMs: 1101 },
  )
  assert.deepEqual(actions.slice(1), [{ type: 'abort', id: 7, why: 'expired' }])
  assert.equal(state.pending, undefined)
})

test('more failures in a row than tolerated give up; a success in between counts them anew', () => {
  const fail = (id: number, nowMs: number): ProtocolEvent[] => [
    { type: 'tick', nowMs },
    { type: 'declined', id, nowMs },
  ]
  const good: ProtocolEvent[] = [
    { type: 'tick', nowMs: 300 },
    { type: 'acknowledged', id: 9, nowMs: 300 },
    { type: 'published', id: 9, nowMs: 300 },
  ]
  const { actions } = run(
    start(),
    ...fail(7, 100),
    ...fail(8, 200),
    ...good,
    ...fail(10, 400),
    ...fail(11, 500),
    ...fail(12, 600),
  )
  assert.equal(
    actions.findIndex(action => action.type === 'give-up'),
    actions.length - 1,
  )
})

test('a stop asked for while a checkpoint is pending follows it at once, and nothing follows the stop', () => {
  const { state, actions } = run(
    start(),
    { type: 'tick', nowMs: 100 },
    { type: 'request', reason: 'stop', nowMs: 101 },
    { type: 'request', reason: 'user', nowMs: 102 },
    { type: 'acknowledged', id: 7, nowMs: 110 },
    { type: 'published', id: 7, nowMs: 120 },
  )
  const last = actions.at(-1)
  assert.ok(last?.type === 'trigger' && last.pending.last && last.pending.reason === 'stop')
  assert.equal(nextTickMs({ ...state, pending: undefined }), Infinity)
})

test('a last checkpoint that fails gives up', () => {
  const { actions } = run(start(), { type: 'request', reason: 'stop', nowMs: 5 }, { type: 'declined', id: 7, nowMs: 6 })
  assert.deepEqual(actions.at(-1), { type: 'give-up', why: 'last-failed' })
})

test('without incremental checkpoints every one is full', () => {
  const { actions } = run(
    startProtocol({ ...OPTIONS, incremental: false }, 1, undefined, 0),
    { type: 'tick', nowMs: 100 },
    { type: 'acknowledged', id: 1, nowMs: 100 },
    { type: 'published', id: 1, nowMs: 100 },
    { type: 'tick', nowMs: 200 },
  )
  assert.ok(actions.filter(action => action.type === 'trigger').every(action => action.full))
})

test('whatever happens, ids are dense and grow, one checkpoint is pending at most, and a base was published', () => {
  const event = fc.oneof(
    fc.record({ type: fc.constant('tick' as const), dt: fc.nat(400) }),
    fc.record({
      type: fc.constantFrom('request-user' as const, 'acknowledged' as const, 'declined' as const),
      dt: fc.nat(50),
    }),
    fc.record({ type: fc.constantFrom('published' as const, 'publish-failed' as const), dt: fc.nat(50) }),
  )
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), events => {
      let state = startProtocol({ ...OPTIONS, tolerableFailures: 1000 }, 1, undefined, 0)
      let nowMs = 0
      let lastId = 0
      const published = new Set<number>()
      for (const { type, dt } of events) {
        nowMs += dt
        const id = state.pending?.id ?? 0
        const before = state
        const next = transition(
          state,
          type === 'tick'
            ? { type, nowMs }
            : type === 'request-user'
              ? { type: 'request', reason: 'user', nowMs }
              : { type, id, nowMs },
        )
        state = next.state
        if (type === 'published' && before.pending?.phase === 'publishing') published.add(id)
        for (const action of next.actions) {
          if (action.type !== 'trigger') continue
          assert.equal(action.pending.id, lastId + 1)
          lastId = action.pending.id
          assert.ok(action.baseId === undefined || published.has(action.baseId))
        }
      }
    }),
  )
})
