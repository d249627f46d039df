/** A state edited into a new savepoint: what it holds, what stays, and that the job goes on from it. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { readSnapshot } from 'millrace'
import { acquireLock } from '../../packages/millrace/src/host/lock.ts'
import { currentProcess } from '../../packages/millrace/src/host/process-identity.ts'
import { FAILPOINTS, onFailpoint } from '../../packages/millrace/src/base/failpoint.ts'
import { listSnapshots } from '../../packages/millrace/src/snapshot/catalogue.ts'
import { editSnapshot, type EditRequest, type SnapshotPlace } from '../../packages/millrace/src/reading/index.ts'
import { fsck } from '../../packages/millrace/src/snapshot/fsck.ts'
import { recover, runRecordOf } from '../../packages/millrace/src/snapshot/recover.ts'
import { publishRunRecord } from '../../packages/millrace/src/snapshot/run-record.ts'
import { LocalStore } from '../../packages/millrace/src/store/local/index.ts'
import { everyState, READINGS, runUntilRead, temporaryFolder } from './job.ts'

const storage = temporaryFolder()

before(async () => {
  await runUntilRead(everyState(READINGS), storage, READINGS.length)
})

/** A job's folder of one's own. */
function copy(): { readonly storage: string; readonly place: SnapshotPlace } {
  const folder = temporaryFolder()
  cpSync(storage, folder, { recursive: true })
  return { storage: folder, place: placeIn(folder) }
}

function placeIn(folder: string): SnapshotPlace {
  return { store: new LocalStore(join(folder, 'every')), job: 'every', ref: { kind: 'latest', job: 'every' } }
}

async function all(from: string, state: string, options?: { storage: string }): Promise<unknown> {
  await using snapshot = await readSnapshot(from, options)
  const found = new Map<unknown, unknown>()
  const reader = snapshot.operator('users').state(state)
  for await (const { key } of reader.entries()) found.set(key, await reader.get(key!))
  return Object.fromEntries([...found].toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)))
}

function edit(state: string, edits: EditRequest['edit'], to?: string): EditRequest {
  return { operator: 'users', state, edit: edits, ...(to !== undefined && { to }) }
}

function contents(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  return Object.fromEntries(
    files.map(({ parentPath, name }) => [
      join(parentPath, name),
      readFileSync(join(parentPath, name)).toString('base64'),
    ]),
  )
}

