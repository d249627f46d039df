import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  nextTickMs,
  startProtocol,
  transition,
  type ProtocolAction,
  type ProtocolEvent,
  type ProtocolOptions,
  type ProtocolState,
} from './protocol.ts'

const OPTIONS: ProtocolOptions = {
  intervalMs: 100,
  timeoutMs: 1000,
  minPauseMs: 20,
  tolerableFailures: 2,
  incremental: true,
  savepointEveryMs: undefined,
}

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
    { type: 'published', id: 7, rewrite: false, nowMs: 120 },
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
    { type: 'published', id: 9, rewrite: false, nowMs: 300 },
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
    { type: 'published', id: 7, rewrite: false, nowMs: 120 },
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
    { type: 'published', id: 1, rewrite: false, nowMs: 100 },
    { type: 'tick', nowMs: 200 },
  )
  assert.ok(actions.filter(action => action.type === 'trigger').every(({ pending }) => pending.full))
})

test('a rewrite that was wished for is full though it has a base, again if it fails, and the one after it is not', () => {
  const { actions } = run(
    start(),
    { type: 'tick', nowMs: 100 },
    { type: 'acknowledged', id: 7, nowMs: 100 },
    { type: 'published', id: 7, rewrite: true, nowMs: 100 },
    { type: 'tick', nowMs: 200 },
    { type: 'declined', id: 8, nowMs: 210 },
    { type: 'tick', nowMs: 310 },
    { type: 'acknowledged', id: 9, nowMs: 320 },
    { type: 'published', id: 9, rewrite: false, nowMs: 320 },
    { type: 'tick', nowMs: 410 },
  )
  assert.deepEqual(
    actions.flatMap(action =>
      action.type === 'trigger' ? [[action.pending.id, action.baseId, action.pending.full]] : [],
    ),
    [
      [7, 6, false],
      [8, 7, true],
      [9, 7, true],
      [10, 9, false],
    ],
  )
})

const RATHER = { ...OPTIONS, intervalMs: 1000, savepointEveryMs: 300 }

test('a savepoint takes the id behind its checkpoint, so it is older than whatever is made next', () => {
  const { actions } = run(
    start(),
    { type: 'request', reason: 'user', savepoint: true, nowMs: 1 },
    // Both of the next checkpoint: the barrier of the one under way has passed already.
    { type: 'request', reason: 'user', savepoint: true, nowMs: 2 },
    { type: 'request', reason: 'user', nowMs: 3 },
    { type: 'request', reason: 'user', savepoint: true, nowMs: 4 },
    { type: 'acknowledged', id: 7, nowMs: 5 },
    { type: 'published', id: 7, rewrite: false, nowMs: 6 },
    { type: 'declined', id: 9, nowMs: 7 },
    { type: 'tick', nowMs: 200 },
  )
  const triggers = actions.filter(action => action.type === 'trigger')
  assert.deepEqual(
    triggers.map(({ pending }) => [pending.id, pending.savepointIds]),
    [
      [7, [8]],
      [9, [10, 11]],
      [12, []],
    ],
  )
})

test('a stop that waits takes over the savepoints that are asked for before and after it', () => {
  const { actions } = run(
    start(),
    { type: 'tick', nowMs: 100 },
    { type: 'request', reason: 'user', savepoint: true, nowMs: 101 },
    { type: 'request', reason: 'stop', drain: true, nowMs: 102 },
    { type: 'request', reason: 'user', savepoint: true, nowMs: 103 },
    { type: 'acknowledged', id: 7, nowMs: 104 },
    { type: 'published', id: 7, rewrite: false, nowMs: 105 },
  )
  const last = actions.findLast(action => action.type === 'trigger')
  assert.deepEqual([last?.pending.reason, last?.pending.drain, last?.pending.savepointIds], ['stop', true, [9, 10]])
})

