/**
 * The rows of a typed table, of all its key groups. All of a row is two or three cache lines side by side: what finding a row costs is
 * mostly waiting for memory.
 *
 *   row (8-byte aligned)   8 bytes x width    the fields, behind them the window's start if the table has windows
 *                          int32 hash, of a removed row: the next one of its list | int32 epoch | int32 written
 *                          int32 place in the arena of a key that does not fit
 *                          u8 status | u8 length of the key, 255: in the arena | 14 bytes of key, or int32 length at 4
 *
 *   row number = page number x rows of a page + row in the page; a page holds a power of two of rows
 *
 * Keys are in their canonical encoding. Full pages are neither moved nor copied, so growing takes no longer the more rows there are. They are
 * few and large: looking one up costs nothing only as long as the objects that stand for all of them stay in the cache.
 */
import { ByteWriter, encodeKey } from '../../codec/index.ts'
import type { Key } from '../declarations.ts'
import { RowPage, type Rows } from '../rows/field-access.ts'
import { KeyArena } from './key-arena.ts'
import { matchAscii, matchNumber, SAME, UNSURE } from './key-match.ts'

export const FREE = 0
export const LIVE = 1
export const DEAD = 2

/** Rows are handed out so many at a time. */
export const EXTENT_ROWS = 16

/** Of a full page, at most. The first one doubles until then, which copies it. */
export const PAGE_BYTES = 1 << 23

/** Offsets behind the fields, in int32 units and bytes. */
const HASH = 0
const NEXT = 0
const EPOCH = 1
const WRITTEN = 2
const PLACE = 3
const STATUS = 16
const LENGTH = 17
const KEY = 18
const INLINE_BYTES = 14
const IN_ARENA = 255
const ARENA_LENGTH = 5
const ROW_BYTES = 32

const scratch = new ByteWriter(64)

export class RowStore {
  /** What growing has copied so far. */
  bytesCopied = 0
  private readonly fieldCount: number
  private readonly windowed: boolean
  /** Of a row, in float64, int32 and byte units. */
  private readonly stride64: number
  private readonly stride32: number
  private readonly stride8: number
  private readonly meta32: number
  private readonly meta8: number
  private readonly pages: RowPage[]
  /** Row number >>> shift: its page; & mask: its place there. */
  private readonly pageShift: number
  private readonly pageMask: number
  private capacity = EXTENT_ROWS
  private rows = 0
  private readonly arena = new KeyArena()

  /** @param width of a row's fields, in units of 8 bytes */
  constructor(width: number, windowed: boolean) {
    this.fieldCount = width
    this.windowed = windowed
    this.meta8 = (width + (windowed ? 1 : 0)) * 8
    this.meta32 = this.meta8 / 4
    this.stride8 = this.meta8 + ROW_BYTES
    this.stride32 = this.stride8 / 4
    this.stride64 = this.stride8 / 8
    this.pageShift = Math.floor(Math.log2(Math.max(EXTENT_ROWS, PAGE_BYTES / this.stride8)))
    this.pageMask = (1 << this.pageShift) - 1
    this.pages = [new RowPage(this.capacity * this.stride8)]
  }

  /** The first of EXTENT_ROWS rows of zeros. */
  addExtent(): number {
    if (this.rows === this.capacity) this.addRoom()
    this.rows += EXTENT_ROWS
    return this.rows - EXTENT_ROWS
  }

  private addRoom(): void {
    const { pages, capacity, stride8 } = this
    const fullRows = 1 << this.pageShift
    if (capacity < fullRows) {
      const small = pages[0].u8
      pages[0] = new RowPage(capacity * 2 * stride8)
      pages[0].u8.set(small)
      this.bytesCopied += small.length
      this.capacity = capacity * 2
    } else {
      pages.push(new RowPage(fullRows * stride8))
      this.capacity += fullRows
    }
  }

  /** The page of a row; another one after the next `addExtent`. */
  pageOf(row: number): Rows {
    return this.pages[row >>> this.pageShift]
  }

  /** Where the row's fields begin in its page's `f64`; twice that in `i32`, eight times in `u8`. */
  fieldsOf(row: number): number {
    return (row & this.pageMask) * this.stride64
  }

  hashOf(row: number): number {
    return this.pageOf(row).i32[this.at32(row) + HASH]
  }

  epochOf(row: number): number {
    return this.pageOf(row).i32[this.at32(row) + EPOCH]
  }

