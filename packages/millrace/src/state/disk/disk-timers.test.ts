import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteReader } from '../../codec/index.ts'
import { DiskBackend } from './disk-backend.ts'
import { MemoryDiskStore } from './memory-disk-store.ts'

const ID = 1

function open(nearTimers?: number) {
  const options = { maxParallelism: 4, clock: { nowMs: 0 }, store: new MemoryDiskStore(), cacheBytes: 10_000 }
  const backend = new DiskBackend({ ...options, ...(nearTimers !== undefined && { nearTimers }) })
  const states = backend.keyedStates('operator')
  return { backend, keys: states.keys, timers: states.timers(ID) }
}

/** Everything that fires up to a time. */
function fire({ keys, timers }: ReturnType<typeof open>, upTo: number): [key: unknown, time: number][] {
  const fired: [unknown, number][] = []
  for (let time = timers.pop(upTo); time !== undefined; time = timers.pop(upTo)) fired.push([keys.key, time])
  return fired
}

/** Segment key and value of every entry of a full snapshot. */
function entriesOf({ backend }: ReturnType<typeof open>): [key: Buffer, value: Buffer][] {
  const entries: [Buffer, Buffer][] = []
  backend.freeze({ checkpointId: 1, baseCheckpointId: undefined, full: true })
  const consumer = {
    add: (_op: number, key: Uint8Array, start: number, end: number, value: Uint8Array, from: number, to: number) =>
      void entries.push([Buffer.from(key.subarray(start, end)), Buffer.from(value.subarray(from, to))]),
  }
  while (!backend.collect(consumer, 100));
  return entries
}

test('timers of two subtasks that were registered under the same number and for the same time both fire after they came together', () => {
  const [one, other] = [open(), open()]
  for (const [subtask, key] of [
    [one, 'a'],
    [other, 'b'],
  ] as const) {
    subtask.keys.bind(key)
    subtask.timers.register(10)
  }
  const together = open()
  together.backend.restoreBegin(1, new Map())
  for (const [key, value] of [...entriesOf(one), ...entriesOf(other)].sort(([a], [b]) => Buffer.compare(a, b))) {
    together.backend.restore(ID, new ByteReader(key, 4, key.length), new ByteReader(value, 0, value.length), 0)
  }
  together.backend.restoreEnd()
  assert.equal(together.backend.entryCounts().get(ID), 2)
  assert.deepEqual(
    new Map(fire(together, 10)),
    new Map([
      ['a', 10],
      ['b', 10],
    ]),
  )
  assert.equal(together.backend.entryCounts().get(ID), 0)
})

test('thousands of timers at one time fire in the order of their registration, of which few are ever in memory', () => {
  const backend = open(100)
  const { keys, timers } = backend
  const COUNT = 2000
  for (let key = COUNT; key > 0; key--) {
    keys.bind(key)
    timers.register(5)
  }
  assert.deepEqual(
    fire(backend, 5),
    Array.from({ length: COUNT }, (_, i) => [COUNT - i, 5]),
  )
})
