/**
 * A table of the disk backend: entries of one state, of which some are in memory as cells and the others in the store only.
 *
 * Change tracking is that of the heap backend: a cell that changes is put on the list of its epoch and key group, a frozen one is
 * serialised before it is changed. A cell that is evicted meanwhile leaves its value in the store and its key in CHANGED, where the
 * snapshot finds it: what was evicted before the barrier stands in the snapshot's view of the store, what is evicted after it is
 * serialised first. So whatever comes and goes, a snapshot holds the state of its barrier.
 */
import {
  ByteReader,
  ByteWriter,
  decodeKey,
  decodeStateValue,
  encodeKey,
  type FixedSchema,
  type Key,
} from '../../codec/index.ts'
import { NO_TOUCH } from '../../time/index.ts'
import type { StateId } from '../contract.ts'
import { EarlyEntries } from '../entries/early-entries.ts'
import { type EntryGroup, PUT, PUT_WITH_TOUCH, TOMBSTONE } from '../entries/entry-group.ts'
import { NEVER, type Epochs } from '../entries/epochs.ts'
import { flatten } from '../entries/flatten.ts'
import type { Ttl } from '../ttl.ts'
import type { Adapt } from '../value-adapter.ts'
import { ABSENT, cellBytes, DiskCell, NOWHERE } from './disk-cell.ts'
import type { Packing } from './packed.ts'
import type { ValueCodec } from './value-codec.ts'
import { ENTRIES, type WorkingSet } from './working-set.ts'

/** Of a last touch, in front of a value in the store. */
export const TOUCH_BYTES = 8

/** In a key of the store: behind the keyspace. */
const GROUP_AT = 1
/** Behind key group and state id. */
const KEY_AT = GROUP_AT + 4

type Lists = (DiskCell[] | undefined)[]

const keyBytes = new ByteWriter(64)
const valueBytes = new ByteWriter(256)
const reader = new ByteReader()

export abstract class DiskTable {
  readonly stateId: StateId
  readonly ttl: Ttl | undefined
  protected readonly working: WorkingSet
  protected readonly epochs: Epochs
  protected readonly codec: ValueCodec
  /** Of the value that was encoded or decoded last: what a new one is taken to have. */
  private encodedBytes = 0
  /** Entries that exist, in memory or not. */
  protected count = 0
  private dirty: Lists = []
  private changeSets: { readonly epoch: number; readonly lists: Lists }[] = []
  private readonly early = new EarlyEntries()
  private walk: { group: number; cells: Iterator<DiskCell> } | undefined
  /** Of the values being restored. */
  private writer: FixedSchema | undefined
  private adapt: Adapt | undefined

  constructor(stateId: StateId, working: WorkingSet, codec: ValueCodec, ttl: Ttl | undefined) {
    this.stateId = stateId
    this.working = working
    this.epochs = working.epochs
    this.codec = codec
    this.ttl = ttl
  }

  /** The cells in memory of a key group. */
  protected abstract cellsOf(group: number): Iterator<DiskCell>
  /** The cell was evicted: nothing may find it any more. */
  protected abstract forget(cell: DiskCell): void

  protected writeSub(sub: Key | undefined, out: ByteWriter): void {
    if (sub !== undefined) encodeKey(sub, out)
  }

  entryCount(): number {
    return this.count
  }

  // ------------------------------------------------------------------------------------------------- for the states

  /** Reads an entry that is not in memory. Any other cell may be gone afterwards. */
  protected load(key: Key, sub: Key | undefined, group: number): DiskCell {
    return this.admit(key, sub, group, this.working.store.get(this.storeKey(key, sub, group)))
  }

  /** Makes the cell of an entry whose value in the store is known. */
  protected admit(key: Key, sub: Key | undefined, group: number, stored: Uint8Array | undefined): DiskCell {
    const cell = new DiskCell(this, flatten(key), flatten(sub), group)
    if (stored !== undefined) {
      reader.reset(stored)
      if (this.ttl !== undefined) cell.touchedMs = reader.f64le()
      cell.value = this.codec.decode(reader)
      cell.written = 0
      this.encodedBytes = stored.length
    }
    cell.sizeBytes = cellBytes(this.encodedBytes)
    this.working.cache.add(cell)
    return cell
  }

