/** A job that restarts a thousand times in one process opens and closes as many stores: nothing of them may stay. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { Packing } from '../../packages/millrace/src/state/disk/packed.ts'
import { loadRocksDb } from '../../packages/millrace/src/state/rocksdb/load-rocksdb.ts'
import { openDiskStore } from '../../packages/millrace/src/state/rocksdb/open-disk-store.ts'

const TIMES = 1000
const WARM_UP = 50

const root = mkdtempSync(join(tmpdir(), 'millrace-handles-'))
after(() => rmSync(root, { recursive: true, force: true }))

const loaded = loadRocksDb()
const KINDS = 'native' in loaded ? ['rocksdb', 'sqlite'] : ['sqlite']

interface Held {
  readonly files: number
  readonly threads: number
  readonly memoryMb: number
}

function held(): Held {
  return {
    files: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    memoryMb: process.memoryUsage.rss() >> 20,
  }
}

function openAndClose(n: number): void {
  const directory = join(root, String(n))
  mkdirSync(directory)
  const store = openDiskStore({ directory, memoryBytes: 8 << 20, storeCount: 1 })
  const batch = new Packing()
  for (let key = 0; key < 100; key++) batch.put(Buffer.from(`key ${key}`), Buffer.alloc(1000, key))
  store.write(batch.bytes)
  store.view()
  const view = store.view()
  assert.ok(view.scan(Buffer.from('k'), Buffer.from('l'), 1000).length > 0)
  if (n % 2 === 0) view.close()
  store.close()
}

for (const kind of KINDS) {
  test(`${kind}: after ${TIMES} stores no file, thread or memory is held that was not after ${WARM_UP}`, () => {
    process.env['MILLRACE_DISK_STORE'] = kind
    for (let n = 0; n < WARM_UP; n++) openAndClose(n)
    const before = held()
    for (let n = WARM_UP; n < TIMES; n++) openAndClose(n)
    const now = held()
    assert.ok(now.files <= before.files && now.threads <= before.threads, JSON.stringify({ before, now }))
    assert.ok(now.memoryMb < before.memoryMb + 50, JSON.stringify({ before, now }))
    assert.deepEqual(readdirSync(root), [])
  })
}

test(
  'threads that end without closing their stores leave no file, thread or memory',
  { skip: 'missing' in loaded && loaded.missing },
  async () => {
    const module = new URL('../../packages/rocksdb/index.js', import.meta.url).href
    const program = `
    const { workerData } = require('node:worker_threads')
    import(${JSON.stringify(module)}).then(({ loadRocksDb }) => {
      const native = loadRocksDb()
      for (let n = 0; n < 3; n++) native.view(native.open(workerData + '-' + n, 8 << 20))
    })`
    const endThread = async (n: number): Promise<void> => {
      const thread = new Worker(program, { eval: true, workerData: join(root, String(n)) })
      await new Promise((resolve, reject) => thread.once('exit', resolve).once('error', reject))
    }
    for (let n = 0; n < 20; n++) await endThread(n)
    const before = held()
    for (let n = 20; n < 100; n++) await endThread(n)
    const now = held()
    assert.ok(now.files <= before.files && now.threads <= before.threads, JSON.stringify({ before, now }))
    assert.ok(now.memoryMb < before.memoryMb + 50, JSON.stringify({ before, now }))
  },
)
