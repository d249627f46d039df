/**
 * The key under which an operator's state is read and written. Binding is a few stores; hash, key group and identity are computed
 * on the first access of any state under that key, once for all states of the operator.
 */
import { hashKey, keyIdentity } from '../codec/index.ts'
import type { Key } from './declarations.ts'

export class KeyContext {
  key: Key = ''
  /** Grows with every bind: handles cache what they found under (version). */
  version = 0
  hash = 0
  group = 0
  identity: string | number | bigint | boolean = ''
  readonly maxParallelism: number
  private located = 0

  constructor(maxParallelism: number) {
    this.maxParallelism = maxParallelism
  }

  bind(key: Key): void {
    this.key = key
    this.version++
  }

  /** Makes `hash`, `group` and `identity` those of the bound key. Throws KEY_INVALID. */
  locate(): void {
    if (this.located === this.version) return
    const key = this.key
    this.identity = keyIdentity(key)
    this.hash = hashKey(key)
    this.group = this.hash % this.maxParallelism
    this.located = this.version
  }
}
