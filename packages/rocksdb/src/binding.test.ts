/** What JavaScript cannot do to the process: handles that are mixed up, closed, forgotten, or whose thread ends. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { loadRocksDb, type Database, type RocksDb } from '@millrace/rocksdb'

const MEMORY_BYTES = 8 << 20
const ENTRY = packed('key', 'value')

const directory = mkdtempSync(join(tmpdir(), 'millrace-binding-'))
after(() => rmSync(directory, { recursive: true, force: true }))
let names = 0
const newPath = () => join(directory, String(names++))

const native = tryLoad()
const skip = native === undefined && 'there is no binary: npm run build -w packages/rocksdb'

function withDatabase(work: (native: RocksDb, database: Database) => void): () => void {
  return () => {
    const database = native!.open(newPath(), MEMORY_BYTES)
    work(native!, database)
    native!.close(database)
  }
}

test(
  'what is no handle, a handle of another kind or no bytes is refused',
  { skip },
  withDatabase((native, database) => {
    const view = native.view(database)
    const key = Buffer.from('k')
    const refused = { code: 'ARGUMENT' }
    const into = new Uint8Array(10)
    assert.throws(() => native.get(view as never, key, into), refused)
    assert.throws(() => native.multiGet(database, database as never, key, 0), refused)
    for (const wrong of [undefined, null, 1, 'text', {}, []]) {
      assert.throws(() => native.get(wrong as never, key, into), refused)
      assert.throws(() => native.get(database, wrong as never, into), refused)
      assert.throws(() => native.get(database, key, wrong as never), refused)
      assert.throws(() => native.write(database, wrong as never), refused)
      assert.throws(() => native.closeView(wrong as never), refused)
    }
    assert.throws(() => native.get(database, new Uint16Array(2) as never, into), refused)
    for (const wrong of [-1, NaN, Infinity, 2 ** 60, undefined]) {
      assert.throws(() => native.multiGet(database, undefined, key, wrong as never), refused)
      assert.throws(() => native.scan(database, undefined, key, key, wrong as never, false), refused)
    }
    assert.throws(() => (native.get as unknown as () => void)(), refused)
  }),
)

test(
  'what is closed says so, and closing twice is harmless',
  { skip },
  withDatabase((native, database) => {
    const view = native.view(database)
    const other = native.view(database)
    native.closeView(view)
    native.closeView(view)
    assert.throws(() => native.multiGet(database, view, ENTRY, 0), { code: 'CLOSED' })
    native.close(database)
    assert.throws(() => native.write(database, ENTRY), { code: 'CLOSED' })
    assert.throws(() => native.multiGet(database, other, ENTRY, 0), { code: 'CLOSED' })
    assert.throws(() => native.view(database), { code: 'CLOSED' })
  }),
)

test(
  'a value that is longer than the place for it leaves that as it is',
  { skip },
  withDatabase((native, database) => {
    native.write(database, ENTRY)
    const key = Buffer.from('key')
    const into = new Uint8Array(6)
    assert.equal(native.get(database, key, into.subarray(0, 4)), 5)
    assert.equal(Buffer.from(into).toString(), '\0\0\0\0\0\0')
    assert.equal(native.get(database, key, into.subarray(0, 5)), 5)
    assert.equal(Buffer.from(into).toString(), 'value\0')
    assert.equal(native.get(database, Buffer.from('other'), into), -1)
  }),
)

test('a directory that is in use, or holds a database, is refused', { skip }, () => {
  const path = newPath()
  const database = native!.open(path, MEMORY_BYTES)
  assert.throws(() => native!.open(path, MEMORY_BYTES), /lock/)
  native!.close(database)
  assert.throws(() => native!.open(path, MEMORY_BYTES), /exists/)
})

test(
  'databases and views that were forgotten are closed by the garbage collector, in any order',
  { skip },
  async () => {
    setFlagsFromString('--expose-gc')
    const collectGarbage = runInNewContext('gc') as () => void
    const held: Database[] = []
    for (let round = 0; round < 20; round++) {
      const database = native!.open(newPath(), MEMORY_BYTES)
      native!.write(database, ENTRY)
      for (let i = 0; i < 5; i++) native!.view(database)
      if (round % 2 === 0) held.push(database)
    }
    const openBefore = openFiles()
    // Finalizers run between two turns of the event loop.
    for (let round = 0; round < 10 && openFiles() > openBefore / 2 + 10; round++) {
      collectGarbage()
      await new Promise(resolve => setImmediate(resolve))
    }
    assert.ok(openFiles() < openBefore, `${openFiles()} of ${openBefore} files are open`)
    for (const database of held) {
      assert.equal(native!.get(database, Buffer.from('key'), new Uint8Array(10)), 5)
      native!.close(database)
    }
  },
)

test(
  'threads that end with databases open, while RocksDB is at work, leave the process in order',
  { skip },
  async () => {
    const path = newPath()
    mkdirSync(path)
    const program = join(import.meta.dirname, 'ending-threads.ts')
    const { stdout } = await promisify(execFile)(process.execPath, [program, path], { timeout: 60_000 })
    assert.ok(Number(stdout) < 40, `${stdout} files are open`)
  },
)

function tryLoad(): RocksDb | undefined {
  try {
    return loadRocksDb()
  } catch {
    return undefined
  }
}

function packed(...strings: readonly string[]): Uint8Array {
  return Buffer.concat(strings.flatMap(text => [Buffer.from(Uint32Array.of(text.length).buffer), Buffer.from(text)]))
}

function openFiles(): number {
  return readdirSync('/proc/self/fd').length
}
