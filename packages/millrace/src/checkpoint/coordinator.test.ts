import assert from 'node:assert/strict'
import test from 'node:test'
import { setImmediate as immediate } from 'node:timers/promises'
import { put, sampleKey, sampleStore, writeSample } from '../snapshot/segment-samples.ts'
import { ManifestFolder } from '../snapshot/manifest-folder.ts'
import { MAX_SEGMENTS } from '../snapshot/merge-policy.ts'
import { isMillraceError } from '../base/errors.ts'
import { CheckpointCoordinator, type CoordinatorOptions, type CoordinatorWorld } from './coordinator.ts'
import type { ToSlot } from './mail.ts'
import { SegmentNumbers } from './segment-numbers.ts'

const OPTIONS: CoordinatorOptions = {
  protocol: { intervalMs: 1e9, timeoutMs: 1e9, minPauseMs: 0, tolerableFailures: 0, incremental: true },
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
    send: mail => void writeSegment(mail),
    fail: error => assert.fail(error),
    report: () => undefined,
    collectGarbage: async () => undefined,
    yield: () => mayMerge,
  }
  const coordinator = new CheckpointCoordinator(OPTIONS, world)
  // Every checkpoint has a small delta, so that only the length of the list asks for a merge.
  async function writeSegment(mail: ToSlot): Promise<void> {
    if (mail.type !== 'trigger') return
    const { checkpointId, full, segment } = mail.trigger
    const bytes = Buffer.alloc(full ? 100_000 : 10 ** (1 + (checkpointId % 5)), checkpointId)
    const entries = [put(sampleKey(checkpointId, 0, 'key'), bytes)]
    const sample = { entries, file: segment.file, base: full, checkpoint: checkpointId, compression: 'none' as const }
    const part = { operators: [], watermarks: {}, segment: await writeSample(store, sample) }
    coordinator.receive({ type: 'acknowledged', checkpointId, part })
  }

  for (let id = 1; id < MAX_SEGMENTS; id++) await coordinator.request('user')
  const gate = Promise.withResolvers<void>()
  mayMerge = gate.promise
  await coordinator.request('user')
  let isDone = false
  const next = coordinator.request('user').then(() => (isDone = true))
  for (let turn = 0; turn < 50; turn++) await immediate()
  const lengths = (await readLengths(store)).at(-1)
  assert.equal(lengths, MAX_SEGMENTS)
  assert.equal(isDone, false, 'the list is full and its merge is not over')
  mayMerge = Promise.resolve()
  gate.resolve()
  await next
  for (let id = 0; id < 3 * MAX_SEGMENTS; id++) await coordinator.request('user')
  await coordinator.close()
  assert.equal(Math.max(...(await readLengths(store))), MAX_SEGMENTS)
})

async function readLengths(store: CoordinatorWorld['store']): Promise<number[]> {
  const { manifests } = await new ManifestFolder(store, 'job').read()
  return manifests.map(({ facts }) => {
    assert.ok(!isMillraceError(facts))
    return facts.segments.length
  })
}
