import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collect, count } from '../../api/index.ts'
import { stateContract } from '../../testing/state-contract.ts'
import type { ListState } from '../index.ts'
import { HeapBackend } from './heap-backend.ts'

stateContract('heap', (maxParallelism, clock) => new HeapBackend(maxParallelism, clock), {
  count: count(),
  collect: collect() as never,
})

test('of a list whose elements all expired nothing is left: the next one begins it anew', () => {
  const clock = { nowMs: 0 }
  const backend = new HeapBackend(1, clock)
  const states = backend.keyedStates('operator')
  const list = states.state(1, 'list', { kind: 'list', options: { ttl: 10 } }) as ListState<number>
  states.keys.bind('k')
  for (let i = 0; i < 3; i++) list.add(i)
  clock.nowMs = 10
  while (!backend.sweepExpired(1));
  states.keys.bind('k')
  list.add(3)
  const indexes: number[] = []
  backend.freeze({ checkpointId: 1, baseCheckpointId: undefined, full: true })
  const add = (_op: number, key: Uint8Array, _start: number, keyEnd: number) => void indexes.push(key[keyEnd - 1])
  while (!backend.collect({ add }, 10));
  assert.deepEqual(indexes, [0])
})
