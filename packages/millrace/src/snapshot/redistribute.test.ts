import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import type { OperatorSnapshot, SplitSnapshot } from './manifest-types.ts'
import { shareOfLists, shareOfSink, shareOfSource, type SourceShare, type Subtask } from './redistribute.ts'

const base = { name: 'op', kind: 'any', states: [] }

function subtasks(parallelism: number): Subtask[] {
  return Array.from({ length: parallelism }, (_, subtask) => ({ subtask, parallelism }))
}

function source(parallelism: number, shares: readonly SourceShare[]): OperatorSnapshot {
  const splits = shares.flatMap((share, subtask) => share.splits.map(split => ({ ...split, subtask })))
  const turn = { split: 0, remaining: 512, active: false }
  return {
    ...base,
    parallelism,
    source: {
      splits,
      records: shares.reduce((sum, { records }) => sum + records, 0),
      turns: shares.map(share => share.turn ?? turn),
    },
  }
}

const shareAll = (operator: OperatorSnapshot, parallelism: number): SourceShare[] =>
  subtasks(parallelism).map(at => shareOfSource(operator, at)!)

const parallelisms = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 })

test('every split is with exactly one subtask, up, down and back; what is left to read is spread evenly', () => {
  const split = fc.boolean().map(ended => ({ detail: { a: 1 }, position: 3, ended }))
  fc.assert(
    fc.property(fc.array(split, { maxLength: 30 }), parallelisms, (found, scales) => {
      const splits: SplitSnapshot[] = found.map((facts, i) => ({ id: `s${i}`, ...facts }))
      let operator = source(1, [{ splits, records: 100, turn: undefined }])
      for (const parallelism of scales) {
        const shares = shareAll(operator, parallelism)
        const byId = (a: SplitSnapshot, b: SplitSnapshot) => Number(a.id.slice(1)) - Number(b.id.slice(1))
        assert.deepEqual(shares.flatMap(share => share.splits).toSorted(byId), splits)
        const unfinished = shares.map(share => share.splits.filter(({ ended }) => !ended).length)
        assert.ok(Math.max(...unfinished) - Math.min(...unfinished) <= 1, `unfinished splits ${String(unfinished)}`)
        assert.deepEqual(
          shares.map(({ records }) => records),
          [100, ...Array.from({ length: parallelism - 1 }, () => 0)],
        )
        operator = source(parallelism, shares)
      }
    }),
  )
})

test('at the same parallelism a subtask goes on with its own splits and turn, at another one with a fresh turn', () => {
  const split = (id: string, subtask: number, ended = false) => ({ id, detail: null, position: 1, ended, subtask })
  const turns = [
    { split: 1, remaining: 7, active: true },
    { split: 0, remaining: 9, active: false },
  ]
  const splits = [split('a', 0, true), split('b', 1), split('c', 0), split('d', 0)]
  const operator: OperatorSnapshot = { ...base, parallelism: 2, source: { splits, records: 5, turns } }
  const ids = (shares: SourceShare[]) => shares.map(share => share.splits.map(({ id }) => id).join(''))
  assert.deepEqual(ids(shareAll(operator, 2)), ['acd', 'b'])
  assert.deepEqual(
    shareAll(operator, 2).map(({ turn }) => turn),
    turns,
  )
  assert.deepEqual(ids(shareAll(operator, 1)), ['bcda'])
  assert.deepEqual(ids(shareAll(operator, 3)), ['ba', 'c', 'd'])
  assert.deepEqual(
    shareAll(operator, 3).map(({ turn }) => turn),
    [undefined, undefined, undefined],
  )
  assert.equal(shareOfSource({ ...base, parallelism: 1 }, { subtask: 0, parallelism: 1 }), undefined)
})

test('every state and committable of a sink is with exactly one subtask; states follow their subtask modulo the new parallelism', () => {
  const sink = fc.record({ states: fc.array(fc.boolean(), { maxLength: 9 }), committables: fc.nat(20) })
  fc.assert(
    fc.property(sink, fc.integer({ min: 1, max: 9 }), (facts, parallelism) => {
      const states = facts.states.map((has, subtask) => (has ? { subtask } : null))
      const committables = Array.from({ length: facts.committables }, (_, i) => ({ checkpoint: 1, value: i }))
      const operator: OperatorSnapshot = {
        ...base,
        parallelism: Math.max(1, states.length),
        sink: { type: 't', retracts: true, states, committables },
      }
      const shares = subtasks(parallelism).map(at => shareOfSink(operator, at)!)
      for (const [subtask, share] of shares.entries()) {
        assert.deepEqual(
          share.states,
          states.filter((state, old) => state !== null && old % parallelism === subtask),
        )
      }
      assert.deepEqual(
        shares.flatMap(share => share.committables).toSorted((a, b) => Number(a.value) - Number(b.value)),
        committables,
      )
    }),
  )
})

test('a list is kept at the same parallelism and dealt out at another one; of a union list every subtask gets all', () => {
  const operator: OperatorSnapshot = { ...base, parallelism: 2, operatorState: { list: [['a', 'b', 'c'], ['d']] } }
  const shares = (parallelism: number, isUnion: boolean) =>
    subtasks(parallelism).map(at => shareOfLists(operator, at, () => isUnion).list.join(''))
  assert.deepEqual(shares(2, false), ['abc', 'd'])
  assert.deepEqual(shares(1, false), ['abcd'])
  assert.deepEqual(shares(3, false), ['ad', 'b', 'c'])
  assert.deepEqual(shares(2, true), ['abcd', 'abcd'])
  assert.deepEqual(shares(3, true), ['abcd', 'abcd', 'abcd'])
})

test('the end of input was seen at another parallelism only if every subtask had seen it', () => {
  const ended = (lists: string[][], parallelism: number) => {
    const operator: OperatorSnapshot = { ...base, parallelism: 2, operatorState: { '~ended': lists } }
    return subtasks(parallelism).map(at => shareOfLists(operator, at, () => false)['~ended'].length > 0)
  }
  assert.deepEqual(ended([[''], []], 2), [true, false])
  assert.deepEqual(ended([[''], []], 1), [false])
  assert.deepEqual(ended([['']], 1), [false])
  assert.deepEqual(ended([[''], ['']], 1), [true])
  assert.deepEqual(ended([[''], ['']], 3), [true, true, true])
})
