/**
 * The key under which an operator's state is read and written. Binding is a few stores; hash, key group and identity are computed
 * on the first access of any state under that key, once for all states of the operator.
 */
import { hashKey, keyIdentity } from '../codec/index.ts'
import type { Key } from './declarations.ts'

/** More would fall out of the first-level cache before they are used. */
const UPCOMING_MAX = 64

export class KeyContext {
  key: Key = ''
  /** Grows with every bind: handles cache what they found under (version). */
  version = 0
  hash = 0
  group = 0
  identity: string | number | bigint | boolean = ''
  readonly maxParallelism: number
  private hashed = 0
  private located = 0
  private upcoming: readonly Key[] = []
  private readonly upcomingHashes = new Int32Array(UPCOMING_MAX)
  private upcomingNext = 0
  private upcomingCount = 0

  constructor(maxParallelism: number) {
    this.maxParallelism = maxParallelism
  }

  bind(key: Key): void {
    this.key = key
    this.version++
  }

  /** These keys are bound next, most likely in this order: their hashes are computed now. Returns for how many. */
  announce(keys: readonly Key[]): number {
    const count = Math.min(keys.length, UPCOMING_MAX)
    for (let i = 0; i < count; i++) this.upcomingHashes[i] = hashKey(keys[i])
    this.upcoming = keys
    this.upcomingNext = 0
    this.upcomingCount = count
    return count
  }

  announcedHash(index: number): number {
    return this.upcomingHashes[index]
  }

  /** Makes `hash` and `group` those of the bound key. Throws KEY_INVALID. */
  hashKey(): void {
    if (this.hashed === this.version) return
    // Keys that were announced come as the very same values, so this is a comparison of references.
    const next = this.upcomingNext
    const announced = next < this.upcomingCount && this.upcoming[next] === this.key
    // As a signed integer it stays out of the heap; unsigned, half of all hashes would be boxed.
    const hash = announced ? this.upcomingHashes[next] : hashKey(this.key) | 0
    if (announced) this.upcomingNext++
    this.hash = hash
    this.group = (hash >>> 0) % this.maxParallelism
    this.hashed = this.version
  }

  /** Makes `identity` that of the bound key too, for tables that are JavaScript maps. */
  locate(): void {
    if (this.located === this.version) return
    this.hashKey()
    this.identity = keyIdentity(this.key)
    this.located = this.version
  }
}
