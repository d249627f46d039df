/**
 * One state of a snapshot. Entries come in the order of the segments (key group, then key), one at a time: memory is bounded by the
 * largest entry, not by the state. A look-up of a key reads the blocks of its key group only.
 */
import { MillraceError } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import {
  ByteReader,
  ByteWriter,
  compareKeys,
  decodeValue,
  encodeKey,
  type Key,
  keyGroupOf,
  type KeyGroupRange,
} from '../codec/index.ts'
import type { KeyedStateInfo } from '../snapshot/manifest-types.ts'
import type { BlockCursor } from '../snapshot/segment-cursor.ts'
import { KEY_PREFIX_BYTES } from '../snapshot/segment-format.ts'
import { compareEntryKeys } from '../snapshot/segment-key.ts'
import { EntryDecoder, type KeyedKind, type StateEntry } from './state-entry.ts'
import type { SnapshotSegments } from './snapshot-segments.ts'

/** Which entries. What is left out does not restrict. */
export interface EntryFilter {
  /** Of this key only. */
  readonly key?: Key
  /** Keys that are texts and begin with this one, or tuples that begin with the elements of this one. */
  readonly keyPrefix?: string | readonly Key[]
  /** From the first to before the second. */
  readonly keyGroups?: KeyGroupRange
}

export interface StateReader {
  readonly operator: string
  readonly name: string
  /** `value`, `list`, `map`, `reducing`, `aggregating`, `timers`, `window-…`; of operator state `operator list`; `broadcast`. */
  readonly kind: string
  /** JSON Schema of the values; null where they describe themselves. */
  readonly schema: Json
  /**
   * The entries, expired ones left out. Of a list each element is an entry, of a map each of its entries.
   * @throws OBJECT_MISSING, SNAPSHOT_DAMAGED, SNAPSHOT_VERSION
   */
  entries(filter?: EntryFilter): AsyncGenerator<StateEntry, void, undefined>
  /**
   * All that a key has, undefined when that is nothing: of list state an array, of map state a Map, of timers the times, of windows a
   * Map by their start, otherwise the value (of aggregating state the accumulator). @throws USAGE for an operator list, which has no keys
   */
  get(key: Key): Promise<unknown>
}

/** Segments are read in pieces of this size for a look-up: two blocks. */
const LOOK_UP_READ_BYTES = 128 * 1024

export class KeyedStateReader implements StateReader {
  readonly operator: string
  readonly info: KeyedStateInfo
  readonly segments: SnapshotSegments
  readonly decoder: EntryDecoder

  constructor(operator: string, info: KeyedStateInfo, kind: KeyedKind, segments: SnapshotSegments) {
    this.operator = operator
    this.info = info
    this.segments = segments
    this.decoder = new EntryDecoder(kind, info)
  }

  get name(): string {
    return this.info.name
  }

  get kind(): string {
    return this.info.kind
  }

  get schema(): Json {
    return this.info.schema
  }

  async *entries(filter: EntryFilter = {}): AsyncGenerator<StateEntry, void, undefined> {
    for await (const cursor of this.cursors(filter)) yield this.decoder.entry(cursor)
  }

  /** Where the entries stand, still encoded; each is valid until the next step. */
  async *cursors({ key, keyPrefix, keyGroups }: EntryFilter = {}): AsyncGenerator<BlockCursor, void, undefined> {
    if (key !== undefined) {
      if (fitsGroups(keyGroupOf(key, this.maxParallelism), keyGroups) && fitsPrefix(key, keyPrefix))
        yield* this.lookUp(key)
      return
    }
    const stateIds = new Set([this.info.id])
    const walk = this.segments.walk({ stateIds, ...(keyGroups !== undefined && { keyGroups }) })
    for await (const cursor of walk) {
      if (keyPrefix === undefined || fitsPrefix(this.decoder.key(cursor), keyPrefix)) yield cursor
    }
  }

  async get(key: Key): Promise<unknown> {
    const found: StateEntry[] = []
    for await (const entry of this.entries({ key })) found.push(entry)
    return found.length === 0 ? undefined : together(this.decoder.kind, found)
  }

  private get maxParallelism(): number {
    return this.segments.manifest.maxParallelism
  }

