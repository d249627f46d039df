/**
 * Broadcast state of one subtask: a map in memory, iterated in the order of the keys.
 *
 * It is read for every record of the keyed stream and written seldom, so what iteration hands out is made once after a change. The same
 * goes for a checkpoint: an entry is encoded when it has changed.
 */
import { MillraceError } from '../../base/errors.ts'
import { compareKeys, keyIdentity, type Key } from '../../codec/index.ts'
import type { Adapt, BroadcastState } from '../../state/index.ts'
import { loadValue, storeValue } from './stored-value.ts'

interface Entry {
  readonly pair: readonly [Key, unknown]
  /** As the manifest holds it, once that was asked for. */
  encoded: string | undefined
}

interface Sorted {
  readonly pairs: readonly (readonly [Key, unknown])[]
  readonly keys: readonly Key[]
  readonly values: readonly unknown[]
  readonly entries: readonly Entry[]
}

export class BroadcastMap implements BroadcastState<Key, unknown> {
  private readonly map = new Map<unknown, Entry>()
  /** Undefined after a change. */
  private cached: Sorted | undefined

  get(key: Key): unknown {
    return this.map.get(keyIdentity(key))?.pair[1]
  }

  has(key: Key): boolean {
    return this.map.has(keyIdentity(key))
  }

  entries(): Iterable<readonly [Key, unknown]> {
    return this.sorted().pairs
  }

  keys(): Iterable<Key> {
    return this.sorted().keys
  }

  values(): Iterable<unknown> {
    return this.sorted().values
  }

  set(key: Key, value: unknown): void {
    this.map.set(keyIdentity(key), { pair: Object.freeze([key, value] as const), encoded: undefined })
    this.cached = undefined
  }

  delete(key: Key): void {
    if (this.map.delete(keyIdentity(key))) this.cached = undefined
  }

  clear(): void {
    this.map.clear()
    this.cached = undefined
  }

  /** Its entries, each in the value codec as base64. */
  snapshot(): string[] {
    return this.sorted().entries.map(entry => (entry.encoded ??= storeValue(entry.pair)))
  }

  restore(entries: readonly string[], adapt: Adapt = value => value): void {
    this.clear()
    for (const encoded of entries) {
      const [key, value] = loadValue(encoded) as [Key, unknown]
      this.set(key, adapt(value, key))
    }
  }

  private sorted(): Sorted {
    if (this.cached !== undefined) return this.cached
    const entries = [...this.map.values()].sort((a, b) => compareKeys(a.pair[0], b.pair[0]))
    return (this.cached = {
      entries,
      pairs: Object.freeze(entries.map(({ pair }) => pair)),
      keys: Object.freeze(entries.map(({ pair }) => pair[0])),
      values: Object.freeze(entries.map(({ pair }) => pair[1])),
    })
  }
}

/** What `onRecord` and `onTimer` see: types forbid the writing methods already, this is for those who go without. */
export class ReadOnlyBroadcastMap implements BroadcastState<Key, unknown> {
  private readonly map: BroadcastMap
  private readonly name: string

  constructor(map: BroadcastMap, name: string) {
    this.map = map
    this.name = name
  }

  get(key: Key): unknown {
    return this.map.get(key)
  }
  has(key: Key): boolean {
    return this.map.has(key)
  }
  entries(): Iterable<readonly [Key, unknown]> {
    return this.map.entries()
  }
  keys(): Iterable<Key> {
    return this.map.keys()
  }
  values(): Iterable<unknown> {
    return this.map.values()
  }
  set(): never {
    throw this.refusal('set')
  }
  delete(): never {
    throw this.refusal('delete')
  }
  clear(): never {
    throw this.refusal('clear')
  }

  private refusal(method: string): MillraceError {
    return new MillraceError(
      'USER_FUNCTION_FAILED',
      `${method} of broadcast state '${this.name}' was called outside of onBroadcast; only there every subtask does the same to its copy`,
    )
  }
}
