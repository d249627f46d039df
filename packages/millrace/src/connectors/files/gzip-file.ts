/**
 * The decompressed bytes of a gzip file (any number of members). Decompression runs on Node's thread pool and is at most about
 * 0.6 MiB ahead of the reader, however far the data blows up: zlib stops when that much waits to be taken.
 *
 * A position counts decompressed bytes: to resume there, everything before is decompressed again and thrown away.
 */
import { createReadStream, type ReadStream } from 'node:fs'
import { createGunzip, type Gunzip } from 'node:zlib'
import { MillraceError, messageOf } from '../../base/errors.ts'
import type { SourceContext } from '../contract.ts'
import type { ByteStream } from './byte-stream.ts'
import { fileChanged, sourceFailed } from './file-errors.ts'

const READ_AHEAD_BYTES = 512 * 1024
const ZLIB_CHUNK_BYTES = 128 * 1024

export class GzipFile implements ByteStream {
  private readonly path: string
  private readonly sizeBytes: number
  private readonly context: SourceContext
  /** Decompressed bytes to throw away before the first that counts. */
  private skipBytes: number
  private deliveredBytes = 0
  private file: ReadStream | undefined
  private gunzip: Gunzip | undefined
  private failure: MillraceError | undefined
  private ended = false
  private closed = false

  constructor(path: string, offset: number, sizeBytes: number, context: SourceContext) {
    this.path = path
    this.skipBytes = offset
    this.sizeBytes = sizeBytes
    this.context = context
  }

  next(): Buffer | 'blocked' | 'end' {
    const gunzip = (this.gunzip ??= this.start())
    for (;;) {
      if (this.failure !== undefined) throw this.failure
      const chunk: Buffer | null = gunzip.read()
      if (chunk === null) return this.ended ? this.atEnd() : 'blocked'
      this.deliveredBytes += chunk.length
      const skipped = Math.min(chunk.length, this.skipBytes)
      this.skipBytes -= skipped
      if (skipped < chunk.length) return skipped === 0 ? chunk : chunk.subarray(skipped)
    }
  }

  /** Compressed bytes, since the decompressed total is not known. */
  progress(): { done: number; total: number } {
    return {
      done: this.ended ? this.sizeBytes : Math.min(this.gunzip?.bytesWritten ?? 0, this.sizeBytes),
      total: this.sizeBytes,
    }
  }

  async close(): Promise<void> {
    this.closed = true
    this.gunzip?.destroy()
    const file = this.file
    if (file === undefined || file.closed) return
    await new Promise<void>(resolve => {
      file.once('close', resolve)
      file.destroy()
    })
  }

  private start(): Gunzip {
    const file = createReadStream(this.path, { end: this.sizeBytes - 1 })
    const gunzip = createGunzip({ chunkSize: ZLIB_CHUNK_BYTES, readableHighWaterMark: READ_AHEAD_BYTES } as object)
    const wake = () => {
      if (!this.closed) this.context.wake()
    }
    file.on('error', error => {
      this.failure ??= sourceFailed(this.path, 'could not be read', error)
      wake()
    })
    gunzip.on('error', error => {
      this.failure ??= this.damaged(error)
      wake()
    })
    gunzip.on('end', () => {
      this.ended = true
      wake()
    })
    gunzip.on('readable', wake)
    file.pipe(gunzip)
    this.file = file
    return gunzip
  }

  private atEnd(): 'end' {
    if (this.skipBytes > 0) {
      throw fileChanged(
        this.path,
        `decompresses to ${this.deliveredBytes} bytes, but ${this.deliveredBytes + this.skipBytes} were read of it already`,
      )
    }
    return 'end'
  }

  private damaged(cause: unknown): MillraceError {
    return new MillraceError(
      'SOURCE_FAILED',
      `the input file ${this.path} is not intact gzip: ${messageOf(cause)} after byte ${this.deliveredBytes} of its decompressed content. ` +
        'Put an intact file in its place; one that is still being written must be moved into place when it is complete',
      { cause, context: { path: this.path, offset: this.deliveredBytes } },
    )
  }
}
