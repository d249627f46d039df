/**
 * Opens a segment: header, footer, index and dictionary are read and checked, so that what is handed out later (offsets, lengths,
 * counts) is known to lie within the object. Blocks are checked when they are read. The layout is in segment-writer.ts.
 *
 * Key-group ranges are half open: from `keyGroupStart` to before `keyGroupEnd`.
 */
import { MillraceError } from '../base/errors.ts'
import type { ReadableStore } from '../store/index.ts'
import type { SegmentRef } from './manifest-types.ts'
import { type Block, BlockCursor, type KeyGroupRow } from './segment-cursor.ts'
import { decodeDictionary, type SegmentDictionary } from './segment-dictionary.ts'
import {
  addChecksum,
  ENTRY_TOMBSTONE,
  FLAG_DICTIONARY,
  FOOTER_BYTES,
  FRAME_BYTES,
  HEADER_BYTES,
  MAX_DICTIONARY_BYTES,
  MAX_KEY_GROUPS,
  readU32,
  segmentDamaged,
} from './segment-format.ts'
import { readFooter, readHeader, readIndex, type SegmentFooter, type SegmentHeader } from './segment-outline.ts'
import { openFrame, readExactly, type ScanOptions, SegmentScan } from './segment-scan.ts'

/** What a manifest knows of a segment, or just its name. */
export type SegmentName = Pick<SegmentRef, 'file'> & Partial<SegmentRef>

/** Dictionary, index and footer of most segments fit the first read. */
const TAIL_BYTES = 64 * 1024

/** What a segment says about its blocks. */
export interface SegmentOutline {
  readonly sizeBytes: number
  readonly header: SegmentHeader
  readonly footer: SegmentFooter
  /** The key groups that have entries, ascending. */
  readonly keyGroups: readonly KeyGroupRow[]
  readonly dictionary: SegmentDictionary
  /** The crc32 of the dictionary's block. */
  readonly dictionaryChecksum: number
}

export class SegmentReader {
  readonly store: ReadableStore
  readonly file: string
  readonly outline: SegmentOutline
  readonly dictionary: SegmentDictionary

  constructor(store: ReadableStore, file: string, outline: SegmentOutline) {
    this.store = store
    this.file = file
    this.outline = outline
    this.dictionary = outline.dictionary
  }

  /** Entries of a range of key groups, in ascending order of their keys; see SegmentScan for how to loop. */
  scan(keyGroupStart = 0, keyGroupEnd = MAX_KEY_GROUPS, options: ScanOptions = {}): SegmentScan {
    const rows = this.outline.keyGroups.filter(({ keyGroup }) => keyGroup >= keyGroupStart && keyGroup < keyGroupEnd)
    return new SegmentScan(this, rows, options)
  }

  /** The blocks of a range, for a BlockCursor. */
  async *blocks(
    keyGroupStart = 0,
    keyGroupEnd = MAX_KEY_GROUPS,
    options: ScanOptions = {},
  ): AsyncGenerator<Block, void, undefined> {
    const scan = this.scan(keyGroupStart, keyGroupEnd, options)
    while (scan.needsRefill) {
      await scan.refill()
      for (let block = scan.nextBlock(); block !== undefined; block = scan.nextBlock()) yield block
    }
  }
}

/**
 * Throws OBJECT_MISSING, SNAPSHOT_DAMAGED, or SNAPSHOT_VERSION for the format of a newer Millrace. Given a manifest's reference, the
 * segment must be the very one it refers to.
 */
export async function openSegment(store: ReadableStore, ref: SegmentName): Promise<SegmentReader> {
  const { file } = ref
  const sizeBytes = await store.size(file)
  if (sizeBytes === undefined) {
    throw new MillraceError('OBJECT_MISSING', `Segment '${file}' is missing in ${store.location}.`, {
      context: { file },
    })
  }
  if (sizeBytes < HEADER_BYTES + FRAME_BYTES + FOOTER_BYTES) {
    throw segmentDamaged(file, sizeBytes, `the file is cut off, it has only ${sizeBytes} bytes`)
  }
  const header = readHeader(await readExactly(store, file, 0, HEADER_BYTES), file)
  const tail = await readTail(store, file, sizeBytes)
  const footerStart = sizeBytes - FOOTER_BYTES
  const footer = readFooter(await tail(footerStart, sizeBytes), header.checksum, file, sizeBytes)
  const keyGroups = readIndex(await tail(footer.indexOffset, footerStart), footer, file)
  const last = keyGroups.at(-1)
  const blocksEnd = last === undefined ? HEADER_BYTES : last.offset + last.lengthBytes
  if (footer.indexOffset - blocksEnd > MAX_DICTIONARY_BYTES + FRAME_BYTES) {
    throw segmentDamaged(file, blocksEnd, 'the dictionary is too long')
  }
  const frame = await tail(blocksEnd, footer.indexOffset)
  const dictionary = readDictionary(frame, file, blocksEnd)
  if (last !== undefined && last.keyGroup >= dictionary.maxParallelism) {
    throw segmentDamaged(file, footer.indexOffset, `key group ${last.keyGroup} is not below its max parallelism`)
  }
  const dictionaryChecksum = readU32(frame, frame.length - 4)
  const outline = { sizeBytes, header, footer, keyGroups, dictionary, dictionaryChecksum }
  checkReference(outline, ref)
  return new SegmentReader(store, file, outline)
}

