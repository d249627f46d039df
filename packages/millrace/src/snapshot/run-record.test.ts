import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError } from '../base/errors.ts'
import { onFailpoint } from '../base/failpoint.ts'
import { memoryStorage } from '../store/memory/index.ts'
import { FaultyStore } from '../testing/faulty-store.ts'
import { restored, sampleEnd, sampleRun } from '../testing/snapshot-samples.ts'
import { sealJson } from './sealed-json.ts'
import {
  decodeRunEnd,
  decodeRunRecord,
  encodeRunEnd,
  encodeRunRecord,
  publishRunEnd,
  publishRunRecord,
  readRuns,
} from './run-record.ts'

const makeStore = (): FaultyStore => new FaultyStore(memoryStorage().job('job'))
const ADOPTED = { job: 'first', kind: 'checkpoint', id: 42 }
const SPAN = { runId: '0a1b2c3d', from: 1, through: 42 }
const expected = { job: 'job', run: 7 }

test('run records and ends are read as they were written', () => {
  const run = sampleRun(7, { firstCheckpointId: 43, ...restored(42, 6) })
  assert.deepEqual(decodeRunRecord(encodeRunRecord(run), expected), run)
  const adopted = sampleRun(7, {
    firstCheckpointId: 43,
    start: {
      kind: 'adopted',
      from: { job: 'first', kind: 'savepoint', id: 42 },
      past: [{ runId: '0a1b2c3d', from: 1, through: 42 }],
    },
  })
  assert.deepEqual(decodeRunRecord(encodeRunRecord(adopted), expected), adopted)
  const end = sampleEnd(7, { end: 'failed', error: { code: 'INTERNAL', message: '' } })
  assert.deepEqual(decodeRunEnd(encodeRunEnd(end), expected), end)
})

test('a run record that contradicts itself or its name is damage', () => {
  const broken: readonly [RegExp, object][] = [
    [/another run/, { run: 8 }],
    [/start\.snapshot\.run/, restored(42, 7)],
    [/start\.snapshot\.id/, { firstCheckpointId: 42, ...restored(42, 6) }],
    [/runId/, { runId: '../../..' }],
    [/lineage/, { lineage: 0 }],
    [/start\.kind/, { start: { kind: 'magic' } }],
    [/start\.from\.kind/, { start: { kind: 'adopted', from: { job: 'first', kind: 'fork', id: 1 }, past: [] } }],
    [/start\.past\[0\]\.through/, { start: { kind: 'adopted', from: ADOPTED, past: [{ ...SPAN, from: 43 }] } }],
    [/start\.past\[0\]\.runId/, { start: { kind: 'adopted', from: ADOPTED, past: [{ ...SPAN, runId: 'x' }] } }],
    [/format/, { format: 'millrace-manifest' }],
  ]
  for (const [pattern, change] of broken) {
    const bytes = encodeRunRecord({ ...sampleRun(7, { firstCheckpointId: 100 }), ...change })
    assert.throws(
      () => decodeRunRecord(bytes, expected),
      error => isMillraceError(error, 'SNAPSHOT_DAMAGED') && pattern.test(error.message),
      String(pattern),
    )
  }
  assert.throws(
    () => decodeRunRecord(encodeRunRecord(sampleRun(7)), { job: 'other', run: 7 }),
    error => isMillraceError(error, 'SNAPSHOT_WRONG_JOB'),
  )
  assert.throws(
    () => decodeRunRecord(sealJson({ ...sampleRun(7), version: 2 }), expected),
    error => isMillraceError(error, 'SNAPSHOT_VERSION'),
  )
})

test('invariant 7: a run number that is taken means fenced', async () => {
  const store = makeStore()
  await publishRunRecord(store, sampleRun(1))
  await assert.rejects(publishRunRecord(store, sampleRun(1, { token: 2 })), error => isMillraceError(error, 'FENCED'))
  const [facts] = await readRuns(store, 'job')
  assert.deepEqual(facts, { run: 1, record: sampleRun(1), end: undefined })
})

test('invariant 7: a run number below the newest means fenced, though its record was removed, and leaves nothing', async () => {
  const store = makeStore()
  await publishRunRecord(store, sampleRun(3))
  await assert.rejects(publishRunRecord(store, sampleRun(2)), error => isMillraceError(error, 'FENCED'))
  assert.deepEqual(
    (await readRuns(store, 'job')).map(({ run }) => run),
    [3],
  )
})

test('records that are removed while they are read are read anew, with what has begun since', async () => {
  const store = makeStore()
  for (const run of [1, 2]) await publishRunRecord(store, sampleRun(run))
  const list = store.list.bind(store)
  store.list = async folder => {
    const listed = await list(folder)
    store.list = list
    await publishRunRecord(store, sampleRun(3))
    await store.remove('runs/000002.json')
    return listed
  }
  assert.deepEqual(
    (await readRuns(store, 'job')).map(({ run, record }) => [run, isMillraceError(record)]),
    [
      [1, false],
      [3, false],
    ],
  )
})

test('how a run ended is said once', async () => {
  const store = makeStore()
  assert.equal(await publishRunEnd(store, sampleEnd(1, { end: 'finished' })), true)
  assert.equal(await publishRunEnd(store, sampleEnd(1, { end: 'failed' })), false)
})

test('runs are read oldest first; one that cannot be read is a fact, a failing store an error', async () => {
  const store = makeStore()
  for (const run of [1, 2, 10]) await publishRunRecord(store, sampleRun(run))
  await publishRunEnd(store, sampleEnd(2, { end: 'cancelled' }))
  await store.replace('runs/000010.json', new Uint8Array([1, 2, 3]))
  await publishRunEnd(store, sampleEnd(11))
  await store.publish('runs/notes.txt', new Uint8Array())
  const runs = await readRuns(store, 'job')
  assert.deepEqual(
    runs.map(({ run }) => run),
    [1, 2, 10, 11],
  )
  assert.ok(runs[1].end !== undefined && 'end' in runs[1].end && runs[1].end.end === 'cancelled')
  assert.ok(isMillraceError(runs[2].record, 'SNAPSHOT_DAMAGED'))
  assert.ok(isMillraceError(runs[3].record, 'OBJECT_MISSING'))
  store.fail('read')
  await assert.rejects(readRuns(store, 'job'), error => isMillraceError(error, 'STORE_FAILED'))
})

test('the failpoints lie around the publishing of a run and of its end', async context => {
  const passed: string[] = []
  onFailpoint(name => void passed.push(name))
  context.after(() => onFailpoint(undefined))
  const store = makeStore()
  await publishRunRecord(store, sampleRun(1))
  await publishRunEnd(store, sampleEnd(1))
  assert.deepEqual(passed, ['run.before-publish', 'run.after-publish', 'end.before-record', 'end.after-record'])
})
