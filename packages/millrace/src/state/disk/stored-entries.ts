/**
 * What a snapshot takes from the store: entries in the order of their segment keys, as they were at the barrier. All of them for a full
 * snapshot; for a delta those that changed since its base and were evicted before the barrier.
 */
import { ByteReader } from '../../codec/index.ts'
import { PUT, TOMBSTONE } from '../entries/entry-group.ts'
import type { DiskView } from './disk-store.ts'
import { keyAfter, Packing, Unpacking } from './packed.ts'
import { changedFrom, ENTRIES } from './working-set.ts'

const PIECE_BYTES = 32 * 1024
const BATCH_KEYS = 128
/** Of the keyspace, in front of a segment key. */
const SPACE_BYTES = 1
const EPOCH_BYTES = 4

/** Stands at an entry, or at the end. */
export interface StoredEntries {
  readonly atEnd: boolean
  readonly op: number
  /** The segment key is `[keyStart, keyEnd)` of `keyBytes`. */
  readonly keyBytes: Uint8Array
  readonly keyStart: number
  readonly keyEnd: number
  readonly valueBytes: Uint8Array
  readonly valueStart: number
  readonly valueEnd: number
  next(): void
}

/** The strings of a range of the view, piece by piece. */
class Range {
  /** Of the entry it stands at: `[keyStart, keyEnd)` and `[valueStart, valueEnd)` of `bytes`. */
  bytes: Uint8Array = new Uint8Array(0)
  keyStart = 0
  keyEnd = 0
  valueStart = 0
  valueEnd = 0
  atEnd = false
  private readonly view: DiskView
  private from: Uint8Array
  private readonly to: Uint8Array
  private piece = new Unpacking(new Uint8Array(0))

  constructor(view: DiskView, from: Uint8Array, to: Uint8Array) {
    this.view = view
    this.from = from
    this.to = to
    this.next()
  }

  next(): void {
    if (this.piece.atEnd && !this.read()) {
      this.atEnd = true
      return
    }
    const { piece } = this
    this.bytes = piece.bytes
    piece.next()
    this.keyStart = piece.start
    this.keyEnd = piece.end
    piece.next()
    this.valueStart = piece.start
    this.valueEnd = piece.end
  }

  private read(): boolean {
    if (this.keyEnd > 0) this.from = keyAfter(this.bytes.subarray(this.keyStart, this.keyEnd))
    this.piece = new Unpacking(this.view.scan(this.from, this.to, PIECE_BYTES))
    return !this.piece.atEnd
  }
}

export class AllEntries implements StoredEntries {
  readonly op = PUT
  private readonly range: Range

  constructor(view: DiskView) {
    this.range = new Range(view, Uint8Array.of(ENTRIES), Uint8Array.of(ENTRIES + 1))
  }

  get atEnd(): boolean {
    return this.range.atEnd
  }
  get keyBytes(): Uint8Array {
    return this.range.bytes
  }
  get keyStart(): number {
    return this.range.keyStart + SPACE_BYTES
  }
  get keyEnd(): number {
    return this.range.keyEnd
  }
  get valueBytes(): Uint8Array {
    return this.range.bytes
  }
  get valueStart(): number {
    return this.range.valueStart
  }
  get valueEnd(): number {
    return this.range.valueEnd
  }

  next(): void {
    this.range.next()
  }
}

export class ChangedEntries implements StoredEntries {
  atEnd = false
  keyStart = 0
  keyEnd = 0
  private readonly view: DiskView
  /** One an epoch; a key may stand in several. */
  private ranges: Range[]
  private readonly packed = new Packing()
  private keys = new Unpacking(new Uint8Array(0))
  private values = new Unpacking(new Uint8Array(0))

  /** Of the epochs behind `base`, up to `frozen`. */
  constructor(view: DiskView, base: number, frozen: number) {
    this.view = view
    this.ranges = []
    // Epochs without changes are passed over: a checkpoint may be the first in a long time.
    for (let epoch = base + 1; epoch <= frozen;) {
      const range = new Range(view, changedFrom(epoch), changedFrom(frozen + 1))
      if (range.atEnd) break
      epoch = new ByteReader(range.bytes, range.keyStart + SPACE_BYTES, range.keyEnd).u32be()
      this.ranges.push(new Range(view, changedFrom(epoch), changedFrom(++epoch)))
    }
    this.next()
  }

  get op(): number {
    return this.values.isMissing ? TOMBSTONE : PUT
  }
  get keyBytes(): Uint8Array {
    return this.keys.bytes
  }
  get valueBytes(): Uint8Array {
    return this.values.bytes
  }
  get valueStart(): number {
    return this.values.start
  }
  get valueEnd(): number {
    return this.values.end
  }

  next(): void {
    if (this.keys.atEnd && !this.read()) {
      this.atEnd = true
      return
    }
    this.keys.next()
    this.values.next()
    this.keyStart = this.keys.start + SPACE_BYTES
    this.keyEnd = this.keys.end
  }

  /** The next keys, each once, and their values. */
  private read(): boolean {
    const { packed } = this
    packed.reset()
    while (packed.count < BATCH_KEYS && this.ranges.length > 0) {
      const first = this.ranges.reduce((a, b) => (compareChanged(b, a) < 0 ? b : a))
      // The byte before the segment key is the epoch's last; the keyspace takes its place.
      const key = new Uint8Array(first.bytes.subarray(first.keyStart + EPOCH_BYTES, first.keyEnd))
      key[0] = ENTRIES
      packed.string(key)
      for (const range of this.ranges) if (range !== first && compareChanged(range, first) === 0) range.next()
      first.next()
      this.ranges = this.ranges.filter(range => !range.atEnd)
    }
    if (packed.count === 0) return false
    this.keys = new Unpacking(new Uint8Array(packed.bytes))
    this.values = new Unpacking(this.view.multiGet(packed.bytes, packed.count))
    return true
  }
}

function compareChanged(a: Range, b: Range): number {
  const start = SPACE_BYTES + EPOCH_BYTES
  return Buffer.compare(a.bytes.subarray(a.keyStart + start, a.keyEnd), b.bytes.subarray(b.keyStart + start, b.keyEnd))
}
