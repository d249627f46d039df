import assert from 'node:assert/strict'
import test from 'node:test'
import { setImmediate as immediate } from 'node:timers/promises'
import { put, sampleKey, sampleStore, writeSample } from '../snapshot/segment-samples.ts'
import { keyGroupRange } from '../codec/index.ts'
import { ManifestFolder } from '../snapshot/manifest-folder.ts'
import { readManifest } from '../snapshot/manifest.ts'
import { manifestName } from '../snapshot/object-names.ts'
import { MAX_LAYERS } from '../snapshot/merge-policy.ts'
import { isMillraceError, MillraceError } from '../base/errors.ts'
import type { Manifest, SegmentRef, SubtaskSnapshot } from '../snapshot/manifest-types.ts'
import { CheckpointCoordinator, type CoordinatorOptions, type CoordinatorWorld } from './coordinator.ts'
import { layersOf } from '../snapshot/segment-layers.ts'
import type { FromSlot, SlotSnapshot, ToSlot, Trigger } from './mail.ts'
import { SegmentNumbers } from './segment-numbers.ts'

const OPTIONS: CoordinatorOptions = {
  protocol: {
    intervalMs: 1e9,
    timeoutMs: 1e9,
    minPauseMs: 0,
    tolerableFailures: 0,
    incremental: true,
    savepointEveryMs: undefined,
  },
  slots: 1,
  compression: 'none',
  head: {
    job: 'job',
    run: 1,
    runId: '0a1b2c3d',
    lineage: 1,
    token: 1,
    millrace: '0.1.0',
    parallelism: 1,
    maxParallelism: 128,
    nextStateId: 1,
    operators: [],
  },
  restored: undefined,
  fullFirst: false,
  firstCheckpointId: 1,
  savepointDueMs: Infinity,
}

test('a full list of segments waits for the merge that shortens it, however long that takes', async () => {
  const store = sampleStore()
  let mayMerge = Promise.resolve()
  const world: CoordinatorWorld = {
    store,
    segments: new SegmentNumbers(),
    now: () => 0,
    schedule: () => () => undefined,
    confirm: async () => undefined,
    send: (_slot, mail) => void writeSegment(mail),
    fail: error => assert.fail(error),
    report: () => undefined,
    reportSavepoint: () => undefined,
    collectGarbage: async () => undefined,
    yield: () => mayMerge,
  }
  const coordinator = new CheckpointCoordinator(OPTIONS, world)
  // Every checkpoint has a small delta, so that only the length of the list asks for a merge.
  async function writeSegment(mail: ToSlot): Promise<void> {
    if (mail.type !== 'trigger') return
    const { checkpointId, full, segment } = mail.trigger
    const bytes = Buffer.alloc(full ? 10_000 : 10 ** (1 + (checkpointId % 5)), checkpointId)
    const keys = full ? [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] : [0]
    const entries = keys.map(key => put(sampleKey(checkpointId, 0, `key${key}`), bytes))
    const sample = { entries, file: segment.file, base: full, checkpoint: checkpointId, compression: 'none' as const }
    const part = { operators: [], watermarks: {}, segment: await writeSample(store, sample), alignmentMs: 0 }
    coordinator.receive(0, { type: 'acknowledged', checkpointId, part })
  }

  for (let id = 1; id < MAX_LAYERS; id++) await coordinator.request('user')
  const gate = Promise.withResolvers<void>()
  mayMerge = gate.promise
  await coordinator.request('user')
  let isDone = false
  const next = coordinator.request('user').then(() => (isDone = true))
  for (let turn = 0; turn < 50; turn++) await immediate()
  const lengths = (await readLengths(store)).at(-1)
  assert.equal(lengths, MAX_LAYERS)
  assert.equal(isDone, false, 'the list is full and its merge is not over')
  mayMerge = Promise.resolve()
  gate.resolve()
  await next
  for (let id = 0; id < 3 * MAX_LAYERS; id++) await coordinator.request('user')
  await coordinator.close()
  assert.equal(Math.max(...(await readLengths(store))), MAX_LAYERS)
})