  /** Only the blocks of the key's group, and not beyond the key. */
  private async *lookUp(key: Key): AsyncGenerator<BlockCursor, void, undefined> {
    const keyGroup = keyGroupOf(key, this.maxParallelism)
    const prefix = entryKeyOf(keyGroup, this.info.id, key)
    const walk = this.segments.walk({
      stateIds: new Set([this.info.id]),
      keyGroups: [keyGroup, keyGroup + 1],
      readAheadBytes: LOOK_UP_READ_BYTES,
    })
    for await (const cursor of walk) {
      const { bytes, keyStart, keyEnd } = cursor
      const order = compareEntryKeys(
        bytes,
        keyStart,
        Math.min(keyEnd, keyStart + prefix.length),
        prefix,
        0,
        prefix.length,
      )
      if (order > 0) return
      if (order === 0) yield cursor
    }
  }
}

/** The beginning of every entry of a key: no key's encoding is the beginning of another's. */
export function entryKeyOf(keyGroup: number, stateId: number, key: Key): Uint8Array {
  const out = new ByteWriter(KEY_PREFIX_BYTES + 64)
  out.u16be(keyGroup)
  out.u16be(stateId)
  encodeKey(key, out)
  return out.copy()
}

function together(kind: KeyedKind, entries: readonly StateEntry[]): unknown {
  switch (kind) {
    case 'list':
      return entries.map(({ value }) => value)
    case 'map':
      return new Map(entries.map(({ mapKey, value }) => [mapKey, value]))
    case 'timers':
      return entries.map(({ time }) => time)
    case 'window':
      return new Map(entries.map(({ window, value }) => [window, value]))
    default:
      return entries[0].value
  }
}

function fitsGroups(keyGroup: number, [start, end]: KeyGroupRange = [0, Infinity]): boolean {
  return keyGroup >= start && keyGroup < end
}

function fitsPrefix(key: Key, prefix: EntryFilter['keyPrefix']): boolean {
  if (prefix === undefined) return true
  if (typeof prefix === 'string') return typeof key === 'string' && key.startsWith(prefix)
  return (
    Array.isArray(key) &&
    key.length >= prefix.length &&
    prefix.every((element, i) => compareKeys(element, (key as readonly Key[])[i]) === 0)
  )
}

/** State of an operator that is not keyed: a list for each subtask. It stands in the manifest. */
export class OperatorListReader implements StateReader {
  readonly operator: string
  readonly name: string
  readonly kind = 'operator list'
  readonly schema = null
  private readonly lists: readonly (readonly string[])[]

  constructor(operator: string, name: string, lists: readonly (readonly string[])[]) {
    this.operator = operator
    this.name = name
    this.lists = lists
  }

  async *entries({ key, keyPrefix, keyGroups }: EntryFilter = {}): AsyncGenerator<StateEntry, void, undefined> {
    if (key !== undefined || keyPrefix !== undefined || keyGroups !== undefined) throw this.unkeyed()
    for (const [subtask, list] of this.lists.entries()) {
      for (const [index, stored] of list.entries()) yield { subtask, index, value: decodeStored(stored) }
    }
  }

  async get(): Promise<never> {
    throw this.unkeyed()
  }

  private unkeyed(): MillraceError {
    return new MillraceError(
      'USAGE',
      `state '${this.name}' of '${this.operator}' is a list of the operator's and has no keys`,
      {
        hint: 'Read all of it: state scan without a key, or entries().',
      },
    )
  }
}

/** Broadcast state, in the order of its keys. It stands in the manifest. */
export class BroadcastReader implements StateReader {
  readonly operator: string
  readonly name: string
  readonly kind = 'broadcast'
  readonly schema = null
  private readonly stored: readonly string[]

  constructor(operator: string, name: string, stored: readonly string[]) {
    this.operator = operator
    this.name = name
    this.stored = stored
  }

  async *entries({ key: wanted, keyPrefix, keyGroups }: EntryFilter = {}): AsyncGenerator<StateEntry, void, undefined> {
    if (keyGroups !== undefined) {
      throw new MillraceError(
        'USAGE',
        `broadcast state '${this.name}' of '${this.operator}' is in no key group: every subtask has all of it`,
      )
    }
    for (const text of this.stored) {
      const [key, value] = decodeStored(text) as [Key, unknown]
      if ((wanted === undefined || compareKeys(wanted, key) === 0) && fitsPrefix(key, keyPrefix)) yield { key, value }
    }
  }

  async get(key: Key): Promise<unknown> {
    for await (const { value } of this.entries({ key })) return value
    return undefined
  }
}

/** Of a value that a manifest holds: in the value codec, as base64. @throws SNAPSHOT_DAMAGED */
function decodeStored(stored: string): unknown {
  return decodeValue(new ByteReader(Buffer.from(stored, 'base64')))
}
