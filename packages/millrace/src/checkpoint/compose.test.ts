import assert from 'node:assert/strict'
import test from 'node:test'
import type { SubtaskSnapshot, SubtaskSource } from '../snapshot/manifest-types.ts'
import { composeOperators, composeWatermarks, SHARED_SPLIT, type OperatorHead } from './compose.ts'
import type { SlotSnapshot } from './mail.ts'

const head = (name: string, parallelism: number): OperatorHead => ({ name, kind: 'process', parallelism, states: [] })

const part = (...operators: SubtaskSnapshot[]): SlotSnapshot => ({
  operators,
  watermarks: {},
  segment: undefined,
  alignmentMs: 0,
})

const reading = (splits: string, records: number): SubtaskSource => ({
  splits: [...splits].map(id => ({ id, detail: null, position: 1, ended: false })),
  records,
  turn: { split: 0, remaining: records, active: false },
})

test('splits keep the order in which they were dealt out, each with its subtask; records are summed, turns by subtask', () => {
  const [operator] = composeOperators(
    [head('in', 3)],
    [reading('ad', 5), reading('be', 0), reading('c', 7)].map(source => part({ name: 'in', source })),
  )
  assert.deepEqual(
    operator.source!.splits.map(({ id, subtask }) => `${id}${subtask}`),
    ['a0', 'b1', 'c2', 'd0', 'e1'],
  )
  assert.equal(operator.source!.records, 12)
  assert.deepEqual(
    operator.source!.turns.map(({ remaining }) => remaining),
    [5, 0, 7],
  )
})

test('a sink has a state or null for each subtask, or none at all, and the committables of all', () => {
  const sink = { type: 't', retracts: true }
  const waiting = [1, 2].map(checkpoint => ({ checkpoint, value: `c${checkpoint}` }))
  const parts = [
    part({ name: 'out', sink: { ...sink, committables: [waiting[0]] } }),
    part({ name: 'out', sink: { ...sink, state: 'open', committables: [waiting[1]] } }),
  ]
  const [operator] = composeOperators([head('out', 2)], parts)
  assert.deepEqual(operator.sink, { ...sink, states: [null, 'open'], committables: waiting })
  assert.deepEqual(composeOperators([head('out', 1)], parts.slice(0, 1))[0].sink!.states, [])
})

test('the watermark of an operator is that of its slowest subtask, and none while one of them saw none', () => {
  const parts = [part({ name: 'p', watermark: 7 }), part({ name: 'p', watermark: -2 })]
  assert.equal(composeOperators([head('p', 2)], parts)[0].watermark, -2)
  const unknown = composeOperators([head('p', 3)], [...parts, part({ name: 'p' })])
  assert.deepEqual(unknown, [head('p', 3)])
})

test('broadcast state is that of subtask 0, the only one that writes it', () => {
  const rules = { rules: ['a', 'b'] }
  const parts = [part({ name: 'p', broadcastState: rules }), part({ name: 'p' }), part({ name: 'p' })]
  assert.deepEqual(composeOperators([head('p', 3)], parts), [{ ...head('p', 3), broadcastState: rules }])
})

test('operator state has one list per subtask, empty where a subtask has no such state', () => {
  const [operator] = composeOperators(
    [head('spread', 2)],
    [
      part({ name: 'spread', operatorState: { list: ['a', 'b'], '~ended': [''] } }),
      part({ name: 'spread', operatorState: { list: [] } }),
    ],
  )
  assert.deepEqual(operator.operatorState, { list: [['a', 'b'], []], '~ended': [[''], []] })
})

test('an operator of lower parallelism is in the first slots only, and one with keyed state alone in no part', () => {
  const parts = [part({ name: 'narrow', operatorState: { list: ['a'] } }), part()]
  const [narrow, keyed] = composeOperators([head('narrow', 1), head('keyed', 2)], parts)
  assert.deepEqual(narrow, { ...head('narrow', 1), operatorState: { list: [['a']] } })
  assert.deepEqual(keyed, head('keyed', 2))
  assert.throws(() => composeOperators([head('narrow', 2)], parts), /one subtask in each of its slots/)
  assert.throws(() => composeOperators([head('narrow', 1)], [...parts].reverse()), /one subtask in each of its slots/)
})

test('watermarks of splits are united; the shared split is as far as the slowest slot that has it', () => {
  const at = (time: { [split: string]: number | null }) => ({ watermarks: { time } })
  assert.deepEqual(
    composeWatermarks([at({ 'in:a': 5, [SHARED_SPLIT]: 9 }), at({ 'in:b': null, [SHARED_SPLIT]: -7 })]),
    {
      time: { 'in:a': 5, 'in:b': null, [SHARED_SPLIT]: -7 },
    },
  )
  assert.deepEqual(composeWatermarks([at({ [SHARED_SPLIT]: 9 }), at({})]), { time: {} }, 'one saw no record yet')
  assert.deepEqual(composeWatermarks([at({ [SHARED_SPLIT]: 9 }), { watermarks: {} }]), { time: { [SHARED_SPLIT]: 9 } })
})
