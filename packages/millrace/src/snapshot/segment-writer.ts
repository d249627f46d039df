/**
 * Writes a segment: the sorted entries of one checkpoint, or of a merge. Layout v1, integers little-endian unless BE:
 *
 *     header 64 B   "MRSEG001" | u16 version | 6 B zero | u64 segment id | u64 checkpoint id | 28 B zero | u32 crc32(the 60 before)
 *     block         u32 length of flags and payload | u8 flags | payload | u32 crc32(flags, payload)
 *       flags       bit 0: the payload is u32 plain length | one zstd frame; bit 1: dictionary; other bits zero
 *       entry       varint key length | u8 op | varint value length | key | [u48 last touch ms, op 2 only] | value
 *                   op 0 put, 1 tombstone (value length 0), 2 put with last touch, which the value length does not count
 *       key         u16 key group BE | u16 state id BE | key | namespace; bytewise ascending over the whole file, each once
 *     dictionary    1 block, flag bit 1: SegmentDictionary as UTF-8 JSON
 *     index         per key group that has entries, ascending: u32 key group | u32 entries | u64 offset | u64 length of its blocks
 *     footer 48 B   u64 index offset | u32 rows k | u32 crc32(index) | u64 entries | u64 tombstones | u32 crc32(the crc32 fields of
 *                   all blocks, dictionary last) | u32 crc32(header's crc32 field, the 36 before) | "MRSEGEND"
 *
 * Blocks are cut at about 64 KiB and never span two key groups; an entry is never split, so a huge value makes a huge block. The
 * blocks of the index rows follow each other without a gap from byte 64 on, the dictionary stands between the last one and the index.
 * The footer's crc32 depends on every byte of the file through the other checksums: it is the checksum that a manifest remembers.
 */
import { Buffer } from 'node:buffer'
import { constants, zstdCompressSync } from 'node:zlib'
import { assert } from '../base/assert.ts'
import { ByteWriter, crc32 } from '../codec/index.ts'
import { encodeDictionary, type SegmentDictionary } from './segment-dictionary.ts'
import {
  addChecksum,
  ENTRY_PUT,
  ENTRY_PUT_TOUCHED,
  ENTRY_TOMBSTONE,
  type EntryOp,
  FLAG_DICTIONARY,
  FLAG_ZSTD,
  footerChecksum,
  FRAME_BYTES,
  INDEX_ROW_BYTES,
  KEY_PREFIX_BYTES,
  MAX_KEY_BYTES,
  MAX_TOUCH_MS,
  MAX_VALUE_BYTES,
  SEGMENT_END_MAGIC,
  SEGMENT_MAGIC,
  SEGMENT_VERSION,
  TOUCH_BYTES,
} from './segment-format.ts'
import { compareEntryKeys, copyBytes } from './segment-key.ts'

export type { SegmentDictionary }

export type Compression = 'zstd' | 'none'

export interface SegmentWriterOptions {
  readonly segmentId: number
  readonly checkpointId: number
  readonly compression: Compression
  readonly dictionary: SegmentDictionary
}

export interface SegmentSummary {
  readonly sizeBytes: number
  readonly entries: number
  readonly tombstones: number
  /** The footer's crc32. */
  readonly checksum: number
}

/** What a call of zstd costs whatever it is given is 1 ns a byte of 16 KiB, nothing that counts from 64 KiB on. */
const BLOCK_BYTES = 64 * 1024
/** Blocks are gathered into chunks, so that a segment of many small key groups is not a write call per block. */
const CHUNK_BYTES = 256 * 1024
/** Two varints of at most 5 bytes, op, last touch. */
const ENTRY_OVERHEAD_BYTES = 5 + 5 + 1 + TOUCH_BYTES
/** Less than this does not shrink enough to pay the 20 µs of a call. */
const COMPRESS_MIN_BYTES = 256
/** 64 KiB take about 70 µs. Above this, compressing would hold the slot for more than a slice's milliseconds: stored as it is. */
const COMPRESS_MAX_BYTES = 1024 * 1024

/**
 * Synchronous: `add` copies an entry into the current block, in one go if its value stands right behind its key. Finished chunks pile up; between slices the caller takes them with
 * `takeReady` and writes them, in order, to an ObjectWriter.
 */
export class SegmentWriter {
  /** Bytes that `takeReady` would hand out now. */
  readyBytes = 0
  /** Added so far, tombstones included. */
  entries = 0
  tombstones = 0

  private readonly zstd: boolean
  private readonly stateIds: Uint8Array
  private readonly maxParallelism: number
  private readonly dictionary: Uint8Array
  private readonly headerChecksum: number

  private ready: Uint8Array[] = []
  private chunk: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  private chunkLength = 0
  /** File offset of the next byte. */
  private position = 0

