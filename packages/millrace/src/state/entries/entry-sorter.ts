/**
 * Brings the entries of a key group into the order of their keys, in steps of bounded work however many there are and whatever their keys.
 *
 * The entries of a range agree in the first `depth` bytes of their keys. A range is sorted by a digest of the bytes behind them: a radix sort
 * from the lowest digit up, which moves records of digest and entry from one array to the other. What agrees in the digest, too, is a
 * range of its own, five bytes deeper. Short ranges are merge sorted by comparing their keys.
 *
 *     record   u32 high half of the digest | u32 low half | u32 entry
 *     digest   two halves of 22 bits: five bytes of the key, zeros behind its end | 4 bits: MORE, or, of a key that ends in these
 *              bytes, twice how many of them are its own, and 1 more if it is a tombstone
 */
import { type EntryGroup, KEY, OP, SPAN, TOMBSTONE, VALUE } from './entry-group.ts'

/** Up to here comparing is cheaper than the tables of a radix sort; also the most that is compared in one go. */
export const SHORT_RANGE = 256

const RECORD = 3
const DIGEST_BYTES = 5
const MORE = 2 * DIGEST_BYTES + 2
const TAIL_MASK = 15

const DIGITS = 4
const DIGIT_BITS = 11
const BUCKETS = 1 << DIGIT_BITS
const DIGIT_MASK = BUCKETS - 1

type Phase = 'next range' | 'digest' | 'scatter' | 'ties'

export class EntrySorter {
  private group!: EntryGroup
  private phase: Phase = 'next range'
  /** Ranges still to be sorted: start, end, depth of each. */
  private readonly ranges: number[] = []
  private start = 0
  private end = 0
  private depth = 0
  /** How far the phase has come in the range. */
  private at = 0
  private digit = 0
  /** Where the entries that agree with the last one begin. */
  private tie = 0
  private from = new Uint32Array(0)
  private to = new Uint32Array(0)
  /** Of each digit: how often each value occurs, then where the next record with it goes. */
  private readonly buckets = new Uint32Array(DIGITS * BUCKETS)
  private readonly merged = new Uint32Array(SHORT_RANGE / 2)

  /** `step` will sort the group's `order`. Whatever was being sorted is given up. */
  begin(group: EntryGroup): void {
    this.group = group
    this.phase = 'next range'
    this.ranges.length = 0
    this.ranges.push(0, group.count, group.sharedBytes)
    const length = group.order.length * RECORD
    if (group.count > SHORT_RANGE && this.from.length < length) {
      this.from = new Uint32Array(length)
      this.to = new Uint32Array(length)
    }
  }

  /**
   * Looks at `entries` entries, and at SHORT_RANGE more at most; each is looked at 2 to 6 times in all, and again for every five bytes in
   * which more than SHORT_RANGE agree. True once all are in order.
   */
  step(entries: number): boolean {
    let left = entries
    while (left > 0) {
      if (this.phase === 'next range') {
        if (this.ranges.length === 0) break
        left -= this.open()
        continue
      }
      const until = Math.min(this.end, this.at + left)
      left -= until - this.at
      if (this.phase === 'digest') this.digest(until)
      else if (this.phase === 'scatter') this.scatter(until)
      else this.ties(until)
      this.at = until
      if (until === this.end) this.endPhase()
    }
    return this.phase === 'next range' && this.ranges.length === 0
  }

  /** Begins with the last range, or sorts it if it is short. Returns how many entries that took. */
  private open(): number {
    this.depth = this.ranges.pop()!
    this.end = this.ranges.pop()!
    this.start = this.ranges.pop()!
    const count = this.end - this.start
    if (count <= SHORT_RANGE) {
      this.sortShort(this.start, this.end, this.depth)
      return count
    }
    this.phase = 'digest'
    this.at = this.start
    this.digit = -1
    this.buckets.fill(0)
    return 0
  }

  private endPhase(): void {
    if (this.phase === 'ties') {
      this.closeTie(this.end)
      this.phase = 'next range'
      return
    }
    if (this.phase === 'scatter') {
      const { from } = this
      this.from = this.to
      this.to = from
    }
    this.at = this.tie = this.start
    do this.digit++
    while (this.digit < DIGITS && !this.openDigit())
    this.phase = this.digit < DIGITS ? 'scatter' : 'ties'
  }

