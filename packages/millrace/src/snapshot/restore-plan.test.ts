import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { isMillraceError } from '../base/errors.ts'
import type { OperatorSnapshot } from './manifest-types.ts'
import {
  assertPlan,
  type PlannedJob,
  type PlannedOperator,
  planRestore,
  type PlanOptions,
  type RestorePlan,
} from './restore-plan.ts'

const source = (name: string): OperatorSnapshot => ({
  name,
  kind: 'source',
  parallelism: 1,
  states: [],
  source: {
    splits: [{ id: 'a', detail: null, position: 1, ended: false, subtask: 0 }],
    records: 1,
    turns: [{ split: 0, remaining: 0, active: true }],
  },
})
const keyed = (name: string, ...states: [id: number, name: string, kind: string][]): OperatorSnapshot => ({
  name,
  kind: 'keyedProcess',
  parallelism: 1,
  states: states.map(([id, state, kind]) => ({ id, name: state, kind, schema: null })),
})
const sink = (name: string, committables = 0, states = 0, type = 'files.writeJson'): OperatorSnapshot => ({
  name,
  kind: 'sink',
  parallelism: Math.max(1, states),
  states: [],
  sink: {
    type,
    retracts: true,
    states: Array.from({ length: states }, () => 'open'),
    committables: Array.from({ length: committables }, () => ({ checkpoint: 1, value: null })),
  },
})
const plain = (name: string, ...states: string[]): OperatorSnapshot => ({
  name,
  kind: 'process',
  parallelism: 1,
  states: [],
  operatorState: Object.fromEntries(states.map(state => [state, [[]]])),
})
const broadcasting = (name: string, ...states: string[]): OperatorSnapshot => ({
  ...keyed(name, [3, 'count', 'value']),
  kind: 'keyedBroadcastProcess',
  broadcastState: Object.fromEntries(states.map(state => [state, []])),
})

const operator = (
  kind: string,
  name: string,
  states: [name: string, kind: string][] = [],
  more: Partial<PlannedOperator> = {},
): PlannedOperator => ({
  name,
  kind,
  states: states.map(([state, stateKind]) => ({ name: state, kind: stateKind })),
  ...more,
})

function plan(
  operators: readonly OperatorSnapshot[],
  job: readonly PlannedOperator[],
  options?: PlanOptions,
): RestorePlan {
  return planRestore({ operators, nextStateId: 10 }, { operators: job }, options)
}

const gist = ({ entries }: RestorePlan): string[] =>
  entries.map(({ verdict, what, operator: name, state, id, from }) => {
    const origin = from === undefined || from === name ? '' : ` from ${from}`
    return `${verdict} ${what} ${state === undefined ? name : `${name}.${state}`}${id === undefined ? '' : ` #${id}`}${origin}`
  })

test('an unchanged job keeps everything, with the same ids', () => {
  const found = plan(
    [source('lines'), keyed('counts', [3, 'a', 'value'], [4, 'b', 'map']), plain('spread', 'seen'), sink('out', 2, 1)],
    [
      operator('source', 'lines'),
      operator('keyedProcess', 'counts', [
        ['a', 'value'],
        ['b', 'map'],
      ]),
      operator('process', 'spread', [['seen', 'list']]),
      operator('sink', 'out', [], { sinkType: 'files.writeJson' }),
    ],
  )
  assert.deepEqual(gist(found), [
    'kept source lines',
    'kept state counts.a #3',
    'kept state counts.b #4',
    'kept state spread.seen',
    'kept sink out',
  ])
  assert.equal(found.nextStateId, 10)
  assert.equal(found.accepted, true)
  assertPlan(found)
})

test('a mark that the engine keeps with an operator comes and goes with it', () => {
  const ended = plain('spread', 'seen', '~ended')
  assert.deepEqual(gist(plan([ended], [operator('process', 'spread', [['seen', 'list']])])), ['kept state spread.seen'])
  assert.deepEqual(gist(plan([plain('old', '~ended')], [])), [])
})

test('a fresh start has new states only, with ids from 1', () => {
  const found = planRestore(undefined, {
    operators: [
      operator('source', 'lines'),
      operator('window', 'w', [
        ['~window', 'window-aggregate'],
        ['~event-timers', 'timers'],
      ]),
    ],
  })
  assert.deepEqual(gist(found), ['new source lines', 'new state w.~window #1', 'new state w.~event-timers #2'])
  assert.equal(found.nextStateId, 3)
})

