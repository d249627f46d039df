/** What differs between two snapshots of a job, and between snapshots of two jobs. */
import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { before, test } from 'node:test'
import { readSnapshot } from 'millrace'
import { diffSnapshots, type Difference, type DiffScope } from '../../packages/millrace/src/reading/index.ts'
import { everyState, READINGS, runUntilRead, temporaryFolder } from './job.ts'

const MORE = [...READINGS, { user: 'bob', amount: 5, at: 500 }, { user: 'cyd', amount: 1, at: 600 }]

const storage = temporaryFolder()
/** The same job's folder before it had read more. */
const earlier = temporaryFolder()

before(async () => {
  await runUntilRead(everyState(READINGS), storage, READINGS.length)
  cpSync(storage, earlier, { recursive: true })
  await runUntilRead(everyState(MORE), storage, MORE.length - READINGS.length)
})

async function diff(from: string, to: string, scope?: DiffScope): Promise<Omit<Difference, 'keyGroup'>[]> {
  await using old = await readSnapshot('every/latest', { storage: from })
  await using young = await readSnapshot('every/latest', { storage: to })
  const found: Omit<Difference, 'keyGroup'>[] = []
  for await (const { keyGroup: _, ...difference } of diffSnapshots(old, young, scope)) found.push(difference)
  return found
}

test('entries are added, removed and changed, and the other way round from the other side', async () => {
  const scope = { operator: 'users', state: 'most' }
  const names = { operator: 'users', state: 'most' }
  const byKey = (all: Omit<Difference, 'keyGroup'>[]) => all.toSorted((a, b) => (a.key! < b.key! ? -1 : 1))
  assert.deepEqual(byKey(await diff(earlier, storage, scope)), [
    { ...names, change: 'changed', key: 'bob', before: 2, after: 5 },
    { ...names, change: 'added', key: 'cyd', after: 1 },
  ])
  assert.deepEqual(byKey(await diff(storage, earlier, scope)), [
    { ...names, change: 'changed', key: 'bob', before: 5, after: 2 },
    { ...names, change: 'removed', key: 'cyd', before: 1 },
  ])
})

test('states of every kind are compared, keyed or not', async () => {
  const counts: Record<string, number> = {}
  for (const { operator, state, change } of await diff(earlier, storage)) {
    const name = `${operator} ${state} ${change}`
    counts[name] = (counts[name] ?? 0) + 1
  }
  assert.deepEqual(counts, {
    'amounts seen added': 2,
    'users last changed': 1,
    'users last added': 1,
    'users total changed': 1,
    'users total added': 1,
    'users amounts added': 2,
    'users byAmount added': 2,
    'users most changed': 1,
    'users most added': 1,
    'users count changed': 1,
    'users count added': 1,
    'users fresh changed': 1,
    'users fresh added': 1,
    'users ~processing-timers added': 2,
    'windows ~window added': 2,
    'windows ~event-timers added': 2,
    'collected value changed': 1,
    'collected value added': 1,
  })
})

test('a snapshot does not differ from itself, nor from a later one in which nothing has happened', async () => {
  assert.deepEqual(await diff(storage, storage), [])
  const later = temporaryFolder()
  cpSync(storage, later, { recursive: true })
  await runUntilRead(everyState(MORE), later, 0)
  assert.deepEqual(await diff(storage, later), [])
})

test('two jobs that know their states by different ids are compared by name', async () => {
  const other = temporaryFolder()
  await runUntilRead(everyState(READINGS, { extra: true }), other, READINGS.length)
  const differences = await diff(earlier, other)
  assert.deepEqual([...new Set(differences.map(({ operator, change }) => `${operator} ${change}`))], ['extra added'])
})

test('snapshots with different numbers of key groups are refused', async () => {
  const other = temporaryFolder()
  await runUntilRead(everyState(READINGS), other, READINGS.length, { maxParallelism: 64 })
  await assert.rejects(diff(earlier, other), { code: 'USAGE', message: /has 128 key groups and every\/chk-\d+ has 64/ })
})
