/**
 * Reads the blocks of a range of key groups, in large sequential reads with one read ahead, and hands their entries out
 * synchronously: a promise per read, none per block or entry.
 *
 *     for (;;) {
 *       while (scan.advance()) use(scan.entry)
 *       if (!scan.needsRefill) break
 *       await scan.refill()
 *     }
 *
 * A block's length is believed only within its key group's length, which was checked against the object's size.
 */
import { Buffer } from 'node:buffer'
import { zstdDecompressSync } from 'node:zlib'
import { assert } from '../base/assert.ts'
import { crc32 } from '../codec/index.ts'
import type { ReadableStore } from '../store/index.ts'
import { type Block, BlockCursor, type KeyGroupRow } from './segment-cursor.ts'
import type { SegmentDictionary } from './segment-dictionary.ts'
import { FLAG_DICTIONARY, FLAG_ZSTD, FRAME_BYTES, MAX_BLOCK_BYTES, readU32, segmentDamaged } from './segment-format.ts'

export interface ScanOptions {
  /** Size of a read; a scan holds up to three of them. Default 1 MiB. */
  readonly readAheadBytes?: number
}

interface ScannedSegment {
  readonly store: ReadableStore
  readonly file: string
  readonly dictionary: SegmentDictionary
}

export const READ_AHEAD_BYTES = 1024 * 1024

export class SegmentScan {
  /** The current entry, after `advance` returned true and until it is called again. */
  readonly entry: BlockCursor

  private readonly store: ReadableStore
  private readonly file: string
  private readonly rows: readonly KeyGroupRow[]
  private readonly readAheadBytes: number
  /** File offsets of the range. */
  private readonly rangeStart: number
  private readonly rangeEnd: number

  private row = 0
  /** What was read and not yet handed out: `bytes` from `position` on, which is file offset `offset`. */
  private bytes: Uint8Array = new Uint8Array(0)
  private position = 0
  private offset: number
  /** Where the next read begins, and the one under way. */
  private readOffset: number
  private reading: Promise<Uint8Array> | undefined

  /** Over rows of an index that follow each other. */
  constructor(segment: ScannedSegment, rows: readonly KeyGroupRow[], options: ScanOptions = {}) {
    this.entry = new BlockCursor(segment)
    this.store = segment.store
    this.file = segment.file
    this.rows = rows
    this.readAheadBytes = options.readAheadBytes ?? READ_AHEAD_BYTES
    const last = rows.at(-1)
    this.rangeStart = this.offset = this.readOffset = rows[0]?.offset ?? 0
    this.rangeEnd = last === undefined ? 0 : last.offset + last.lengthBytes
  }

  /** Step to the next entry; false when there is none, or when the next bytes must be read first. */
  advance(): boolean {
    while (!this.entry.next()) {
      const block = this.nextBlock()
      if (block === undefined) return false
      this.entry.open(block)
    }
    return true
  }

  /** Whether there is a next block that was not read yet: after `advance` or `nextBlock` found nothing, whether there is more. */
  get needsRefill(): boolean {
    return this.row < this.rows.length && (this.storedBytes() ?? Infinity) > this.available()
  }

  /** The next block, if it was read already. Not to be mixed with `advance`. */
  nextBlock(): Block | undefined {
    const row = this.rows[this.row]
    const stored = this.storedBytes()
    if (row === undefined || stored === undefined || stored > this.available()) return undefined
    const start = this.position
    const offset = this.offset
    this.position += stored
    this.offset += stored
    const last = this.offset === row.offset + row.lengthBytes
    if (last) this.row++
    return decodeBlock(this.bytes, start, start + stored, this.file, offset, row, last)
  }

  /** Stored bytes of the whole range, and of the blocks that were handed out. */
  get totalBytes(): number {
    return this.rangeEnd - this.rangeStart
  }

  get handedOutBytes(): number {
    return this.offset - this.rangeStart
  }

  /** Read on. Call it only while `needsRefill`. */
  async refill(): Promise<void> {
    assert(this.needsRefill, 'there is more to read')
    if (this.reading === undefined) this.startRead(this.readAheadBytes)
    const left = this.bytes.subarray(this.position)
    const read = await this.reading!
    this.reading = undefined
    this.bytes = left.length === 0 ? read : Buffer.concat([left, read])
    this.position = 0
    // A block longer than what was read ahead: what is missing of it comes with one more read, so that nothing is copied often.
    this.startRead(Math.max(this.readAheadBytes, (this.storedBytes() ?? 0) - this.available()))
  }

