/** Reading snapshots of a whole job with `readSnapshot`: every kind of state, with no job running and beside one that is. */
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { readSnapshot, type EntryFilter, type StateEntry } from 'millrace'
import { everyState, READINGS, runUntilRead, temporaryFolder } from './job.ts'

const storage = temporaryFolder()

before(async () => {
  await runUntilRead(everyState(READINGS), storage, READINGS.length)
})

async function entries(operator: string, state: string, filter?: EntryFilter): Promise<StateEntry[]> {
  await using snapshot = await readSnapshot('every/latest', { storage })
  const found: StateEntry[] = []
  for await (const { keyGroup: _, ...entry } of snapshot.operator(operator).state(state).entries(filter))
    found.push(entry)
  return found.toSorted((a, b) => (JSON.stringify(a, bigints) < JSON.stringify(b, bigints) ? -1 : 1))
}

const bigints = (_: string, held: unknown): unknown => (typeof held === 'bigint' ? String(held) : held)

async function get(operator: string, state: string, key: any): Promise<unknown> {
  await using snapshot = await readSnapshot('every/latest', { storage })
  return await snapshot.operator(operator).state(state).get(key)
}

describe('entries', () => {
  test('of value state are its keys with their values, whatever values they are', async () => {
    assert.deepEqual(await entries('users', 'last'), [
      { key: 'ada', value: { user: 'ada', amount: 3, at: 300, seen: new Date(300) } },
      { key: 'adam', value: { user: 'adam', amount: 4, at: 400, seen: new Date(400) } },
      { key: 'bob', value: { user: 'bob', amount: 2, at: 200, seen: new Date(200) } },
    ])
  })

  test('of state with a schema of fixed width are decoded with it', async () => {
    assert.deepEqual(await entries('users', 'total', { key: 'ada' }), [{ key: 'ada', value: { count: 2, sum: 4 } }])
  })

  test('of list state are its elements, of map state its entries', async () => {
    assert.deepEqual(await entries('users', 'amounts', { key: 'ada' }), [
      { key: 'ada', index: 0, value: 1 },
      { key: 'ada', index: 1, value: 3 },
    ])
    assert.deepEqual(await entries('users', 'byAmount', { key: 'ada' }), [
      { key: 'ada', mapKey: 1, value: 'at 100' },
      { key: 'ada', mapKey: 3, value: 'at 300' },
    ])
  })

  test('of timers say when they are due, of windows which they are', async () => {
    assert.deepEqual(await entries('users', '~processing-timers', { key: 'bob' }), [
      { key: 'bob', time: 9_000_000_000_200, value: 2 },
    ])
    assert.deepEqual(await entries('windows', '~window'), [
      { key: ['ada', 1], window: 0, value: 4 },
      { key: ['adam', 0], window: 0, value: 4 },
      { key: ['bob', 0], window: 0, value: 2 },
    ])
  })

  test('of an operator list have the subtask, of broadcast state the key', async () => {
    assert.deepEqual(
      await entries('amounts', 'seen'),
      [1, 2, 3, 4].map((amount, index) => ({ subtask: 0, index, value: amount })),
    )
    assert.deepEqual(await entries('users', 'limits'), [
      { key: 'a', value: { limit: 1 } },
      { key: 'b', value: { limit: 2n } },
    ])
  })

  test('that have outlived their time are not shown; others say when they were touched', async () => {
    assert.deepEqual(await entries('users', 'stale'), [])
    const [{ lastTouchMs, ...entry }] = await entries('users', 'fresh', { key: 'bob' })
    assert.deepEqual(entry, { key: 'bob', value: 2 })
    assert.ok(Math.abs(Date.now() - lastTouchMs!) < 60_000)
  })

  test('are those whose key begins with a text, or with the elements of a tuple', async () => {
    const keys = async (...args: Parameters<typeof entries>) => (await entries(...args)).map(({ key }) => key)
    assert.deepEqual(await keys('users', 'most', { keyPrefix: 'ada' }), ['ada', 'adam'])
    assert.deepEqual(await keys('windows', '~window', { keyPrefix: ['ada'] }), [['ada', 1]])
  })

  test('of all key groups are those of each one together', async () => {
    await using snapshot = await readSnapshot('every/latest', { storage })
    const state = snapshot.operator('users').state('most')
    const keyGroups: number[] = []
    for (let group = 0; group < 128; group++) {
      for await (const entry of state.entries({ keyGroups: [group, group + 1] })) {
        assert.equal(entry.keyGroup, group)
        keyGroups.push(group)
      }
    }
    assert.equal(keyGroups.length, 3)
  })
})

