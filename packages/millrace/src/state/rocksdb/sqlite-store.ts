/**
 * A DiskStore over the SQLite that Node.js brings: for platforms that RocksDB's binding has no binary for. One table, in one file.
 *
 * A view is a second connection whose read transaction is open: in WAL mode it goes on seeing what was there when it began. While one is open
 * the WAL only grows. Nothing is synchronised: the file is scratch.
 *
 *     value   the entry's value | u32 LE crc32 of it       SQLite would not notice that bytes of it have changed on the disk
 */
import { statSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { assert } from '../../base/assert.ts'
import { ByteWriter, crc32 } from '../../codec/index.ts'
import type { DiskStore, DiskUsage, DiskView } from '../disk/disk-store.ts'
import { Packing, Unpacking } from '../disk/packed.ts'

/** Pages of the file in memory, of a view: it reads in order, once. */
const VIEW_CACHE_BYTES = 2 << 20
const CHECKPOINT_PAGES = 4000
const CHECKSUM_BYTES = 4

interface Entry {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

export class SqliteStore implements DiskStore {
  readonly kind = 'sqlite'
  private readonly file: string
  private readonly memoryBytes: number
  private readonly database: DatabaseSync
  private readonly reader: Reader
  private readonly views = new Set<SqliteView>()
  private readonly putOne: StatementSync
  private readonly deleteOne: StatementSync
  private readonly deleteMany: StatementSync
  private readonly countPages: StatementSync

  /** `file`: not there yet. */
  constructor(file: string, memoryBytes: number) {
    this.file = file
    this.memoryBytes = memoryBytes
    this.database = open(file, memoryBytes)
    this.database.exec(
      `PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
       CREATE TABLE entries (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID`,
    )
    this.reader = new Reader(this.database)
    this.putOne = this.database.prepare('REPLACE INTO entries (key, value) VALUES (?, ?)')
    this.deleteOne = this.database.prepare('DELETE FROM entries WHERE key = ?')
    this.deleteMany = this.database.prepare('DELETE FROM entries WHERE key >= ? AND key < ?')
    this.countPages = this.database.prepare(
      'SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size',
    )
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.reader.get(key)
  }

  multiGet(keys: Uint8Array, count: number): Uint8Array {
    return this.transaction(() => this.reader.multiGet(keys, count))
  }

  write(batch: Uint8Array): void {
    this.transaction(() => {
      for (const operation = new Unpacking(batch); !operation.atEnd;) {
        operation.next()
        const key = operation.current
        operation.next()
        if (operation.isMissing) this.deleteOne.run(key)
        else this.putOne.run(key, sealed(operation.current))
      }
    })
  }

  load(batch: Uint8Array): void {
    this.write(batch)
  }

  endLoad(): void {}

  deleteRange(from: Uint8Array, to: Uint8Array): void {
    this.deleteMany.run(from, to)
  }

  scan(from: Uint8Array, to: Uint8Array, maxBytes: number, descending = false): Uint8Array {
    return this.reader.scan(from, to, maxBytes, descending)
  }

  view(): DiskView {
    const view = new SqliteView(this.file, () => this.views.delete(view))
    this.views.add(view)
    return view
  }

  /** What SQLite has in memory it does not tell: as much of the file as it may hold. */
  usage(): DiskUsage {
    const { bytes } = this.countPages.get() as { readonly bytes: number }
    const logBytes = statSync(`${this.file}-wal`, { throwIfNoEntry: false })?.size ?? 0
    return { memoryBytes: Math.min(bytes, this.memoryBytes), diskBytes: bytes + logBytes }
  }

  close(): void {
    for (const view of this.views) view.close()
    this.database.close()
  }

  private transaction<T>(work: () => T): T {
    this.database.exec('BEGIN')
    try {
      const result = work()
      this.database.exec('COMMIT')
      return result
    } catch (error) {
      // SQLite has rolled back already when the disk is full, say.
      if (this.database.isTransaction) this.database.exec('ROLLBACK')
      throw error
    }
  }
}

class SqliteView implements DiskView {
  private readonly database: DatabaseSync
  private readonly reader: Reader
  private readonly closed: () => void

  constructor(file: string, closed: () => void) {
    this.closed = closed
    this.database = open(file, VIEW_CACHE_BYTES)
    // The transaction sees what is there at its first read.
    this.database.exec('BEGIN; SELECT 1 FROM entries LIMIT 1')
    this.reader = new Reader(this.database)
  }

  multiGet(keys: Uint8Array, count: number): Uint8Array {
    return this.reader.multiGet(keys, count)
  }

  scan(from: Uint8Array, to: Uint8Array, maxBytes: number): Uint8Array {
    return this.reader.scan(from, to, maxBytes, false)
  }

  close(): void {
    if (!this.database.isOpen) return
    this.database.close()
    this.closed()
  }
}

/** The reading half of a connection. */
class Reader {
  private readonly one: StatementSync
  private readonly ascending: StatementSync
  private readonly descending: StatementSync

  constructor(database: DatabaseSync) {
    this.one = database.prepare('SELECT value FROM entries WHERE key = ?')
    const range = 'SELECT key, value FROM entries WHERE key >= ? AND key < ? ORDER BY key'
    this.ascending = database.prepare(range)
    this.descending = database.prepare(`${range} DESC`)
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const entry = this.one.get(key) as Pick<Entry, 'value'> | undefined
    return entry && opened(entry.value)
  }

  multiGet(keys: Uint8Array, count: number): Uint8Array {
    const wanted = new Unpacking(keys)
    const values = new Packing()
    for (let i = 0; i < count; i++) {
      wanted.next()
      const value = this.get(wanted.current)
      if (value === undefined) values.missing()
      else values.string(value)
    }
    assert(wanted.atEnd, 'there are as many keys as were announced')
    return new Uint8Array(values.bytes)
  }

  scan(from: Uint8Array, to: Uint8Array, maxBytes: number, descending: boolean): Uint8Array {
    const found = new Packing()
    const statement = descending ? this.descending : this.ascending
    for (const { key, value } of statement.iterate(from, to) as Iterable<Entry>) {
      found.put(key, opened(value))
      if (found.length >= maxBytes) break
    }
    return new Uint8Array(found.bytes)
  }
}

const writer = new ByteWriter(1024)

/** Valid until the next call. */
function sealed(value: Uint8Array): Uint8Array {
  writer.reset()
  writer.raw(value)
  writer.u32le(crc32(value))
  return writer.view()
}

function opened(stored: Uint8Array): Uint8Array {
  const end = stored.length - CHECKSUM_BYTES
  const value = stored.subarray(0, Math.max(end, 0))
  if (end < 0 || new DataView(stored.buffer, stored.byteOffset + end).getUint32(0, true) !== crc32(value)) {
    throw new Error('the checksum of a value is wrong')
  }
  return value
}

/** Loaded when there is need: it says on stderr that it is experimental. */
function open(file: string, cacheBytes: number): DatabaseSync {
  const { DatabaseSync } = createRequire(import.meta.url)('node:sqlite') as typeof import('node:sqlite')
  const database = new DatabaseSync(file)
  database.exec(`PRAGMA cache_size = -${Math.ceil(cacheBytes / 1024)}`)
  return database
}
