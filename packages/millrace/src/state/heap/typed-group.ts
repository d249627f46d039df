/**
 * The rows of one key group of a typed table, in one buffer seen through three views, so that all of a row is one or two cache
 * lines; what finding a row costs is mostly waiting for memory.
 *
 *   row (8-byte aligned)   8 bytes x width    the fields, behind them the window's start if the table has windows
 *                          int32 hash | int32 epoch | int32 written | int32 where: offset in the arena of a key that does not fit
 *                          u8 status | u8 length of the key, 255: in the arena | 14 bytes of key, or int32 length at 4
 *
 * Keys are in their canonical encoding. The index is open addressing: a slot holds the row's number + 1 in its low 24 bits and the
 * hash's top byte above, 0 if empty; at most half of the slots are used.
 */
import { ByteWriter, encodeKey } from '../../codec/index.ts'
import type { Key } from '../declarations.ts'

export const NO_ROW = -1
export const FREE = 0
export const LIVE = 1
export const DEAD = 2

/** Offsets behind the fields, in int32 units and bytes. */
const HASH = 0
const EPOCH = 1
const WRITTEN = 2
const WHERE = 3
const STATUS = 16
const LENGTH = 17
const KEY = 18
const INLINE_BYTES = 14
const IN_ARENA = 255
const ARENA_LENGTH = 5
const ROW_BYTES = 32

/** A key group holds fewer rows than this: its number shares a slot with a byte of the hash. */
const ROWS_MAX = (1 << 24) - 2
const ROW_MASK = 0xffffff

const FIRST_CAPACITY = 8

const NUMBER_TAG = 0x05
const STRING_TAG = 0x08
const F64 = new Float64Array(1)
const U32 = new Uint32Array(F64.buffer)
const scratch = new ByteWriter(64)

export class TypedGroup {
  f64: Float64Array
  i32: Int32Array
  u8: Uint8Array
  rows = 0
  live = 0
  private slots = new Int32Array(2 * FIRST_CAPACITY)
  private capacity = FIRST_CAPACITY
  private readonly fieldCount: number
  private readonly windowed: boolean
  /** Of a row, in float64, int32 and byte units. */
  private readonly stride64: number
  private readonly stride32: number
  private readonly stride8: number
  private readonly meta32: number
  private readonly meta8: number
  private arena = new Uint8Array(0)
  private arenaUsed = 0
  /** Bytes of the arena that belong to rows. */
  private arenaLive = 0
  private readonly freeRows: number[] = []

  constructor(width: number, windowed: boolean) {
    this.fieldCount = width
    this.windowed = windowed
    this.meta8 = (width + (windowed ? 1 : 0)) * 8
    this.meta32 = this.meta8 / 4
    this.stride8 = this.meta8 + ROW_BYTES
    this.stride64 = this.stride8 / 8
    this.stride32 = this.stride8 / 4
    const buffer = new ArrayBuffer(FIRST_CAPACITY * this.stride8)
    this.f64 = new Float64Array(buffer)
    this.i32 = new Int32Array(buffer)
    this.u8 = new Uint8Array(buffer)
  }

  /** Where the row's fields begin in `f64`; twice that in `i32`, eight times in `u8`. */
  fieldsOf(row: number): number {
    return row * this.stride64
  }

  epochOf(row: number): number {
    return this.i32[row * this.stride32 + this.meta32 + EPOCH]
  }

  writtenOf(row: number): number {
    return this.i32[row * this.stride32 + this.meta32 + WRITTEN]
  }

  statusOf(row: number): number {
    return this.u8[row * this.stride8 + this.meta8 + STATUS]
  }

  setEpoch(row: number, epoch: number): void {
    this.i32[row * this.stride32 + this.meta32 + EPOCH] = epoch
  }

  setWritten(row: number, epoch: number): void {
    this.i32[row * this.stride32 + this.meta32 + WRITTEN] = epoch
  }

  setStatus(row: number, status: number): void {
    this.u8[row * this.stride8 + this.meta8 + STATUS] = status
  }

