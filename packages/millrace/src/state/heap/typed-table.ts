/**
 * Typed tables: entries of a fixed number of bytes in typed arrays. There is nothing for the garbage collector to follow, and about 50
 * bytes an entry with its key and index instead of 130. What the bytes mean is for the subclasses to say: accumulators of the engine's
 * own aggregators (accumulator-table.ts), values of a schema (schema-table.ts).
 *
 * The rows of all key groups are in one store (row-store.ts); each key group has an index of its own (typed-group.ts). Change tracking is
 * that of cell tables, with row numbers in place of cells: a removed row leaves the index at once and is reused when no change set that
 * counts names it any more.
 */
import { ByteWriter, decodeKey, encodeKey, hashKey, type ByteReader, type FixedSchema } from '../../codec/index.ts'
import type { Key } from '../declarations.ts'
import type { KeyContext } from '../key-context.ts'
import type { Adapt } from '../value-adapter.ts'
import type { SnapshotTable } from './cell-table.ts'
import { EarlyEntries } from '../entries/early-entries.ts'
import { type EntryGroup, PUT, TOMBSTONE } from '../entries/entry-group.ts'
import { NEVER, type Epochs } from '../entries/epochs.ts'
import { RowList } from './row-list.ts'
import { DEAD, FREE, LIVE, RowStore } from './row-store.ts'
import { NO_ROW, TypedGroup } from './typed-group.ts'

/** Stands for the window's start in tables without windows. */
const NO_WINDOW = 0

const scratch = new ByteWriter(64)

interface ChangeSet {
  readonly epoch: number
  readonly groups: (RowList | undefined)[]
}

export abstract class TypedTable implements SnapshotTable {
  readonly stateId: number
  protected readonly epochs: Epochs
  /** Of a row's fields, in units of 8 bytes. */
  protected readonly width: number
  private readonly windowed: boolean
  protected readonly store: RowStore
  /** Of the values being restored. */
  protected adapt: Adapt | undefined
  private readonly groups: (TypedGroup | undefined)[] = []
  private dirty: (RowList | undefined)[] = []
  private changeSets: ChangeSet[] = []
  private readonly early = new EarlyEntries()
  private walk: { group: number; set: number; index: number } | undefined
  /** Hash of the window that was used last: most records fall into the same one. */
  private lastWindow = NO_WINDOW
  private lastWindowHash = 0
  private rowCount = 0
  /** Epoch of the last published snapshot: what was removed until then is in no snapshot to come. */
  private publishedEpoch = 0

  constructor(stateId: number, epochs: Epochs, width: number, windowed: boolean) {
    this.stateId = stateId
    this.epochs = epochs
    this.width = width
    this.windowed = windowed
    this.store = new RowStore(width, windowed)
  }

  /** Appends the value that a row's fields stand for. */
  protected abstract encodeFields(row: number, out: ByteWriter): void
  /** Reads such a value into the row of the key, which is new. */
  protected abstract decodeFields(row: number, value: ByteReader, key: Key): void

  // ------------------------------------------------------------------------------------------------------------ rows

  /** Row of the bound key (and window), or NO_ROW. */
  find(keys: KeyContext, windowStart = NO_WINDOW): number {
    keys.hashKey()
    const group = this.groups[keys.group]
    if (group === undefined) return NO_ROW
    return group.find(this.rowHash(keys.hash, windowStart), keys.key, windowStart)
  }

  /** Row for the bound key (and window), which has none. Its fields are what the row held before. */
  protected insertRow(keys: KeyContext, windowStart = NO_WINDOW): number {
    keys.hashKey()
    scratch.reset()
    encodeKey(keys.key, scratch)
    const group = this.groupOf(keys.group)
    const hash = this.rowHash(keys.hash, windowStart)
    const row = group.insert(hash, scratch.bytes, scratch.length, windowStart, this.publishedEpoch)
    this.rowCount++
    this.store.setEpoch(row, this.epochs.current)
    this.store.setWritten(row, NEVER)
    this.markDirty(keys.group, row)
    return row
  }

  /** Call before the fields of a row are changed: frozen ones are serialised first. */
  protected beforeChange(groupIndex: number, row: number): void {
    if (this.epochs.active) this.touch(groupIndex, row)
  }

  protected changed(groupIndex: number, row: number): void {
    if (this.store.epochOf(row) === this.epochs.current) return
    this.store.setEpoch(row, this.epochs.current)
    this.markDirty(groupIndex, row)
  }

  remove(groupIndex: number, row: number): void {
    const group = this.groups[groupIndex]!
    this.beforeChange(groupIndex, row)
    group.unlink(row)
    this.rowCount--
    // In no snapshot: nothing to tell anybody. Change sets may still name the row; whoever uses it next is judged by its own epoch.
    if (this.store.writtenOf(row) === NEVER) return group.free(row)
    group.bury(row)
    this.changed(groupIndex, row)
  }

  entryCount(): number {
    return this.rowCount
  }

  // -------------------------------------------------------------------------------------------------------- snapshot

  freeze(epoch: number): void {
    this.changeSets.push({ epoch, groups: this.dirty })
    this.dirty = []
  }

