/**
 * Tables of cells: any JavaScript value per entry. A cell is one entry of a snapshot: the value of a key, one element of a list,
 * one entry of a map, one timer.
 *
 * Change tracking: a cell that changes is put on the dirty list of its key group once an epoch. At the barrier the lists become a
 * change set, kept until a published checkpoint holds it, so that the delta after a failed checkpoint holds its changes too
 * (DESIGN invariant 3). A removed cell leaves the table at once and lives on in its change set as a tombstone; a cell that was in
 * no snapshot yet just vanishes.
 */
import { NO_TOUCH } from '../../time/index.ts'
import { decodeStateValue, encodeKey, encodeValue } from '../../codec/index.ts'
import type { Key } from '../declarations.ts'
import type { StateId } from '../contract.ts'
import type { Ttl } from '../ttl.ts'
import type { Adapt } from '../value-adapter.ts'
import { EarlyEntries } from '../entries/early-entries.ts'
import { type EntryGroup, PUT, PUT_WITH_TOUCH, TOMBSTONE } from '../entries/entry-group.ts'
import { NEVER, type Epochs } from '../entries/epochs.ts'
import type { ByteReader, FixedSchema } from '../../codec/index.ts'

/** The value of a removed cell. */
export const ABSENT = Symbol('absent')

export class Cell {
  readonly key: Key
  /** What tells entries of one key apart: a map key, a list index, a time. Undefined for a plain value. */
  readonly sub: Key | undefined
  readonly group: number
  value: unknown
  epoch: number
  written: number
  /** The last touch, for states with a time to live. */
  touchedMs = NO_TOUCH

  constructor(key: Key, sub: Key | undefined, group: number, value: unknown, epoch: number, written: number) {
    this.key = key
    this.sub = sub
    this.group = group
    this.value = value
    this.epoch = epoch
    this.written = written
  }
}

/** What the backend asks of every table. */
export interface SnapshotTable {
  readonly stateId: StateId
  /** The barrier: changes so far become the change set of `epoch`. */
  freeze(epoch: number): void
  /** Serialises about `max` frozen entries of a key group; true once the group is done. Ends with the entries written early. */
  collect(group: number, into: EntryGroup, max: number): boolean
  /** Drops what only the snapshot being written needed. */
  thaw(): void
  /** Change sets up to `epoch` are in a published checkpoint. */
  published(epoch: number): void
  /** Entries follow. `writer`: the schema that their values were written under, if any. */
  restoreBegin(writer: FixedSchema | undefined, adapt: Adapt | undefined): void
  restore(key: Key, group: number, sub: ByteReader, value: ByteReader, lastTouchMs: number): void
  restoreEnd(): void
  entryCount(): number
}

type Lists = (Cell[] | undefined)[]

export abstract class CellTable implements SnapshotTable {
  readonly stateId: StateId
  readonly ttl: Ttl | undefined
  protected readonly epochs: Epochs
  private dirty: Lists = []
  private changeSets: { readonly epoch: number; readonly lists: Lists }[] = []
  private readonly early = new EarlyEntries()
  /** Of the values being restored. */
  private writer: FixedSchema | undefined
  private adapt: Adapt | undefined
  private walk: { group: number; cells: Iterator<Cell> } | undefined
  private sweeping: Iterator<void> | undefined

  constructor(stateId: StateId, epochs: Epochs, ttl?: Ttl) {
    this.stateId = stateId
    this.epochs = epochs
    this.ttl = ttl
  }

  protected abstract liveCells(group: number): Iterator<Cell>
  abstract restore(key: Key, group: number, sub: ByteReader, value: ByteReader, lastTouchMs: number): void
  abstract entryCount(): number

  restoreBegin(writer: FixedSchema | undefined, adapt: Adapt | undefined): void {
    this.writer = writer
    this.adapt = adapt
  }

  restoreEnd(): void {}

  protected encodeSub(cell: Cell, into: EntryGroup): void {
    if (cell.sub !== undefined) encodeKey(cell.sub, into.bytes)
  }

  protected create(key: Key, sub: Key | undefined, group: number, value: unknown): Cell {
    const cell = new Cell(key, sub, group, value, this.epochs.current, NEVER)
    if (this.ttl !== undefined) cell.touchedMs = this.ttl.touched(NO_TOUCH)
    const list = this.dirty[group]
    if (list === undefined) this.dirty[group] = [cell]
    else list.push(cell)
    return cell
  }