  private block: Buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES)
  private blockLength = 0
  private blocksChecksum = 0

  private lastKey: Uint8Array = new Uint8Array(0)
  private lastKeyStart = 0
  private lastKeyEnd = 0
  private lastStateId = -1

  private readonly index = new ByteWriter(4096)
  private keyGroup = -1
  private keyGroupOffset = 0
  private keyGroupEntries = 0

  private ended = false

  constructor(options: SegmentWriterOptions) {
    this.zstd = options.compression === 'zstd'
    this.dictionary = encodeDictionary(options.dictionary)
    this.maxParallelism = options.dictionary.maxParallelism
    this.stateIds = new Uint8Array(65_536)
    for (const id of Object.keys(options.dictionary.states)) this.stateIds[Number(id)] = 1
    const header = encodeHeader(options.segmentId, options.checkpointId)
    this.headerChecksum = crc32(header.subarray(0, -4))
    this.append(header)
  }

  /**
   * Add the next entry: the key is larger than all before. Of a tombstone the value's range is not looked at, and `lastTouchMs` only
   * counts for ENTRY_PUT_TOUCHED. The bytes are copied.
   */
  add(
    op: EntryOp,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
    lastTouchMs: number,
  ): void {
    const keyLength = keyEnd - keyStart
    const valueLength = op === ENTRY_TOMBSTONE ? 0 : valueEnd - valueStart
    assert(op === ENTRY_PUT || op === ENTRY_TOMBSTONE || op === ENTRY_PUT_TOUCHED, 'an entry is a put or a tombstone')
    assert(keyLength >= KEY_PREFIX_BYTES && keyLength <= MAX_KEY_BYTES, 'a key is 4 bytes to 1 MiB long')
    assert(valueLength >= 0 && valueLength <= MAX_VALUE_BYTES, 'a value is at most 256 MiB long')
    assert(
      this.entries === 0 ||
        compareEntryKeys(this.lastKey, this.lastKeyStart, this.lastKeyEnd, key, keyStart, keyEnd) < 0,
      'the entries of a segment are added in ascending order of their keys',
    )
    this.enter((key[keyStart] << 8) | key[keyStart + 1], (key[keyStart + 2] << 8) | key[keyStart + 3])
    this.reserve(keyLength + valueLength + ENTRY_OVERHEAD_BYTES)

    const block = this.block
    let at = putVarint(block, this.blockLength, keyLength)
    block[at++] = op
    at = putVarint(block, at, valueLength)
    this.lastKey = block
    this.lastKeyStart = at
    this.lastKeyEnd = at + keyLength
    if (op === ENTRY_PUT && value === key && valueStart === keyEnd) {
      copyBytes(key, keyStart, valueEnd, block, at)
      at += keyLength + valueLength
    } else {
      copyBytes(key, keyStart, keyEnd, block, at)
      at += keyLength
      if (op === ENTRY_TOMBSTONE) this.tombstones++
      else {
        if (op === ENTRY_PUT_TOUCHED) at = putTouch(block, at, lastTouchMs)
        copyBytes(value, valueStart, valueEnd, block, at)
        at += valueLength
      }
    }
    this.blockLength = at
    this.keyGroupEntries++
    this.entries++
  }

  /** The finished chunks so far, in file order; they are the caller's from then on. */
  takeReady(): Uint8Array[] {
    const taken = this.ready
    this.ready = []
    this.readyBytes = 0
    return taken
  }

  /** Close the last block and add dictionary, index and footer. Everything is ready to be taken afterwards. */
  end(): SegmentSummary {
    assert(!this.ended, 'a segment ends once')
    this.ended = true
    this.closeKeyGroup()
    this.frame(this.dictionary, FLAG_DICTIONARY)
    const indexOffset = this.position
    const index = this.index.view()
    this.append(index)
    const { footer, checksum } = this.encodeFooter(indexOffset, index)
    this.append(footer)
    this.closeChunk()
    return { sizeBytes: this.position, entries: this.entries, tombstones: this.tombstones, checksum }
  }

  /** Runs per entry; does something only where the key group or the state changes. */
  private enter(keyGroup: number, stateId: number): void {
    if (stateId !== this.lastStateId) {
      assert(this.stateIds[stateId] === 1, 'a segment describes every state it holds')
      this.lastStateId = stateId
    }
    if (keyGroup === this.keyGroup) return
    assert(keyGroup < this.maxParallelism, 'a key group is below max parallelism')
    this.closeKeyGroup()
    this.keyGroup = keyGroup
    this.keyGroupOffset = this.position
    this.keyGroupEntries = 0
  }

  private closeKeyGroup(): void {
    this.closeBlock()
    if (this.keyGroup === -1) return
    this.index.u32le(this.keyGroup)
    this.index.u32le(this.keyGroupEntries)
    this.index.u64le(this.keyGroupOffset)
    this.index.u64le(this.position - this.keyGroupOffset)
  }

  /** Room for one more entry of up to `size` bytes, in a new block if this one would become too long. */
  private reserve(size: number): void {
    if (this.blockLength + size <= this.block.length) return
    this.closeBlock()
    if (size > this.block.length) this.block = Buffer.allocUnsafeSlow(size)
  }

  private closeBlock(): void {
    if (this.blockLength === 0) return
    this.lastKey = new Uint8Array(this.lastKey.subarray(this.lastKeyStart, this.lastKeyEnd))
    this.lastKeyStart = 0
    this.lastKeyEnd = this.lastKey.length
    this.frame(this.block.subarray(0, this.blockLength), 0)
    this.blockLength = 0
    if (this.block.length > BLOCK_BYTES) this.block = Buffer.allocUnsafeSlow(BLOCK_BYTES)
  }

  /** Write a block around `plain`, compressed where that makes it smaller. */
  private frame(plain: Uint8Array, flags: number): void {
    const compressed = this.zstd ? compress(plain) : undefined
    const payloadLength = compressed === undefined ? plain.length : 4 + compressed.length
    const start = this.allot(payloadLength + FRAME_BYTES)
    const chunk = this.chunk
    let at = chunk.writeUInt32LE(1 + payloadLength, start)
    if (compressed === undefined) {
      at = chunk.writeUInt8(flags, at)
      chunk.set(plain, at)
    } else {
      at = chunk.writeUInt8(flags | FLAG_ZSTD, at)
      chunk.set(compressed, chunk.writeUInt32LE(plain.length, at))
    }
    at += payloadLength
    const checksum = crc32(chunk.subarray(start + 4, at))
    chunk.writeUInt32LE(checksum, at)
    this.blocksChecksum = addChecksum(checksum, this.blocksChecksum)
  }

  private append(bytes: Uint8Array): void {
    const start = this.allot(bytes.length)
    this.chunk.set(bytes, start)
  }

  /** The next `size` bytes of the file, as an offset into the chunk. */
  private allot(size: number): number {
    if (this.chunkLength + size > this.chunk.length) {
      this.closeChunk()
      this.chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, size))
    }
    const start = this.chunkLength
    this.chunkLength += size
    this.position += size
    return start
  }

  private closeChunk(): void {
    if (this.chunkLength === 0) return
    this.ready.push(this.chunk.subarray(0, this.chunkLength))
    this.readyBytes += this.chunkLength
    this.chunkLength = 0
  }

  private encodeFooter(indexOffset: number, index: Uint8Array): { footer: Uint8Array; checksum: number } {
    const writer = new ByteWriter(64)
    writer.u64le(indexOffset)
    writer.u32le(index.length / INDEX_ROW_BYTES)
    writer.u32le(crc32(index))
    writer.u64le(this.entries)
    writer.u64le(this.tombstones)
    writer.u32le(this.blocksChecksum)
    const checksum = footerChecksum(this.headerChecksum, writer.view())
    writer.u32le(checksum)
    writer.raw(Buffer.from(SEGMENT_END_MAGIC, 'latin1'))
    return { footer: writer.copy(), checksum }
  }
}