/** Reads every byte of a segment and checks it. Throws at the first damage, as `openSegment` does; resolves to what it counted. */
export async function verifySegment(
  store: ReadableStore,
  ref: SegmentName,
): Promise<{ readonly entries: number; readonly tombstones: number }> {
  const reader = await openSegment(store, ref)
  const { footer, dictionaryChecksum, sizeBytes } = reader.outline
  const cursor = new BlockCursor(reader)
  let entries = 0
  let tombstones = 0
  let blocksChecksum = 0
  for await (const block of reader.blocks()) {
    cursor.open(block)
    while (cursor.next()) {
      entries++
      if (cursor.op === ENTRY_TOMBSTONE) tombstones++
    }
    blocksChecksum = addChecksum(block.checksum, blocksChecksum)
  }
  const wrong = (problem: string): Error => segmentDamaged(reader.file, sizeBytes - FOOTER_BYTES, problem)
  if (tombstones !== footer.tombstones)
    throw wrong(`it has ${tombstones} tombstones, its footer says ${footer.tombstones}`)
  if (addChecksum(dictionaryChecksum, blocksChecksum) !== footer.blocksChecksum) {
    throw wrong('its blocks are not those that its footer was written for')
  }
  return { entries, tombstones }
}

type TailRead = (start: number, end: number) => Promise<Uint8Array>

/** Reads near the end of the file, most of them out of one request to the store. */
async function readTail(store: ReadableStore, file: string, sizeBytes: number): Promise<TailRead> {
  const tailStart = Math.max(0, sizeBytes - TAIL_BYTES)
  const bytes = await readExactly(store, file, tailStart, sizeBytes - tailStart)
  return async (start, end) => {
    if (start < tailStart) return readExactly(store, file, start, end - start)
    return bytes.subarray(start - tailStart, end - tailStart)
  }
}

function readDictionary(frame: Uint8Array, file: string, offset: number): SegmentDictionary {
  const length = readU32(frame, 0)
  if (length !== frame.length - FRAME_BYTES + 1) {
    throw segmentDamaged(file, offset, `the dictionary says it is ${length} bytes long, which cannot be`)
  }
  const { flags, plain } = openFrame(frame, file, offset, MAX_DICTIONARY_BYTES)
  if ((flags & FLAG_DICTIONARY) === 0)
    throw segmentDamaged(file, offset, 'entries stand where the dictionary should be')
  return decodeDictionary(plain, file, offset)
}

function checkReference(outline: SegmentOutline, ref: SegmentName): void {
  const { sizeBytes, dictionary, footer } = outline
  const found = {
    sizeBytes,
    entries: footer.entries,
    tombstones: footer.tombstones,
    checksum: footer.checksum,
    maxParallelism: dictionary.maxParallelism,
  }
  for (const fact of Object.keys(found) as (keyof typeof found)[]) {
    const expected = ref[fact]
    if (expected === undefined || expected === found[fact]) continue
    const problem = `it is not the file that the snapshot refers to, its ${fact} is ${found[fact]} and not ${expected}`
    throw segmentDamaged(ref.file, sizeBytes - FOOTER_BYTES, problem)
  }
  const [start, end] = ref.keyGroups ?? [0, MAX_KEY_GROUPS]
  for (const row of [outline.keyGroups[0], outline.keyGroups.at(-1)]) {
    if (row === undefined || (row.keyGroup >= start && row.keyGroup < end)) continue
    const problem = `it has entries of key group ${row.keyGroup}, the snapshot says ${start} to ${end - 1}`
    throw segmentDamaged(ref.file, sizeBytes - FOOTER_BYTES, problem)
  }
}
