/**
 * The file sources. A split is a file: its id is the path as matched, its detail `{ size }` in bytes when it was listed first. A
 * position is `{ offset }` in bytes (decompressed bytes of a gzip file), for CSV `{ offset, columns }`.
 *
 * A bounded source reads each file up to `size` and never beyond. A followed one reads whatever is appended and lists new files
 * every second. A `.gz` is read as what it holds when it is opened, followed or not: it must be complete when it appears, so move
 * it into place.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { MillraceError } from '../../base/errors.ts'
import { isJsonObject, type Json } from '../../base/json.ts'
import type { Source, SourceContext, Split, SplitReader } from '../contract.ts'
import type { ByteStream } from './byte-stream.ts'
import { fileChanged, sourceFailed } from './file-errors.ts'
import { findFiles, isGzipName } from './find-files.ts'
import { GzipFile } from './gzip-file.ts'
import type { Encoding, LineReaderSetup } from './line-reader.ts'
import { MalformedLines, type MalformedTag } from './malformed-lines.ts'
import { PlainFile } from './plain-file.ts'

const DISCOVER_EVERY_MS = 1000

export interface FileSourceShape<T> {
  readonly type: string
  readonly patterns: readonly string[]
  readonly follow: boolean
  readonly malformed: MalformedTag | undefined
  readonly maxLineBytes: number
  readonly encoding: Encoding
  /** @param position what an earlier reader's `position()` returned; its offset is in `setup` already */
  readonly reader: (setup: LineReaderSetup, position: { readonly [name: string]: Json }) => SplitReader<T>
}

export class FileSource<T> implements Source<T> {
  readonly type: string
  readonly bounded: boolean
  readonly discoverEveryMs?: number
  private readonly shape: FileSourceShape<T>

  constructor(shape: FileSourceShape<T>) {
    this.type = shape.type
    this.bounded = !shape.follow
    if (shape.follow) this.discoverEveryMs = DISCOVER_EVERY_MS
    this.shape = shape
  }

  async enumerate(): Promise<readonly Split[]> {
    const files = findFiles(this.shape.patterns, this.shape.follow)
    return files.map(file => ({ id: file.path, detail: { size: file.sizeBytes } }))
  }

  async open(split: Split, position: Json | undefined, context: SourceContext): Promise<SplitReader<T>> {
    const path = split.id
    const resumeAt = position === undefined ? {} : checkedPosition(path, position)
    const offset = position === undefined ? 0 : (resumeAt['offset'] as number)
    const setup: LineReaderSetup = {
      bytes: this.openBytes(path, offset, checkedSize(split), context),
      offset,
      encoding: this.shape.encoding,
      maxLineBytes: this.shape.maxLineBytes,
      malformed: new MalformedLines(path, this.shape.malformed, context),
    }
    return this.shape.reader(setup, resumeAt)
  }

  private openBytes(path: string, offset: number, listedSize: number, context: SourceContext): ByteStream {
    const { sizeBytes, gzip } = lookAt(path)
    const endOffset = this.shape.follow ? sizeBytes : listedSize
    if (sizeBytes < endOffset)
      throw fileChanged(path, `has ${sizeBytes} bytes, but it had ${listedSize} when it was listed`)
    if (gzip) return new GzipFile(path, offset, endOffset, context)
    if (sizeBytes < offset) throw fileChanged(path, `has ${sizeBytes} bytes, but ${offset} were read of it already`)
    return new PlainFile(path, offset, this.shape.follow ? Infinity : endOffset, context)
  }
}

function lookAt(path: string): { sizeBytes: number; gzip: boolean } {
  try {
    const stats = statSync(path)
    if (!stats.isFile())
      throw new MillraceError('SOURCE_FAILED', `the input ${path} is not a regular file any more`, {
        context: { path },
      })
    return { sizeBytes: stats.size, gzip: isGzipName(path) && hasGzipMagic(path) }
  } catch (error) {
    throw sourceFailed(path, 'could not be opened', error)
  }
}

/** The name alone does not make it gzip: some tools decompress a file and leave its name. */
function hasGzipMagic(path: string): boolean {
  const descriptor = openSync(path, 'r')
  try {
    const magic = Buffer.alloc(2)
    return readSync(descriptor, magic, 0, 2, 0) === 2 && magic[0] === 0x1f && magic[1] === 0x8b
  } finally {
    closeSync(descriptor)
  }
}

function checkedSize(split: Split): number {
  const size = isJsonObject(split.detail) ? split.detail['size'] : undefined
  if (!isByteCount(size)) throw damaged(split.id, 'split', split.detail)
  return size
}

function checkedPosition(path: string, position: Json): { readonly [name: string]: Json } {
  if (!isJsonObject(position) || !isByteCount(position['offset'])) throw damaged(path, 'position', position)
  return position
}

function isByteCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function damaged(path: string, what: string, found: Json): MillraceError {
  return new MillraceError(
    'SNAPSHOT_DAMAGED',
    `the ${what} of the input file ${path} in the snapshot is ${JSON.stringify(found)?.slice(0, 200)}, which is none`,
  )
}