test('a list does not grow over runs that end after one checkpoint each', async () => {
  const store = sampleStore()
  const segments = new SegmentNumbers()
  let restored: Manifest | undefined
  for (let id = 1; id <= 3 * MAX_LAYERS; id++) {
    const world: CoordinatorWorld = {
      store,
      segments,
      now: () => 0,
      schedule: () => () => undefined,
      confirm: async () => undefined,
      send: (_slot, mail) => void writeSegment(mail),
      fail: error => assert.fail(error),
      report: () => undefined,
      reportSavepoint: () => undefined,
      collectGarbage: async () => undefined,
      yield: async () => undefined,
    }
    const coordinator = new CheckpointCoordinator({ ...OPTIONS, restored, firstCheckpointId: id }, world)
    async function writeSegment(mail: ToSlot): Promise<void> {
      if (mail.type !== 'trigger') return
      const { checkpointId, full, segment } = mail.trigger
      const entries = [put(sampleKey(checkpointId, 0, 'key'), Buffer.alloc(100))]
      const sample = { entries, file: segment.file, base: full, checkpoint: checkpointId, compression: 'none' as const }
      const part = { operators: [], watermarks: {}, segment: await writeSample(store, sample), alignmentMs: 0 }
      coordinator.receive(0, { type: 'acknowledged', checkpointId, part })
    }
    coordinator.start()
    await coordinator.request('user')
    const closed = coordinator.close()
    restored = await readManifest(store, 'job', manifestName({ kind: 'checkpoint', id }))
    await closed
  }
  assert.equal(Math.max(...(await readLengths(store))), MAX_LAYERS)
})

// ------------------------------------------------------------------------------------------------------------- many slots

const SLOTS = 3
const heads = [
  { name: 'spread', kind: 'process', parallelism: SLOTS, states: [] },
  { name: 'narrow', kind: 'process', parallelism: 1, states: [] },
]

/** A coordinator and what it did; the test plays the slots. */
class Bench {
  readonly store = sampleStore()
  readonly segments = new SegmentNumbers()
  readonly sent: { readonly slot: number; readonly mail: ToSlot }[] = []
  readonly outcomes: string[] = []
  readonly failures: MillraceError[] = []
  readonly coordinator: CheckpointCoordinator

  constructor(protocol: Partial<CoordinatorOptions['protocol']> = {}, world: Partial<CoordinatorWorld> = {}) {
    const head = { ...OPTIONS.head, parallelism: SLOTS, operators: heads }
    const options = { ...OPTIONS, slots: SLOTS, head, protocol: { ...OPTIONS.protocol, ...protocol } }
    this.coordinator = new CheckpointCoordinator(options, {
      store: this.store,
      segments: this.segments,
      now: () => 0,
      schedule: () => () => undefined,
      confirm: async () => undefined,
      send: (slot, mail) => this.sent.push({ slot, mail }),
      fail: error => this.failures.push(error),
      reportSavepoint: ({ id, checkpointId, error }) =>
        this.outcomes.push(`${id} pins ${checkpointId}${error === undefined ? '' : `: ${error}`}`),
      report: ({ id, outcome, newBytes }) => this.outcomes.push(`${id} ${outcome}${newBytes > 0 ? '' : ' empty'}`),
      collectGarbage: async () => undefined,
      yield: async () => undefined,
      ...world,
    })
  }

  /** Mails of a type since it was asked for the last time, by slot. */
  take<T extends ToSlot['type']>(type: T): Extract<ToSlot, { type: T }>[] {
    const mails = this.sent.splice(0).map(({ slot, mail }, index) => {
      assert.equal(slot, index % SLOTS, 'every slot hears of it, in order')
      assert.equal(mail.type, type)
      return mail
    })
    assert.equal(mails.length, SLOTS)
    return mails as Extract<ToSlot, { type: T }>[]
  }

  triggers(): Trigger[] {
    return this.take('trigger').map(({ trigger }) => trigger)
  }

  acknowledge(slot: number, checkpointId: number, segment: SegmentRef | undefined, element = `${slot}`): void {
    const operators: SubtaskSnapshot[] = [
      { name: 'spread', operatorState: { list: [element] } },
      ...(slot === 0 ? [{ name: 'narrow', operatorState: {} }] : []),
    ]
    const part: SlotSnapshot = { operators, watermarks: { time: { [`in:${slot}`]: slot } }, segment, alignmentMs: slot }
    this.coordinator.receive(slot, { type: 'acknowledged', checkpointId, part })
  }

