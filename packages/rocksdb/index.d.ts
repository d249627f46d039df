/** What src/binding.cc exports. Errors have a `code`: CORRUPTION, IO, ROCKSDB, CLOSED, ARGUMENT. */
export interface RocksDb {
  /** Of the library inside. */
  readonly version: string
  /** A new database in a directory of its own. `memoryBytes` is of the process: that of the first one open counts. */
  open(path: string, memoryBytes: number): Database
  /** Ends its views too. Closing again does nothing. */
  close(database: Database): void
  /** The length of the value, or -1 when there is none. It is written `into`, if it fits there. */
  get(database: Database, key: Uint8Array, into: Uint8Array): number
  multiGet(database: Database, view: View | undefined, keys: Uint8Array, count: number): Uint8Array
  write(database: Database, batch: Uint8Array): void
  load(database: Database, batch: Uint8Array): void
  endLoad(database: Database): void
  deleteRange(database: Database, from: Uint8Array, to: Uint8Array): void
  scan(
    database: Database,
    view: View | undefined,
    from: Uint8Array,
    to: Uint8Array,
    maxBytes: number,
    descending: boolean,
  ): Uint8Array
  view(database: Database): View
  closeView(view: View): void
  usage(database: Database): Usage
}

export interface Usage {
  /** Of the process: blocks, indexes and filters that are cached, and write buffers, which are charged to the same cache. */
  readonly cacheBytes: number
  readonly bufferBytes: number
  readonly readerBytes: number
  readonly diskBytes: number
}

declare const DATABASE: unique symbol
declare const VIEW: unique symbol
export interface Database {
  readonly [DATABASE]: true
}
export interface View {
  readonly [VIEW]: true
}

/** @throws when there is no binding for this platform, or it does not load here */
export function loadRocksDb(): RocksDb
