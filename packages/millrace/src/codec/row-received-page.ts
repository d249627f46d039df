/**
 * A page that has arrived: a copy of its bytes, since the sender fills their place again. The decoders of row-code.ts and row-walk.ts
 * read rows from its fields; strings and values are taken in the order of the rows, so each row has to be decoded once, in turn.
 */
import { ByteReader } from './byte-reader.ts'
import {
  HEADER_COUNT,
  HEADER_DEFINITIONS,
  HEADER_ROWS_END,
  HEADER_TEXT,
  HEADER_VALUES,
  HEADER_WORDS,
  INITIAL_PAGE_BYTES,
  MAX_KEPT_PAGE_BYTES,
} from './row-format.ts'
import { RowMemory } from './row-memory.ts'
import { nativeText } from './text.ts'
import { decodeParts } from './value.ts'

/** Its memory holds all of its bytes. */
export class ReceivedPage extends RowMemory {
  private sizeBytes = 0
  /** The word where the next row begins. */
  at = HEADER_WORDS
  /** Rows that are still to be read. */
  left = 0
  /** The chunk that the strings of the next row are cut from, and where. At its end `nextText` gives the next chunk. */
  text = ''
  textAt = 0
  private readonly chunks = new ByteReader()
  readonly definitions = new ByteReader()
  readonly values = new ByteReader()
  /** Arguments of `takeParts`. */
  readonly owners: object[] = []
  readonly parts: unknown[] = []

  receive(bytes: Uint8Array, start: number, end: number): void {
    const size = this.sizeBytes + end - start
    if (size > this.bytes.length)
      this.useMemory(Math.max(this.bytes.length * 2, Math.ceil(size / 8) * 8), this.sizeBytes)
    this.bytes.set(bytes.subarray(start, end), this.sizeBytes)
    this.sizeBytes = size
  }

  /** Begins to read what was received: a page, or nothing. */
  open(): void {
    if (this.sizeBytes === 0) return
    const { i32, bytes } = this
    this.left = i32[HEADER_COUNT]
    this.at = HEADER_WORDS
    const textStart = i32[HEADER_ROWS_END] * 4
    const definitionsStart = textStart + i32[HEADER_TEXT]
    const valuesStart = definitionsStart + i32[HEADER_DEFINITIONS]
    this.chunks.reset(bytes, textStart, definitionsStart)
    this.definitions.reset(bytes, definitionsStart, valuesStart)
    this.values.reset(bytes, valuesStart, valuesStart + i32[HEADER_VALUES])
  }

  /** Makes room for the next page. To be called when no row is left. */
  close(): void {
    this.sizeBytes = 0
    this.text = ''
    this.textAt = 0
    this.owners.length = 0
    this.parts.length = 0
    if (this.bytes.length > MAX_KEPT_PAGE_BYTES) this.useMemory(INITIAL_PAGE_BYTES, this.sizeBytes)
  }

  /** The next chunk, also as `text`; when there is none, rows with empty strings alone may follow. */
  nextText(): string {
    const chunks = this.chunks
    if (chunks.remaining() === 0) return this.text
    const head = chunks.u32le()
    const start = chunks.offset
    chunks.skip(head >>> 1)
    this.textAt = 0
    return (this.text =
      (head & 1) === 1
        ? nativeText.ucs2Slice.call(this.bytes, start, chunks.offset)
        : nativeText.latin1Slice.call(this.bytes, start, chunks.offset))
  }

  /** Reads the values of a row into `parts`. */
  takeParts(ownerCount: number, partCount: number): void {
    decodeParts(this.values, this.owners, ownerCount, this.parts, partCount)
  }
}