  private digest(until: number): void {
    const { order, spans, bytes: writer } = this.group
    const { from, buckets, depth } = this
    const bytes = writer.bytes
    for (let at = this.at, record = at * RECORD; at < until; at++, record += RECORD) {
      const entry = order[at]
      const key = spans[entry * SPAN + KEY] + depth
      const own = spans[entry * SPAN + VALUE] - key
      let b2: number
      let high: number
      let low: number
      if (own > DIGEST_BYTES) {
        b2 = bytes[key + 2]
        high = (bytes[key] << 14) | (bytes[key + 1] << 6) | (b2 >>> 2)
        low = ((b2 & 3) << 20) | (bytes[key + 3] << 12) | (bytes[key + 4] << 4) | MORE
      } else {
        b2 = own > 2 ? bytes[key + 2] : 0
        high = ((own > 0 ? bytes[key] : 0) << 14) | ((own > 1 ? bytes[key + 1] : 0) << 6) | (b2 >>> 2)
        low = ((b2 & 3) << 20) | ((own > 3 ? bytes[key + 3] : 0) << 12) | ((own > 4 ? bytes[key + 4] : 0) << 4)
        low |= own * 2 + (spans[entry * SPAN + OP] === TOMBSTONE ? 1 : 0)
      }
      from[record] = high
      from[record + 1] = low
      from[record + 2] = entry
      buckets[low & DIGIT_MASK]++
      buckets[BUCKETS + (low >>> DIGIT_BITS)]++
      buckets[2 * BUCKETS + (high & DIGIT_MASK)]++
      buckets[3 * BUCKETS + (high >>> DIGIT_BITS)]++
    }
  }

  /** Makes positions of the digit's counts; false if all entries have the same digit. */
  private openDigit(): boolean {
    const { buckets, start, digit } = this
    const first = (this.from[start * RECORD + this.digitWord()] >>> this.digitShift()) & DIGIT_MASK
    if (buckets[digit * BUCKETS + first] === this.end - start) return false
    let position = start
    for (let i = digit * BUCKETS; i < (digit + 1) * BUCKETS; i++) {
      const count = buckets[i]
      buckets[i] = position
      position += count
    }
    return true
  }

  private digitWord(): number {
    return this.digit < 2 ? 1 : 0
  }

  private digitShift(): number {
    return (this.digit & 1) * DIGIT_BITS
  }

  private scatter(until: number): void {
    const { from, to, buckets } = this
    const word = this.digitWord()
    const shift = this.digitShift()
    const table = this.digit * BUCKETS
    for (let record = this.at * RECORD; record < until * RECORD; record += RECORD) {
      const target = buckets[table + ((from[record + word] >>> shift) & DIGIT_MASK)]++ * RECORD
      to[target] = from[record]
      to[target + 1] = from[record + 1]
      to[target + 2] = from[record + 2]
    }
  }

  private ties(until: number): void {
    const { from } = this
    const { order } = this.group
    for (let at = this.at; at < until; at++) {
      const record = at * RECORD
      const tie = this.tie * RECORD
      if (from[record] !== from[tie] || from[record + 1] !== from[tie + 1]) this.closeTie(at)
      order[at] = from[record + 2]
    }
  }

  /** The entries from `tie` to `end` have one digest. */
  private closeTie(end: number): void {
    const start = this.tie
    this.tie = end
    if (end - start === 1 || (this.from[start * RECORD + 1] & TAIL_MASK) !== MORE) return
    const depth = this.depth + DIGEST_BYTES
    if (end - start <= SHORT_RANGE) this.sortShort(start, end, depth)
    else this.ranges.push(start, end, depth)
  }

  /** Bottom-up merge sort. */
  private sortShort(start: number, end: number, depth: number): void {
    const { order } = this.group
    const { merged } = this
    for (let width = 1; width < end - start; width *= 2) {
      for (let left = start; left + width < end; left += 2 * width) {
        const middle = left + width
        const right = Math.min(middle + width, end)
        // Often in order already: keys that came in ascending order, short ranges of ties.
        if (this.compare(order[middle - 1], order[middle], depth) <= 0) continue
        for (let i = left; i < middle; i++) merged[i - left] = order[i]
        let i = 0
        let j = middle
        for (let k = left; i < width; k++) {
          order[k] = j < right && this.compare(merged[i], order[j], depth) > 0 ? order[j++] : merged[i++]
        }
      }
    }
  }

  /** By the bytes of the keys from `depth` on; a put before a tombstone of the same key. */
  private compare(a: number, b: number, depth: number): number {
    const { spans, bytes: writer } = this.group
    const bytes = writer.bytes
    let i = spans[a * SPAN + KEY] + depth
    let j = spans[b * SPAN + KEY] + depth
    const endA = spans[a * SPAN + VALUE]
    const endB = spans[b * SPAN + VALUE]
    while (i < endA && j < endB) {
      const difference = bytes[i++] - bytes[j++]
      if (difference !== 0) return difference
    }
    const tombstones = (spans[a * SPAN + OP] === TOMBSTONE ? 1 : 0) - (spans[b * SPAN + OP] === TOMBSTONE ? 1 : 0)
    return endA - i - (endB - j) || tombstones
  }
}
