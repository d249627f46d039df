import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { after, test } from 'node:test'
import { sampleManifest } from '../testing/snapshot-samples.ts'
import { put, sampleKey, writeSample } from '../snapshot/segment-samples.ts'
import type { SnapshotStore } from '../store/contract.ts'
import { localStorage } from '../store/local/index.ts'
import { memoryStorage } from '../store/memory/index.ts'
import { SavepointFolders } from './savepoint-folders.ts'

const root = mkdtempSync(join(tmpdir(), 'millrace-savepoints-'))
after(() => rmSync(root, { recursive: true }))

function foldersOf(store: SnapshotStore, pause = async (): Promise<void> => undefined): SavepointFolders {
  return new SavepointFolders({ store, compression: 'none', yield: pause })
}

const savepoint = sampleManifest({ kind: 'savepoint', trigger: 'user' })

test('a folder is made with those above it, and holds the savepoint once it is written', async () => {
  const path = join(root, 'made/for/it')
  const folder = await foldersOf(memoryStorage().job('job')).take(relative(process.cwd(), path))
  assert.equal(folder.path, path)
  assert.equal(existsSync(join(path, 'manifests')), false)
  const told: number[] = []
  await folder.write(savepoint, fraction => told.push(fraction))
  assert.deepEqual(readdirSync(join(path, 'manifests')), ['sp-000000000001.json'])
  assert.deepEqual(told, [1])
})

test('an empty folder is taken once; one with anything in it, a file, or an address never', async () => {
  const folders = foldersOf(memoryStorage().job('job'))
  const empty = join(root, 'empty')
  mkdirSync(empty)
  const folder = await folders.take(empty)
  writeFileSync(join(root, 'file'), '')
  mkdirSync(join(root, 'full'))
  writeFileSync(join(root, 'full/notes.txt'), 'mine')
  for (const [path, why] of [
    [empty, /is not empty/],
    [join(root, 'full'), /is not empty/],
    [join(root, 'file'), /cannot be made: .*EEXIST/],
    [join(root, 'file/below'), /cannot be made: .*ENOTDIR/],
    ['s3://bucket/a', /is no folder on a disk/],
  ] as const) {
    await assert.rejects(folders.take(path), { code: 'SAVEPOINT_FOLDER', message: why }, path)
  }
  assert.deepEqual(readdirSync(join(root, 'full')), ['notes.txt'])
  await folder.release()
  assert.deepEqual(readdirSync(empty), [])
})

test('the storage of the job is no place for it, since every folder there is a job’s', async () => {
  const storage = join(root, 'storage')
  const folders = foldersOf(localStorage(storage).job('job'))
  for (const path of [storage, join(storage, 'backup'), join(storage, 'job/backup')])
    await assert.rejects(folders.take(path), { code: 'SAVEPOINT_FOLDER', message: /lies in the storage/ }, path)
  await (await folders.take(`${storage}-backup`)).release()
  assert.equal(existsSync(`${storage}-backup`), false)
})

test('when it cannot be written the folder is as it was', async () => {
  const store = memoryStorage().job('job')
  const damaged = {
    ...savepoint,
    segments: [await writeSample(store, { checkpoint: 1, entries: [put(sampleKey(1, 0, 'a'), 'a')] })],
  }
  await store.remove('segments/1-1.seg')
  const folders = foldersOf(store)
  mkdirSync(join(root, 'was-there'))
  for (const [name, isThere] of [
    ['was-there', true],
    ['was-not', false],
  ] as const) {
    const folder = await folders.take(join(root, name))
    await assert.rejects(folder.write(damaged), {
      code: 'OBJECT_MISSING',
      message: /; savepoint sp-\d+ itself was taken, and stays in .*job$/,
    })
    assert.equal(existsSync(folder.path), isThere)
  }
  assert.deepEqual(readdirSync(join(root, 'was-there')), [])
})

test('what is being written when the job ends is waited for, or given up', async () => {
  const store = memoryStorage().job('job')
  const entries = Array.from({ length: 300 }, (_, i) =>
    put(sampleKey(1, 0, String(i).padStart(4, '0')), Buffer.alloc(8192)),
  )
  const segment = await writeSample(store, { checkpoint: 1, entries, compression: 'none' })
  const large = { ...savepoint, segments: [segment] }
  for (const isGivenUp of [false, true]) {
    const folders = foldersOf(store)
    const folder = await folders.take(join(root, `ending-${isGivenUp}`))
    const outcome = folder.write(large).then(
      () => 'written',
      ({ code }) => code as string,
    )
    assert.deepEqual(folders.progress, [{ path: folder.path, fraction: 0 }])
    await folders.settle(isGivenUp)
    assert.deepEqual(folders.progress, [])
    assert.equal(existsSync(join(folder.path, 'manifests')), !isGivenUp)
    assert.equal(await outcome, isGivenUp ? 'JOB_NOT_RUNNING' : 'written')
  }
})
