/**
 * The key under which an operator's state is read and written. Binding is a few stores; hash, key group and identity are computed
 * on the first access of any state under that key, once for all states of the operator.
 */
import { hashKeyInt32, keyGroupOfHash, keyIdentity } from '../codec/index.ts'
import type { Key } from './declarations.ts'

export class KeyContext {
  key: Key = ''
  /** Grows with every bind: handles cache what they found under (version). */
  version = 0
  hash = 0
  group = 0
  identity: string | number | bigint | boolean = ''
  readonly maxParallelism: number
  /** Looks at every key, if there is one. */
  guard: { check(key: Key): void } | undefined
  private hashed = 0
  private located = 0

  constructor(maxParallelism: number) {
    this.maxParallelism = maxParallelism
  }

  bind(key: Key): void {
    this.guard?.check(key)
    this.key = key
    this.version++
  }

  /** As `bind`, for a key whose hash is known already. */
  bindHashed(key: Key, hash: number): void {
    this.guard?.check(key)
    this.key = key
    this.hash = hash
    this.group = keyGroupOfHash(hash, this.maxParallelism)
    this.hashed = ++this.version
  }

  /** Makes `hash` and `group` those of the bound key. Throws KEY_INVALID. */
  hashKey(): void {
    if (this.hashed === this.version) return
    const hash = hashKeyInt32(this.key)
    this.hash = hash
    this.group = keyGroupOfHash(hash, this.maxParallelism)
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
