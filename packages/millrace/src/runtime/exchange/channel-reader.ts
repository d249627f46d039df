/**
 * The reading end of a channel. Once a barrier has arrived nothing more is read until it is released: what is behind it belongs to
 * the next checkpoint (DESIGN invariant 1).
 */
import type { RowReader } from '../../codec/index.ts'
import { IDLE, MORE, NO_BARRIER, type RingReader } from './ring.ts'

/** What a channel leads to. */
export interface ChannelTarget {
  /** Reads this many records from the reader and processes them. */
  readonly records: (rows: RowReader, count: number) => void
  watermark(time: number): void
  idle(isIdle: boolean): void
}

export class ChannelReader {
  /** The barrier that the channel stands at; NO_BARRIER: at none. */
  barrier = NO_BARRIER
  private readonly ring: RingReader
  private readonly rows: RowReader
  private readonly target: ChannelTarget
  private watermark = -Infinity
  private isIdle = false

  constructor(ring: RingReader, rows: RowReader, target: ChannelTarget) {
    this.ring = ring
    this.rows = rows
    this.target = target
  }

  /** Processes the next page, if there is one and no barrier holds it back. */
  read(): boolean {
    const { ring, rows, target } = this
    if (this.barrier !== NO_BARRIER || !ring.hasPage()) return false
    const { flags, watermark, barrier } = ring
    const hasRecords = ring.bodySize > 0
    if (hasRecords) rows.receive(ring.bytes, ring.bodyOffset, ring.bodyOffset + ring.bodySize)
    ring.take()
    if ((flags & MORE) !== 0) return true
    const isIdle = (flags & IDLE) !== 0
    // Nobody waits for an idle channel, so it is idle only when all it had to say was heard.
    if (this.isIdle && !isIdle) target.idle((this.isIdle = false))
    if (hasRecords) target.records(rows, rows.open())
    if (watermark > this.watermark) target.watermark((this.watermark = watermark))
    if (isIdle && !this.isIdle) target.idle((this.isIdle = true))
    this.barrier = barrier
    return true
  }

  /** The checkpoint of this barrier, or of an older one, is over for this slot: it holds nothing back any more. */
  release(through: number): void {
    if (this.barrier <= through) this.barrier = NO_BARRIER
  }
}