test('invariant 4: new states take ids that no state of the job ever had', () => {
  const found = plan(
    [keyed('counts', [3, 'a', 'value'])],
    [
      operator('keyedProcess', 'counts', [
        ['new', 'value'],
        ['a', 'value'],
        ['newer', 'map'],
      ]),
    ],
  )
  assert.deepEqual(gist(found), ['new state counts.new #10', 'kept state counts.a #3', 'new state counts.newer #11'])
  assert.equal(found.nextStateId, 12)
})

test('an operator that says its old name keeps its state, and the order of operators does not matter', () => {
  const found = plan(
    [source('lines'), keyed('old', [3, 'a', 'value'])],
    [
      operator('keyedProcess', 'new', [['a', 'value']], { renamedFrom: 'old' }),
      operator('source', 'input', [], { renamedFrom: 'lines' }),
    ],
  )
  assert.deepEqual(gist(found), ['renamed state new.a #3 from old', 'renamed source input from lines'])
  assert.equal(found.origins.get('new')?.name, 'old')
  assert.equal(found.accepted, true)
})

test('the name of today goes before the name of old', () => {
  // From a snapshot after the renaming; and one whose old name belongs to another operator by now.
  const after = plan(
    [keyed('new', [3, 'a', 'value'])],
    [operator('keyedProcess', 'new', [['a', 'value']], { renamedFrom: 'old' })],
  )
  assert.deepEqual(gist(after), ['kept state new.a #3'])
  const reused = plan(
    [keyed('old', [3, 'a', 'value'])],
    [
      operator('keyedProcess', 'new', [['a', 'value']], { renamedFrom: 'old' }),
      operator('keyedProcess', 'old', [['a', 'value']]),
    ],
  )
  assert.deepEqual(gist(reused), ['new state new.a #10', 'kept state old.a #3'])
})

test('two operators that claim the same old name are refused', () => {
  const found = plan(
    [keyed('old', [3, 'a', 'value'])],
    [
      operator('keyedProcess', 'x', [['a', 'value']], { renamedFrom: 'old' }),
      operator('keyedProcess', 'y', [['a', 'value']], { renamedFrom: 'old' }),
    ],
  )
  assert.equal(found.accepted, false)
  assert.throws(
    () => assertPlan(found),
    error => isMillraceError(error, 'STATE_INCOMPATIBLE') && error.message.includes("'x' also says"),
  )
})

describe('a state of another kind is refused:', () => {
  const kinds = ['value', 'list', 'map', 'reducing', 'aggregating', 'timers', 'window-aggregate', 'window-reduce']
  for (const before of kinds) {
    test(`${before} to any other`, () => {
      for (const now of kinds) {
        const found = plan([keyed('counts', [3, 'a', before])], [operator('keyedProcess', 'counts', [['a', now]])], {
          allowDroppedState: true,
        })
        assert.deepEqual(gist(found), [now === before ? 'kept state counts.a #3' : 'refused state counts.a'])
        if (now !== before)
          assert.ok(found.entries[0].reason!.includes(before) && found.entries[0].reason!.includes(now))
      }
    })
  }
})

test('state with keys and state without do not become each other', () => {
  assert.deepEqual(gist(plan([plain('p', 'seen')], [operator('keyedProcess', 'p', [['seen', 'list']])])), [
    'refused state p.seen',
  ])
  assert.deepEqual(gist(plan([keyed('p', [3, 'seen', 'list'])], [operator('process', 'p', [['seen', 'list']])])), [
    'refused state p.seen',
  ])
})

test('broadcast state is kept, new, dropped and renamed as other state, and needs no id', () => {
  const now = (name: string, ...states: string[]) =>
    operator('keyedBroadcastProcess', name, [
      ['count', 'value'],
      ...states.map((s): [string, string] => [s, 'broadcast']),
    ])
  assert.deepEqual(gist(plan([broadcasting('p', 'rules', 'old')], [now('p', 'rules', 'new')])), [
    'kept state p.count #3',
    'kept state p.rules',
    'new state p.new',
    'dropped state p.old',
  ])
  assert.deepEqual(gist(plan([broadcasting('p', 'rules')], [{ ...now('q', 'rules'), renamedFrom: 'p' }])), [
    'renamed state q.count #3 from p',
    'renamed state q.rules from p',
  ])
  assert.deepEqual(gist(plan([broadcasting('p', 'rules')], [])), ['dropped state p.count #3', 'dropped state p.rules'])
})

