/**
 * The stores under the disk backend by themselves: `npm run bench -- disk-store --keys N`. Each runs the workload in a process of its own, so that
 * memory can be told apart. Nanoseconds an entry unless a measure says otherwise.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { join } from 'node:path'
import { loadRocksDb } from '../../packages/millrace/src/state/rocksdb/load-rocksdb.ts'

export async function benchDiskStore(keys: number): Promise<{ readonly [measure: string]: number }> {
  const kinds = 'native' in loadRocksDb() ? ['rocksdb', 'sqlite'] : ['sqlite']
  const measured: { [measure: string]: number } = {}
  for (const kind of kinds) {
    const program = join(import.meta.dirname, 'workload.ts')
    const env = { ...process.env, MILLRACE_DISK_STORE: kind }
    const { stdout } = await promisify(execFile)(process.execPath, [program, String(keys)], { env })
    for (const [measure, n] of Object.entries(JSON.parse(stdout) as object))
      measured[`${kind}.${measure}`] = n as number
  }
  return measured
}
