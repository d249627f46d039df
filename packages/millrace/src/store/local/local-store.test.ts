import assert from 'node:assert/strict'
import { type FileHandle, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { type ErrorCode, isMillraceError, MillraceError } from '../../base/errors.ts'
import { type Failpoint, onFailpoint } from '../../base/failpoint.ts'
import { storeContract } from '../../testing/store-contract.ts'
import { type FileOperations, localStorage, LocalStore } from './index.ts'

const failsWith = (code: ErrorCode) => (error: unknown) => isMillraceError(error, code)
const someBytes = new Uint8Array([1, 2, 3])

async function temporaryFolder(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-store-'))
  context.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

storeContract('LocalStore', async context =>
  localStorage(join(await temporaryFolder(context), 'not', 'yet')).job('job'),
)

test('within a file system a copied object is a second name of the same file, whose bytes are not moved', async context => {
  const storage = localStorage(await temporaryFolder(context))
  const [source, target] = [storage.job('source'), storage.job('target')]
  await source.publish('segments/1-1.seg', someBytes)
  await target.copyFrom(source, 'segments/1-1.seg', 'segments/2-1.seg')
  const inodes = await Promise.all(
    [join(source.location, 'segments/1-1.seg'), join(target.location, 'segments/2-1.seg')].map(path => stat(path)),
  )
  assert.equal(inodes[0].ino, inodes[1].ino)
})

test('a symbolic link in another folder is not copied, whatever it leads to', async context => {
  const storage = localStorage(await temporaryFolder(context))
  const [source, target] = [storage.job('source'), storage.job('target')]
  await source.publish('segments/1-1.seg', someBytes)
  await symlink(join(source.location, 'segments/1-1.seg'), join(source.location, 'segments/1-2.seg'))
  await assert.rejects(target.copyFrom(source, 'segments/1-2.seg', 'segments/2-1.seg'), failsWith('OBJECT_MISSING'))
})

function broken(operations: Partial<FileOperations>): FileOperations {
  return {
    write: async (handle, bytes) => {
      await handle.write(bytes)
    },
    sync: handle => handle.sync(),
    ...operations,
  }
}

function errno(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code })
}

async function syncFilesOnly(handle: FileHandle): Promise<void> {
  if ((await handle.stat()).isDirectory()) throw errno('EIO')
  await handle.sync()
}

test('after a failed fsync every later write is STORE_POISONED, and reads go on', async context => {
  const folder = await temporaryFolder(context)
  let syncs = 0
  const sync: FileOperations['sync'] = async handle => {
    syncs += 1
    if (syncs === 3) throw errno('EIO')
    await handle.sync()
  }
  const store = new LocalStore(folder, broken({ sync }))
  await store.publish('good', someBytes)
  const writer = await store.create('open')
  await assert.rejects(store.publish('bad', someBytes), failsWith('STORE_POISONED'))
  const calls = [
    () => store.publish('c', someBytes),
    () => store.replace('good', someBytes),
    () => store.append('log', someBytes),
    () => store.create('d'),
    () => writer.write(someBytes),
  ]
  for (const call of calls) await assert.rejects(call, failsWith('STORE_POISONED'), String(call))
  assert.deepEqual(new Uint8Array(await store.read('good')), someBytes)
  assert.equal(await store.size('bad'), undefined)
})

test('a failed fsync of the directory poisons too, though the object may exist', async context => {
  const folder = await temporaryFolder(context)
  const store = new LocalStore(folder, broken({ sync: syncFilesOnly }))
  await assert.rejects(store.publish('a', someBytes), failsWith('STORE_POISONED'))
  await assert.rejects(store.replace('b', someBytes), failsWith('STORE_POISONED'))
})

