/** Opens the store of a slot's working state, in a new directory for scratch, which is gone when the store is closed. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRequire } from 'node:module'
import type { DiskStore } from '../disk/disk-store.ts'
import { RocksDbStore } from './rocksdb-store.ts'

/** It is an optional dependency. */
type RocksDbPackage = typeof import('@millrace/rocksdb')

export interface DiskStoreOptions {
  /** Native memory, of all stores of the process together. */
  readonly memoryBytes: number
  /** Where working files go; undefined: where the operating system keeps temporary files. */
  readonly directory: string | undefined
}

export function openDiskStore({ memoryBytes, directory = tmpdir() }: DiskStoreOptions): DiskStore {
  mkdirSync(directory, { recursive: true })
  const scratch = mkdtempSync(join(directory, 'millrace-'))
  const { loadRocksDb } = createRequire(import.meta.url)('@millrace/rocksdb') as RocksDbPackage
  const store = new RocksDbStore(loadRocksDb(), join(scratch, 'db'), memoryBytes)
  const close = store.close.bind(store)
  store.close = () => {
    close()
    rmSync(scratch, { recursive: true, force: true })
  }
  return store
}