  /** False for an entry that is absent, or has outlived its time, and is absent from now on. */
  exists(cell: DiskCell): boolean {
    cell.isReferenced = true
    if (cell.value === ABSENT) return false
    if (!this.isExpired(cell)) return true
    this.remove(cell)
    return false
  }

  isExpired({ touchedMs }: DiskCell): boolean {
    return this.ttl !== undefined && this.ttl.isExpired(touchedMs)
  }

  /** The value of an entry that exists, for user code. */
  read(cell: DiskCell): unknown {
    if (this.codec.isShared && typeof cell.value === 'object') this.beforeChange(cell)
    if (this.ttl !== undefined && this.ttl.updateOnRead) {
      this.beforeChange(cell)
      this.changed(cell)
    }
    return this.codec.given(cell.value)
  }

  /** @throws STATE_VALUE_INVALID */
  write(cell: DiskCell, value: unknown): void {
    const taken = this.codec.taken(value)
    this.beforeChange(cell)
    if (cell.value === ABSENT) {
      this.count++
      if (this.encodedBytes === 0) this.measure(taken)
      this.working.cache.resize(cell, cellBytes(this.encodedBytes))
    }
    cell.value = taken
    this.changed(cell)
  }

  private measure(value: unknown): void {
    valueBytes.reset()
    this.codec.encode(value, valueBytes)
    this.encodedBytes = valueBytes.length
  }

  remove(cell: DiskCell): void {
    if (cell.value === ABSENT) return
    this.beforeChange(cell)
    this.count--
    cell.value = ABSENT
    cell.touchedMs = NO_TOUCH
    if (cell.written === NEVER) cell.isSaved = true
    else this.list(cell)
  }

  private changed(cell: DiskCell): void {
    if (this.ttl !== undefined) cell.touchedMs = this.ttl.touched(cell.touchedMs)
    this.list(cell)
  }

  /** Makes it part of the next delta. */
  private list(cell: DiskCell): void {
    cell.isSaved = false
    if (cell.epoch === this.epochs.current) return
    this.unlist(cell)
    cell.epoch = this.epochs.current
    const list = (this.dirty[cell.group] ??= [])
    cell.listAt = list.length
    list.push(cell)
  }

  protected unlist(cell: DiskCell): void {
    if (!this.isListed(cell)) return
    const { epoch, listAt, group } = cell
    const lists = epoch === this.epochs.current ? this.dirty : this.changeSets.find(set => set.epoch === epoch)!.lists
    const list = lists[group]!
    const last = list.pop()!
    if (last !== cell) {
      last.listAt = listAt
      list[listAt] = last
    }
    cell.listAt = NOWHERE
  }

  private isListed(cell: DiskCell): boolean {
    return cell.listAt !== NOWHERE && cell.epoch > this.working.publishedEpoch
  }

  // ---------------------------------------------------------------------------------------------------- to the store

  protected storeKey(key: Key, sub: Key | undefined, group: number): Uint8Array {
    keyBytes.reset()
    keyBytes.u8(ENTRIES)
    keyBytes.u16be(group)
    keyBytes.u16be(this.stateId)
    encodeKey(key, keyBytes)
    this.writeSub(sub, keyBytes)
    return keyBytes.view()
  }

  /** Takes a cell out of memory; what the store does not have of it goes into `batch`. */
  evict(cell: DiskCell, batch: Packing): void {
    this.beforeChange(cell)
    this.save(cell, batch)
    if (this.isListed(cell)) {
      if (cell.value !== ABSENT || cell.written !== NEVER) {
        this.working.markChanged(cell.epoch, this.storeKey(cell.key, cell.sub, cell.group).subarray(1), batch)
      }
      this.unlist(cell)
    }
    this.forget(cell)
  }

  /** Makes the store hold the cell's value, once `batch` is written. */
  protected save(cell: DiskCell, batch: Packing): void {
    if (cell.isSaved) return
    this.beforeChange(cell)
    const key = this.storeKey(cell.key, cell.sub, cell.group)
    if (cell.value === ABSENT) batch.delete(key)
    else {
      valueBytes.reset()
      if (this.ttl !== undefined) valueBytes.f64le(cell.touchedMs)
      this.codec.encode(cell.value, valueBytes)
      batch.put(key, valueBytes.view())
      this.encodedBytes = valueBytes.length
      this.working.cache.resize(cell, cellBytes(valueBytes.length))
      if (cell.written === NEVER) cell.written = 0
    }
    cell.isSaved = true
  }