for (const code of ['ENOSPC', 'EROFS', 'EACCES', 'EDQUOT']) {
  test(`a write that fails with ${code} is STORE_FAILED with path, errno and cause, and leaves no temporary file`, async context => {
    const folder = await temporaryFolder(context)
    let full = true
    const write: FileOperations['write'] = async (handle, bytes) => {
      if (full) throw errno(code)
      await handle.write(bytes)
    }
    const store = new LocalStore(folder, broken({ write }))
    const isRight = (error: unknown): boolean => {
      assert.ok(isMillraceError(error, 'STORE_FAILED'))
      assert.ok(error.message.includes(code) && error.message.includes(folder), error.message)
      assert.equal((error.cause as { code: string }).code, code)
      return true
    }
    await assert.rejects(store.publish('manifests/a', someBytes), isRight)
    await assert.rejects(store.replace('manifests/a', someBytes), isRight)
    const writer = await store.create('manifests/b')
    await assert.rejects(writer.write(someBytes), isRight)
    assert.deepEqual(await readdir(join(folder, 'manifests')), [])
    full = false
    assert.equal(await store.publish('manifests/a', someBytes), 'created')
  })
}

test('a storage path that is a file, or below one, is STORAGE_INVALID', async context => {
  const folder = await temporaryFolder(context)
  await writeFile(join(folder, 'file'), 'x')
  for (const path of ['file', 'file/below']) {
    const storage = localStorage(join(folder, path))
    await assert.rejects(storage.jobs(), failsWith('STORAGE_INVALID'))
    const store = storage.job('job')
    await assert.rejects(store.publish('a', someBytes), failsWith('STORAGE_INVALID'))
    await assert.rejects(store.list('locks'), failsWith('STORAGE_INVALID'))
    await assert.rejects(store.list(''), failsWith('STORAGE_INVALID'))
    await assert.rejects(store.read('a'), failsWith('STORAGE_INVALID'))
  }
})

test('a folder of the job that is a file is STORAGE_INVALID', async context => {
  const folder = await temporaryFolder(context)
  await writeFile(join(folder, 'segments'), 'x')
  const store = new LocalStore(folder)
  await assert.rejects(store.create('segments/1-1.seg'), failsWith('STORAGE_INVALID'))
  await assert.rejects(store.list('segments'), failsWith('STORAGE_INVALID'))
})

test('symbolic links are not followed out of the job’s folder', async context => {
  const folder = await temporaryFolder(context)
  await mkdir(join(folder, 'outside'))
  await writeFile(join(folder, 'outside', 'secret'), 'secret')
  await mkdir(join(folder, 'job', 'runs'), { recursive: true })
  await symlink(join(folder, 'outside'), join(folder, 'job', 'segments'))
  await symlink(join(folder, 'outside', 'secret'), join(folder, 'job', 'runs', 'secret'))
  await symlink(join(folder, 'outside', 'secret'), join(folder, 'job', 'log.jsonl'))
  const store = localStorage(folder).job('job')
  await assert.rejects(store.read('segments/secret'), failsWith('STORAGE_INVALID'))
  await assert.rejects(store.list('segments'), failsWith('STORAGE_INVALID'))
  await assert.rejects(store.publish('segments/x', someBytes), failsWith('STORAGE_INVALID'))
  await assert.rejects(store.read('runs/secret'), failsWith('STORE_FAILED'))
  await assert.rejects(store.append('log.jsonl', someBytes), failsWith('STORE_FAILED'))
  assert.deepEqual(await store.list('runs'), [])
  assert.equal(await store.size('runs/secret'), undefined)
  assert.deepEqual(await readdir(join(folder, 'outside')), ['secret'])
})

test('a storage that is not there has no jobs, and its first write makes it', async context => {
  const folder = join(await temporaryFolder(context), 'a', 'b')
  const storage = localStorage(folder)
  assert.deepEqual(await storage.jobs(), [])
  await storage.job('zebra').publish('x', someBytes)
  await storage.job('ant').publish('x', someBytes)
  await writeFile(join(folder, 'a-file'), '')
  await mkdir(join(folder, 'Not A Job'))
  assert.deepEqual(await storage.jobs(), ['ant', 'zebra'])
})

