/**
 * The newest entry of every key over several segments, newest first: what a snapshot holds, in ascending order of the keys. Older
 * entries of a key are skipped; tombstones are handed out, since only the caller knows whether anything older lies below.
 *
 * Looped over like a SegmentScan: `advance` is synchronous, a promise is made per read from the store.
 *
 * The inputs' current entries are kept sorted, the smallest last. No two have the same key: where an input arrives at a key that
 * another one has, the older of the two moves on at once. One move costs one comparison while an input keeps the smallest keys, as
 * a large base under small deltas does, and a handful otherwise.
 */
import { assert } from '../base/assert.ts'
import type { BlockCursor } from './segment-cursor.ts'
import { compareEntryKeys } from './segment-key.ts'
import type { SegmentReader } from './segment-reader.ts'
import { READ_AHEAD_BYTES, type ScanOptions, type SegmentScan } from './segment-scan.ts'

interface Input {
  readonly scan: SegmentScan
  /** 0 is the newest. */
  readonly age: number
}

export class EntryMerge {
  /** Inputs that stand at an entry. */
  private readonly sorted: Input[] = []
  /** Inputs that have to move on before the next entry is known. */
  private readonly moving: Input[]
  private hasCurrent = false
  private readonly scans: readonly SegmentScan[]

  constructor(newestFirst: readonly SegmentScan[]) {
    this.scans = newestFirst
    this.moving = newestFirst.map((scan, age) => ({ scan, age }))
  }

  /** The current entry, after `advance` returned true and until it is called again. */
  get entry(): BlockCursor {
    assert(this.hasCurrent, 'the merge stands at an entry')
    return this.sorted[this.sorted.length - 1].scan.entry
  }

  /** Step to the next key; false when there is none, or when the next bytes must be read first. */
  advance(): boolean {
    if (this.hasCurrent) this.moving.push(this.sorted.pop()!)
    this.hasCurrent = false
    while (this.moving.length > 0) {
      const input = this.moving[this.moving.length - 1]
      if (input.scan.advance()) {
        this.moving.pop()
        this.sort(input)
      } else if (input.scan.needsRefill) {
        return false
      } else {
        this.moving.pop()
      }
    }
    this.hasCurrent = this.sorted.length > 0
    return this.hasCurrent
  }

  /** After `advance` returned false: whether there is more once `refill` was awaited. */
  get needsRefill(): boolean {
    return this.moving.length > 0
  }

  /** Stored bytes of all inputs, and of the blocks that were begun. */
  get totalBytes(): number {
    return this.scans.reduce((sum, { totalBytes }) => sum + totalBytes, 0)
  }

  get readBytes(): number {
    return this.scans.reduce((sum, { handedOutBytes }) => sum + handedOutBytes, 0)
  }

  async refill(): Promise<void> {
    assert(this.needsRefill, 'the merge has more to read')
    await Promise.all(this.moving.filter(({ scan }) => scan.needsRefill).map(({ scan }) => scan.refill()))
  }

  /** Put an input that stands at a new entry in its place, or let it or its older twin move on. */
  private sort(input: Input): void {
    const { sorted } = this
    const { bytes, keyStart, keyEnd } = input.scan.entry
    let at = sorted.length
    for (; at > 0; at--) {
      const other = sorted[at - 1]
      const entry = other.scan.entry
      const order = compareEntryKeys(bytes, keyStart, keyEnd, entry.bytes, entry.keyStart, entry.keyEnd)
      if (order < 0) break
      if (order === 0) {
        const newer = input.age < other.age
        if (newer) sorted[at - 1] = input
        this.moving.push(newer ? other : input)
        return
      }
    }
    sorted.splice(at, 0, input)
  }
}

/** What all inputs of a merge read ahead together, three times over: many slots write many segments. */
const READ_AHEAD_BYTES_MAX = 8 * 1024 * 1024
/** Two blocks. */
const READ_AHEAD_BYTES_MIN = 64 * 1024

/** The entries of a range of key groups over the segments of a snapshot, newest first. Segments that share no key may be of one age. */
export function mergeEntries(
  newestFirst: readonly SegmentReader[],
  keyGroupStart?: number,
  keyGroupEnd?: number,
  { readAheadBytes = READ_AHEAD_BYTES }: ScanOptions = {},
): EntryMerge {
  const share = Math.max(READ_AHEAD_BYTES_MIN, Math.floor(READ_AHEAD_BYTES_MAX / newestFirst.length))
  const options = { readAheadBytes: Math.min(readAheadBytes, share) }
  return new EntryMerge(newestFirst.map(reader => reader.scan(keyGroupStart, keyGroupEnd, options)))
}