describe('keys', () => {
  test('are set and deleted in a new savepoint, and no file that was there has changed', async () => {
    const { storage, place } = copy()
    const was = contents(storage)
    const edited = await editSnapshot(
      place,
      edit('most', {
        set: [
          ['bob', 20],
          ['new', 7],
        ],
        delete: ['ada', 'none'],
      }),
    )
    assert.deepEqual([edited!.puts, edited!.deletes], [2, 1])
    assert.equal(edited!.manifest.kind, 'savepoint')
    assert.deepEqual(await all(`every/sp-${edited!.manifest.id}`, 'most', { storage }), { adam: 4, bob: 20, new: 7 })
    const is = contents(storage)
    assert.deepEqual(
      Object.keys(was).filter(file => !file.includes('/locks/') && was[file] !== is[file]),
      [],
    )
  })

  test('belong to what the next run goes on from, also when the last one died before it had made a snapshot', async () => {
    const { place } = copy()
    const { store, job } = place
    const { decision } = await recover(store, { job, request: {}, sinksRetract: true })
    assert.ok(decision.kind === 'restore')
    const made = { job, token: 9, runId: '0a1b2c3d', startedAtMs: 0, millrace: '0.1.0', maxParallelism: 128 }
    await publishRunRecord(store, runRecordOf(decision, made))
    const edited = await editSnapshot(place, edit('most', { set: [['new', 7]], delete: [] }))
    const [newest] = await listSnapshots(store, job)
    assert.deepEqual([newest.id, newest.details?.standing], [edited!.manifest.id, 'current'])
  })

  test('of a list get another list, of a map another map', async () => {
    const { storage, place } = copy()
    await editSnapshot(
      place,
      edit('amounts', {
        set: [
          ['ada', [9]],
          ['bob', [2, 3]],
        ],
        delete: [],
      }),
    )
    assert.deepEqual(await all('every/latest', 'amounts', { storage }), { ada: [9], adam: [4], bob: [2, 3] })
    await editSnapshot(
      place,
      edit('byAmount', {
        set: [
          [
            'ada',
            new Map([
              [1, 'kept'],
              [8, 'new'],
            ]),
          ],
        ],
        delete: ['bob'],
      }),
    )
    assert.deepEqual(await all('every/latest', 'byAmount', { storage }), {
      ada: new Map([
        [1, 'kept'],
        [8, 'new'],
      ]),
      adam: new Map([[4, 'at 400']]),
    })
  })

  test('that would have a value that does not fit the schema, or is none of the kind, are refused', async () => {
    const { storage, place } = copy()
    const was = contents(join(storage, 'every/manifests'))
    const refused = (state: string, value: unknown, code: string, message: RegExp) =>
      assert.rejects(editSnapshot(place, edit(state, { set: [['ada', value]], delete: [] })), { code, message })
    await refused(
      'total',
      { count: -1, sum: 0 },
      'STATE_VALUE_INVALID',
      /for key "ada" of state 'total' of 'users' does not fit its schema: property 'count': -1 is below 0/,
    )
    await refused('amounts', 5, 'USAGE', /of list state 'amounts' of 'users' must be an array/)
    await refused('byAmount', {}, 'USAGE', /must be a Map/)
    await refused('~processing-timers', [1], 'USAGE', /holds timers/)
    await refused('limits', 1, 'USAGE', /'limits' of 'users' is broadcast; only keyed state/)
    await refused('most', Symbol('x'), 'VALUE_UNSUPPORTED', /./)
    await assert.rejects(editSnapshot(place, edit('most', { set: [['ada', 1]], delete: ['ada'] })), {
      code: 'USAGE',
      message: /edited twice/,
    })
    assert.deepEqual(contents(join(storage, 'every/manifests')), was)
  })
})

describe('a function', () => {
  test('changes what it returns changed, takes out what it does not return, and what it leaves is not written', async () => {
    const { storage, place } = copy()
    const seen: unknown[] = []
    const edited = await editSnapshot(
      place,
      edit('total', async entry => {
        seen.push(entry.key)
        const total = entry.value as { count: number; sum: number }
        if (entry.key === 'bob') return undefined
        if (entry.key === 'ada') total.sum = 100
        return entry
      }),
    )
    assert.deepEqual(new Set(seen), new Set(['ada', 'adam', 'bob']))
    assert.deepEqual([edited!.puts, edited!.deletes], [1, 1])
    assert.deepEqual(await all('every/latest', 'total', { storage }), {
      ada: { count: 2, sum: 100 },
      adam: { count: 1, sum: 4 },
    })
  })

  test('that changes nothing writes nothing', async () => {
    const { storage, place } = copy()
    const was = contents(join(storage, 'every/segments'))
    assert.equal(
      await editSnapshot(
        place,
        edit('byAmount', entry => ({ ...entry })),
      ),
      undefined,
    )
    assert.deepEqual(contents(join(storage, 'every/segments')), was)
  })

  test('that throws, or returns another key, is refused with the key', async () => {
    const { place } = copy()
    const thrown = edit('most', () => {
      throw new Error('no idea')
    })
    await assert.rejects(editSnapshot(place, thrown), {
      code: 'USER_FUNCTION_FAILED',
      message: /'most' of 'users' threw under key "\w+": no idea/,
    })
    const moved = edit('most', entry => ({ ...entry, key: 'other' }))
    await assert.rejects(editSnapshot(place, moved), { code: 'USAGE', message: /returned no entry of the key/ })
    await assert.rejects(
      editSnapshot(
        place,
        edit('most', () => 5 as never),
      ),
      { code: 'USAGE' },
    )
  })
})