test('every folder that a first write makes is synced into its parent', async context => {
  const folder = await temporaryFolder(context)
  let directorySyncs = 0
  const sync: FileOperations['sync'] = async handle => {
    if ((await handle.stat()).isDirectory()) directorySyncs += 1
    await handle.sync()
  }
  await new LocalStore(join(folder, 'a', 'b'), broken({ sync })).publish('c/x', someBytes)
  // a into folder, b into a, c into b, and x into c.
  assert.equal(directorySyncs, 4)
})

test('a job name cannot be a path', () => {
  for (const name of ['..', '.', 'a/b', '../x', '']) {
    assert.throws(() => localStorage('storage').job(name), failsWith('BAD_REFERENCE'))
  }
})

test('a temporary file left by a crashed process of the same pid is in nobody’s way', async context => {
  const folder = await temporaryFolder(context)
  const store = new LocalStore(folder)
  // Learn where the counter stands, then occupy the next names.
  const writer = await store.create('a')
  const [name] = await readdir(folder)
  await writer.abandon()
  const counter = Number(name.split('-').at(-1))
  for (let i = 1; i <= 3; i += 1) await writeFile(join(folder, `.tmp-a-${process.pid}-${counter + i}`), 'old')
  assert.equal(await store.publish('a', someBytes), 'created')
  assert.deepEqual(
    (await store.list('')).map(object => object.name),
    ['a'],
  )
  assert.equal(await store.removeTemporary('', () => true), 3)
})

test('temporary files of a publish under way are not swept from under it', async context => {
  const folder = await temporaryFolder(context)
  let swept = -1
  const write: FileOperations['write'] = async (handle, bytes) => {
    swept = await store.removeTemporary('manifests', () => true)
    await handle.write(bytes)
  }
  const store: LocalStore = new LocalStore(folder, broken({ write }))
  assert.equal(await store.publish('manifests/a', someBytes), 'created')
  assert.equal(swept, 0)
})

test('a publish whose temporary file was swept by whoever took the name first finds that it exists', async context => {
  const folder = await temporaryFolder(context)
  const first = new LocalStore(folder)
  const sync: FileOperations['sync'] = async handle => {
    await handle.sync()
    await first.publish('locks/lock-1', someBytes)
    await first.removeTemporary('locks', () => true)
  }
  const second = new LocalStore(folder, broken({ sync }))
  assert.equal(await second.publish('locks/lock-1', someBytes), 'exists')
})

test('the failpoints of segments and manifests are passed in the order of the steps, those of other objects not', async context => {
  const store = new LocalStore(await temporaryFolder(context))
  const passed: Failpoint[] = []
  onFailpoint(name => void passed.push(name))
  context.after(() => onFailpoint(undefined))
  const writer = await store.create('segments/1-1.seg')
  await writer.write(someBytes)
  await writer.finish()
  await store.publish('manifests/a.json', someBytes)
  await store.publish('runs/000001.json', someBytes)
  await store.replace('locks/lock-1', someBytes)
  assert.deepEqual(passed, [
    'segment.before-create',
    'segment.after-create',
    'segment.after-write',
    'segment.before-fsync',
    'segment.after-fsync',
    'segment.before-rename',
    'segment.after-rename',
    'segment.after-directory-fsync',
    'manifest.before-write',
    'manifest.before-fsync',
    'manifest.before-link',
    'manifest.after-link',
    'manifest.after-directory-fsync',
  ])
})

test('errors of the disk are MillraceErrors with a page', async context => {
  const folder = await temporaryFolder(context)
  await writeFile(join(folder, 'job'), 'a file')
  const error: unknown = await new LocalStore(join(folder, 'job')).publish('a', someBytes).catch((e: unknown) => e)
  assert.ok(error instanceof MillraceError)
  assert.equal(error.page.domain, 'user')
})