function encodeHeader(segmentId: number, checkpointId: number): Uint8Array {
  assert(Number.isSafeInteger(segmentId) && segmentId >= 0, 'a segment id is an integer from 0 up')
  assert(Number.isSafeInteger(checkpointId) && checkpointId >= 0, 'a checkpoint id is an integer from 0 up')
  const writer = new ByteWriter(64)
  writer.raw(Buffer.from(SEGMENT_MAGIC, 'latin1'))
  writer.u8(SEGMENT_VERSION)
  writer.raw(Buffer.alloc(7))
  writer.u64le(segmentId)
  writer.u64le(checkpointId)
  writer.raw(Buffer.alloc(28))
  writer.u32le(crc32(writer.view()))
  return writer.copy()
}

function compress(plain: Uint8Array): Uint8Array | undefined {
  if (plain.length < COMPRESS_MIN_BYTES || plain.length > COMPRESS_MAX_BYTES) return undefined
  // One chunk that surely holds the result, and the size said in advance: a third faster than the defaults.
  const compressed = zstdCompressSync(plain, {
    params: { [constants.ZSTD_c_compressionLevel]: 1 },
    chunkSize: plain.length + (plain.length >>> 7) + 1024,
    pledgedSrcSize: plain.length,
  })
  return compressed.length + 4 < plain.length ? compressed : undefined
}

function putVarint(bytes: Uint8Array, at: number, value: number): number {
  while (value > 0x7f) {
    bytes[at++] = value | 0x80
    value >>>= 7
  }
  bytes[at++] = value
  return at
}

function putTouch(bytes: Uint8Array, at: number, lastTouchMs: number): number {
  assert(
    Number.isInteger(lastTouchMs) && lastTouchMs >= 0 && lastTouchMs <= MAX_TOUCH_MS,
    'a last touch is whole milliseconds since 1970',
  )
  const high = Math.floor(lastTouchMs / 0x1_0000_0000)
  bytes[at] = lastTouchMs
  bytes[at + 1] = lastTouchMs >>> 8
  bytes[at + 2] = lastTouchMs >>> 16
  bytes[at + 3] = lastTouchMs >>> 24
  bytes[at + 4] = high
  bytes[at + 5] = high >>> 8
  return at + TOUCH_BYTES
}