test('a periodic savepoint is made of the first checkpoint when it is due, which is then taken earlier', () => {
  const state = startProtocol(RATHER, 7, 6, 0, 250)
  assert.equal(nextTickMs(state), 250)
  const { actions, state: after } = run(
    state,
    { type: 'request', reason: 'user', nowMs: 240 },
    { type: 'acknowledged', id: 7, nowMs: 244 },
    { type: 'published', id: 7, rewrite: false, nowMs: 245 },
    { type: 'tick', nowMs: 264 },
    { type: 'tick', nowMs: 265 },
    { type: 'acknowledged', id: 8, nowMs: 270 },
    { type: 'published', id: 8, rewrite: false, nowMs: 275 },
  )
  const triggers = actions.filter(action => action.type === 'trigger')
  assert.deepEqual(
    triggers.map(({ pending }) => [pending.id, pending.periodicSavepointId]),
    [
      [7, undefined],
      [8, 9],
    ],
  )
  assert.equal(nextTickMs(after), 565)
})

test('a periodic savepoint whose checkpoint fails is tried again with the next one, not at once', () => {
  const { state, actions } = run(
    startProtocol(RATHER, 7, 6, 0, 250),
    { type: 'tick', nowMs: 250 },
    { type: 'declined', id: 7, nowMs: 260 },
  )
  assert.equal(actions.length, 2)
  assert.equal(nextTickMs(state), 550)
  const failedLate = run(
    startProtocol({ ...RATHER, savepointEveryMs: 9000 }, 7, 6, 0, 250),
    { type: 'tick', nowMs: 250 },
    { type: 'declined', id: 7, nowMs: 260 },
  )
  assert.equal(nextTickMs(failedLate.state), 1250)
  const [again] = run(failedLate.state, { type: 'tick', nowMs: 1250 }).actions
  assert.deepEqual(again.type === 'trigger' && [again.pending.id, again.pending.periodicSavepointId], [9, 10])
})

test('no periodic savepoint is made of a last checkpoint, and none at all unless they are asked for', () => {
  const last = run(startProtocol(RATHER, 7, 6, 0, 250), { type: 'request', reason: 'stop', nowMs: 300 }).actions[0]
  assert.equal(last.type === 'trigger' && last.pending.periodicSavepointId, undefined)
  const never = run(start(), { type: 'tick', nowMs: 1e9 }).actions[0]
  assert.equal(never.type === 'trigger' && never.pending.periodicSavepointId, undefined)
})

test('whatever happens, ids are dense and grow, one checkpoint is pending at most, and a base was published', () => {
  const event = fc.oneof(
    fc.record({ type: fc.constant('tick' as const), dt: fc.nat(400) }),
    fc.record({
      type: fc.constantFrom(
        'request-user' as const,
        'request-savepoint' as const,
        'acknowledged' as const,
        'declined' as const,
      ),
      dt: fc.nat(50),
    }),
    fc.record({ type: fc.constantFrom('published' as const, 'publish-failed' as const), dt: fc.nat(50) }),
  )
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), events => {
      let state = startProtocol({ ...OPTIONS, tolerableFailures: 1000, savepointEveryMs: 300 }, 1, undefined, 0, 300)
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
              : type === 'request-savepoint'
                ? { type: 'request', reason: 'user', savepoint: true, nowMs }
                : { type, id, rewrite: id % 3 === 0, nowMs },
        )
        state = next.state
        if (type === 'published' && before.pending?.phase === 'publishing') published.add(id)
        for (const action of next.actions) {
          if (action.type !== 'trigger') continue
          assert.equal(action.pending.id, lastId + 1)
          const { savepointIds, periodicSavepointId } = action.pending
          const ids = [
            action.pending.id,
            ...savepointIds,
            ...(periodicSavepointId === undefined ? [] : [periodicSavepointId]),
          ]
          for (const [index, taken] of ids.entries()) assert.equal(taken, action.pending.id + index)
          lastId = ids.at(-1)!
          assert.ok(action.baseId === undefined || published.has(action.baseId))
        }
      }
    }),
  )
})
