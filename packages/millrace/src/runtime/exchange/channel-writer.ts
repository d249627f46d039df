/**
 * The writing end of a channel: collects records into a page and puts full ones into the ring.
 *
 * A step is never stopped in its middle, so what it writes when the ring is full goes to overdraft pages on this side's heap, which go
 * out first. A slot steps nothing that writes here while `hasRoom` is false, so they are bounded by what one step makes of its input.
 */
import { RowWriter } from '../../codec/index.ts'
import { BODY_BYTES, IDLE, MORE, NO_BARRIER, type RingWriter } from './ring.ts'

/** Records behind this do not fit a page any more, mostly: one that does not is sent in two parts. */
const TARGET_BYTES = BODY_BYTES - 2 * 1024

interface Overdraft {
  readonly body: Uint8Array
  readonly flags: number
  readonly watermark: number
  readonly barrier: number
}

export class ChannelWriter {
  private readonly ring: RingWriter
  private readonly rows: RowWriter
  private readonly overdraft: Overdraft[] = []
  private watermark = -Infinity
  private isIdle = false
  /** Watermark or idleness changed since the last page. */
  private changed = false

  constructor(ring: RingWriter, rows: RowWriter) {
    this.ring = ring
    this.rows = rows
  }

  add(record: unknown, hash: number, timestamp: number): void {
    this.rows.add(record, hash, timestamp)
    if (this.rows.sizeBytes >= TARGET_BYTES) this.seal(NO_BARRIER)
  }

  /** Goes out with the page that is being filled, behind its records. */
  setWatermark(time: number): void {
    this.watermark = time
    this.changed = true
  }

  /** A page is idle or is not, with all that is in it. */
  setIdle(isIdle: boolean): void {
    this.flush()
    this.isIdle = isIdle
    this.changed = true
  }

  /** Behind all records so far. */
  writeBarrier(id: number): void {
    this.seal(id)
  }

  flush(): void {
    if (this.rows.count > 0 || this.changed) this.seal(NO_BARRIER)
  }

  /** Whether a step may write here. */
  hasRoom(): boolean {
    return this.overdraft.length === 0 && this.ring.freePages > 0
  }

  private seal(barrier: number): void {
    const { ring, rows, watermark } = this
    const sizeBytes = rows.sizeBytes
    const flags = this.isIdle ? IDLE : 0
    this.changed = false
    if (this.overdraft.length === 0 && sizeBytes <= BODY_BYTES && ring.freePages > 0) {
      if (sizeBytes > 0) rows.moveTo(ring.bytes, ring.bodyOffset)
      ring.publish(flags, sizeBytes, watermark, barrier)
      return
    }
    const page = new Uint8Array(sizeBytes)
    if (sizeBytes > 0) rows.moveTo(page, 0)
    let start = 0
    for (; sizeBytes - start > BODY_BYTES; start += BODY_BYTES) {
      const body = page.subarray(start, start + BODY_BYTES)
      this.overdraft.push({ body, flags: flags | MORE, watermark, barrier: NO_BARRIER })
    }
    this.overdraft.push({ body: page.subarray(start), flags, watermark, barrier })
    this.sendOverdraft()
  }

  /** Sends what did not fit, as far as the reader has made room meanwhile. */
  sendOverdraft(): void {
    const { ring, overdraft } = this
    if (overdraft.length === 0) return
    let sent = 0
    for (; sent < overdraft.length && ring.freePages > 0; sent++) {
      const { body, flags, watermark, barrier } = overdraft[sent]
      ring.bytes.set(body, ring.bodyOffset)
      ring.publish(flags, body.length, watermark, barrier)
    }
    overdraft.splice(0, sent)
  }
}
