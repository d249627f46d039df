/**
 * Walks the entries of a segment's blocks, one block after the other, in plain fields and without allocating. Everything is checked
 * against the block's bounds before it is believed: lengths, ops, that the key belongs to the block's key group, that the dictionary
 * knows its state, that keys ascend over the whole scan and that a key group has as many entries as the index says.
 */
import type { SegmentDictionary } from './segment-dictionary.ts'
import {
  ENTRY_PUT_TOUCHED,
  ENTRY_TOMBSTONE,
  type EntryOp,
  KEY_PREFIX_BYTES,
  readU32,
  segmentDamaged,
  TOUCH_BYTES,
} from './segment-format.ts'
import { compareEntryKeys } from './segment-key.ts'

/** One row of a segment's index: the blocks of one key group. */
export interface KeyGroupRow {
  readonly keyGroup: number
  readonly entries: number
  readonly offset: number
  readonly lengthBytes: number
}

/** A verified, decompressed block: its entries are `bytes` from `start` to `end`. The bytes never change. */
export interface Block {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  /** The block's offset in the file, for messages. */
  readonly offset: number
  /** The crc32 that stands behind it. */
  readonly checksum: number
  readonly row: KeyGroupRow
  /** The last block of its key group. */
  readonly last: boolean
}

/** Varint key length, op, varint value length, and the key's prefix. */
const MIN_ENTRY_BYTES = 3 + KEY_PREFIX_BYTES
/** Of five bytes; lengths above a block's are refused anyway. */
const MAX_VARINT_SHIFT = 28

export class BlockCursor {
  /** The current entry, as offsets into `bytes`; valid until `next`, while the bytes themselves stay. */
  bytes: Uint8Array = new Uint8Array(0)
  op: EntryOp = 0
  /** The whole key: key group, state id, key, namespace. */
  keyStart = 0
  keyEnd = 0
  stateId = -1
  /** Empty for a tombstone. */
  valueStart = 0
  valueEnd = 0
  /** Of an ENTRY_PUT_TOUCHED, otherwise 0. */
  lastTouchMs = 0

  private readonly file: string
  private readonly dictionary: SegmentDictionary
  private block: Block | undefined
  private keyGroup = -1
  private end = 0
  private position = 0
  private entriesOfRow = 0
  private beforeBytes: Uint8Array = this.bytes
  private beforeStart = 0
  private beforeEnd = 0

  constructor(segment: { readonly file: string; readonly dictionary: SegmentDictionary }) {
    this.file = segment.file
    this.dictionary = segment.dictionary
  }

  /** Go on with the block that follows, or the first one of a later key group. */
  open(block: Block): void {
    this.keep()
    if (block.row !== this.block?.row) this.entriesOfRow = 0
    this.block = block
    this.bytes = block.bytes
    this.position = block.start
    this.end = block.end
    this.keyGroup = block.row.keyGroup
    this.keyStart = this.keyEnd = 0
  }

  /** Step to the next entry; false at the end of the block. */
  next(): boolean {
    this.keep()
    const bytes = this.bytes
    const end = this.end
    let at = this.position
    if (at === end) {
      this.finishBlock()
      return false
    }
    if (end - at < MIN_ENTRY_BYTES) this.fail('an entry is cut off')
    let keyLength = bytes[at++]
    if (keyLength > 0x7f) {
      keyLength = this.longVarint(keyLength, at)
      at = this.position
    }
    const op = bytes[at++]
    let valueLength = bytes[at++]
    if (valueLength > 0x7f) {
      valueLength = this.longVarint(valueLength, at)
      at = this.position
    }
    const keyEnd = at + keyLength
    const valueStart = op === ENTRY_PUT_TOUCHED ? keyEnd + TOUCH_BYTES : keyEnd
    const valueEnd = valueStart + valueLength
    if (valueEnd > end || keyLength < KEY_PREFIX_BYTES || op > ENTRY_PUT_TOUCHED) this.fail('an entry makes no sense')
    if (op === ENTRY_TOMBSTONE && valueLength !== 0) this.fail('a tombstone has a value')
    if (((bytes[at] << 8) | bytes[at + 1]) !== this.keyGroup) this.fail('a key is of another key group')
    const stateId = (bytes[at + 2] << 8) | bytes[at + 3]
    if (stateId !== this.stateId) this.enterState(stateId)
    if (compareEntryKeys(this.beforeBytes, this.beforeStart, this.beforeEnd, bytes, at, keyEnd) >= 0) {
      this.fail('the keys are not in ascending order')
    }
    this.op = op as EntryOp
    this.keyStart = at
    this.keyEnd = keyEnd
    this.lastTouchMs = op === ENTRY_PUT_TOUCHED ? readTouch(bytes, keyEnd) : 0
    this.valueStart = valueStart
    this.valueEnd = valueEnd
    this.position = valueEnd
    this.entriesOfRow++
    return true
  }

  /** Remember the current key as the one that the next must be larger than. */
  private keep(): void {
    if (this.keyEnd === 0) return
    this.beforeBytes = this.bytes
    this.beforeStart = this.keyStart
    this.beforeEnd = this.keyEnd
  }

  private finishBlock(): void {
    const row = this.block?.row
    if (row === undefined || !this.block!.last || this.entriesOfRow === row.entries) return
    this.fail(`key group ${row.keyGroup} has ${this.entriesOfRow} entries, its index says ${row.entries}`)
  }

  private enterState(stateId: number): void {
    if (this.dictionary.states[stateId] === undefined) this.fail(`state id ${stateId} is not in its dictionary`)
    this.stateId = stateId
  }

  /** The rest of a varint whose first byte was read before `at`; leaves `position` behind it. At least a byte follows. */
  private longVarint(first: number, at: number): number {
    let value = first & 0x7f
    for (let shift = 7; shift <= MAX_VARINT_SHIFT; shift += 7) {
      if (at >= this.end) this.fail('an entry is cut off')
      const byte = this.bytes[at++]
      value += (byte & 0x7f) * 2 ** shift
      if (byte <= 0x7f) {
        this.position = at
        return value
      }
    }
    return this.fail('a length is too large')
  }

  private fail(problem: string): never {
    const block = this.block
    const inside = block === undefined ? 0 : this.position - block.start
    throw segmentDamaged(this.file, block?.offset ?? 0, `${problem} (byte ${inside} of that block's entries)`)
  }
}

function readTouch(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at) + (bytes[at + 4] | (bytes[at + 5] << 8)) * 0x1_0000_0000
}
