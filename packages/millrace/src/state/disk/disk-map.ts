/** Map state, and the windows of one operator: entries told apart by a key. */
import { compareKeys, decodeKey, encodeKey, type ByteReader, type ByteWriter } from '../../codec/index.ts'
import type { WindowStore } from '../contract.ts'
import type { Aggregator, Key, MapState } from '../declarations.ts'
import type { KeyContext } from '../key-context.ts'
import { DiskEntriesTable, type KeyEntries } from './disk-entries.ts'

export class DiskMapTable extends DiskEntriesTable {
  protected writeSub(sub: Key | undefined, out: ByteWriter): void {
    if (sub !== undefined) encodeKey(sub, out)
  }

  protected readSub(from: ByteReader): Key {
    return decodeKey(from)
  }

  protected compareSubs(a: Key, b: Key): number {
    return compareKeys(a, b)
  }
}

/** Finds the entries of the bound key once per bind. */
export class EntriesCursor<Table extends DiskEntriesTable> {
  protected readonly table: Table
  private readonly context: KeyContext
  private cached: KeyEntries | undefined
  private version = -1

  constructor(context: KeyContext, table: Table) {
    this.context = context
    this.table = table
  }

  protected entriesOfKey(): KeyEntries {
    if (this.version !== this.context.version || !this.cached!.isKnown) {
      if (this.cached !== undefined) this.table.release(this.cached)
      this.cached = this.table.find(this.context)
      this.version = this.context.version
    }
    return this.cached!
  }

  clear(): void {
    this.table.clear(this.entriesOfKey())
  }
}

export class DiskMapState<K extends Key, V> extends EntriesCursor<DiskMapTable> implements MapState<K, V> {
  get(key: K): V | undefined {
    const cell = this.table.cell(this.entriesOfKey(), key)
    return this.table.exists(cell) ? (this.table.read(cell) as V) : undefined
  }

  set(key: K, value: V): void {
    this.table.set(this.entriesOfKey(), key, value)
  }

  has(key: K): boolean {
    return this.table.exists(this.table.cell(this.entriesOfKey(), key))
  }

  delete(key: K): void {
    this.table.drop(this.entriesOfKey(), key)
  }

  *entries(): Generator<[K, V]> {
    yield* this.table.iterate(this.entriesOfKey(), true) as Generator<[K, V]>
  }

  *keys(): Generator<K> {
    yield* this.table.iterate(this.entriesOfKey(), false) as Generator<K>
  }

  *values(): Generator<V> {
    for (const [, value] of this.entries()) yield value
  }
}

export class DiskWindowStore implements WindowStore {
  private readonly state: DiskMapState<number, unknown>
  private readonly aggregator: Aggregator<any, any, any>

  constructor(context: KeyContext, table: DiskMapTable, aggregator: Aggregator<any, any, any>) {
    this.state = new DiskMapState(context, table)
    this.aggregator = aggregator
  }

  has(windowStart: number): boolean {
    return this.state.has(windowStart)
  }

  add(windowStart: number, record: unknown): boolean {
    const isNew = !this.state.has(windowStart)
    const accumulator = isNew ? this.aggregator.create() : this.state.get(windowStart)
    this.state.set(windowStart, this.aggregator.add(accumulator, record))
    return isNew
  }

  result(windowStart: number): unknown {
    return this.aggregator.result(this.state.get(windowStart))
  }

  clear(windowStart: number): void {
    this.state.delete(windowStart)
  }
}
