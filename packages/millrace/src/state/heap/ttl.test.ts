import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteReader } from '../../codec/index.ts'
import type { EntryConsumer, ListState, MapState, StateBackend, ValueState } from '../index.ts'
import { HeapBackend } from './heap-backend.ts'

const HOUR = 3_600_000

interface Entry {
  readonly op: number
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly touch: number
}

function make(clock: { nowMs: number }, ttl: object = { ttl: '1h' }) {
  const backend = new HeapBackend(4, clock)
  const states = backend.keyedStates('operator')
  return {
    backend,
    keys: states.keys,
    value: states.state(1, 'value', { kind: 'value', options: { ...ttl } }) as ValueState<string>,
    list: states.state(2, 'list', { kind: 'list', options: { ...ttl } }) as ListState<number>,
    map: states.state(3, 'map', { kind: 'map', options: { ...ttl } }) as MapState<string, number>,
  }
}

function snapshot(backend: StateBackend, checkpointId: number, baseCheckpointId?: number): Entry[] {
  const entries: Entry[] = []
  const consumer: EntryConsumer = {
    add(op, key, keyStart, keyEnd, value, valueStart, valueEnd, touch) {
      entries.push({
        op,
        key: new Uint8Array(key.subarray(keyStart, keyEnd)),
        value: new Uint8Array(value.subarray(valueStart, valueEnd)),
        touch,
      })
    },
  }
  backend.freeze({ checkpointId, baseCheckpointId, full: baseCheckpointId === undefined })
  while (!backend.collect(consumer, 10));
  backend.published(checkpointId)
  return entries
}

function restore(backend: StateBackend, entries: readonly Entry[]): void {
  backend.restoreBegin(1, new Map())
  for (const { key, value, touch } of entries)
    backend.restore((key[2] << 8) | key[3], new ByteReader(key, 4), new ByteReader(value), touch)
  backend.restoreEnd()
}

test('an expired value is never returned, entry by entry; writing again starts its time anew', () => {
  const clock = { nowMs: 0 }
  const { keys, value, list, map } = make(clock)
  keys.bind('k')
  value.set('v')
  list.add(1)
  map.set('a', 1)
  clock.nowMs = HOUR / 2
  keys.bind('k')
  list.add(2)
  map.set('b', 2)
  assert.equal(value.get(), 'v')
  clock.nowMs = HOUR
  keys.bind('k')
  assert.equal(value.get(), undefined)
  assert.deepEqual([...list.get()], [2])
  assert.deepEqual([...map.entries()], [['b', 2]])
  assert.equal(map.has('a'), false)
  value.set('w')
  clock.nowMs = 2 * HOUR - 1
  keys.bind('k')
  assert.equal(value.get(), 'w')
})

test('with read-and-write a read is a touch too', () => {
  const clock = { nowMs: 0 }
  const { keys, value } = make(clock, { ttl: { ttl: HOUR, updateOn: 'read-and-write' } })
  keys.bind('k')
  value.set('v')
  for (let i = 1; i <= 3; i++) {
    clock.nowMs = i * (HOUR - 1)
    keys.bind('k')
    assert.equal(value.get(), 'v')
  }
})

test('invariant 12: an entry that was found expired is a tombstone in the next delta, and entries store their last touch', () => {
  const clock = { nowMs: 1000 }
  const { backend, keys, value } = make(clock)
  keys.bind('k')
  value.set('v')
  assert.deepEqual(
    snapshot(backend, 1).map(({ op, touch }) => [op, touch]),
    [[2, 1000]],
  )
  clock.nowMs = 1000 + HOUR
  keys.bind('k')
  assert.equal(value.get(), undefined)
  assert.deepEqual(
    snapshot(backend, 2, 1).map(({ op }) => op),
    [1],
  )
})

test('a restore drops what has expired, and a changed ttl applies to what was written before', () => {
  const clock = { nowMs: HOUR }
  const first = make(clock)
  first.keys.bind('k')
  first.value.set('v')
  first.list.add(1)
  clock.nowMs = 1.5 * HOUR
  first.keys.bind('k')
  first.list.add(2)
  const entries = snapshot(first.backend, 1)
  clock.nowMs = 2 * HOUR
  const same = make(clock)
  restore(same.backend, entries)
  same.keys.bind('k')
  assert.equal(same.value.get(), undefined)
  assert.equal(
    [...same.backend.entryCounts().values()].reduce((sum, count) => sum + count, 0),
    1,
  )
  same.list.add(3)
  assert.deepEqual([...same.list.get()], [2, 3])
  const longer = make(clock, { ttl: '2h' })
  restore(longer.backend, entries)
  longer.keys.bind('k')
  assert.equal(longer.value.get(), 'v')
  assert.deepEqual([...longer.list.get()], [1, 2])
})

test('a ttl that is new counts from the restore', () => {
  const clock = { nowMs: 10 * HOUR }
  const without = make(clock, {})
  without.keys.bind('k')
  without.value.set('v')
  const entries = snapshot(without.backend, 1)
  const now = make(clock)
  restore(now.backend, entries)
  now.keys.bind('k')
  assert.equal(now.value.get(), 'v')
  clock.nowMs += HOUR
  now.keys.bind('k')
  assert.equal(now.value.get(), undefined)
})
