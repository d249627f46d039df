import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { diskStoreContract } from '../../testing/disk-store-contract.ts'
import type { DiskStore } from '../disk/disk-store.ts'
import { Packing } from '../disk/packed.ts'
import { loadRocksDb } from './load-rocksdb.ts'
import { chooseDiskStore, openDiskStore } from './open-disk-store.ts'

const root = mkdtempSync(join(tmpdir(), 'millrace-open-'))
after(() => rmSync(root, { recursive: true, force: true }))
let directories = 0

const loaded = loadRocksDb()
const MISSING = { missing: '@millrace/rocksdb has no binary for linux-s390x' }
const KINDS = 'native' in loaded ? (['rocksdb', 'sqlite'] as const) : (['sqlite'] as const)

function newDirectory(base = root): string {
  const directory = join(base, `slot-${directories++}`)
  mkdirSync(directory)
  return directory
}

function open(kind: string, directory: string): DiskStore {
  process.env['MILLRACE_DISK_STORE'] = kind
  try {
    return openDiskStore({ directory, memoryBytes: 4 << 20, storeCount: 1 })
  } finally {
    delete process.env['MILLRACE_DISK_STORE']
  }
}

/** `count` entries of 1000 bytes that cannot be compressed away. */
function write(store: DiskStore, count: number, first = 0): void {
  const batch = new Packing()
  for (let n = first; n < first + count; n++) batch.put(keyOf(n), valueOf(n))
  store.write(batch.bytes)
}

function keyOf(n: number): Uint8Array {
  return Buffer.from(String(n).padStart(8, '0'))
}

function valueOf(n: number): Uint8Array {
  return Uint8Array.from({ length: 1000 }, (_, i) => (n * 31 + i * i * 7) & 255)
}

test(
  'RocksDB is taken where it loads; else SQLite, and why is said',
  { skip: 'missing' in loaded && loaded.missing },
  () => {
    assert.deepEqual(chooseDiskStore(undefined, loaded), { kind: 'rocksdb', notice: undefined })
    assert.deepEqual(chooseDiskStore('', MISSING), {
      kind: 'sqlite',
      notice: 'state is kept in SQLite, which is slower than RocksDB: @millrace/rocksdb has no binary for linux-s390x',
    })
  },
)

test('MILLRACE_DISK_STORE names the one to take; without a binary, or with another name, that is an error', () => {
  assert.deepEqual(chooseDiskStore('sqlite', loaded), { kind: 'sqlite', notice: undefined })
  assert.deepEqual(chooseDiskStore('sqlite', MISSING), { kind: 'sqlite', notice: undefined })
  assert.throws(() => chooseDiskStore('rocksdb', MISSING), {
    code: 'DISK_STORE_MISSING',
    message:
      /asks for rocksdb, but @millrace\/rocksdb has no binary for linux-s390x; install @millrace\/rocksdb, .* or use the heap/,
  })
  assert.throws(() => chooseDiskStore('leveldb', loaded), {
    code: 'OPTION_INVALID',
    message: /'leveldb'.*rocksdb or sqlite/,
  })
})

for (const kind of KINDS) {
  diskStoreContract(`opened ${kind}`, () => open(kind, newDirectory()), { runs: 10 })

  test(`${kind}: the directory goes when the store is closed`, () => {
    const directory = newDirectory()
    const store = open(kind, directory)
    assert.equal(store.kind, kind)
    write(store, 10)
    assert.ok(readdirSync(directory).length > 0)
    store.close()
    assert.ok(!existsSync(directory))
  })

  test(`${kind}: a directory that another process uses is refused, and left to it`, () => {
    const directory = newDirectory()
    const store = open(kind, directory)
    write(store, 10)
    const module = new URL('./open-disk-store.ts', import.meta.url).href
    const program = `
      import { openDiskStore } from ${JSON.stringify(module)}
      try { openDiskStore({ directory: process.argv[1], memoryBytes: 4 << 20, storeCount: 1 }); console.log('opened') }
      catch (error) { console.log(error.code, error.message) }`
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program, directory], {
      encoding: 'utf8',
      env: { ...process.env, MILLRACE_DISK_STORE: kind },
    })
    assert.match(stdout, /^DISK_STORE_FAILED/)
    assert.ok(stdout.includes(directory), stdout)
    assert.equal(store.get(keyOf(3))?.length, 1000)
    store.close()
  })

  test(`${kind}: bytes that changed on the disk are noticed, and the directory is named`, () => {
    const directory = newDirectory()
    const store = open(kind, directory)
    for (let n = 0; n < 20_000; n += 1000) write(store, 1000, n)
    damage(directory, kind === 'rocksdb' ? '.sst' : '.db')
    assert.throws(
      () => {
        for (let n = 0; n < 20_000; n++) assert.ok(Buffer.from(valueOf(n)).equals(store.get(keyOf(n))!))
      },
      { code: 'DISK_STORE_FAILED', message: new RegExp(`${directory}.*damaged.*rebuilds`) },
    )
    store.close()
    assert.ok(!existsSync(directory))
  })

  test(`${kind}: a full disk is an error that says so, and closing goes on`, context => {
    const disk = smallDisk(context)
    if (disk === undefined) return context.skip('only root can make a small file system')
    const directory = newDirectory(disk)
    const store = open(kind, directory)
    assert.throws(
      () => {
        for (let n = 0; n < 40_000; n += 1000) write(store, 1000, n)
      },
      { code: 'DISK_STORE_FAILED', message: new RegExp(`${directory}.*make room there`) },
    )
    store.close()
    assert.deepEqual(readdirSync(disk), [])
  })
}

function damage(directory: string, ending: string): void {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith(ending))
  assert.ok(files.length > 0, 'something was written')
  for (const name of files) {
    const bytes = readFileSync(join(directory, name))
    for (let at = 4096 + 200; at < bytes.length; at += 1000) bytes[at] ^= 0xff
    writeFileSync(join(directory, name), bytes)
  }
}

function smallDisk(context: TestContext): string | undefined {
  const path = newDirectory()
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', path])
  if (status !== 0) return undefined
  context.after(() => spawnSync('umount', [path]))
  return path
}
