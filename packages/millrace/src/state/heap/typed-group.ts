/**
 * One key group of a typed table: which of the store's rows are its own, and the index that finds them. No step's work grows with the
 * number of rows.
 *
 *   slot of the index   int32 hash | int32 row number + 1, 0: empty
 *
 * The index is open addressing; at most half of the slots are used. When they are, rows move to an index of twice the size, a few with
 * every insert: by now those whose home in the old one is less than `moved` behind `oldStart`. So each row is in one of the two, and its
 * hash says in which. Moving reads no row: a slot has all of the hash, and what lies side by side comes to lie in two such stretches.
 *
 * Removed rows that are in no snapshot are in a list of free ones; those that one may hold wait, in the order they were removed, until
 * their removal is published.
 */
import { assert } from '../../base/assert.ts'
import type { Key } from '../declarations.ts'
import { RowList } from './row-list.ts'
import { DEAD, EXTENT_ROWS, FREE, LIVE, type RowStore } from './row-store.ts'

export const NO_ROW = -1

const ROWS_MAX = 2 ** 31 - 1

const FIRST_SLOTS = 16
/** Of the old index, looked at with every insert: those side by side cost little more than one alone. */
const SLOTS_PER_INSERT = 32
const NO_SLOTS = new Int32Array(0)

export class TypedGroup {
  /** Rows that are or were in use. */
  rows = 0
  /** Slots that growing has looked at so far. */
  slotsMoved = 0
  private readonly store: RowStore
  /** Their first rows. */
  private readonly extents = new RowList()
  private live = 0
  private slots = new Int32Array(2 * FIRST_SLOTS)
  /** The index from which rows are moving. */
  private old = NO_SLOTS
  private oldStart = 0
  private moved = 0
  private firstFree = NO_ROW
  private firstDead = NO_ROW
  private lastDead = NO_ROW

  constructor(store: RowStore) {
    this.store = store
  }

  /** The `index`-th of `rows`. */
  rowAt(index: number): number {
    return this.extents.at(Math.floor(index / EXTENT_ROWS)) + (index % EXTENT_ROWS)
  }

  /** Row of the key (and window), or NO_ROW. */
  find(hash: number, key: Key, windowStart: number): number {
    const slots = this.slotsOf(hash)
    const mask = slots.length - 1
    for (let at = (hash << 1) & mask; ; at = (at + 2) & mask) {
      const entry = slots[at + 1]
      if (entry === 0) return NO_ROW
      if (slots[at] === hash && this.store.matches(entry - 1, key, windowStart)) return entry - 1
    }
  }

  /**
   * A new row; its fields are what the row held before.
   * @param published rows that were removed up to this epoch may be used again
   */
  insert(hash: number, key: Uint8Array, length: number, windowStart: number, published: number): number {
    const row = this.takeRow(published)
    if ((this.live + 1) * 4 > this.slots.length) this.growSlots()
    if (this.old !== NO_SLOTS) this.moveSlots()
    this.store.setKey(row, hash, key, length, windowStart)
    this.store.setStatus(row, LIVE)
    this.live++
    link(this.slotsOf(hash), hash, row)
    return row
  }

  /** Takes a live row out of the index. Its key stays until `free`, or until a buried row is used again. */
  unlink(row: number): void {
    const hash = this.store.hashOf(row)
    const slots = this.slotsOf(hash)
    const mask = slots.length - 1
    let hole = (hash << 1) & mask
    while (slots[hole + 1] !== row + 1) hole = (hole + 2) & mask
    // Backward shift: rows behind the hole move up unless that would put them before their home.
    for (let at = (hole + 2) & mask; slots[at + 1] !== 0; at = (at + 2) & mask) {
      const home = (slots[at] << 1) & mask
      if (((at - home) & mask) < ((at - hole) & mask)) continue
      slots[hole] = slots[at]
      slots[hole + 1] = slots[at + 1]
      hole = at
    }
    slots[hole + 1] = 0
    this.live--
  }

  /** A row that is out of the index may be used again. */
  free(row: number): void {
    const { store } = this
    store.dropKey(row)
    store.setStatus(row, FREE)
    store.setNext(row, this.firstFree)
    this.firstFree = row
  }

  /** A row that is out of the index may be used again once the removal is published; the row's epoch says when that was. */
  bury(row: number): void {
    const { store } = this
    store.setStatus(row, DEAD)
    store.setNext(row, NO_ROW)
    if (this.lastDead === NO_ROW) this.firstDead = row
    else store.setNext(this.lastDead, row)
    this.lastDead = row
  }

  private takeRow(published: number): number {
    const { store, firstFree, firstDead } = this
    if (firstFree !== NO_ROW) {
      this.firstFree = store.nextOf(firstFree)
      return firstFree
    }
    if (firstDead !== NO_ROW && store.epochOf(firstDead) <= published) {
      store.dropKey(firstDead)
      this.firstDead = store.nextOf(firstDead)
      if (this.firstDead === NO_ROW) this.lastDead = NO_ROW
      return firstDead
    }
    if (this.rows % EXTENT_ROWS === 0) {
      const first = this.store.addExtent()
      if (first + EXTENT_ROWS > ROWS_MAX) throw new RangeError('a typed table is full; raise the parallelism')
      this.extents.push(first)
    }
    return this.rowAt(this.rows++)
  }

  /** The index that has the rows of this hash. */
  private slotsOf(hash: number): Int32Array {
    const { old } = this
    return old !== NO_SLOTS && ((hash - this.oldStart) & (old.length / 2 - 1)) >= this.moved ? old : this.slots
  }

  private growSlots(): void {
    const { slots } = this
    assert(this.old === NO_SLOTS, 'an index is done moving long before the next one is half full')
    // Behind an empty slot no row is away from its home because of one before that.
    let start = 0
    while (slots[2 * start + 1] !== 0) start++
    this.oldStart = start + 1
    this.moved = 0
    this.old = slots
    this.slots = new Int32Array(slots.length * 2)
  }

  /** Moves on to an empty slot, so that no row behind it has its home before it. */
  private moveSlots(): void {
    const { old, slots } = this
    const mask = old.length - 1
    const end = this.moved + SLOTS_PER_INSERT
    let { moved } = this
    for (
      let at = (2 * (this.oldStart + moved)) & mask;
      moved < end || old[at + 1] !== 0;
      moved++, at = (at + 2) & mask
    ) {
      const entry = old[at + 1]
      if (entry === 0) continue
      old[at + 1] = 0
      link(slots, old[at], entry - 1)
    }
    this.slotsMoved += moved - this.moved
    this.moved = moved
    if (2 * moved >= old.length) this.old = NO_SLOTS
  }
}

function link(slots: Int32Array, hash: number, row: number): void {
  const mask = slots.length - 1
  let at = (hash << 1) & mask
  while (slots[at + 1] !== 0) at = (at + 2) & mask
  slots[at] = hash
  slots[at + 1] = row + 1
}