test('the next run goes on from the edited state, with the positions of the snapshot, and fsck finds nothing wrong', async () => {
  const { storage, place } = copy()
  const edited = await editSnapshot(place, edit('most', { set: [['bob', 50]], delete: ['ada'] }))
  const more = [...READINGS, { user: 'ada', amount: 1, at: 500 }, { user: 'bob', amount: 1, at: 600 }]
  await runUntilRead(everyState(more), storage, 2)
  await using snapshot = await readSnapshot('every/latest', { storage })
  assert.equal(snapshot.manifest.kind, 'checkpoint')
  assert.ok(snapshot.manifest.id > edited!.manifest.id)
  assert.deepEqual(await all('every/latest', 'most', { storage }), { ada: 1, adam: 4, bob: 50 })
  assert.equal(snapshot.operator('readings').source!.splits[0].position, more.length)
  const { findings } = await fsck(place.store, 'every')
  assert.deepEqual(
    findings.filter(({ severity }) => severity === 'damage'),
    [],
  )
})

test('into a folder of its own the savepoint holds all of itself, wherever it is moved, and the job has nothing new', async () => {
  const { storage, place } = copy()
  const was = contents(storage)
  const folder = join(temporaryFolder(), 'edited')
  await editSnapshot(place, edit('most', { set: [['bob', 20]], delete: [] }, folder))
  assert.deepEqual(contents(storage), was)
  const moved = join(temporaryFolder(), 'moved to here')
  renameSync(folder, moved)
  assert.deepEqual(await all(moved, 'most'), { ada: 3, adam: 4, bob: 20 })
  assert.deepEqual(await all(moved, 'amounts'), { ada: [1, 3], adam: [4], bob: [2] })
  await assert.rejects(editSnapshot(place, edit('most', { set: [['bob', 20]], delete: [] }, moved)), {
    code: 'USAGE',
    message: /moved to here holds a snapshot/,
  })
})

test('beside a running job an edit is refused with the way out, which works', async () => {
  const { storage, place } = copy()
  const clock = { now: () => Date.now(), sleep: async () => undefined }
  const lock = await acquireLock(place.store, currentProcess(), clock, { job: 'every' })
  try {
    const request = edit('most', { set: [['bob', 20]], delete: [] })
    await assert.rejects(editSnapshot(place, request), { code: 'JOB_LOCKED', hint: /--to DIR/ })
    const to = join(temporaryFolder(), 'edited')
    await editSnapshot(place, { ...request, to })
    assert.ok(existsSync(join(to, 'manifests')))
    assert.deepEqual(await all(to, 'most'), { ada: 3, adam: 4, bob: 20 })
  } finally {
    await lock.release()
  }
  assert.deepEqual(await all('every/latest', 'most', { storage }), { ada: 3, adam: 4, bob: 2 })
})

test('an edit that fails anywhere before its manifest is there leaves the snapshots as they were, and works when done again', async () => {
  const { place } = copy()
  const request = edit('most', { set: [['bob', 20]], delete: [] })
  const names = async () => (await listSnapshots(place.store, 'every')).map(({ name }) => name)
  const was = await names()
  const points = FAILPOINTS.filter(point => /^(segment|manifest)\.before-|^manifest.after-link/.test(point))
  const failed = new Error('failed here')
  try {
    for (const point of points) {
      onFailpoint(name => {
        if (name === point) throw failed
      })
      await assert.rejects(editSnapshot(place, request), failed)
      onFailpoint(undefined)
      assert.equal((await names()).length, point === 'manifest.after-link' ? was.length + 1 : was.length, point)
      assert.ok((await fsck(place.store, 'every')).intact, point)
    }
  } finally {
    onFailpoint(undefined)
  }
  assert.ok((await editSnapshot(place, edit('most', { set: [['bob', 21]], delete: [] }))) !== undefined)
})

test('an older snapshot is edited only into a folder of its own', async () => {
  const { place } = copy()
  await editSnapshot(place, edit('most', { set: [['bob', 20]], delete: [] }))
  const older = readdirSync(join(place.store.location, 'manifests')).toSorted()[0]
  const id = Number(/\d+/.exec(older)![0])
  const ref = { kind: 'id', job: 'every', snapshot: { kind: 'checkpoint', id } } as const
  await assert.rejects(editSnapshot({ ...place, ref }, edit('most', { set: [['bob', 1]], delete: [] })), {
    code: 'USAGE',
    message: /every\/chk-\d+ is not what the next run would start from/,
    hint: /--to DIR/,
  })
})
