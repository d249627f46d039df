/**
 * A page while it is filled: rows, text and values grow by themselves until `moveTo` puts them together. The encoders of row-code.ts
 * and row-walk.ts write into its fields, in this order: first everything that can fail or run code of others (what fits, the
 * values), then the row, whole, then its strings.
 */
import { assert } from '../base/assert.ts'
import { ByteWriter } from './byte-writer.ts'
import {
  HEADER_COUNT,
  HEADER_DEFINITIONS,
  HEADER_ROWS_END,
  HEADER_TEXT,
  HEADER_VALUES,
  HEADER_WORDS,
  INITIAL_PAGE_BYTES,
  MAX_KEPT_PAGE_BYTES,
  type RowOptions,
} from './row-format.ts'
import { RowMemory } from './row-memory.ts'
import { BEYOND_LATIN1, nativeText } from './text.ts'
import { encodeParts, encodeValue } from './value.ts'

/** Its memory holds the header and the rows. */
export class FilledPage extends RowMemory {
  /** The word where the next row begins. */
  at = HEADER_WORDS
  count = 0
  /**
   * The strings that are in no chunk yet. Appending makes a tree of them and no copy; they are looked at and copied all at once, which
   * takes 6 ns a string where a loop takes 1 ns a character.
   */
  text = ''
  values = new ByteWriter()
  definitions = new ByteWriter(64)
  /** Arguments of `addParts`. */
  readonly owners: object[] = []
  readonly parts: unknown[] = []
  private chunks = new ByteWriter()
  private readonly hasHash: boolean
  private readonly hasTimestamp: boolean

  constructor(options: RowOptions) {
    super()
    this.hasHash = options.hash
    this.hasTimestamp = options.timestamp
  }

  /** At most what `moveTo` will write: text that was not looked at yet may need two bytes a character. */
  get sizeBytes(): number {
    if (this.count === 0) return 0
    const pending = this.text.length
    return (
      this.at * 4 +
      this.chunks.length +
      (pending === 0 ? 0 : 4 + 2 * pending) +
      this.definitions.length +
      this.values.length
    )
  }

  /** Makes a row and fills in what all rows have; returns its first word. Take `i32` and `f64` afterwards. */
  addRow(tag: number, words: number, hash: number, timestamp: number): number {
    const at = this.at
    if (at + words > this.i32.length) this.useMemory(this.i32.length * 8, this.at * 4)
    this.i32[at] = tag
    if (this.hasHash) this.i32[at + 1] = hash
    if (this.hasTimestamp) this.f64[(at + 2) >> 1] = timestamp
    this.at = at + words
    this.count++
    return at
  }

  /** Adds the value of a row. Throws when it cannot be encoded; then nothing is added. */
  addValue(value: unknown): void {
    const count = this.count
    encodeValue(value, this.values)
    assert(count === this.count, NOT_INSIDE)
  }

  /** Adds `parts` to the values. False when one cannot be encoded; then nothing is added. */
  addParts(ownerCount: number, partCount: number): boolean {
    const { count, owners, parts } = this
    try {
      encodeParts(owners, ownerCount, parts, partCount, this.values)
    } catch {
      return false
    } finally {
      for (let i = 0; i < ownerCount; i++) owners[i] = NOTHING
      for (let i = 0; i < partCount; i++) parts[i] = undefined
    }
    assert(count === this.count, NOT_INSIDE)
    return true
  }

  /** To be called behind a row once `text` is longer than MAX_CHUNK_LENGTH. */
  endChunk(): void {
    const text = this.text
    this.text = ''
    const wide = BEYOND_LATIN1.test(text)
    const size = wide ? text.length * 2 : text.length
    const chunks = this.chunks
    chunks.u32le(size * 2 + (wide ? 1 : 0))
    chunks.ensure(size)
    const { bytes, length } = chunks
    if (wide) nativeText.ucs2Write.call(bytes, text, length, size)
    else nativeText.latin1Write.call(bytes, text, length, size)
    chunks.length += size
  }

  moveTo(target: Uint8Array, offset: number): void {
    if (this.count === 0) return
    if (this.text.length > 0) this.endChunk()
    const { i32, chunks, definitions, values } = this
    i32[HEADER_COUNT] = this.count
    i32[HEADER_ROWS_END] = this.at
    i32[HEADER_TEXT] = chunks.length
    i32[HEADER_DEFINITIONS] = definitions.length
    i32[HEADER_VALUES] = values.length
    target.set(this.bytes.subarray(0, this.at * 4), offset)
    offset += this.at * 4
    for (const part of [chunks, definitions, values]) {
      if (part.length === 0) continue
      target.set(part.view(), offset)
      offset += part.length
    }
    this.clear()
  }

  private clear(): void {
    this.at = HEADER_WORDS
    this.count = 0
    this.chunks = emptied(this.chunks)
    this.definitions = emptied(this.definitions)
    this.values = emptied(this.values)
    if (this.bytes.length > MAX_KEPT_PAGE_BYTES) this.useMemory(INITIAL_PAGE_BYTES, this.at * 4)
  }
}

const NOTHING = {}
const NOT_INSIDE = 'no accessor of a record adds another record'

function emptied(writer: ByteWriter): ByteWriter {
  if (writer.bytes.length > MAX_KEPT_PAGE_BYTES) return new ByteWriter()
  writer.reset()
  return writer
}
