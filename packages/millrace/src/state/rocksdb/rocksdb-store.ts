/** A DiskStore over RocksDB: the native binding, with the names of the contract. */
import type { Database, RocksDb, View } from '@millrace/rocksdb'
import type { DiskStore, DiskUsage, DiskView } from '../disk/disk-store.ts'

export class RocksDbStore implements DiskStore {
  readonly kind = 'rocksdb'
  private readonly native: RocksDb
  private readonly database: Database
  /** Where values are read to, those that fit. */
  private readonly buffer = Buffer.alloc(16 * 1024)

  /** `directory`: of its own, empty or not there yet. */
  constructor(native: RocksDb, directory: string, memoryBytes: number) {
    this.native = native
    this.database = native.open(directory, memoryBytes)
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const { native, database, buffer } = this
    const length = native.get(database, key, buffer)
    if (length < 0) return undefined
    if (length <= buffer.length) return Buffer.from(buffer.subarray(0, length))
    const value = new Uint8Array(length)
    native.get(database, key, value)
    return value
  }

  multiGet(keys: Uint8Array, count: number): Uint8Array {
    return this.native.multiGet(this.database, undefined, keys, count)
  }

  write(batch: Uint8Array): void {
    this.native.write(this.database, batch)
  }

  load(batch: Uint8Array): void {
    this.native.load(this.database, batch)
  }

  endLoad(): void {
    this.native.endLoad(this.database)
  }

  deleteRange(from: Uint8Array, to: Uint8Array): void {
    this.native.deleteRange(this.database, from, to)
  }

  scan(from: Uint8Array, to: Uint8Array, maxBytes: number, descending = false): Uint8Array {
    return this.native.scan(this.database, undefined, from, to, maxBytes, descending)
  }

  view(): DiskView {
    return new RocksDbView(this.native, this.database)
  }

  usage(): DiskUsage {
    const { cacheBytes, readerBytes, diskBytes } = this.native.usage(this.database)
    return { memoryBytes: cacheBytes + readerBytes, diskBytes }
  }

  close(): void {
    this.native.close(this.database)
  }
}

class RocksDbView implements DiskView {
  private readonly native: RocksDb
  private readonly database: Database
  private readonly opened: View

  constructor(native: RocksDb, database: Database) {
    this.native = native
    this.database = database
    this.opened = native.view(database)
  }

  multiGet(keys: Uint8Array, count: number): Uint8Array {
    return this.native.multiGet(this.database, this.opened, keys, count)
  }

  scan(from: Uint8Array, to: Uint8Array, maxBytes: number): Uint8Array {
    return this.native.scan(this.database, this.opened, from, to, maxBytes, false)
  }

  close(): void {
    this.native.closeView(this.opened)
  }
}