  setEpoch(row: number, epoch: number): void {
    this.pageOf(row).i32[this.at32(row) + EPOCH] = epoch
  }

  writtenOf(row: number): number {
    return this.pageOf(row).i32[this.at32(row) + WRITTEN]
  }

  setWritten(row: number, epoch: number): void {
    this.pageOf(row).i32[this.at32(row) + WRITTEN] = epoch
  }

  statusOf(row: number): number {
    return this.pageOf(row).u8[this.at8(row) + STATUS]
  }

  setStatus(row: number, status: number): void {
    this.pageOf(row).u8[this.at8(row) + STATUS] = status
  }

  /** Of a removed row: the one behind it in its list. */
  nextOf(row: number): number {
    return this.pageOf(row).i32[this.at32(row) + NEXT]
  }

  setNext(row: number, next: number): void {
    this.pageOf(row).i32[this.at32(row) + NEXT] = next
  }

  // --------------------------------------------------------------------------------------------------------------- keys

  setKey(row: number, hash: number, key: Uint8Array, length: number, windowStart: number): void {
    const { i32, u8, f64 } = this.pageOf(row)
    const at8 = this.at8(row)
    const at32 = this.at32(row)
    i32[at32 + HASH] = hash
    if (length <= INLINE_BYTES) {
      u8[at8 + LENGTH] = length
      for (let i = 0; i < length; i++) u8[at8 + KEY + i] = key[i]
    } else {
      u8[at8 + LENGTH] = IN_ARENA
      i32[at32 + PLACE] = this.arena.put(key, length)
      i32[at32 + ARENA_LENGTH] = length
    }
    if (this.windowed) f64[this.fieldsOf(row) + this.fieldCount] = windowStart
  }

  /** To be called once for a row whose key is not needed any more. */
  dropKey(row: number): void {
    const { i32, u8 } = this.pageOf(row)
    const at32 = this.at32(row)
    if (u8[this.at8(row) + LENGTH] === IN_ARENA) this.arena.remove(i32[at32 + PLACE], i32[at32 + ARENA_LENGTH])
  }

  /** Appends the row's key, and its window's start as a key of its own. */
  writeKey(row: number, out: ByteWriter): void {
    const { i32, u8, f64 } = this.pageOf(row)
    const at8 = this.at8(row)
    const length = u8[at8 + LENGTH]
    if (length === IN_ARENA) {
      const at32 = this.at32(row)
      const start = this.arena.startOf(i32[at32 + PLACE])
      out.raw(this.arena.bytesOf(i32[at32 + PLACE]), start, start + i32[at32 + ARENA_LENGTH])
    } else out.raw(u8, at8 + KEY, at8 + KEY + length)
    if (this.windowed) encodeKey(f64[this.fieldsOf(row) + this.fieldCount], out)
  }

  /** Whether a live row is that of the key and window. */
  matches(row: number, key: Key, windowStart: number): boolean {
    const { i32, u8, f64 } = this.pageOf(row)
    if (this.windowed && f64[this.fieldsOf(row) + this.fieldCount] !== windowStart) return false
    const at8 = this.at8(row)
    const length = u8[at8 + LENGTH]
    if (length !== IN_ARENA) return matchesKey(u8, at8 + KEY, length, key)
    const at32 = this.at32(row)
    const place = i32[at32 + PLACE]
    return matchesKey(this.arena.bytesOf(place), this.arena.startOf(place), i32[at32 + ARENA_LENGTH], key)
  }

  /** Where what is behind the fields begins in the page's `i32`. */
  private at32(row: number): number {
    return (row & this.pageMask) * this.stride32 + this.meta32
  }

  /** Where what is behind the fields begins in the page's `u8`. */
  private at8(row: number): number {
    return (row & this.pageMask) * this.stride8 + this.meta8
  }
}

function matchesKey(bytes: Uint8Array, start: number, length: number, key: Key): boolean {
  if (typeof key === 'string') {
    const same = matchAscii(bytes, start, length, key)
    if (same !== UNSURE) return same === SAME
  } else if (typeof key === 'number') return matchNumber(bytes, start, key)
  scratch.reset()
  encodeKey(key, scratch)
  if (length !== scratch.length) return false
  for (let i = 0; i < length; i++) if (bytes[start + i] !== scratch.bytes[i]) return false
  return true
}
