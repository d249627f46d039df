/** Opens the store of a slot's working state, in a new directory for scratch, which is gone when the store is closed. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadRocksDb } from '@millrace/rocksdb'
import type { DiskStore } from '../disk/disk-store.ts'
import { RocksDbStore } from './rocksdb-store.ts'

export interface DiskStoreOptions {
  /** Native memory, of all stores of the process together. */
  readonly memoryBytes: number
  /** Where working files go; undefined: where the operating system keeps temporary files. */
  readonly directory: string | undefined
}

export function openDiskStore({ memoryBytes, directory = tmpdir() }: DiskStoreOptions): DiskStore {
  mkdirSync(directory, { recursive: true })
  const scratch = mkdtempSync(join(directory, 'millrace-'))
  const store = new RocksDbStore(loadRocksDb(), join(scratch, 'db'), memoryBytes)
  const close = store.close.bind(store)
  store.close = () => {
    close()
    rmSync(scratch, { recursive: true, force: true })
  }
  return store
}
