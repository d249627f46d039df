/** Real segments of the heap backend, written by several slots and read by several others. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keyGroupOf, keyGroupRange, subtaskOfKeyGroup, type Key } from '../codec/index.ts'
import type { Manifest, SegmentRef } from '../snapshot/manifest-types.ts'
import { HeapBackend, type MapState, type TimerStore, type ValueState } from '../state/index.ts'
import { MemoryStore } from '../store/memory/index.ts'
import { sampleManifest } from '../testing/snapshot-samples.ts'
import { restoreState, type StateShare } from './restore.ts'
import { SnapshotTask } from './snapshot-task.ts'

const VALUE = 1
const MAP = 2
const TIMERS = 3
const WANTED = new Set([VALUE, MAP, TIMERS])
const STATES = Object.fromEntries(
  [VALUE, MAP, TIMERS].map(id => [id, { operator: 'op', state: `s${id}`, kind: 'any', schema: null }]),
)

const KEYS: readonly Key[] = Array.from({ length: 300 }, (_, i) => {
  const shapes: Key[] = [`user-${i}`, i / 3, BigInt(i) * 10n ** 20n, ['a\0b', i], `é${i}`]
  return shapes[i % shapes.length]
})

class Slot {
  readonly backend: HeapBackend
  private readonly states
  private readonly value: ValueState<number>
  private readonly map: MapState<string, number>
  private readonly timers: TimerStore

  constructor(maxParallelism: number) {
    this.backend = new HeapBackend(maxParallelism, { nowMs: 0 })
    this.states = this.backend.keyedStates('operator')
    this.value = this.states.state(VALUE, 'value', { kind: 'value', options: {} }) as ValueState<number>
    this.map = this.states.state(MAP, 'map', { kind: 'map', options: {} }) as MapState<string, number>
    this.timers = this.states.timers(TIMERS)
  }

  set(key: Key, value: number): void {
    this.states.keys.bind(key)
    this.value.set(value)
    this.map.set('a', value)
    this.map.set('b\0', -value)
    this.timers.register(value)
  }

  clear(key: Key, value: number): void {
    this.states.keys.bind(key)
    this.value.clear()
    this.map.clear()
    this.timers.delete(value)
  }

  /** Every state of the key as one text; undefined when it has none of them. */
  read(key: Key): string | undefined {
    this.states.keys.bind(key)
    const entries = [...this.map.entries()].map(([name, value]) => `${name}=${value}`)
    const value = this.value.get()
    return value === undefined && entries.length === 0 ? undefined : `${value} ${entries.join(' ')}`
  }

  /** Fires all timers: how many there were by key. */
  fire(): Map<Key, number[]> {
    const fired = new Map<Key, number[]>()
    for (let time = this.timers.pop(Infinity); time !== undefined; time = this.timers.pop(Infinity)) {
      const key = this.states.keys.key
      const id = JSON.stringify(key, (_, value) => (typeof value === 'bigint' ? `${value}n` : value))
      fired.set(id, [...(fired.get(id) ?? []), time])
    }
    return fired
  }
}

interface Written {
  readonly store: MemoryStore
  readonly manifest: Manifest
}

/** Two checkpoints of that many slots, a base and a delta that changes and clears some keys. */
async function write(slots: number, maxParallelism: number): Promise<Written> {
  const store = new MemoryStore('memory', () => 0)
  const layers: SegmentRef[][] = [[], []]
  for (let slot = 0; slot < slots; slot++) {
    const keyGroups = keyGroupRange(slot, slots, maxParallelism)
    const own = KEYS.filter(key => subtaskOfKeyGroup(keyGroupOf(key, maxParallelism), slots, maxParallelism) === slot)
    const running = new Slot(maxParallelism)
    for (const checkpointId of [1, 2]) {
      for (const key of own) {
        const i = KEYS.indexOf(key)
        if (checkpointId === 1 || i % 3 === 0) running.set(key, i * checkpointId)
        else if (i % 7 === 0) running.clear(key, i)
      }
      const segment = { file: `segments/1-${checkpointId * 1000 + slot}.seg`, id: 1 }
      const full = checkpointId === 1
      const trigger = { checkpointId, baseCheckpointId: full ? undefined : 1, full, segment, last: false, drain: false }
      const dictionary = { maxParallelism, hashVersion: 1, states: STATES } as const
      const target = { store, compression: 'none', dictionary, maxParallelism, keyGroups } as const
      const task = new SnapshotTask(trigger, running.backend, target, () => undefined)
      while (task.hasWork) task.slice(() => false)
      const ref = await task.written
      running.backend.published(checkpointId)
      if (ref !== undefined) layers[2 - checkpointId].push(ref)
    }
  }
  const manifest = sampleManifest({ id: 2, parallelism: slots, maxParallelism, segments: layers.flat() })
  return { store, manifest }
}

const EXPECTED = new Map(
  KEYS.map((key, i) => {
    if (i % 3 !== 0 && i % 7 === 0) return [key, undefined]
    const value = i % 3 === 0 ? i * 2 : i
    return [key, `${value} a=${value} b\0=${-value}`]
  }),
)

