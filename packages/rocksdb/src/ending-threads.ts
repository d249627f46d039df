/**
 * A program for binding.test.ts: threads open databases, write as much as makes RocksDB flush and compact, and are ended without closing
 * anything. Only they load the binding, so with each the last one that uses it ends. Prints how many files are open afterwards.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { loadRocksDb } from '@millrace/rocksdb'

const ROUNDS = 3
const ENTRIES = 150_000
const VALUE_BYTES = 50

if (isMainThread) await endThreads(process.argv[2])
else fill(workerData as string)

async function endThreads(directory: string): Promise<void> {
  for (let round = 0; round < ROUNDS; round++)
    await Promise.all(['a', 'b'].map(name => endThread(join(directory, round + name))))
  console.log(readdirSync('/proc/self/fd').length)
}

async function endThread(path: string): Promise<void> {
  const thread = new Worker(import.meta.filename, { workerData: path })
  await new Promise((resolve, reject) => thread.once('message', resolve).once('error', reject))
  await thread.terminate()
}

function fill(path: string): void {
  const native = loadRocksDb()
  const database = native.open(path, 8 << 20)
  native.view(database)
  const batch = Buffer.alloc(1 << 20)
  let end = 0
  for (let n = 0; n < ENTRIES; n++) {
    end = batch.writeUInt32LE(8, end)
    end = batch.writeDoubleBE((n * 7919) % ENTRIES, end)
    end = batch.writeUInt32LE(VALUE_BYTES, end) + VALUE_BYTES
    if (end + 100 < batch.length) continue
    native.write(database, batch.subarray(0, end))
    end = 0
  }
  parentPort!.postMessage('filled')
  setInterval(() => undefined, 1000)
}