  decline(slot: number, checkpointId: number, message: string, code = 'SINK_FAILED'): void {
    const error = { code, message, hint: undefined, stack: '', signature: '', context: {} }
    this.coordinator.receive(slot, { type: 'declined', checkpointId, error } satisfies FromSlot)
  }

  /** A segment with entries of that size in the slot's share of the key groups. */
  async write(slot: number, { checkpointId, full, segment }: Trigger, bytes = 10, count = 1): Promise<SegmentRef> {
    const keyGroups = keyGroupRange(slot, SLOTS, 128)
    const keys = Array.from({ length: count }, (_, key) => `${checkpointId} ${key}`)
    const entries = keys.map(key => put(sampleKey(keyGroups[0], 0, key), Buffer.alloc(bytes, 1)))
    const sample = { file: segment.file, base: full, checkpoint: checkpointId, keyGroups, compression: 'none' as const }
    return writeSample(this.store, { ...sample, entries })
  }

  async manifests(): Promise<Manifest[]> {
    const names = (await this.store.list('manifests')).map(({ name }) => name).sort()
    return Promise.all(names.map(name => readManifest(this.store, 'job', `manifests/${name}`)))
  }
}

/** Lets everything happen that needs nobody. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await immediate()
}

test('a checkpoint is published once every slot has acknowledged it, each with a segment of its own', async () => {
  const bench = new Bench()
  const done = bench.coordinator.request('user')
  const triggers = bench.triggers()
  const files = triggers.map(({ segment }) => segment.file)
  assert.equal(new Set(files).size, SLOTS)
  assert.deepEqual([...bench.segments.live], files)
  const refs = await Promise.all(triggers.map((trigger, slot) => bench.write(slot, trigger)))
  bench.acknowledge(2, 1, refs[2])
  bench.acknowledge(0, 1, refs[0])
  bench.acknowledge(0, 1, refs[0], 'said twice')
  bench.acknowledge(1, 7, refs[1], 'of another checkpoint')
  await settle()
  assert.deepEqual([bench.sent, await bench.manifests()], [[], []])
  bench.acknowledge(1, 1, refs[1])
  assert.deepEqual(await done, { checkpointId: 1, savepoint: undefined })
  bench.take('complete')
  const [manifest] = await bench.manifests()
  assert.deepEqual(manifest.segments, refs)
  assert.deepEqual(manifest.operators, [
    { ...heads[0], operatorState: { list: [['0'], ['1'], ['2']] } },
    { ...heads[1], operatorState: {} },
  ])
  assert.deepEqual(manifest.watermarks, { time: { 'in:0': 0, 'in:1': 1, 'in:2': 2 } })
  assert.deepEqual([...bench.segments.live], [])
  assert.deepEqual(bench.outcomes, ['1 complete'])
})

test('one slot that declines ends the checkpoint for all, once, and the next one starts anew', async () => {
  const bench = new Bench({ tolerableFailures: 1 })
  const done = assert.rejects(bench.coordinator.request('user'), /the first reason/)
  const [first] = bench.triggers()
  bench.acknowledge(0, 1, undefined)
  bench.decline(1, 1, 'the first reason')
  bench.decline(2, 1, 'another reason')
  bench.acknowledge(1, 1, undefined)
  bench.acknowledge(2, 1, undefined)
  await done
  await settle()
  bench.take('abort')
  assert.deepEqual([bench.outcomes, bench.failures, await bench.manifests()], [['1 declined empty'], [], []])
  assert.equal(bench.segments.live.has(first.segment.file), false)
  const again = bench.coordinator.request('user')
  bench.triggers()
  for (let slot = 0; slot < SLOTS; slot++) bench.acknowledge(slot, 2, undefined)
  assert.equal((await again).checkpointId, 2)
})

test('a store that takes no more writes ends the attempt, however many checkpoints may fail', async () => {
  const bench = new Bench({ tolerableFailures: 100 })
  const done = assert.rejects(bench.coordinator.request('user'), { code: 'CHECKPOINT_FAILED' })
  bench.triggers()
  bench.decline(1, 1, 'an fsync failed', 'STORE_POISONED')
  await done
  assert.deepEqual(
    bench.failures.map(({ code, message }) => [code, message]),
    [['STORE_POISONED', 'an fsync failed']],
  )
})

test('a stop waits until every slot has committed', async () => {
  const bench = new Bench()
  const first = bench.coordinator.request('user')
  const over: number[] = []
  for (const reason of ['stop', 'finish'] as const)
    void bench.coordinator.request(reason).then(done => over.push(done.checkpointId))
  bench.triggers()
  for (let slot = 0; slot < SLOTS; slot++) bench.acknowledge(slot, 1, undefined)
  assert.equal((await first).checkpointId, 1)
  // The stop came while the first was under way, and follows at once.
  bench.sent.splice(
    bench.sent.findIndex(({ mail }) => mail.type === 'complete'),
    SLOTS,
  )
  bench.triggers()
  for (let slot = 0; slot < SLOTS; slot++) bench.acknowledge(slot, 2, undefined)
  await settle()
  bench.take('complete')
  for (const slot of [0, 1, 1, 0]) bench.coordinator.receive(slot, { type: 'committed', checkpointId: 2 })
  bench.coordinator.receive(2, { type: 'committed', checkpointId: 1 })
  await settle()
  assert.deepEqual(over, [])
  bench.coordinator.receive(2, { type: 'committed', checkpointId: 2 })
  await settle()
  assert.deepEqual(over, [2, 2])
})

test('what waits for a commit ends with the coordinator', async () => {
  const bench = new Bench()
  const done = assert.rejects(bench.coordinator.request('finish'), { code: 'JOB_NOT_RUNNING' })
  for (let slot = 0; slot < SLOTS; slot++) bench.acknowledge(slot, 1, undefined)
  await settle()
  await bench.coordinator.close()
  await done
})

test('segments of one checkpoint are one layer: at most eight of them, and a full checkpoint replaces all', async () => {
  const bench = new Bench()
  for (let id = 1; id <= 4 * MAX_LAYERS; id++) {
    const done = bench.coordinator.request('user')
    const triggers = bench.triggers()
    // Of every size, so that only the length of the list asks for a merge; a slot may have nothing to write.
    const bytes = id === 1 ? 10_000 : 10 ** (1 + (id % 5))
    const count = id === 1 ? 10 : 1
    const written = triggers.map(async (trigger, slot) =>
      bench.acknowledge(slot, id, slot === id % SLOTS ? undefined : await bench.write(slot, trigger, bytes, count)),
    )
    await Promise.all([...written, done])
    bench.take('complete')
  }
  await bench.coordinator.close()
  const lists = (await bench.manifests()).map(({ segments }) => segments)
  assert.equal(Math.max(...lists.map(segments => layersOf(segments).length)), MAX_LAYERS)
  const merged = lists.flat().filter(({ checkpoint, entries }) => entries > 1 && checkpoint > 1)
  assert.ok(merged.length > 0)
  for (const { keyGroups } of merged) assert.deepEqual(keyGroups, [0, 128])

  const full = new Bench({ incremental: false })
  for (const id of [1, 2]) {
    const done = full.coordinator.request('user')
    for (const [slot, trigger] of full.triggers().entries()) full.acknowledge(slot, id, await full.write(slot, trigger))
    await done
    full.take('complete')
  }
  const [, second] = await full.manifests()
  assert.deepEqual(
    second.segments.map(({ checkpoint }) => checkpoint),
    [2, 2, 2],
  )
})

async function readLengths(store: CoordinatorWorld['store']): Promise<number[]> {
  const { manifests } = await new ManifestFolder(store, 'job').read()
  return manifests.map(({ facts }) => {
    assert.ok(!isMillraceError(facts))
    return facts.segments.length
  })
}

// ------------------------------------------------------------------------------------------------------------- savepoints

test('a savepoint is a second manifest of the checkpoint’s segments, under the next id; the checkpoint stays the base', async () => {
  const bench = new Bench()
  const done = bench.coordinator.request('user', { savepoint: { label: 'before the upgrade' } })
  for (const [slot, trigger] of bench.triggers().entries()) bench.acknowledge(slot, 1, await bench.write(slot, trigger))
  const { checkpointId, savepoint } = await done
  bench.take('complete')
  const [checkpoint, pin] = await bench.manifests()
  assert.deepEqual([checkpointId, savepoint], [1, pin])
  assert.deepEqual(pin, {
    ...checkpoint,
    id: 2,
    kind: 'savepoint',
    label: 'before the upgrade',
  })
  assert.deepEqual(bench.outcomes, ['1 complete', '2 pins 1'])

  const next = bench.coordinator.request('user')
  const [trigger] = bench.triggers()
  assert.deepEqual([trigger.checkpointId, trigger.baseCheckpointId], [3, 1])
  for (let slot = 0; slot < SLOTS; slot++) bench.acknowledge(slot, 3, undefined)
  assert.equal((await next).checkpointId, 3)
})

test('two savepoints that are asked for meanwhile are both made of the next checkpoint, before anything is cleared', async () => {
  const bench: Bench = new Bench({}, { collectGarbage: async ({ id }) => void bench.outcomes.push(`clear ${id}`) })
  const first = bench.coordinator.request('user')
  const both = ['a', 'b'].map(label => bench.coordinator.request('user', { savepoint: { label } }))
  bench.triggers()
  for (let slot = 0; slot < SLOTS; slot++) bench.acknowledge(slot, 1, undefined)
  await first
  bench.sent.splice(0)
  for (let slot = 0; slot < SLOTS; slot++) bench.acknowledge(slot, 2, undefined)
  const made = await Promise.all(both.map(async request => (await request).savepoint!))
  assert.deepEqual(
    made.map(({ id, label }) => [id, label]),
    [
      [3, 'a'],
      [4, 'b'],
    ],
  )
  await settle()
  assert.deepEqual(bench.outcomes, [
    '1 complete empty',
    'clear 1',
    '2 complete empty',
    '3 pins 2',
    '4 pins 2',
    'clear 2',
  ])
})

test('a stop with a savepoint is over when it is committed and pinned', async () => {
  const bench = new Bench()
  let isOver = false
  const done = bench.coordinator.request('stop', { drain: true, savepoint: { label: undefined } })
  void done.then(() => (isOver = true))
  const triggers = bench.triggers()
  assert.deepEqual(new Set(triggers.map(({ last, drain }) => [last, drain].join())), new Set(['true,true']))
  for (let slot = 0; slot < SLOTS; slot++) bench.acknowledge(slot, 1, undefined)
  await settle()
  assert.deepEqual([isOver, bench.outcomes], [false, ['1 complete empty', '2 pins 1']])
  for (let slot = 0; slot < SLOTS; slot++) bench.coordinator.receive(slot, { type: 'committed', checkpointId: 1 })
  const { savepoint } = await done
  assert.deepEqual([savepoint?.id, savepoint?.trigger, savepoint?.label], [2, 'stop', undefined])
})

test('a savepoint that cannot be written fails alone: its checkpoint is complete, and the job is well', async () => {
  const bench = new Bench()
  const { publish } = bench.store
  bench.store.publish = async (name, bytes) => {
    if (name.includes('/sp-')) throw new Error('no room')
    return publish.call(bench.store, name, bytes)
  }
  const done = assert.rejects(bench.coordinator.request('user', { savepoint: { label: 'a' } }), {
    code: 'STORE_FAILED',
    message: /^savepoint 2: its manifest could not be written/,
  })
  bench.triggers()
  for (let slot = 0; slot < SLOTS; slot++) bench.acknowledge(slot, 1, undefined)
  await done
  assert.deepEqual(bench.outcomes, ['1 complete empty', '2 pins 1: savepoint 2: its manifest could not be written'])
  assert.deepEqual([bench.failures, (await bench.manifests()).map(({ id }) => id)], [[], [1]])
})

test('invariant 7: a process that was replaced when it had published a savepoint does not say that it was made', async () => {
  const fenced = new MillraceError('FENCED', 'there is another owner')
  let confirmations = 0
  const confirm = async (): Promise<void> => {
    if (++confirmations === 2) throw fenced
  }
  const bench = new Bench({}, { confirm })
  const done = assert.rejects(bench.coordinator.request('user', { savepoint: { label: 'a' } }), fenced)
  bench.triggers()
  for (let slot = 0; slot < SLOTS; slot++) bench.acknowledge(slot, 1, undefined)
  await done
  assert.deepEqual(bench.failures, [fenced])
})
