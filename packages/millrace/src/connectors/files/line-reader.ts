/**
 * Cuts the bytes of a split into lines. Subclasses make records of them.
 *
 * - A line ends at LF; a CR before it is dropped. The last line need not end. A byte order mark at the start of the file is dropped.
 * - A followed file's unfinished last line is held back until its LF arrives (its split never ends).
 * - The position is the byte offset of the first line that was not handed out, so resuming is exact.
 * - Bytes that are not UTF-8 are a malformed line, never silently replaced.
 *
 * Hot path: a line within one block costs one search for LF and one decoding into a string of its own (so that no record keeps a
 * block alive), no closure and no promise; bench: about 100 ns for 85 bytes. UTF-8 is checked once per block, which is enough for
 * every line that lies wholly in it, since LF is never part of a longer sequence.
 */
import { isUtf8 } from 'node:buffer'
import type { Json } from '../../base/json.ts'
import type { ReadResult, SourceOutput, SplitReader } from '../contract.ts'
import type { ByteStream } from './byte-stream.ts'
import { MalformedLines, excerptOf } from './malformed-lines.ts'

const LF = 10
const CR = 13
const BYTE_ORDER_MARK = 0xfeff
/** Enough bytes to show the first 200 characters of a line that is too long to be gathered. */
const EXCERPT_BYTES = 800
const NOTHING = Buffer.alloc(0)

export type Encoding = 'utf8' | 'latin1'

export interface LineReaderSetup {
  readonly bytes: ByteStream
  /** Where `bytes` begin in the file. */
  readonly offset: number
  readonly encoding: Encoding
  readonly maxLineBytes: number
  readonly malformed: MalformedLines
}

export abstract class LineReader<T> implements SplitReader<T> {
  private readonly bytes: ByteStream
  private readonly encoding: Encoding
  protected readonly maxLineBytes: number
  protected readonly malformed: MalformedLines

  private chunk: Buffer = NOTHING
  /** Of the chunk in the file. */
  private chunkOffset: number
  /** First byte of the chunk that was not read. */
  private cursor = 0
  /** Whether every whole line of the chunk is known to decode. */
  private chunkDecodes = true

  /** The beginning of a line whose end is in a later chunk. Beyond `maxLineBytes` only an excerpt is kept. */
  private pieces: Buffer[] = []
  private piecesBytes = 0
  private piecesOffset = 0
  private ended = false

  constructor(setup: LineReaderSetup) {
    this.bytes = setup.bytes
    this.chunkOffset = setup.offset
    this.encoding = setup.encoding
    this.maxLineBytes = setup.maxLineBytes
    this.malformed = setup.malformed
  }

  /** One line, without its line break; `endsInCr` tells which one it had. `offset` is where it starts in the file. */
  protected abstract line(text: string, offset: number, endsInCr: boolean, output: SourceOutput<T>): void

  /** A line that could not be decoded. */
  protected brokenLine(text: string, offset: number, reason: string, output: SourceOutput<T>): void {
    this.malformed.report(offset, text, reason, output)
  }

  /** After the last line of a split that ends. */
  protected endOfLines(_output: SourceOutput<T>): void {}

  /** Every line counts against `maxRecords`, so that a call is bounded whatever the lines hold. */
  read(output: SourceOutput<T>, maxRecords: number): ReadResult {
    for (let count = 0; count < maxRecords; count++) {
      const from = this.cursor
      const newline = this.chunk.indexOf(LF, from)
      if (newline === -1) {
        const result = this.nextChunk(output)
        if (result !== 'more') return result
      } else if (this.piecesBytes === 0) {
        this.cursor = newline + 1
        this.decode(this.chunk, from, newline, this.chunkOffset + from, this.chunkDecodes, true, output)
      } else {
        this.gather(newline)
        this.cursor = newline + 1
        this.decodeGathered(true, output)
      }
    }
    return 'more'
  }

  position(): Json {
    return { offset: this.nextOffset() }
  }

  progress(): { done: number; total: number | undefined; unit: 'bytes' } {
    const { done, total } = this.bytes.progress()
    return { done, total, unit: 'bytes' }
  }