async function restore({ store, manifest }: Written, share: StateShare): Promise<Slot> {
  const slot = new Slot(share.maxParallelism)
  await restoreState(store, slot.backend, manifest, WANTED, share)
  return slot
}

for (const [from, fromMax] of [
  [1, 128],
  [2, 128],
  [3, 128],
  [7, 128],
  [7, 7],
  [2, 300],
] as const) {
  test(`a snapshot of ${from} slots and ${fromMax} key groups gives each key to one subtask, at any parallelism`, async () => {
    const written = await write(from, fromMax)
    assert.ok(written.manifest.segments.length > from, 'there are deltas')
    for (const [to, toMax] of [
      [1, 128],
      [2, 128],
      [5, 128],
      [128, 128],
      [1, 7],
      [7, 7],
      [2, 300],
      [3, 5],
    ] as const) {
      const timers = new Map<Key, number[]>()
      let entries = 0
      const slots: Slot[] = []
      for (let subtask = 0; subtask < to; subtask++) {
        slots.push(await restore(written, { maxParallelism: toMax, keyGroups: keyGroupRange(subtask, to, toMax) }))
      }
      for (const [key, expected] of EXPECTED) {
        const owner = subtaskOfKeyGroup(keyGroupOf(key, toMax), to, toMax)
        for (const [subtask, slot] of slots.entries())
          assert.equal(slot.read(key), subtask === owner ? expected : undefined, `${String(key)} at ${to} of ${toMax}`)
      }
      for (const slot of slots) {
        entries += entryCount(slot)
        for (const [key, times] of slot.fire()) {
          assert.equal(timers.has(key), false, 'the timers of a key are with one subtask')
          timers.set(key, times)
        }
      }
      const alive = KEYS.filter(key => EXPECTED.get(key) !== undefined).length
      assert.equal(timers.size, alive)
      const changed = KEYS.filter((_, i) => i % 3 === 0 && i > 0).length
      const timerCount = [...timers.values()].reduce((sum, times) => sum + times.length, 0)
      assert.equal(timerCount, alive + changed)
      // A value, two map entries, and the timers.
      assert.equal(entries, 3 * alive + timerCount)
    }
  })
}

test('segments that have no key group of the slot are not opened', async () => {
  const written = await write(2, 128)
  const { store, manifest } = written
  const [mine, others] = [0, 64].map(start => manifest.segments.filter(({ keyGroups }) => keyGroups[0] === start))
  assert.deepEqual([mine.length, others.length], [2, 2])
  for (const { file } of others) await store.remove(file)
  const slot = await restore(written, { maxParallelism: 128, keyGroups: [0, 64] })
  assert.ok(entryCount(slot) > 0)
  await assert.rejects(restore(written, { maxParallelism: 128, keyGroups: [0, 65] }), { code: 'OBJECT_MISSING' })
  await assert.rejects(restore(written, { maxParallelism: 64, keyGroups: [0, 32] }), { code: 'OBJECT_MISSING' })
})

test('how much is loaded is told from the beginning to the end, in bytes of the key groups of the slot', async () => {
  const written = await write(2, 128)
  const told: (readonly [readBytes: number, totalBytes: number])[] = []
  const restoreRange = async (start: number, end: number) => {
    told.length = 0
    const slot = new Slot(128)
    const share: StateShare = { maxParallelism: 128, keyGroups: [start, end] }
    await restoreState(written.store, slot.backend, written.manifest, WANTED, share, (...each) => told.push(each))
    return told.at(-1)!
  }
  const halves = [await restoreRange(0, 64), await restoreRange(64, 128)]
  const [readBytes, totalBytes] = await restoreRange(0, 128)
  assert.deepEqual(told[0], [0, totalBytes])
  assert.equal(readBytes, totalBytes)
  assert.deepEqual(halves[0][1] + halves[1][1], totalBytes)
  const stored = written.manifest.segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  assert.ok(totalBytes > stored / 2 && totalBytes < stored)
  for (const [before, [bytes]] of told.slice(1).entries()) assert.ok(bytes >= told[before][0])
})

test('an operator with a parallelism of its own has other key groups in the same slot', async () => {
  const written = await write(3, 128)
  for (const maxParallelism of [128, 96]) {
    const slots = await Promise.all(
      [0, 1].map(subtask => {
        // The value has two subtasks, the rest one.
        const owns = (id: number, keyGroup: number) =>
          subtaskOfKeyGroup(keyGroup, id === VALUE ? 2 : 1, maxParallelism) === subtask
        return restore(written, { maxParallelism, keyGroups: [0, maxParallelism], owns })
      }),
    )
    for (const [key, expected] of EXPECTED) {
      if (expected === undefined) continue
      const [value, ...entries] = expected.split(' ')
      const owner = subtaskOfKeyGroup(keyGroupOf(key, maxParallelism), 2, maxParallelism)
      assert.equal(slots[0].read(key), [owner === 0 ? value : 'undefined', ...entries].join(' '))
      assert.equal(slots[1].read(key), owner === 1 ? `${value} ` : undefined)
    }
  }
})

function entryCount({ backend }: Slot): number {
  return [...backend.entryCounts().values()].reduce((sum, count) => sum + count, 0)
}