test('broadcast state, lists and keyed state do not become each other', () => {
  const job = (kind: string, stateKind: string) => [operator(kind, 'p', [['rules', stateKind]])]
  const refused = (before: OperatorSnapshot, after: PlannedOperator[], reason: string) => {
    const found = plan([before], after, { allowDroppedState: true })
    const entry = found.entries.find(({ state }) => state === 'rules')
    assert.deepEqual([entry?.verdict, entry?.reason], ['refused', reason])
    assert.equal(found.accepted, false)
  }
  const broadcast = job('keyedBroadcastProcess', 'broadcast')
  refused(plain('p', 'rules'), broadcast, 'it was a list without keys and is broadcast state now')
  refused(keyed('p', [3, 'rules', 'map']), broadcast, 'it was keyed state and is broadcast state now')
  refused(
    broadcasting('p', 'rules'),
    job('keyedBroadcastProcess', 'map'),
    'it was broadcast state and is keyed state now',
  )
  refused(broadcasting('p', 'rules'), job('process', 'list'), 'it was broadcast state and is a list without keys now')
})

test('what the job has no place for is dropped, and only with leave', () => {
  const before = [
    source('lines'),
    keyed('counts', [3, 'a', 'value'], [4, 'b', 'value']),
    keyed('gone', [5, 'c', 'value']),
    plain('p', 'seen', 'other'),
  ]
  const job = [operator('keyedProcess', 'counts', [['a', 'value']]), operator('process', 'p', [['other', 'list']])]
  const found = plan(before, job)
  assert.deepEqual(gist(found), [
    'kept state counts.a #3',
    'dropped state counts.b #4',
    'kept state p.other',
    'dropped state p.seen',
    'dropped source lines',
    'dropped state gone.c #5',
  ])
  assert.equal(found.accepted, false)
  assert.throws(
    () => assertPlan(found),
    error =>
      isMillraceError(error, 'STATE_DROPPED') &&
      ['counts.b', 'p.seen', 'lines', 'gone.c'].every(name => error.message.includes(`'${name}'`)),
  )
  const allowed = plan(before, job, { allowDroppedState: true })
  assert.equal(allowed.accepted, true)
  assertPlan(allowed)
})

test('invariant 2: a sink with uncommitted output is not removed or renamed, whatever is allowed', () => {
  const changes: PlannedOperator[][] = [
    [],
    [operator('sink', 'new', [], { renamedFrom: 'out' })],
    [operator('keyedProcess', 'out', [])],
    [operator('sink', 'out', [], { sinkType: 'console' })],
  ]
  for (const job of changes) {
    const found = plan([sink('out', 2)], job, { allowDroppedState: true })
    assert.equal(found.accepted, false, JSON.stringify(job))
    assert.throws(
      () => assertPlan(found),
      error => isMillraceError(error, 'STATE_INCOMPATIBLE') && /2 pieces of its output/.test(error.message),
    )
  }
})

test('a sink without uncommitted output may be renamed; removed it only costs its state', () => {
  assert.deepEqual(
    gist(plan([sink('out', 0, 1)], [operator('sink', 'new', [], { renamedFrom: 'out', sinkType: 'files.writeJson' })])),
    ['renamed sink new from out'],
  )
  assert.deepEqual(gist(plan([sink('out', 0, 1)], [])), ['dropped sink out'])
  assert.deepEqual(gist(plan([sink('out')], [])), [])
  assert.deepEqual(gist(plan([sink('out')], [operator('sink', 'out', [], { sinkType: 'console' })])), ['new sink out'])
  assert.deepEqual(gist(plan([sink('out', 0, 1)], [operator('sink', 'out', [], { sinkType: 'console' })])), [
    'refused sink out',
  ])
})

test('a source that became something else is dropped with its positions', () => {
  assert.deepEqual(gist(plan([source('a')], [operator('keyedProcess', 'a', [['s', 'value']])])), [
    'dropped source a',
    'new state a.s #10',
  ])
})