  /** The entry under that key is expired in the store: takes it out, unless it is in memory, where it may have been touched since. */
  expire(storeKey: Uint8Array, batch: Packing): void {
    reader.reset(storeKey, KEY_AT)
    if (this.cellInMemory((storeKey[GROUP_AT] << 8) | storeKey[GROUP_AT + 1], reader) !== undefined) return
    this.count--
    batch.delete(storeKey)
    this.working.markChanged(this.epochs.current, storeKey.subarray(GROUP_AT), batch)
  }

  /** `key`: stands at a key and what tells its entries apart. */
  protected abstract cellInMemory(group: number, key: ByteReader): DiskCell | undefined

  // -------------------------------------------------------------------------------------------------------- snapshot

  freeze(epoch: number): void {
    this.changeSets.push({ epoch, lists: this.dirty })
    this.dirty = []
  }

  /** Serialises about `max` frozen cells of a key group; true once the group is done. Ends with those written early. */
  collect(group: number, into: EntryGroup, max: number): boolean {
    if (this.walk?.group !== group) {
      this.walk = { group, cells: this.epochs.full ? this.cellsOf(group) : this.changedCells(group) }
    }
    const { cells } = this.walk
    for (; max > 0; max--) {
      const next = cells.next()
      if (next.done === true) {
        this.walk = undefined
        this.early.moveTo(into, group)
        return true
      }
      if (this.isFrozen(next.value)) this.serialise(next.value, into)
    }
    return false
  }

  /** From the end: a cell that leaves its list has the last one take its place. */
  private *changedCells(group: number): Generator<DiskCell> {
    for (const { epoch, lists } of this.changeSets) {
      const list = lists[group]
      if (list === undefined || epoch <= this.epochs.base || epoch > this.epochs.frozen) continue
      for (let i = list.length - 1; i >= 0; i--) if (i < list.length) yield list[i]
    }
  }

  /** The snapshot being written needs the cell as it is, and has not got it yet. */
  private isFrozen(cell: DiskCell): boolean {
    const { full, base, frozen } = this.epochs
    if (cell.epoch > frozen || cell.written === frozen) return false
    if (cell.value === ABSENT && cell.written === NEVER) return false
    return full ? !cell.isSaved : cell.epoch > base
  }

  /** Call before a cell is changed or saved, or its value handed to user code that may change it. */
  protected beforeChange(cell: DiskCell): void {
    if (this.epochs.active && this.isFrozen(cell)) this.serialise(cell, this.early.of(cell.group))
  }

  private serialise(cell: DiskCell, into: EntryGroup): void {
    into.begin(cell.group, this.stateId)
    encodeKey(cell.key, into.bytes)
    this.writeSub(cell.sub, into.bytes)
    into.value()
    if (cell.value === ABSENT) into.end(TOMBSTONE, 0)
    else {
      this.codec.encode(cell.value, into.bytes)
      into.end(cell.touchedMs === NO_TOUCH ? PUT : PUT_WITH_TOUCH, cell.touchedMs)
    }
    cell.written = this.epochs.frozen
  }

  thaw(): void {
    this.walk = undefined
    this.early.clear()
  }

  published(epoch: number): void {
    this.changeSets = this.changeSets.filter(set => set.epoch > epoch)
  }

  // --------------------------------------------------------------------------------------------------------- restore

  restoreBegin(writer: FixedSchema | undefined, adapt: Adapt | undefined): void {
    this.writer = writer
    this.adapt = adapt
  }

  /**
   * An entry of the snapshot: key and namespace, the key group, the value. Writes what the store is to hold as its value; false if there
   * is nothing to write.
   */
  restore(key: ByteReader, _group: number, value: ByteReader, lastTouchMs: number, out: ByteWriter): boolean {
    const { ttl, adapt, codec } = this
    if (ttl !== undefined) {
      const touchedMs = ttl.restored(lastTouchMs)
      if (ttl.isExpired(touchedMs)) return false
      out.f64le(touchedMs)
    }
    if (adapt === undefined && codec.isOwnForm(this.writer)) out.raw(value.bytes, value.offset, value.end)
    else {
      const decoded = decodeKey(key)
      const stored = decodeStateValue(value, this.writer)
      codec.encode(codec.restored(adapt === undefined ? stored : adapt(stored, decoded), decoded), out)
    }
    this.count++
    return true
  }

  restoreEnd(): void {}
}
