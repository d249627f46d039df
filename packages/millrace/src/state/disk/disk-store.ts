/**
 * What the disk backend asks of the store under it: an ordered map of byte strings on local disk. It is scratch: a crash never needs what
 * is in it, so nothing is synchronised or logged ahead. One thread; every call is synchronous.
 *
 * What goes in and out in numbers is packed into one buffer (packed.ts), so that a call costs the same for one entry and for a thousand.
 * Keys have at most KEY_BYTES_MAX bytes, and are ordered bytewise, shorter ones first.
 */
export interface DiskStore {
  readonly kind: 'rocksdb' | 'sqlite' | 'memory'
  /** The value; undefined when there is none. The caller may keep it. */
  get(key: Uint8Array): Uint8Array | undefined
  /** The values of `count` keys (`PackedKeys`), in their order, as `PackedValues` reads them. The keys may be in any order. */
  multiGet(keys: Uint8Array, count: number): Uint8Array
  /** Puts and deletions (`PackedBatch`), applied in order. */
  write(batch: Uint8Array): void
  /**
   * As `write`, for the first filling: puts only, in ascending order, all keys above those of the calls before. What was loaded can be read
   * after `endLoad`.
   */
  load(batch: Uint8Array): void
  endLoad(): void
  /** Deletes the keys in [from, to). */
  deleteRange(from: Uint8Array, to: Uint8Array): void
  /**
   * Entries (`PackedEntries`) in [from, to), ascending, or descending from the last one: as many as come to about `maxBytes`, and at least one
   * if there is any. Fewer than `maxBytes` bytes: there are no more. To go on, ask from behind the last key.
   */
  scan(from: Uint8Array, to: Uint8Array, maxBytes: number, descending?: boolean): Uint8Array
  /** Everything as it is now, whatever is written later. Few are open at a time. */
  view(): DiskView
  /** Native memory in use, as the store counts it, and bytes on disk. */
  usage(): DiskUsage
  /** Ends all views too. Nothing may be called afterwards. */
  close(): void
}

export interface DiskView {
  multiGet(keys: Uint8Array, count: number): Uint8Array
  scan(from: Uint8Array, to: Uint8Array, maxBytes: number): Uint8Array
  close(): void
}

export interface DiskUsage {
  readonly memoryBytes: number
  readonly diskBytes: number
}

export const KEY_BYTES_MAX = 1 << 20