  close(): Promise<void> {
    return this.bytes.close()
  }

  /** Where the first line starts that was not handed to `line`. */
  protected nextOffset(): number {
    return this.piecesBytes > 0 ? this.piecesOffset : this.chunkOffset + this.cursor
  }

  private nextChunk(output: SourceOutput<T>): ReadResult {
    if (this.ended) return 'end'
    if (this.cursor < this.chunk.length) this.gather(this.chunk.length)
    this.chunkOffset += this.chunk.length
    this.chunk = NOTHING
    this.cursor = 0
    const next = this.bytes.next()
    if (typeof next === 'string') {
      if (next === 'end') this.finish(output)
      return next
    }
    this.chunk = next
    const firstWhole = this.piecesBytes > 0 ? next.indexOf(LF) + 1 : 0
    this.chunkDecodes = this.encoding === 'latin1' || isUtf8(next.subarray(firstWhole, next.lastIndexOf(LF) + 1))
    return 'more'
  }

  private finish(output: SourceOutput<T>): void {
    this.ended = true
    if (this.piecesBytes > 0) this.decodeGathered(false, output)
    this.endOfLines(output)
  }

  /** Keeps the chunk's bytes from the cursor up to `end`, which belong to a line that began earlier or ends later. */
  private gather(end: number): void {
    if (this.piecesBytes === 0) this.piecesOffset = this.chunkOffset + this.cursor
    const size = end - this.cursor
    if (this.piecesBytes + size <= this.maxLineBytes) {
      this.pieces.push(Buffer.from(this.chunk.subarray(this.cursor, end)))
    } else if (this.piecesBytes <= this.maxLineBytes) {
      const begin = Buffer.concat([
        ...this.pieces,
        this.chunk.subarray(this.cursor, Math.min(end, this.cursor + EXCERPT_BYTES)),
      ])
      this.pieces = [Buffer.from(begin.subarray(0, EXCERPT_BYTES))]
    }
    this.piecesBytes += size
    this.cursor = end
  }

  private decodeGathered(endsInLf: boolean, output: SourceOutput<T>): void {
    const line = this.pieces.length === 1 ? this.pieces[0] : Buffer.concat(this.pieces)
    const sizeBytes = this.piecesBytes
    this.pieces = []
    this.piecesBytes = 0
    if (sizeBytes > this.maxLineBytes) this.tooLong(line, 0, sizeBytes, this.piecesOffset, output)
    else this.decode(line, 0, sizeBytes, this.piecesOffset, false, endsInLf, output)
  }

  private decode(
    bytes: Buffer,
    from: number,
    end: number,
    offset: number,
    decodes: boolean,
    endsInLf: boolean,
    output: SourceOutput<T>,
  ): void {
    if (end - from > this.maxLineBytes) return this.tooLong(bytes, from, end - from, offset, output)
    const endsInCr = endsInLf && end > from && bytes[end - 1] === CR
    if (endsInCr) end--
    let text = bytes.toString(this.encoding, from, end)
    if (!decodes && this.encoding === 'utf8' && !isUtf8(bytes.subarray(from, end))) {
      return this.brokenLine(text, offset, 'the line is not valid UTF-8', output)
    }
    if (offset === 0 && text.charCodeAt(0) === BYTE_ORDER_MARK) {
      text = text.slice(1)
      if (text === '' && !endsInLf) return
    }
    this.line(text, offset, endsInCr, output)
  }

  private tooLong(bytes: Buffer, from: number, sizeBytes: number, offset: number, output: SourceOutput<T>): void {
    const text = excerptOf(bytes.toString(this.encoding, from, Math.min(bytes.length, from + EXCERPT_BYTES)))
    this.brokenLine(
      text,
      offset,
      `the line has ${sizeBytes} bytes, more than maxLineBytes (${this.maxLineBytes})`,
      output,
    )
  }
}

/** Every line is a record. */
export class TextReader extends LineReader<string> {
  protected override line(text: string, _offset: number, _endsInCr: boolean, output: SourceOutput<string>): void {
    output.record(text)
  }
}
