/**
 * Header, footer and index of a segment, from bytes that are not trusted: whatever is returned fits the file. The layout is in
 * segment-writer.ts. All functions are pure; they throw SNAPSHOT_DAMAGED, or SNAPSHOT_VERSION for the format of a newer Millrace.
 */
import { Buffer } from 'node:buffer'
import { MillraceError } from '../base/errors.ts'
import { crc32 } from '../codec/index.ts'
import type { KeyGroupRow } from './segment-cursor.ts'
import {
  FOOTER_BYTES,
  footerChecksum,
  FRAME_BYTES,
  HEADER_BYTES,
  INDEX_ROW_BYTES,
  MAX_KEY_GROUPS,
  readU32,
  readU64,
  SEGMENT_END_MAGIC,
  SEGMENT_MAGIC,
  SEGMENT_VERSION,
  segmentDamaged,
} from './segment-format.ts'

export interface SegmentHeader {
  readonly segmentId: number
  readonly checkpointId: number
  readonly checksum: number
}

export function readHeader(bytes: Uint8Array, file: string): SegmentHeader {
  if (text(bytes, 0) !== SEGMENT_MAGIC) throw segmentDamaged(file, 0, 'it does not begin like a segment')
  const checksum = readU32(bytes, HEADER_BYTES - 4)
  if (crc32(bytes.subarray(0, HEADER_BYTES - 4)) !== checksum)
    throw segmentDamaged(file, 0, 'the header’s checksum is wrong')
  const version = bytes[8] | (bytes[9] << 8)
  if (version > SEGMENT_VERSION) {
    throw new MillraceError(
      'SNAPSHOT_VERSION',
      `Segment '${file}' has format version ${version}; this millrace reads up to ${SEGMENT_VERSION}. Upgrade millrace.`,
      { context: { file, version } },
    )
  }
  if (version !== SEGMENT_VERSION) throw segmentDamaged(file, 8, `format version ${version} never existed`)
  const segmentId = readU64(bytes, 16)
  const checkpointId = readU64(bytes, 24)
  if (!Number.isSafeInteger(segmentId) || !Number.isSafeInteger(checkpointId)) {
    throw segmentDamaged(file, 16, 'an id is larger than 2^53 - 1')
  }
  return { segmentId, checkpointId, checksum }
}

export interface SegmentFooter {
  readonly indexOffset: number
  readonly indexChecksum: number
  readonly entries: number
  readonly tombstones: number
  readonly blocksChecksum: number
  readonly checksum: number
}

export function readFooter(bytes: Uint8Array, headerChecksum: number, file: string, sizeBytes: number): SegmentFooter {
  const at = sizeBytes - FOOTER_BYTES
  if (text(bytes, 40) !== SEGMENT_END_MAGIC)
    throw segmentDamaged(file, at, 'it does not end like a segment, it may be cut off')
  const checksum = readU32(bytes, 36)
  if (footerChecksum(headerChecksum, bytes.subarray(0, 36)) !== checksum) {
    throw segmentDamaged(file, at, 'the footer’s checksum is wrong')
  }
  const indexOffset = readU64(bytes, 0)
  const rows = readU32(bytes, 8)
  if (
    rows > MAX_KEY_GROUPS ||
    indexOffset + rows * INDEX_ROW_BYTES !== at ||
    indexOffset < HEADER_BYTES + FRAME_BYTES
  ) {
    throw segmentDamaged(file, at, `an index of ${rows} rows at byte ${indexOffset} does not fit the file`)
  }
  const entries = readU64(bytes, 16)
  const tombstones = readU64(bytes, 24)
  if (!Number.isSafeInteger(entries) || tombstones > entries)
    throw segmentDamaged(file, at, 'the numbers of entries make no sense')
  return {
    indexOffset,
    indexChecksum: readU32(bytes, 12),
    entries,
    tombstones,
    blocksChecksum: readU32(bytes, 32),
    checksum,
  }
}

export function readIndex(bytes: Uint8Array, footer: SegmentFooter, file: string): KeyGroupRow[] {
  const { indexOffset } = footer
  if (crc32(bytes) !== footer.indexChecksum) throw segmentDamaged(file, indexOffset, 'the index’s checksum is wrong')
  const rows: KeyGroupRow[] = []
  let keyGroupBefore = -1
  let offset = HEADER_BYTES
  let total = 0
  for (let at = 0; at < bytes.length; at += INDEX_ROW_BYTES) {
    const keyGroup = readU32(bytes, at)
    const entries = readU32(bytes, at + 4)
    const lengthBytes = readU64(bytes, at + 16)
    const plausible =
      keyGroup > keyGroupBefore &&
      keyGroup < MAX_KEY_GROUPS &&
      entries > 0 &&
      readU64(bytes, at + 8) === offset &&
      lengthBytes > FRAME_BYTES &&
      offset + lengthBytes <= indexOffset - FRAME_BYTES
    if (!plausible) throw segmentDamaged(file, indexOffset + at, 'a row of the index makes no sense')
    rows.push({ keyGroup, entries, offset, lengthBytes })
    keyGroupBefore = keyGroup
    offset += lengthBytes
    total += entries
  }
  if (total !== footer.entries) {
    throw segmentDamaged(file, indexOffset, `the index counts ${total} entries, the footer ${footer.entries}`)
  }
  return rows
}

function text(bytes: Uint8Array, at: number): string {
  return Buffer.from(bytes.subarray(at, at + 8)).toString('latin1')
}