  collect(groupIndex: number, into: EntryGroup, max: number): boolean {
    if (this.walk?.group !== groupIndex) this.walk = { group: groupIndex, set: 0, index: 0 }
    const group = this.groups[groupIndex]
    if (group !== undefined) {
      const done = this.epochs.full ? this.collectAll(group, into, max) : this.collectChanges(into, max)
      if (!done) return false
    }
    this.walk = undefined
    this.early.moveTo(into, groupIndex)
    return true
  }

  private collectAll(group: TypedGroup, into: EntryGroup, max: number): boolean {
    const walk = this.walk!
    const end = Math.min(group.rows, walk.index + max)
    for (; walk.index < end; walk.index++) {
      const row = group.rowAt(walk.index)
      if (this.store.statusOf(row) === LIVE) this.collectRow(row, into)
    }
    return walk.index >= group.rows
  }

  private collectChanges(into: EntryGroup, max: number): boolean {
    const walk = this.walk!
    for (; walk.set < this.changeSets.length; walk.set++, walk.index = 0) {
      const set = this.changeSets[walk.set]
      const rows = set.groups[walk.group]
      if (rows === undefined || set.epoch <= this.epochs.base || set.epoch > this.epochs.frozen) continue
      for (; walk.index < rows.length; walk.index++, max--) {
        if (max <= 0) return false
        this.collectRow(rows.at(walk.index), into)
      }
    }
    return true
  }

  private collectRow(row: number, into: EntryGroup): void {
    if (this.store.epochOf(row) > this.epochs.frozen || this.store.writtenOf(row) === this.epochs.frozen) return
    if (this.store.statusOf(row) === FREE) return
    this.write(this.walk!.group, row, into)
  }

  thaw(): void {
    this.walk = undefined
    this.early.clear()
  }

  published(epoch: number): void {
    this.changeSets = this.changeSets.filter(set => set.epoch > epoch)
    this.publishedEpoch = epoch
  }

  private touch(groupIndex: number, row: number): void {
    const epochs = this.epochs
    const epoch = this.store.epochOf(row)
    if (epoch > epochs.frozen || this.store.writtenOf(row) === epochs.frozen) return
    if (!epochs.full && epoch <= epochs.base) return
    this.write(groupIndex, row, this.early.of(groupIndex))
  }

  private write(groupIndex: number, row: number, into: EntryGroup): void {
    into.begin(groupIndex, this.stateId)
    this.store.writeKey(row, into.bytes)
    into.value()
    if (this.store.statusOf(row) === DEAD) into.end(TOMBSTONE, 0)
    else {
      this.encodeFields(row, into.bytes)
      into.end(PUT, 0)
    }
    this.store.setWritten(row, this.epochs.frozen)
  }

  // --------------------------------------------------------------------------------------------------------- restore

  restoreBegin(_writer: FixedSchema | undefined, adapt: Adapt | undefined): void {
    this.adapt = adapt
  }

  restore(key: Key, groupIndex: number, sub: ByteReader, value: ByteReader): void {
    scratch.reset()
    encodeKey(key, scratch)
    const windowStart = this.windowed ? (decodeKey(sub) as number) : NO_WINDOW
    const group = this.groupOf(groupIndex)
    const hash = this.rowHash(hashKey(key) | 0, windowStart)
    const row = group.insert(hash, scratch.bytes, scratch.length, windowStart, this.publishedEpoch)
    this.rowCount++
    this.store.setEpoch(row, 0)
    this.store.setWritten(row, 0)
    this.decodeFields(row, value, key)
  }

  restoreEnd(): void {}

  private groupOf(index: number): TypedGroup {
    return (this.groups[index] ??= new TypedGroup(this.store))
  }

  private markDirty(groupIndex: number, row: number): void {
    ;(this.dirty[groupIndex] ??= new RowList()).push(row)
  }

  /** Key groups are hash % maxParallelism, so within a group the low bits repeat: spread them. */
  protected rowHash(keyHash: number, windowStart: number): number {
    let h = Math.imul(keyHash ^ (keyHash >>> 16), 0x45d9f3b)
    if (this.windowed) {
      if (windowStart !== this.lastWindow) {
        this.lastWindow = windowStart
        this.lastWindowHash = windowHash(windowStart)
      }
      h ^= this.lastWindowHash
    }
    return h ^ (h >>> 15)
  }
}

const F64 = new Float64Array(1)
const U32 = new Uint32Array(F64.buffer)

function windowHash(windowStart: number): number {
  F64[0] = windowStart
  return Math.imul(U32[0] ^ Math.imul(U32[1], 0x9e3779b1), 0x85ebca6b)
}

/** Finds the bound key's row once per bind. */
export class RowCursor<T extends TypedTable> {
  protected readonly keys: KeyContext
  protected readonly table: T
  protected row = NO_ROW
  private version = -1

  constructor(keys: KeyContext, table: T) {
    this.keys = keys
    this.table = table
  }

  protected find(): number {
    if (this.version !== this.keys.version) {
      this.row = this.table.find(this.keys)
      this.version = this.keys.version
    }
    return this.row
  }

  clear(): void {
    const row = this.find()
    if (row === NO_ROW) return
    this.table.remove(this.keys.group, row)
    this.row = NO_ROW
  }
}
