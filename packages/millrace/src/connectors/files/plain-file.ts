/**
 * The bytes of a plain file, read synchronously in blocks by the slot's own thread: on a warm page cache that is faster than any
 * stream, and a slot has nothing else to do meanwhile.
 *
 * A bounded file ends at the size it had when it was listed, whatever was appended since. A followed file never ends: at its present
 * end it is looked at again every 200 ms, and must still be the same file (inode) and at least as long as what was read of it.
 * The descriptor and the block are held only while there is something to read, since a source may have thousands of splits.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import type { ByteStream } from './byte-stream.ts'
import { fileChanged, sourceFailed } from './file-errors.ts'
import type { SourceContext } from '../contract.ts'

const BLOCK_SIZE_BYTES = 256 * 1024
const POLL_EVERY_MS = 200

export class PlainFile implements ByteStream {
  private readonly path: string
  private offset: number
  /** Where a bounded file ends; Infinity for a followed one. */
  private readonly endOffset: number
  private readonly blockSizeBytes: number
  private readonly context: SourceContext
  private descriptor: number | undefined
  private block: Buffer | undefined
  private inode = 0
  private nextPollMs = 0

  constructor(
    path: string,
    offset: number,
    endOffset: number,
    context: SourceContext,
    blockSizeBytes = BLOCK_SIZE_BYTES,
  ) {
    this.path = path
    this.offset = offset
    this.endOffset = endOffset
    this.context = context
    this.blockSizeBytes = blockSizeBytes
  }

  next(): Buffer | 'caught-up' | 'end' {
    if (this.offset >= this.endOffset) {
      this.release()
      return 'end'
    }
    if (this.nextPollMs !== 0 && !this.hasGrown()) return 'caught-up'
    this.block ??= Buffer.allocUnsafeSlow(Math.min(this.blockSizeBytes, this.endOffset - this.offset))
    const size = this.readBlock(this.block)
    if (size > 0) {
      this.offset += size
      return this.block.subarray(0, size)
    }
    if (this.endOffset !== Infinity) {
      throw fileChanged(this.path, `ends at byte ${this.offset}, but it had ${this.endOffset} bytes when it was listed`)
    }
    this.block = undefined
    this.pollLater()
    return 'caught-up'
  }

  progress(): { done: number; total: number | undefined } {
    return { done: this.offset, total: this.endOffset === Infinity ? undefined : this.endOffset }
  }

  async close(): Promise<void> {
    this.release()
  }

  private readBlock(block: Buffer): number {
    try {
      if (this.descriptor === undefined) {
        this.descriptor = openSync(this.path, 'r')
        this.inode = fstatSync(this.descriptor).ino
      }
      return readSync(this.descriptor, block, 0, Math.min(block.length, this.endOffset - this.offset), this.offset)
    } catch (error) {
      throw sourceFailed(this.path, `could not be read at byte ${this.offset}`, error)
    }
  }

  /** At the end of a followed file. One stat per poll, not one per call: other splits keep the slot busy meanwhile. */
  private hasGrown(): boolean {
    const nowMs = this.context.now()
    if (nowMs < this.nextPollMs) {
      this.context.wakeAt(this.nextPollMs)
      return false
    }
    let stats
    try {
      stats = statSync(this.path)
    } catch (error) {
      throw sourceFailed(this.path, 'could not be looked at', error)
    }
    if (stats.ino !== this.inode) throw fileChanged(this.path, 'was replaced by another file while it was followed')
    if (stats.size < this.offset)
      throw fileChanged(this.path, `now has ${stats.size} bytes, but ${this.offset} were read of it already`)
    if (stats.size === this.offset) {
      this.pollLater()
      return false
    }
    this.nextPollMs = 0
    return true
  }

  private pollLater(): void {
    this.nextPollMs = this.context.now() + POLL_EVERY_MS
    this.context.wakeAt(this.nextPollMs)
  }

  private release(): void {
    this.block = undefined
    if (this.descriptor === undefined) return
    closeSync(this.descriptor)
    this.descriptor = undefined
  }
}
