/**
 * The constants of segment format v1. The layout itself is described in segment-writer.ts, which writes it; segment-reader.ts,
 * segment-scan.ts and segment-cursor.ts read it.
 */
import { Buffer } from 'node:buffer'
import { MillraceError } from '../base/errors.ts'
import { crc32 } from '../codec/index.ts'

export const SEGMENT_MAGIC = 'MRSEG001'
export const SEGMENT_END_MAGIC = 'MRSEGEND'
export const SEGMENT_VERSION = 1

export const HEADER_BYTES = 64
export const FOOTER_BYTES = 48
export const INDEX_ROW_BYTES = 24
/** Around a block's payload: u32 length before, u8 flags, u32 crc32 after. */
export const FRAME_BYTES = 9

export const FLAG_ZSTD = 1
export const FLAG_DICTIONARY = 2

export type EntryOp = 0 | 1 | 2
export const ENTRY_PUT = 0
export const ENTRY_TOMBSTONE = 1
/** A put of a state with a time to live: carries the last touch. */
export const ENTRY_PUT_TOUCHED = 2

/** u48 milliseconds: until the year 10889. */
export const TOUCH_BYTES = 6
export const MAX_TOUCH_MS = 2 ** 48 - 1

/** Key group and state id. */
export const KEY_PREFIX_BYTES = 4
/** A key and a namespace (a map key) of 64 KiB each, which escaping at most doubles, with room to spare. */
export const MAX_KEY_BYTES = 1024 * 1024
export const MAX_VALUE_BYTES = 256 * 1024 * 1024
/** A value of the largest size makes a block of its own. Nothing longer is ever read or decompressed. */
export const MAX_BLOCK_BYTES = MAX_VALUE_BYTES + MAX_KEY_BYTES + 64
export const MAX_DICTIONARY_BYTES = 4 * 1024 * 1024
/** A key group is a u16 in every key. */
export const MAX_KEY_GROUPS = 65_536

/** A u64 as a number. Above 2^53 it is not exact, but still above everything that it is compared with. */
export function readU64(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at) + readU32(bytes, at + 4) * 0x1_0000_0000
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
}

/** The checksum of a sequence of checksums, as little-endian u32: `sum` is that of those before. */
export function addChecksum(checksum: number, sum = 0): number {
  const field = Buffer.allocUnsafe(4)
  field.writeUInt32LE(checksum)
  return crc32(field, sum)
}

/** Over the header's crc32 field and the footer's bytes before its own. */
export function footerChecksum(headerChecksum: number, footerStart: Uint8Array): number {
  return crc32(footerStart, addChecksum(headerChecksum))
}

/** SNAPSHOT_DAMAGED, with the file, what is wrong, and where. */
export function segmentDamaged(file: string, offset: number, problem: string, cause?: unknown): MillraceError {
  return new MillraceError('SNAPSHOT_DAMAGED', `Segment '${file}' is damaged at byte ${offset}: ${problem}.`, {
    context: { file, offset, problem },
    hint: 'Run millrace fsck to see what else is damaged.',
    cause,
  })
}
