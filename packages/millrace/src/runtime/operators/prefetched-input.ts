/**
 * Records of a keyed operator whose state may lie on disk: they wait until there is a page of them, or nothing more comes for now; then what
 * is not in memory of their keys is read in one call, and they are processed in their order. A record waits within a step only, and what
 * follows it (a watermark, idleness) waits for it, so nothing can be told from outside.
 */
import { hashKeyInt32, type Key } from '../../codec/index.ts'
import type { Prefetch } from '../../state/index.ts'
import type { ChainContext, Fail, Input, Push, PushKeyed } from '../chain.ts'

const PAGE_RECORDS = 256

export class PrefetchedInput implements Input {
  readonly push: Push
  readonly pushKeyed: PushKeyed
  private readonly operator: Input
  private readonly process: PushKeyed
  private readonly prefetch: Prefetch
  private readonly chain: ChainContext
  private count = 0
  private readonly keys: Key[] = []
  private readonly hashes = new Int32Array(PAGE_RECORDS)
  private readonly records: unknown[] = []
  private readonly timestamps = new Float64Array(PAGE_RECORDS)
  private readonly splits = new Float64Array(PAGE_RECORDS)

  /** `operator`: one that takes records with their keys. */
  constructor(operator: Input, keyBy: (record: any) => Key, prefetch: Prefetch, chain: ChainContext, fail: Fail) {
    this.operator = operator
    this.process = operator.pushKeyed!
    this.prefetch = prefetch
    this.chain = chain
    this.pushKeyed = (key, hash, record) => this.add(key, hash, record)
    this.push = record => {
      let key: Key
      let hash: number
      try {
        key = keyBy(record)
        hash = hashKeyInt32(key)
      } catch (error) {
        throw fail(error, record)
      }
      this.add(key, hash, record)
    }
  }

  private add(key: Key, hash: number, record: unknown): void {
    const at = this.count++
    this.keys[at] = key
    this.hashes[at] = hash
    this.records[at] = record
    this.timestamps[at] = this.chain.timestamp
    this.splits[at] = this.chain.split
    if (this.count === PAGE_RECORDS) this.deliver()
  }

  /** Processes what waits. */
  deliver(): void {
    const { count, chain } = this
    if (count === 0) return
    const { timestamp, split } = chain
    this.prefetch(this.keys, this.hashes, count)
    for (let i = 0; i < count; i++) {
      chain.timestamp = this.timestamps[i]
      chain.split = this.splits[i]
      this.process(this.keys[i], this.hashes[i], this.records[i])
    }
    this.count = 0
    this.records.length = 0
    chain.timestamp = timestamp
    chain.split = split
  }

  watermark(time: number): void {
    this.deliver()
    this.operator.watermark(time)
  }

  idle(isIdle: boolean): void {
    this.deliver()
    this.operator.idle(isIdle)
  }
}
