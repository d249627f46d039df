import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError } from '../base/errors.ts'
import { memoryStorage } from '../store/memory/index.ts'
import { FaultyStore } from '../testing/faulty-store.ts'
import { appendHistory, type HistoryEntry, readHistory, trimHistory } from './history.ts'

const makeStore = (): FaultyStore => new FaultyStore(memoryStorage().job('job'))
const entry = (id: number): HistoryEntry => ({
  atMs: id * 1000,
  kind: 'checkpoint',
  id,
  run: 1,
  trigger: 'interval',
  outcome: 'completed',
  durationMs: 5,
  newBytes: 10,
  totalBytes: 100,
})
const ids = async (store: FaultyStore, limit?: number): Promise<number[]> =>
  (await readHistory(store, limit)).map(({ id }) => id)

test('entries are read in the order they were written', async () => {
  const store = makeStore()
  assert.deepEqual(await readHistory(store), [])
  for (const id of [1, 2, 3]) assert.equal(await appendHistory(store, entry(id)), true)
  assert.deepEqual(await readHistory(store), [entry(1), entry(2), entry(3)])
  assert.deepEqual(await ids(store, 2), [2, 3])
})

test('an entry is one line, whatever its error says', async () => {
  const store = makeStore()
  await appendHistory(store, { ...entry(1), outcome: 'failed', error: `line\nbreak ${'x'.repeat(10_000)}` })
  const text = new TextDecoder().decode(await store.read('log.jsonl'))
  assert.equal(text.split('\n').length, 2)
  assert.ok(text.length < 1000)
})

test('a full disk does not fail the snapshot whose line cannot be written', async () => {
  const store = makeStore()
  store.failWrites('ENOSPC')
  assert.equal(await appendHistory(store, entry(1)), false)
})

test('torn and foreign lines are skipped', async () => {
  const store = makeStore()
  await appendHistory(store, entry(1))
  await store.append('log.jsonl', new TextEncoder().encode('not json\n{"no":"id"}\n[1]\n'))
  await appendHistory(store, entry(2))
  await store.append('log.jsonl', new TextEncoder().encode('{"id":3,"half'))
  assert.deepEqual(await ids(store), [1, 2])
})

test('trimming keeps the last entries, and mends a torn end so that the next line stands alone', async () => {
  const store = makeStore()
  for (const id of [1, 2, 3, 4]) await appendHistory(store, entry(id))
  await trimHistory(store, 3)
  assert.deepEqual(await ids(store), [2, 3, 4])
  await store.append('log.jsonl', new TextEncoder().encode('{"id":5,"half'))
  await trimHistory(store, 3)
  await appendHistory(store, entry(6))
  assert.deepEqual(await ids(store), [2, 3, 4, 6])
})

test('a log that is short and whole is not written again', async () => {
  const store = makeStore()
  await trimHistory(store)
  await appendHistory(store, entry(1))
  await trimHistory(store)
  assert.ok(!store.calls.some(call => call.startsWith('replace')))
})

test('of a log that is too long to read only the end is read, and trimming cuts it down', async () => {
  const store = makeStore()
  const line = `${JSON.stringify({ ...entry(7), error: 'x'.repeat(4000) })}\n`
  await store.append('log.jsonl', new TextEncoder().encode(line.repeat(5000)))
  await appendHistory(store, entry(8))
  assert.deepEqual(await ids(store, 2), [7, 8])
  await trimHistory(store)
  assert.ok((await store.size('log.jsonl'))! <= 16 * 1024 * 1024)
  assert.deepEqual(await ids(store, 2), [7, 8])
})

test('an error that is not the store’s is not swallowed', async () => {
  const store = makeStore()
  store.append = async () => {
    throw new TypeError('a bug')
  }
  await assert.rejects(appendHistory(store, entry(1)), error => !isMillraceError(error))
})
