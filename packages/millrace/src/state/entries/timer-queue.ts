/**
 * Timers in memory: a heap of distinct times and, per time, its timers in the order of their registration. Most times have one timer; a bucket
 * is made for the second.
 */
import { keyIdentity, type Key } from '../../codec/index.ts'

export interface Timer {
  readonly key: Key
  /** The time. */
  readonly sub: Key | undefined
}

class Bucket<T> {
  readonly timers = new Map<unknown, T>()
  /**
   * Walks the bucket while it fires. It survives what comes and goes meanwhile; starting anew for every timer would step over all
   * that have fired before.
   */
  walk: Iterator<T> | undefined
}

export class TimerQueue<T extends Timer> {
  count = 0
  private readonly heap: number[] = []
  private readonly buckets = new Map<number, T | Bucket<T>>()

  /** No timer is earlier. The one that was at this time may be gone. */
  get earliest(): number | undefined {
    return this.heap.length === 0 ? undefined : this.heap[0]
  }

  get(time: number, identity: unknown): T | undefined {
    const bucket = this.buckets.get(time)
    if (bucket === undefined) return undefined
    if (bucket instanceof Bucket) return bucket.timers.get(identity)
    return keyIdentity(bucket.key) === identity ? bucket : undefined
  }

  /** `identity`: of its key, which has no timer at that time. */
  put(timer: T, identity: unknown): void {
    const time = timer.sub as number
    const bucket = this.buckets.get(time)
    if (bucket === undefined) {
      this.buckets.set(time, timer)
      this.pushHeap(time)
    } else if (bucket instanceof Bucket) bucket.timers.set(identity, timer)
    else {
      const both = new Bucket<T>()
      both.timers.set(keyIdentity(bucket.key), bucket).set(identity, timer)
      this.buckets.set(time, both)
    }
    this.count++
  }

  /** The time stays in the heap until it comes up; an empty bucket then is skipped. */
  delete(time: number, identity: unknown): T | undefined {
    const timer = this.get(time, identity)
    if (timer === undefined) return undefined
    const bucket = this.buckets.get(time)
    if (bucket instanceof Bucket) bucket.timers.delete(identity)
    else this.buckets.set(time, new Bucket())
    this.count--
    return timer
  }

  /** Removes the first timer at or before `upTo`. */
  pop(upTo: number): T | undefined {
    while (this.heap.length > 0 && this.heap[0] <= upTo) {
      const time = this.heap[0]
      const timer = this.takeFirst(time)
      if (timer !== undefined) {
        this.count--
        return timer
      }
      this.buckets.delete(time)
      this.popHeap()
    }
    return undefined
  }

  /** What comes while it walks may be among them. */
  *[Symbol.iterator](): Generator<T> {
    for (const bucket of this.buckets.values()) {
      if (bucket instanceof Bucket) yield* bucket.timers.values()
      else yield bucket
    }
  }

  private takeFirst(time: number): T | undefined {
    const bucket = this.buckets.get(time)!
    if (!(bucket instanceof Bucket)) {
      this.buckets.delete(time)
      this.popHeap()
      return bucket
    }
    const next = (bucket.walk ??= bucket.timers.values()).next()
    if (next.done === true) return undefined
    bucket.timers.delete(keyIdentity(next.value.key))
    return next.value
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
