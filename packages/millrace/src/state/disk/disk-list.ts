/** List state: one entry per element, told apart by its index, so that adding to a long list touches only what is added. */
import { type ByteReader, type ByteWriter } from '../../codec/index.ts'
import type { Key, ListState } from '../declarations.ts'
import { DiskEntriesTable, type KeyEntries } from './disk-entries.ts'
import { EntriesCursor } from './disk-map.ts'
import { Unpacking } from './packed.ts'

export class DiskListTable extends DiskEntriesTable {
  /** Index of the next element, of keys that are in memory. */
  private readonly next = new WeakMap<KeyEntries, number>()

  add(entries: KeyEntries, value: unknown): void {
    const index = this.next.get(entries) ?? this.lastIndex(entries) + 1
    const cell =
      entries.cells.get(index) ?? this.keep(entries, this.admit(entries.key, index, entries.group, undefined))
    this.put(entries, cell, value)
    this.next.set(entries, index + 1)
  }

  override clear(entries: KeyEntries): void {
    super.clear(entries)
    this.next.set(entries, 0)
  }

  /** -1 of an empty list. */
  private lastIndex(entries: KeyEntries): number {
    this.saveAll(entries)
    const [from, to] = this.rangeOf(entries)
    const last = new Unpacking(this.working.store.scan(from, to, 1, true))
    if (!last.atEnd) return this.subAt(entries, last) as number
    entries.isComplete = true
    return -1
  }

  protected writeSub(sub: Key | undefined, out: ByteWriter): void {
    if (sub !== undefined) out.u32be(sub as number)
  }

  protected readSub(from: ByteReader): Key {
    return from.u32be()
  }

  protected compareSubs(a: Key, b: Key): number {
    return (a as number) - (b as number)
  }
}

export class DiskListState<T> extends EntriesCursor<DiskListTable> implements ListState<T> {
  get(): Iterable<T> {
    return this.elements(this.entriesOfKey())
  }

  private *elements(entries: KeyEntries): Generator<T> {
    for (const [, value] of this.table.iterate(entries, true) as Generator<[number, T]>) yield value
  }

  add(value: T): void {
    this.table.add(this.entriesOfKey(), value)
  }

  set(values: Iterable<T>): void {
    const next = [...values]
    this.clear()
    for (const value of next) this.add(value)
  }
}