test('where another function makes keys, and no schema says what they are, its states are kept under reserve', () => {
  const before = { ...keyed('counts', [3, 'a', 'value']), keyCode: '0000000a' }
  const job = (more: Partial<PlannedOperator>) => [
    operator('keyedProcess', 'counts', [['a', 'value']], more),
    operator('keyedProcess', 'others', [['b', 'value']], more),
  ]
  const said = (origin: OperatorSnapshot, more: Partial<PlannedOperator>) =>
    plan([origin], job(more)).entries.map(({ verdict, checks, reason }) => [verdict, checks, reason])
  const isNew = ['new', undefined, 'not in the snapshot']
  const reserve =
    'the function that makes its keys has changed; those of the first records must be of a type that keys of the snapshot have'
  assert.deepEqual(said(before, { keyCode: '0000000b' }), [['kept', ['new-keys'], reserve], isNew])
  assert.deepEqual(plan([before], job({ keyCode: '0000000b' })).accepted, true)
  const renamed = plan([{ ...before, name: 'sums' }], [{ ...job({ keyCode: 'b' })[0], renamedFrom: 'sums' }])
  assert.deepEqual(
    renamed.entries.map(({ verdict, reason }) => [verdict, reason]),
    [['renamed', `renamed from 'sums'; ${reserve}`]],
  )
  const kept = ['kept', undefined, undefined]
  assert.deepEqual(said(before, { keyCode: '0000000a' }), [kept, isNew])
  assert.deepEqual(said({ ...before, keySchema: { type: 'string' } }, { keyCode: '0000000b' }), [kept, isNew])
  assert.deepEqual(said(keyed('counts', [3, 'a', 'value']), { keyCode: '0000000b' }), [kept, isNew], 'not recorded')
  const [[verdict, checks]] = said(before, { keyCode: '0000000b', keySchema: { type: 'string' } })
  assert.deepEqual([verdict, checks], ['migrated', ['keys']])
})

test('every state of snapshot and job is in the plan exactly once, and no id is given twice', () => {
  const names = fc.constantFrom('a', 'b', 'c', 'd')
  const states = fc.uniqueArray(fc.tuple(names, fc.constantFrom('value', 'map')), {
    maxLength: 3,
    selector: ([name]) => name,
  })
  const shape = fc.uniqueArray(fc.record({ name: names, states, renamedFrom: fc.option(names, { nil: undefined }) }), {
    maxLength: 4,
    selector: ({ name }) => name,
  })
  fc.assert(
    fc.property(shape, shape, (before, after) => {
      let id = 0
      const old = before.map(({ name, states: list }) =>
        keyed(name, ...list.map(([state, kind]): [number, string, string] => [id++, state, kind])),
      )
      const job: PlannedJob = {
        operators: after.map(({ name, states: list, renamedFrom }) =>
          operator('keyedProcess', name, list, renamedFrom === undefined ? {} : { renamedFrom }),
        ),
      }
      const found = planRestore({ operators: old, nextStateId: id }, job)
      const ofJob = found.entries
        .filter(entry => entry.verdict !== 'dropped' && entry.state !== undefined)
        .map(entry => `${entry.operator}.${entry.state}`)
      assert.deepEqual(
        ofJob.toSorted(),
        after.flatMap(({ name, states: list }) => list.map(([state]) => `${name}.${state}`)).toSorted(),
      )
      const ids = found.entries.flatMap(entry => entry.id ?? [])
      assert.equal(new Set(ids).size, ids.length)
      const refused = found.entries.filter(entry => entry.verdict === 'refused' && entry.state !== undefined).length
      assert.equal(ids.filter(used => used < id).length + refused, id)
      assert.ok(ids.every(used => used < found.nextStateId))
    }),
  )
})

test('a state whose time to live is another one is migrated, and says how; nothing is refused or converted for that', () => {
  const changed = (before: object, after: object) => {
    const old = { ...keyed('seen'), states: [{ id: 3, name: 'last', kind: 'value', schema: null, ...before }] }
    const job = { ...operator('keyedProcess', 'seen'), states: [{ name: 'last', kind: 'value', ...after }] }
    const [{ verdict, reason, converts }] = planRestore(
      { operators: [old], nextStateId: 4 },
      { operators: [job] },
    ).entries
    assert.equal(converts, undefined)
    return [verdict, reason]
  }
  const event = { ttlMs: 90_000, ttlTime: 'event' }
  assert.deepEqual(changed({ ttlMs: 604_800_000 }, { ttlMs: 86_400_000 }), ['migrated', 'ttl 7d -> 1d'])
  assert.deepEqual(changed({}, event), ['migrated', 'ttl none -> 90s in event time, counted from the start of the job'])
  assert.deepEqual(changed(event, { ttlMs: 90_000 }), [
    'migrated',
    'ttl 90s in event time -> 90s, counted from the start of the job',
  ])
  assert.deepEqual(changed(event, {}), ['migrated', 'ttl 90s in event time -> none'])
  assert.deepEqual(changed(event, event), ['kept', undefined])
})