describe('get', () => {
  test('gives what the state would give under the key', async () => {
    assert.equal(await get('users', 'most', 'ada'), 3)
    assert.equal(await get('users', 'count', 'ada'), 2)
    assert.deepEqual(await get('users', 'amounts', 'ada'), [1, 3])
    assert.deepEqual(
      await get('users', 'byAmount', 'ada'),
      new Map([
        [1, 'at 100'],
        [3, 'at 300'],
      ]),
    )
    assert.deepEqual(await get('users', '~processing-timers', 'ada'), [9_000_000_000_100, 9_000_000_000_300])
    assert.deepEqual(await get('windows', '~window', ['ada', 1]), new Map([[0, 4]]))
    assert.deepEqual(await get('collected', 'value', 2n), [READINGS[1]])
    assert.deepEqual(await get('users', 'limits', 'b'), { limit: 2n })
  })

  test('gives nothing for a key that has none, also where another key begins with it', async () => {
    assert.equal(await get('users', 'most', 'ad'), undefined)
    assert.equal(await get('collected', 'value', 2), undefined)
  })

  test('refuses an operator list, which has no keys', async () => {
    await assert.rejects(get('amounts', 'seen', 1), { code: 'USAGE', message: /'seen' of 'amounts' .* no keys/ })
  })
})

test('a snapshot tells its operators and states; a name that it does not have is refused with those it has', async () => {
  await using snapshot = await readSnapshot('every/latest', { storage })
  assert.deepEqual(
    snapshot.operators().map(({ name }) => name),
    ['rules', 'readings', 'users', 'none', 'windows', 'sums', 'collected', 'rest', 'amounts', 'out'],
  )
  assert.deepEqual(
    snapshot
      .operator('users')
      .states()
      .map(({ name, kind }) => `${name} ${kind}`),
    'last value,total value,amounts list,byAmount map,most reducing,count aggregating (count),fresh value,stale value,~event-timers timers,~processing-timers timers,limits broadcast'.split(
      ',',
    ),
  )
  assert.deepEqual(snapshot.operator('readings').source!.splits[0].position, 4)
  assert.throws(() => snapshot.operator('user'), {
    code: 'USAGE',
    message: /has no operator 'user'; .*did you mean 'users'\?/,
  })
  assert.throws(() => snapshot.operator('users').state('mst'), {
    code: 'USAGE',
    message: /no state 'mst'; it has last, /,
  })
})

describe('a path', () => {
  function moved(): string {
    const folder = join(temporaryFolder(), 'a folder of any name')
    mkdirSync(join(folder, 'manifests'), { recursive: true })
    const job = join(storage, 'every')
    const newest = readdirSync(join(job, 'manifests')).toSorted().at(-1)!
    cpSync(join(job, 'manifests', newest), join(folder, 'manifests', newest))
    cpSync(join(job, 'segments'), join(folder, 'segments'), { recursive: true })
    return folder
  }

  test('may be a folder with one snapshot, wherever it lies, or a manifest in it', async () => {
    const folder = moved()
    const [file] = readdirSync(join(folder, 'manifests'))
    for (const path of [folder, join(folder, 'manifests', file)]) {
      await using snapshot = await readSnapshot(path)
      assert.equal(snapshot.manifest.job, 'every')
      assert.equal(await snapshot.operator('users').state('most').get('bob'), 2)
    }
  })

  test('that is no snapshot is refused with what it is', async () => {
    const none = temporaryFolder()
    const notFound = (message: RegExp) => ({ code: 'SNAPSHOT_NOT_FOUND', message })
    await assert.rejects(readSnapshot(none), notFound(/the folder .* holds no snapshot/))
    await assert.rejects(readSnapshot(join(storage, 'every')), notFound(/the folder .* holds \d+ snapshots/))
    await assert.rejects(readSnapshot(join(none, 'x')), notFound(/there is no file or folder/))
    await assert.rejects(readSnapshot('nonsense'), notFound(/'nonsense' is not the name of a snapshot/))
    await assert.rejects(readSnapshot(import.meta.filename), notFound(/is not a manifest in a folder manifests/))
  })
})

test('what is open is read to its end though its files are removed meanwhile', async () => {
  const copy = temporaryFolder()
  cpSync(storage, copy, { recursive: true })
  await using snapshot = await readSnapshot('every/latest', { storage: copy })
  rmSync(join(copy, 'every'), { recursive: true })
  const keys = new Set<unknown>()
  for await (const { key } of snapshot.operator('users').state('most').entries()) keys.add(key)
  assert.deepEqual(keys, new Set(['ada', 'adam', 'bob']))
  await assert.rejects(readSnapshot('every/latest', { storage: copy }), { code: 'SNAPSHOT_NOT_FOUND' })
})

test('a snapshot that was closed is not read any more', async () => {
  const snapshot = await readSnapshot('every/latest', { storage })
  await snapshot.close()
  await assert.rejects(snapshot.operator('users').state('most').get('ada'), {
    code: 'STORE_FAILED',
    message: /segments\/.* was closed/,
  })
})

test('a snapshot of which a segment is missing cannot be opened', async () => {
  const copy = temporaryFolder()
  cpSync(storage, copy, { recursive: true })
  rmSync(join(copy, 'every/segments'), { recursive: true })
  await assert.rejects(readSnapshot('every/latest', { storage: copy }), {
    code: 'OBJECT_MISSING',
    message: /segments\/.* is missing/,
  })
})
