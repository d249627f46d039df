/**
 * The serialised entries of one state in one key group, on their way from a table (any order) to a segment (ascending keys).
 *
 * An EntrySorter sorts `order` before they are handed on. Of entries with the same key a put wins over a tombstone: at a barrier at most
 * one of the cells that ever stood for a key is alive.
 *
 *     span   u32 KEY, where the entry begins in `bytes` | u32 VALUE, where its key ends and its value begins | u32 END | u32 OP
 */
import { ByteWriter } from '../../codec/index.ts'
import type { EntryConsumer } from '../contract.ts'

export const PUT = 0
export const TOMBSTONE = 1
export const PUT_WITH_TOUCH = 2

/** Numbers of a span: an entry is looked up in one cache line. */
export const SPAN = 4
export const KEY = 0
export const VALUE = 1
const END = 2
export const OP = 3

export class EntryGroup {
  readonly bytes: ByteWriter
  spans: Uint32Array
  /** Entry numbers, in the order of `end` until a sorter changes it. */
  order: Uint32Array
  count = 0
  /** In how many bytes all keys agree from the first one on. */
  sharedBytes = 0
  private touches: Float64Array
  private emitted = 0

  /** `entries`: how many there will be at least. */
  constructor(entries: number) {
    this.bytes = new ByteWriter(entries * 32)
    this.spans = new Uint32Array(entries * SPAN)
    this.order = new Uint32Array(entries)
    this.touches = new Float64Array(entries)
  }

  reset(): void {
    this.bytes.reset()
    this.count = 0
    this.emitted = 0
  }

  /** Opens an entry: write its key into `bytes`, call `value()`, write the value, call `end()`. */
  begin(group: number, stateId: number): void {
    if (this.count === this.order.length) this.grow()
    this.spans[this.count * SPAN + KEY] = this.bytes.length
    this.bytes.u16be(group)
    this.bytes.u16be(stateId)
  }

  value(): void {
    this.spans[this.count * SPAN + VALUE] = this.bytes.length
  }

  end(op: number, lastTouchMs: number): void {
    const i = this.count++
    this.spans[i * SPAN + END] = this.bytes.length
    this.spans[i * SPAN + OP] = op
    this.touches[i] = lastTouchMs
    this.order[i] = i
    this.share(i)
  }

  private share(i: number): void {
    const key = this.spans[i * SPAN + KEY]
    const length = this.spans[i * SPAN + VALUE] - key
    if (i === 0) {
      this.sharedBytes = length
      return
    }
    const bytes = this.bytes.bytes
    const first = this.spans[KEY]
    const limit = Math.min(this.sharedBytes, length)
    let shared = 0
    while (shared < limit && bytes[first + shared] === bytes[key + shared]) shared++
    this.sharedBytes = shared
  }

  append(other: EntryGroup): void {
    for (let i = 0; i < other.count; i++) {
      if (this.count === this.order.length) this.grow()
      const start = other.spans[i * SPAN + KEY]
      const shift = this.bytes.length - start
      this.bytes.raw(other.bytes.bytes, start, other.spans[i * SPAN + END])
      this.spans[this.count * SPAN + KEY] = start + shift
      this.spans[this.count * SPAN + VALUE] = other.spans[i * SPAN + VALUE] + shift
      this.end(other.spans[i * SPAN + OP], other.touches[i])
    }
  }

  /** Hands up to `max` entries on in the order of `order`, which is sorted; true once all are. */
  emit(consumer: EntryConsumer, max: number): boolean {
    const until = Math.min(this.count, this.emitted + max)
    for (let i = this.emitted; i < until; i++) if (!this.isRepeated(i)) this.hand(i, consumer)
    this.emitted = until
    return until === this.count
  }

  // Of the entry at place `i` of `order`, once that is sorted:

  hand(i: number, consumer: EntryConsumer): void {
    const { spans, touches } = this
    const bytes = this.bytes.bytes
    const entry = this.order[i]
    const span = entry * SPAN
    const value = spans[span + VALUE]
    consumer.add(spans[span + OP], bytes, spans[span + KEY], value, bytes, value, spans[span + END], touches[entry])
  }

  /** It has the key of the one before, which counts. */
  isRepeated(i: number): boolean {
    return i > 0 && this.sameKey(this.order[i - 1], this.order[i])
  }

  isTombstone(i: number): boolean {
    return this.spans[this.order[i] * SPAN + OP] === TOMBSTONE
  }

  /** Below 0 if its key comes before the one in `[start, end)` of `bytes`, 0 if it is the same. */
  compareKey(i: number, bytes: Uint8Array, start: number, end: number): number {
    const own = this.bytes.bytes
    const span = this.order[i] * SPAN
    const from = this.spans[span + KEY]
    const length = this.spans[span + VALUE] - from
    const limit = Math.min(length, end - start)
    for (let at = 0; at < limit; at++) {
      const difference = own[from + at] - bytes[start + at]
      if (difference !== 0) return difference
    }
    return length - (end - start)
  }

  /** Neighbours differ in their last bytes before they do in their first. */
  private sameKey(a: number, b: number): boolean {
    const { spans } = this
    const bytes = this.bytes.bytes
    const start = spans[a * SPAN + KEY]
    let i = spans[a * SPAN + VALUE]
    let j = spans[b * SPAN + VALUE]
    if (i - start !== j - spans[b * SPAN + KEY]) return false
    while (i > start) if (bytes[--i] !== bytes[--j]) return false
    return true
  }

  private grow(): void {
    const capacity = this.order.length * 2
    this.spans = enlarged(this.spans, new Uint32Array(capacity * SPAN))
    this.order = enlarged(this.order, new Uint32Array(capacity))
    this.touches = enlarged(this.touches, new Float64Array(capacity))
  }
}

function enlarged<T extends Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from)
  return to
}