  private available(): number {
    return this.bytes.length - this.position
  }

  /** Stored bytes of the next block with its frame; undefined as long as its length was not read. */
  private storedBytes(): number | undefined {
    const row = this.rows[this.row]
    if (row === undefined) return undefined
    const left = row.offset + row.lengthBytes - this.offset
    if (left <= FRAME_BYTES) throw segmentDamaged(this.file, this.offset, `${left} bytes are too short for a block`)
    if (this.available() < 4) return undefined
    const length = readU32(this.bytes, this.position)
    const stored = length + FRAME_BYTES - 1
    if (length < 1 || length > MAX_BLOCK_BYTES || stored > left) {
      throw segmentDamaged(this.file, this.offset, `a block says it is ${length} bytes long, which cannot be`)
    }
    return stored
  }

  private startRead(sizeBytes: number): void {
    const size = Math.min(sizeBytes, this.rangeEnd - this.readOffset)
    if (size === 0) return
    this.reading = readExactly(this.store, this.file, this.readOffset, size)
    // Awaited by the next refill; until then, and if the scan is given up, a failure is nobody's unhandled rejection.
    this.reading.catch(() => undefined)
    this.readOffset += size
  }
}

/** Throws SNAPSHOT_DAMAGED when the object ends before `length` bytes. */
export async function readExactly(
  store: ReadableStore,
  file: string,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = await store.read(file, offset, length)
  if (bytes.length !== length) throw segmentDamaged(file, offset + bytes.length, 'the file ends too early')
  return bytes
}

/** The block whose frame is `bytes` from `start` to `end`, verified and decompressed. */
function decodeBlock(
  bytes: Uint8Array,
  start: number,
  end: number,
  file: string,
  offset: number,
  row: KeyGroupRow,
  last: boolean,
): Block {
  const { flags, plain } = openFrame(bytes.subarray(start, end), file, offset, MAX_BLOCK_BYTES)
  if ((flags & FLAG_DICTIONARY) !== 0) throw segmentDamaged(file, offset, 'a dictionary stands where entries should be')
  if (plain.length === 0) throw segmentDamaged(file, offset, 'a block has no entries')
  return { bytes: plain, start: 0, end: plain.length, offset, checksum: readU32(bytes, end - 4), row, last }
}

/** Flags and plain payload of a block, given its whole frame; the length field before was checked by the caller. */
export function openFrame(
  frame: Uint8Array,
  file: string,
  offset: number,
  maxPlainBytes: number,
): { flags: number; plain: Uint8Array } {
  const payloadEnd = frame.length - 4
  if (crc32(frame.subarray(4, payloadEnd)) !== readU32(frame, payloadEnd)) {
    throw segmentDamaged(file, offset, 'the checksum of a block is wrong')
  }
  const flags = frame[4]
  if ((flags & ~(FLAG_ZSTD | FLAG_DICTIONARY)) !== 0)
    throw segmentDamaged(file, offset, `a block has unknown flags ${flags}`)
  const payload = frame.subarray(5, payloadEnd)
  return { flags, plain: (flags & FLAG_ZSTD) === 0 ? payload : decompress(payload, file, offset, maxPlainBytes) }
}

function decompress(payload: Uint8Array, file: string, offset: number, maxPlainBytes: number): Uint8Array {
  const plainLength = payload.length < 4 ? 0 : readU32(payload, 0)
  if (plainLength < 1 || plainLength > maxPlainBytes) {
    throw segmentDamaged(
      file,
      offset,
      `a compressed block says its content is ${plainLength} bytes long, which cannot be`,
    )
  }
  let plain: Uint8Array
  try {
    plain = zstdDecompressSync(payload.subarray(4), {
      maxOutputLength: plainLength,
      chunkSize: Math.max(plainLength, 64),
    })
  } catch (cause) {
    throw segmentDamaged(file, offset, 'a block cannot be decompressed', cause)
  }
  if (plain.length !== plainLength) throw segmentDamaged(file, offset, 'a block has another length than it says')
  return plain
}
