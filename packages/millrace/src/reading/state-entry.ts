/**
 * Entries of keyed state as people see them. What stands behind the key in an entry's bytes depends on the kind of the state:
 *
 *     list     u32be index            map       a key             timers   ordered f64 time, value: number of registration
 *     window   a key: its start       value, reducing, aggregating: nothing
 */
import {
  ByteReader,
  damaged,
  decodeKey,
  decodeStateValue,
  type FixedSchema,
  fixedSchemaOfJson,
  type Key,
} from '../codec/index.ts'
import type { KeyedStateInfo } from '../snapshot/manifest-types.ts'
import { lastTouchOf } from '../snapshot/expiry.ts'
import type { BlockCursor } from '../snapshot/segment-cursor.ts'
import { ENTRY_PUT_TOUCHED, KEY_PREFIX_BYTES } from '../snapshot/segment-format.ts'

/** One entry of a state. Which members it has depends on the state's kind. */
export interface StateEntry {
  /** Of keyed state. */
  readonly keyGroup?: number
  /** Of keyed and broadcast state. */
  readonly key?: Key
  /** List state: which element of the key's list; indexes may have gaps. Operator lists: which of the subtask's elements. */
  readonly index?: number
  /** Map state: the key within the key's map. */
  readonly mapKey?: Key
  /** Timers: when it is due, in milliseconds since 1970. */
  readonly time?: number
  /** Contents of windows: the window's start. */
  readonly window?: Key
  /** Operator lists: whose element it is. */
  readonly subtask?: number
  /** Of aggregating state and windows the accumulator; of timers their place in the order of registration. */
  readonly value: unknown
  /** State with a time to live: when it was last touched, by the clock or in event time, whichever it expires by. */
  readonly lastTouchMs?: number
}

/** What an entry's key means, apart from its value. */
export type EntryIdentity = Omit<StateEntry, 'value' | 'lastTouchMs'>

/** `aggregating (count)` and `window-aggregate (sum)` say the accumulator's shape too. */
export type KeyedKind = 'value' | 'list' | 'map' | 'reducing' | 'aggregating' | 'timers' | 'window'

/** Undefined: a kind that this version does not know how to read. */
export function keyedKindOf({ kind }: Pick<KeyedStateInfo, 'kind'>): KeyedKind | undefined {
  const word = kind.split(' ')[0]
  if (word.startsWith('window-')) return 'window'
  return KINDS.find(known => known === word)
}

const KINDS: readonly KeyedKind[] = ['value', 'list', 'map', 'reducing', 'aggregating', 'timers']

type DecodedInfo = Pick<KeyedStateInfo, 'schema' | 'ttlTime'>

/** Reads entries of one state. All methods take a cursor that stands at an entry, and keep nothing of it. */
export class EntryDecoder {
  readonly kind: KeyedKind
  readonly schema: FixedSchema | undefined
  private readonly info: DecodedInfo
  private readonly reader = new ByteReader()

  constructor(kind: KeyedKind, info: DecodedInfo) {
    this.kind = kind
    this.info = info
    this.schema = fixedSchemaOfJson(info.schema)
  }

  /** @throws SNAPSHOT_DAMAGED */
  key(entry: BlockCursor): Key {
    return decodeKey(this.atKey(entry))
  }

  /** @throws SNAPSHOT_DAMAGED */
  identity(entry: BlockCursor): EntryIdentity {
    const reader = this.atKey(entry)
    const { bytes, keyStart } = entry
    const identity = {
      keyGroup: (bytes[keyStart] << 8) | bytes[keyStart + 1],
      key: decodeKey(reader),
      ...this.rest(reader),
    }
    if (reader.remaining() > 0) throw damaged(`the key of an entry is longer than that of ${this.kind} state`)
    return identity
  }

  /** @throws SNAPSHOT_DAMAGED */
  value({ bytes, valueStart, valueEnd }: BlockCursor): unknown {
    this.reader.reset(bytes, valueStart, valueEnd)
    return decodeStateValue(this.reader, this.schema)
  }

  /** @throws SNAPSHOT_DAMAGED */
  entry(entry: BlockCursor): StateEntry {
    const touched =
      entry.op === ENTRY_PUT_TOUCHED ? { lastTouchMs: lastTouchOf(this.info, entry.lastTouchMs) } : undefined
    return { ...this.identity(entry), value: this.value(entry), ...touched }
  }

  private atKey({ bytes, keyStart, keyEnd }: BlockCursor): ByteReader {
    this.reader.reset(bytes, keyStart + KEY_PREFIX_BYTES, keyEnd)
    return this.reader
  }

  private rest(reader: ByteReader): EntryIdentity {
    switch (this.kind) {
      case 'list':
        return { index: reader.u32be() }
      case 'map':
        return { mapKey: decodeKey(reader) }
      case 'timers':
        return { time: reader.orderedF64() }
      case 'window':
        return { window: decodeKey(reader) }
      default:
        return {}
    }
  }
}
