/**
 * Opens the store of a slot's working state: RocksDB where its binding loads, the SQLite of Node.js otherwise. MILLRACE_DISK_STORE names one
 * that it has to be.
 */
import { join } from 'node:path'
import { MillraceError } from '../../base/errors.ts'
import type { DiskStore } from '../disk/disk-store.ts'
import { loadRocksDb, type LoadedRocksDb } from './load-rocksdb.ts'
import { RocksDbStore } from './rocksdb-store.ts'
import { ScratchStore } from './scratch-store.ts'
import { SqliteStore } from './sqlite-store.ts'

export interface DiskStoreOptions {
  /** Of the store's own, and there already. It goes when the store is closed. */
  readonly directory: string
  /** Native memory, of all stores of the process together. */
  readonly memoryBytes: number
  /** How many stores the process has open. RocksDB shares its memory out by itself. */
  readonly storeCount: number
}

export interface DiskStoreChoice {
  readonly kind: 'rocksdb' | 'sqlite'
  /** For whoever starts the job: why it is not RocksDB, unless SQLite was asked for. */
  readonly notice: string | undefined
}

/** @throws DISK_STORE_MISSING when the one that MILLRACE_DISK_STORE asks for is not there */
export function chooseDiskStore(
  wanted: string | undefined = process.env['MILLRACE_DISK_STORE'],
  loaded: LoadedRocksDb = loadRocksDb(),
): DiskStoreChoice {
  if (wanted === 'sqlite') return { kind: 'sqlite', notice: undefined }
  if (wanted !== undefined && wanted !== '' && wanted !== 'rocksdb') {
    throw new MillraceError('OPTION_INVALID', `MILLRACE_DISK_STORE is '${wanted}'; it must be rocksdb or sqlite`)
  }
  if ('native' in loaded) return { kind: 'rocksdb', notice: undefined }
  if (wanted === 'rocksdb') {
    throw new MillraceError(
      'DISK_STORE_MISSING',
      `MILLRACE_DISK_STORE asks for rocksdb, but ${loaded.missing}; install @millrace/rocksdb, leave the variable out to use SQLite, or use the heap backend`,
    )
  }
  return { kind: 'sqlite', notice: `state is kept in SQLite, which is slower than RocksDB: ${loaded.missing}` }
}

/** Every failure of the store is a DISK_STORE_FAILED. @throws DISK_STORE_MISSING, DISK_STORE_FAILED */
export function openDiskStore({ directory, memoryBytes, storeCount }: DiskStoreOptions): DiskStore {
  return new ScratchStore(directory, () => {
    const loaded = loadRocksDb()
    const { kind } = chooseDiskStore(undefined, loaded)
    if (kind === 'rocksdb' && 'native' in loaded) {
      return new RocksDbStore(loaded.native, join(directory, 'rocksdb'), memoryBytes)
    }
    return new SqliteStore(join(directory, 'sqlite.db'), Math.ceil(memoryBytes / storeCount))
  })
}
