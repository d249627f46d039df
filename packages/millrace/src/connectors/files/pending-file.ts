/**
 * A part in the making: appended to through a text buffer, one write per 128 Ki characters, synchronously, so that a full disk is
 * noticed at the record that met it.
 */
import { close, closeSync, fsync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { sinkFailed } from './file-errors.ts'

const FLUSH_CHARACTERS = 128 * 1024
const fsyncFile = promisify(fsync)
const closeFile = promisify(close)

export class PendingFile {
  readonly name: string
  readonly path: string
  readonly openedAtMs: number
  /** Written so far, without what is still in the buffer. */
  sizeBytes: number
  private readonly descriptor: number
  private buffer = ''
  private readonly flushCharacters: number

  private constructor(
    path: string,
    name: string,
    descriptor: number,
    sizeBytes: number,
    openedAtMs: number,
    rollSizeBytes: number,
  ) {
    this.path = path
    this.name = name
    this.descriptor = descriptor
    this.sizeBytes = sizeBytes
    this.openedAtMs = openedAtMs
    this.flushCharacters = Math.min(FLUSH_CHARACTERS, rollSizeBytes)
  }

  /** A new file; the name must not be taken. */
  static create(dir: string, name: string, openedAtMs: number, rollSizeBytes: number): PendingFile {
    const path = join(dir, name)
    try {
      return new PendingFile(path, name, openSync(path, 'wx'), 0, openedAtMs, rollSizeBytes)
    } catch (error) {
      throw sinkFailed(path, 'could not be created', error)
    }
  }

  /** An existing file, cut to its first `sizeBytes`, to be continued there. */
  static continue(
    dir: string,
    name: string,
    sizeBytes: number,
    openedAtMs: number,
    rollSizeBytes: number,
  ): PendingFile {
    const path = join(dir, name)
    try {
      const descriptor = openSync(path, 'r+')
      ftruncateSync(descriptor, sizeBytes)
      return new PendingFile(path, name, descriptor, sizeBytes, openedAtMs, rollSizeBytes)
    } catch (error) {
      throw sinkFailed(path, 'could not be opened to continue it', error)
    }
  }

  append(text: string): void {
    this.buffer += text
    if (this.buffer.length >= this.flushCharacters) this.flush()
  }

  /** A disk that is nearly full takes a part of a write and refuses the next: so write until all is taken. */
  flush(): void {
    if (this.buffer === '') return
    const bytes = Buffer.from(this.buffer, 'utf8')
    this.buffer = ''
    try {
      for (let at = 0; at < bytes.length;) {
        const written = writeSync(this.descriptor, bytes, at, bytes.length - at, this.sizeBytes)
        at += written
        this.sizeBytes += written
      }
    } catch (error) {
      throw sinkFailed(this.path, 'could not be written', error)
    }
  }

  async sync(): Promise<void> {
    try {
      await fsyncFile(this.descriptor)
    } catch (error) {
      throw sinkFailed(this.path, 'could not be synced to the disk', error)
    }
  }

  async close(): Promise<void> {
    await closeFile(this.descriptor)
  }

  /** Without what is still in the buffer. */
  abandon(): void {
    closeSync(this.descriptor)
  }
}
