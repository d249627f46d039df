/** Broadcast state as a map, and its way through a manifest to any number of subtasks. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { composeOperators } from '../../checkpoint/compose.ts'
import { compareKeys, keyIdentity, type Key } from '../../codec/index.ts'
import { BroadcastMap } from './broadcast-state.ts'

const key: fc.Arbitrary<Key> = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom('', 'a', 'b', '\ud800', true, 1n, -0),
  fc.tuple(fc.constantFrom('a', 'b'), fc.integer({ min: 0, max: 2 })),
)
type Change = readonly ['set', Key, unknown] | readonly ['delete', Key] | readonly ['clear'] | readonly ['checkpoint']
const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('set' as const), key, fc.jsonValue()) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('delete' as const), key) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom('clear' as const, 'checkpoint' as const)) },
)

function apply(map: BroadcastMap, [what, ...[at, value]]: Change): void {
  if (what === 'set') map.set(at!, value)
  else if (what === 'delete') map.delete(at!)
  else if (what === 'clear') map.clear()
  else map.snapshot()
}

/** The same in a Map, by the identity of the key. */
function modelOf(changes: readonly Change[]): (readonly [Key, unknown])[] {
  const model = new Map<unknown, readonly [Key, unknown]>()
  for (const [what, at, value] of changes) {
    if (what === 'set') model.set(keyIdentity(at), [at, value])
    else if (what === 'delete') model.delete(keyIdentity(at))
    else if (what === 'clear') model.clear()
  }
  return [...model.values()].sort(([a], [b]) => compareKeys(a, b))
}

test('every subtask takes over all of the broadcast state, at any parallelism before and after, and goes on with it', () => {
  const parallelism = fc.integer({ min: 1, max: 5 })
  const rounds = fc.array(fc.tuple(parallelism, fc.array(change, { maxLength: 20 })), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(rounds, found => {
      const past: Change[] = []
      let restored: readonly string[] = []
      for (const [subtasks, changes] of found) {
        past.push(...changes)
        const copies = Array.from({ length: subtasks }, () => new BroadcastMap())
        for (const copy of copies) {
          copy.restore(restored)
          for (const each of changes) apply(copy, each)
          assert.deepEqual([...copy.entries()], modelOf(past))
        }
        const head = { name: 'p', kind: 'keyedBroadcastProcess', parallelism: subtasks, states: [] }
        const parts = copies.map((copy, slot) => ({
          operators: [{ name: 'p', ...(slot === 0 && { broadcastState: { rules: copy.snapshot() } }) }],
          watermarks: {},
          segment: undefined,
          alignmentMs: 0,
        }))
        restored = composeOperators([head], parts)[0].broadcastState!['rules']
      }
    }),
  )
})

test('a copy of the state at a checkpoint does not change with what is set afterwards', () => {
  const map = new BroadcastMap()
  map.set('a', 1)
  const snapshot = map.snapshot()
  map.set('a', 2)
  map.set('b', 3)
  const then = new BroadcastMap()
  then.restore(snapshot)
  assert.deepEqual([...then.entries()], [['a', 1]])
  assert.deepEqual([...map.values()], [2, 3])
})

test('a key that is none is refused, and changes nothing', () => {
  const map = new BroadcastMap()
  assert.throws(() => map.set(NaN, 1), { code: 'KEY_INVALID' })
  assert.throws(() => map.set({} as never, 1), { code: 'KEY_INVALID' })
  assert.deepEqual([...map.keys()], [])
})

test('what iteration hands out cannot be used to change the state', () => {
  const map = new BroadcastMap()
  map.set('a', 1)
  assert.throws(() => (map.values() as number[]).push(2), TypeError)
  assert.throws(() => ([...map.entries()][0] as unknown as unknown[]).fill(2), TypeError)
})