  /** Row of the key (and window), or NO_ROW. */
  find(hash: number, key: Key, windowStart: number): number {
    const { slots } = this
    const mask = slots.length - 1
    const tag = hash & ~ROW_MASK
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[slot]
      if (entry === 0) return NO_ROW
      if ((entry & ~ROW_MASK) !== tag) continue
      const row = (entry & ROW_MASK) - 1
      if (this.matches(row, hash, key, windowStart)) return row
    }
  }

  /** A new row; its fields are what the row held before. */
  insert(hash: number, key: Uint8Array, length: number, windowStart: number): number {
    const row = this.freeRows.length > 0 ? this.freeRows.pop()! : this.newRow()
    if ((this.live + 1) * 2 > this.slots.length) this.growSlots()
    const at8 = row * this.stride8 + this.meta8
    const at32 = row * this.stride32 + this.meta32
    this.i32[at32 + HASH] = hash
    this.u8[at8 + STATUS] = LIVE
    if (length <= INLINE_BYTES) {
      this.u8[at8 + LENGTH] = length
      for (let i = 0; i < length; i++) this.u8[at8 + KEY + i] = key[i]
    } else this.putInArena(at8, at32, key, length)
    if (this.windowed) this.f64[row * this.stride64 + this.fieldCount] = windowStart
    this.live++
    link(this.slots, hash, row)
    return row
  }

  /** Takes a live row out of the index. Its key stays until `free`. */
  unlink(row: number): void {
    const { slots, stride32, meta32, i32 } = this
    const mask = slots.length - 1
    let hole = i32[row * stride32 + meta32 + HASH] & mask
    while ((slots[hole] & ROW_MASK) !== row + 1) hole = (hole + 1) & mask
    // Backward shift: rows behind the hole move up unless that would put them before their home.
    for (let slot = (hole + 1) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const home = i32[((slots[slot] & ROW_MASK) - 1) * stride32 + meta32 + HASH] & mask
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue
      slots[hole] = slots[slot]
      hole = slot
    }
    slots[hole] = 0
    this.live--
  }

  free(row: number): void {
    const at8 = row * this.stride8 + this.meta8
    if (this.u8[at8 + LENGTH] === IN_ARENA) this.arenaLive -= this.i32[row * this.stride32 + this.meta32 + ARENA_LENGTH]
    this.u8[at8 + STATUS] = FREE
    this.freeRows.push(row)
  }

  /** Appends the row's key, and its window's start as a key of its own. */
  writeKey(row: number, out: ByteWriter): void {
    const at8 = row * this.stride8 + this.meta8
    const length = this.u8[at8 + LENGTH]
    if (length === IN_ARENA) {
      const at32 = row * this.stride32 + this.meta32
      const start = this.i32[at32 + WHERE]
      out.raw(this.arena, start, start + this.i32[at32 + ARENA_LENGTH])
    } else out.raw(this.u8, at8 + KEY, at8 + KEY + length)
    if (this.windowed) encodeKey(this.f64[row * this.stride64 + this.fieldCount], out)
  }

  private matches(row: number, hash: number, key: Key, windowStart: number): boolean {
    if (this.i32[row * this.stride32 + this.meta32 + HASH] !== hash) return false
    if (this.windowed && this.f64[row * this.stride64 + this.fieldCount] !== windowStart) return false
    const at8 = row * this.stride8 + this.meta8
    const length = this.u8[at8 + LENGTH]
    if (length !== IN_ARENA) {
      if (typeof key === 'string') {
        const same = matchAscii(this.u8, at8 + KEY, length, key)
        if (same !== UNSURE) return same === SAME
      } else if (typeof key === 'number') {
        return this.u8[at8 + KEY] === NUMBER_TAG && matchOrderedF64(this.u8, at8 + KEY + 1, key)
      }
    }
    return this.matchesEncoded(row, key)
  }

  private matchesEncoded(row: number, key: Key): boolean {
    scratch.reset()
    encodeKey(key, scratch)
    const at8 = row * this.stride8 + this.meta8
    const at32 = row * this.stride32 + this.meta32
    const inArena = this.u8[at8 + LENGTH] === IN_ARENA
    const length = inArena ? this.i32[at32 + ARENA_LENGTH] : this.u8[at8 + LENGTH]
    if (length !== scratch.length) return false
    const bytes = inArena ? this.arena : this.u8
    const start = inArena ? this.i32[at32 + WHERE] : at8 + KEY
    for (let i = 0; i < length; i++) if (bytes[start + i] !== scratch.bytes[i]) return false
    return true
  }

  private newRow(): number {
    if (this.rows === this.capacity) {
      if (this.rows >= ROWS_MAX) throw new RangeError('a key group of a typed table is full; raise maxParallelism')
      this.capacity *= 2
      const buffer = new ArrayBuffer(this.capacity * this.stride8)
      const u8 = new Uint8Array(buffer)
      u8.set(this.u8)
      this.u8 = u8
      this.i32 = new Int32Array(buffer)
      this.f64 = new Float64Array(buffer)
    }
    return this.rows++
  }

  private growSlots(): void {
    const { stride32, meta32, i32 } = this
    const old = this.slots
    this.slots = new Int32Array(old.length * 2)
    for (const entry of old) {
      if (entry === 0) continue
      const row = (entry & ROW_MASK) - 1
      link(this.slots, i32[row * stride32 + meta32 + HASH], row)
    }
  }

  private putInArena(at8: number, at32: number, key: Uint8Array, length: number): void {
    if (this.arenaUsed + length > this.arena.length) this.makeRoom(length)
    this.arena.set(key.subarray(0, length), this.arenaUsed)
    this.u8[at8 + LENGTH] = IN_ARENA
    this.i32[at32 + WHERE] = this.arenaUsed
    this.i32[at32 + ARENA_LENGTH] = length
    this.arenaUsed += length
    this.arenaLive += length
  }

  /** Drops the keys of freed rows if they are half of the arena, else doubles it. */
  private makeRoom(extra: number): void {
    const needed = this.arenaLive + extra
    const size = Math.max(needed * 2, needed * 2 > this.arena.length ? this.arena.length * 2 : this.arena.length)
    const arena = new Uint8Array(size)
    let used = 0
    for (let row = 0; row < this.rows; row++) {
      const at8 = row * this.stride8 + this.meta8
      const at32 = row * this.stride32 + this.meta32
      if (this.u8[at8 + STATUS] === FREE || this.u8[at8 + LENGTH] !== IN_ARENA) continue
      const start = this.i32[at32 + WHERE]
      const length = this.i32[at32 + ARENA_LENGTH]
      arena.set(this.arena.subarray(start, start + length), used)
      this.i32[at32 + WHERE] = used
      used += length
    }
    this.arena = arena
    this.arenaUsed = used
  }
}

