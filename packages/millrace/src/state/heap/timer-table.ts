/**
 * Timers: a heap of distinct times and, per time, its timers in the order of their registration. A timer is a cell whose sub is
 * the time and whose value is its registration number, so that after a restore timers fire in the same order as without one.
 */
import { decodeNumber, keyIdentity, type ByteReader } from '../../codec/index.ts'
import type { Key } from '../declarations.ts'
import type { TimerStore } from '../contract.ts'
import type { KeyContext } from '../key-context.ts'
import { ABSENT, Cell, CellTable } from './cell-table.ts'
import type { EntryGroup } from '../entries/entry-group.ts'
import type { Epochs } from '../entries/epochs.ts'
import { flatten } from '../entries/flatten.ts'

/** Most times have one timer; a bucket is made for the second. */
type Timers = Cell | Bucket

class Bucket {
  readonly cells = new Map<unknown, Cell>()
  /**
   * Walks the bucket while it fires. It survives what comes and goes meanwhile; starting anew for every timer would step over all
   * that have fired before.
   */
  walk: Iterator<Cell> | undefined
}

export class TimerTable extends CellTable implements TimerStore {
  private readonly keys: KeyContext
  private readonly heap: number[] = []
  private readonly buckets = new Map<number, Timers>()
  private registrations = 0
  private count = 0

  constructor(stateId: number, epochs: Epochs, keys: KeyContext) {
    super(stateId, epochs)
    this.keys = keys
  }

  get earliest(): number | undefined {
    return this.heap.length === 0 ? undefined : this.heap[0]
  }

  register(time: number): void {
    const keys = this.keys
    keys.locate()
    const bucket = this.buckets.get(time)
    if (bucket !== undefined && this.inBucket(bucket, keys.identity) !== undefined) return
    this.put(this.create(flatten(keys.key), time, keys.group, ++this.registrations), flatten(keys.identity))
  }

  delete(time: number): void {
    this.keys.locate()
    const bucket = this.buckets.get(time)
    const cell = bucket === undefined ? undefined : this.inBucket(bucket, this.keys.identity)
    if (cell === undefined) return
    // The time stays in the heap until it comes up; an empty bucket then is skipped.
    if (bucket instanceof Bucket) bucket.cells.delete(this.keys.identity)
    else this.buckets.set(time, new Bucket())
    this.drop(cell)
  }

  pop(upTo: number): number | undefined {
    while (this.heap.length > 0 && this.heap[0] <= upTo) {
      const time = this.heap[0]
      const cell = this.takeFirst(time)
      if (cell === undefined) {
        this.buckets.delete(time)
        this.popHeap()
        continue
      }
      this.keys.bind(cell.key)
      this.drop(cell)
      return time
    }
    return undefined
  }

  protected override encodeSub(cell: Cell, into: EntryGroup): void {
    into.bytes.orderedF64(cell.sub as number)
  }

  /** Timers are not held by key group: for a full snapshot they are dealt out to theirs first, as many a step as are serialised. */
  private dealing: Iterator<Cell> | undefined
  private readonly dealt: Cell[][] = []

  override collect(group: number, into: EntryGroup, max: number): boolean {
    return (!this.epochs.full || this.deal(max)) && super.collect(group, into, max)
  }

  private deal(max: number): boolean {
    this.dealing ??= this.allCells()
    for (; max > 0; max--) {
      const next = this.dealing.next()
      if (next.done === true) return true
      ;(this.dealt[next.value.group] ??= []).push(next.value)
    }
    return false
  }

  /** What comes while it walks is newer than the snapshot, and what goes is serialised before. */
  private *allCells(): Generator<Cell> {
    for (const bucket of this.buckets.values()) {
      if (bucket instanceof Bucket) yield* bucket.cells.values()
      else yield bucket
    }
  }

  protected liveCells(group: number): Iterator<Cell> {
    return (this.dealt[group] ?? []).values()
  }

  override thaw(): void {
    super.thaw()
    this.dealing = undefined
    this.dealt.length = 0
  }

  restore(key: Key, group: number, sub: ByteReader, value: ByteReader): void {
    this.waiting.push(new Cell(key, sub.orderedF64(), group, decodeNumber(value), 0, 0))
  }

  /** Entries come in key order; they are registered again in the order of their first registration. */
  private waiting: Cell[] = []

  override restoreEnd(): void {
    this.waiting.sort((a, b) => (a.value as number) - (b.value as number))
    for (const cell of this.waiting) {
      this.put(cell, keyIdentity(cell.key))
      this.registrations = Math.max(this.registrations, cell.value as number)
    }
    this.waiting = []
  }

  entryCount(): number {
    return this.count
  }

  private inBucket(bucket: Timers, identity: unknown): Cell | undefined {
    if (bucket instanceof Bucket) return bucket.cells.get(identity)
    return keyIdentity(bucket.key) === identity ? bucket : undefined
  }

  private put(cell: Cell, identity: unknown): void {
    const time = cell.sub as number
    const bucket = this.buckets.get(time)
    if (bucket === undefined) {
      this.buckets.set(time, cell)
      this.pushHeap(time)
    } else if (bucket instanceof Bucket) bucket.cells.set(identity, cell)
    else {
      const both = new Bucket()
      both.cells.set(keyIdentity(bucket.key), bucket).set(identity, cell)
      this.buckets.set(time, both)
    }
    this.count++
  }

  private takeFirst(time: number): Cell | undefined {
    const bucket = this.buckets.get(time)!
    if (!(bucket instanceof Bucket)) {
      this.buckets.delete(time)
      this.popHeap()
      return bucket
    }
    const next = (bucket.walk ??= bucket.cells.values()).next()
    if (next.done === true) return undefined
    bucket.cells.delete(keyIdentity(next.value.key))
    return next.value
  }

  private drop(cell: Cell): void {
    this.count--
    if (cell.value !== ABSENT) this.removed(cell)
  }

  private pushHeap(time: number): void {
    const heap = this.heap
    let i = heap.length
    heap.push(time)
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (heap[parent] <= time) break
      heap[i] = heap[parent]
      i = parent
    }
    heap[i] = time
  }

  private popHeap(): void {
    const heap = this.heap
    const last = heap.pop()!
    const size = heap.length
    if (size === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= size) break
      if (child + 1 < size && heap[child + 1] < heap[child]) child++
      if (heap[child] >= last) break
      heap[i] = heap[child]
      i = child
    }
    heap[i] = last
  }
}