  /** A cell of the snapshot being restored; undefined when it has outlived its time. */
  protected restored(
    key: Key,
    sub: Key | undefined,
    group: number,
    value: ByteReader,
    lastTouchMs: number,
  ): Cell | undefined {
    const stored = decodeStateValue(value, this.writer)
    const cell = new Cell(key, sub, group, this.adapt === undefined ? stored : this.adapt(stored, key), 0, 0)
    if (this.ttl === undefined) return cell
    cell.touchedMs = this.ttl.restored(lastTouchMs)
    return this.expired(cell) ? undefined : cell
  }

  /** Call before a cell is changed, or its value handed to user code that may change it: a frozen one is serialised first. */
  protected touch(cell: Cell): void {
    const epochs = this.epochs
    if (!epochs.active || cell.epoch > epochs.frozen || cell.written === epochs.frozen) return
    if (epochs.full || cell.epoch > epochs.base) this.writeEarly(cell)
  }

  /** Call after a cell was changed. */
  protected changed(cell: Cell): void {
    if (this.ttl !== undefined) cell.touchedMs = this.ttl.touched(cell.touchedMs)
    this.list(cell)
  }

  /** Makes it part of the next delta. */
  private list(cell: Cell): void {
    if (cell.epoch === this.epochs.current) return
    cell.epoch = this.epochs.current
    const list = this.dirty[cell.group]
    if (list === undefined) this.dirty[cell.group] = [cell]
    else list.push(cell)
  }

  /** The cell has left the table. */
  protected removed(cell: Cell): void {
    this.touch(cell)
    cell.value = ABSENT
    if (cell.written !== NEVER) this.list(cell)
  }

  protected expired(cell: Cell): boolean {
    return this.ttl !== undefined && this.ttl.isExpired(cell.touchedMs)
  }

  /** Looks at about `max` entries of a state with a time to live, and removes what is expired; true at the end of a round over all. */
  sweepExpired(max: number): boolean {
    this.sweeping ??= this.sweep()
    for (; max > 0; max--) {
      if (this.sweeping.next().done !== true) continue
      this.sweeping = undefined
      return true
    }
    return false
  }

  /** A step an entry. Between two of them anything may happen to the table. */
  protected abstract sweep(): Iterator<void>

  /** A read of a cell's value by user code. */
  protected readTouch(cell: Cell): void {
    if (typeof cell.value === 'object' && cell.value !== null) this.touch(cell)
    if (this.ttl !== undefined && this.ttl.updateOnRead) {
      this.touch(cell)
      this.changed(cell)
    }
  }

  freeze(epoch: number): void {
    this.changeSets.push({ epoch, lists: this.dirty })
    this.dirty = []
  }

  collect(group: number, into: EntryGroup, max: number): boolean {
    if (this.walk?.group !== group) {
      this.walk = { group, cells: this.epochs.full ? this.liveCells(group) : this.changedCells(group) }
    }
    const cells = this.walk.cells
    for (; max > 0; max--) {
      const next = cells.next()
      if (next.done === true) {
        this.walk = undefined
        this.early.moveTo(into, group)
        return true
      }
      const cell = next.value
      if (cell.epoch > this.epochs.frozen || cell.written === this.epochs.frozen) continue
      if (cell.value === ABSENT && (cell.written === NEVER || this.epochs.full)) continue
      this.serialise(cell, into)
    }
    return false
  }

  thaw(): void {
    this.walk = undefined
    this.early.clear()
  }

  published(epoch: number): void {
    this.changeSets = this.changeSets.filter(set => set.epoch > epoch)
  }

  private *changedCells(group: number): Generator<Cell> {
    for (const set of this.changeSets) {
      if (set.epoch <= this.epochs.base || set.epoch > this.epochs.frozen) continue
      const list = set.lists[group]
      if (list !== undefined) yield* list
    }
  }

  private writeEarly(cell: Cell): void {
    this.serialise(cell, this.early.of(cell.group))
  }

  private serialise(cell: Cell, into: EntryGroup): void {
    into.begin(cell.group, this.stateId)
    encodeKey(cell.key, into.bytes)
    this.encodeSub(cell, into)
    into.value()
    if (cell.value === ABSENT) into.end(TOMBSTONE, 0)
    else {
      encodeValue(cell.value, into.bytes)
      into.end(cell.touchedMs === NO_TOUCH ? PUT : PUT_WITH_TOUCH, cell.touchedMs)
    }
    cell.written = this.epochs.frozen
  }
}