function link(slots: Int32Array, hash: number, row: number): void {
  const mask = slots.length - 1
  let slot = hash & mask
  while (slots[slot] !== 0) slot = (slot + 1) & mask
  slots[slot] = (hash & ~ROW_MASK) | (row + 1)
}

const SAME = 1
const DIFFERENT = 0
const UNSURE = 2

/** Whether the encoded key is this string; UNSURE when the string is not plain ASCII. */
function matchAscii(bytes: Uint8Array, start: number, length: number, key: string): number {
  const size = key.length
  // An ASCII string takes a tag, its characters, and two bytes at the end.
  if (length !== size + 3) return isAscii(key) ? DIFFERENT : UNSURE
  if (bytes[start] !== STRING_TAG) return DIFFERENT
  for (let i = 0; i < size; i++) {
    const code = key.charCodeAt(i)
    if (code > 0x7f || code === 0) return UNSURE
    if (bytes[start + 1 + i] !== code) return DIFFERENT
  }
  return SAME
}

function isAscii(key: string): boolean {
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i)
    if (code > 0x7f || code === 0) return false
  }
  return true
}

function matchOrderedF64(bytes: Uint8Array, at: number, value: number): boolean {
  F64[0] = value === 0 ? 0 : value
  const negative = U32[1] >>> 31 === 1
  const high = negative ? ~U32[1] : U32[1] ^ 0x80000000
  const low = negative ? ~U32[0] : U32[0]
  return word(bytes, at) === (high | 0) && word(bytes, at + 4) === (low | 0)
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]
}
