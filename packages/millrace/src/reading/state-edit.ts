/**
 * What an edit does to the entries of one keyed state, as entries of a segment that is laid over those of the snapshot: puts of what is
 * new or changed, tombstones of what goes, in ascending order of their keys. What stays equal is not written.
 */
import { isDeepStrictEqual } from 'node:util'
import { messageOf, MillraceError } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import {
  ByteWriter,
  describeKey,
  encodeKey,
  encodeValue,
  type Key,
  keyGroupOf,
  keyIdentity,
  misfitOf,
  schemaMisfit,
} from '../codec/index.ts'
import { touchNow } from '../snapshot/expiry.ts'
import { ENTRY_PUT, ENTRY_PUT_TOUCHED, ENTRY_TOMBSTONE, type EntryOp } from '../snapshot/segment-format.ts'
import { compareEntryKeys } from '../snapshot/segment-key.ts'
import type { BlockCursor } from '../snapshot/segment-cursor.ts'
import { entryKeyOf, type KeyedStateReader } from './state-reader.ts'
import type { StateEntry } from './state-entry.ts'

/** Gives the entry as it shall be, with another value or the same; undefined takes it out. */
export type EditEntry = (entry: StateEntry) => StateEntry | undefined | Promise<StateEntry | undefined>

/** Keys that get a value (all of a list as an array, of a map or of windows as a Map), and keys that lose what they have. */
export interface KeyEdits {
  readonly set: readonly (readonly [Key, unknown])[]
  readonly delete: readonly Key[]
}

export type StateEdit = KeyEdits | EditEntry

/** An entry of the segment that is laid over. */
export interface EditedEntry {
  readonly op: EntryOp
  readonly key: Uint8Array
  /** Empty for a tombstone. */
  readonly value: Uint8Array
  readonly lastTouchMs: number
}

/** In ascending order. @throws STATE_VALUE_INVALID, VALUE_UNSUPPORTED, KEY_INVALID, USAGE, USER_FUNCTION_FAILED, and what reading does */
export function editedEntries(state: KeyedStateReader, edit: StateEdit, nowMs: number): AsyncGenerator<EditedEntry> {
  const entries = new EntryEncoder(state, nowMs)
  return typeof edit === 'function' ? byFunction(state, edit, entries) : byKeys(state, edit, entries)
}

async function* byFunction(
  state: KeyedStateReader,
  edit: EditEntry,
  entries: EntryEncoder,
): AsyncGenerator<EditedEntry> {
  for await (const cursor of state.cursors()) {
    const entry = state.decoder.entry(cursor)
    const edited = await called(edit, entry, state)
    if (edited === undefined) yield entries.tombstone(cursor)
    else {
      checkIdentity(edited, cursor, state)
      // Decoded anew: the function may have changed the value in place.
      if (!isDeepStrictEqual(state.decoder.value(cursor), edited.value))
        yield entries.put(state.decoder.key(cursor), keyOf(cursor), edited.value)
    }
  }
}

async function called(
  edit: EditEntry,
  entry: StateEntry,
  { operator, name }: KeyedStateReader,
): Promise<StateEntry | undefined> {
  try {
    return await edit(entry)
  } catch (cause) {
    const message = `the function that edits '${name}' of '${operator}' threw under key ${describeKey(entry.key)}: ${messageOf(cause)}`
    throw new MillraceError('USER_FUNCTION_FAILED', message, { cause })
  }
}

function checkIdentity(edited: StateEntry, cursor: BlockCursor, { operator, name, decoder }: KeyedStateReader): void {
  const before = decoder.identity(cursor)
  if (typeof edited === 'object' && edited !== null && 'value' in edited) {
    const { value: _, lastTouchMs: __, ...identity } = edited
    if (isDeepStrictEqual(identity, before)) return
  }
  throw new MillraceError(
    'USAGE',
    `the function that edits '${name}' of '${operator}' returned no entry of the key ${describeKey(before.key)} that it was given`,
    { hint: 'Return the entry with another value, { ...entry, value }, or undefined to take it out.' },
  )
}

async function* byKeys(state: KeyedStateReader, edits: KeyEdits, entries: EntryEncoder): AsyncGenerator<EditedEntry> {
  checkTwice([...edits.set.map(([key]) => key), ...edits.delete])
  const found: EditedEntry[] = []
  for (const key of edits.delete) found.push(...(await tombstonesOf(state, key, entries, [])))
  for (const [key, value] of edits.set) {
    const puts = entries.putsOf(key, value)
    found.push(...puts, ...(await tombstonesOf(state, key, entries, puts)))
  }
  yield* found.toSorted((a, b) => compareEntryKeys(a.key, 0, a.key.length, b.key, 0, b.key.length))
}

function checkTwice(keys: readonly Key[]): void {
  const seen = new Set<unknown>()
  for (const key of keys) {
    const identity = keyIdentity(key)
    if (seen.has(identity)) throw new MillraceError('USAGE', `the key ${describeKey(key)} is edited twice`)
    seen.add(identity)
  }
}

/** Of what the key has and is not put anew. */
async function tombstonesOf(
  state: KeyedStateReader,
  key: Key,
  entries: EntryEncoder,
  puts: readonly EditedEntry[],
): Promise<EditedEntry[]> {
  const kept = new Set(puts.map(put => Buffer.from(put.key).toString('latin1')))
  const found: EditedEntry[] = []
  for await (const cursor of state.cursors({ key })) {
    const tombstone = entries.tombstone(cursor)
    if (!kept.has(Buffer.from(tombstone.key).toString('latin1'))) found.push(tombstone)
  }
  return found
}

const NOTHING = new Uint8Array(0)

class EntryEncoder {
  private readonly state: KeyedStateReader
  private readonly nowMs: number

  constructor(state: KeyedStateReader, nowMs: number) {
    this.state = state
    this.nowMs = nowMs
  }

  tombstone(cursor: BlockCursor): EditedEntry {
    return { op: ENTRY_TOMBSTONE, key: keyOf(cursor), value: NOTHING, lastTouchMs: 0 }
  }

  /** `key`: whose entry it is; `entryKey`: the bytes it is found by. */
  put(key: Key, entryKey: Uint8Array, value: unknown): EditedEntry {
    const { info, segments } = this.state
    if (info.schema !== null) this.checkFits(info.schema, key, value)
    const out = new ByteWriter(64)
    encodeValue(value, out)
    const touchMs = touchNow(info, segments.manifest, this.nowMs)
    return {
      op: touchMs === undefined ? ENTRY_PUT : ENTRY_PUT_TOUCHED,
      key: entryKey,
      value: out.copy(),
      lastTouchMs: touchMs ?? 0,
    }
  }

  /** All that a key shall have. */
  putsOf(key: Key, value: unknown): EditedEntry[] {
    const { info, segments, decoder } = this.state
    const prefix = entryKeyOf(keyGroupOf(key, segments.manifest.maxParallelism), info.id, key)
    switch (decoder.kind) {
      case 'list':
        if (!Array.isArray(value)) throw this.misshapen(key, 'an array of all elements')
        return value.map((element, index) =>
          this.put(
            key,
            extended(prefix, out => out.u32be(index)),
            element,
          ),
        )
      case 'map':
      case 'window': {
        if (!(value instanceof Map)) throw this.misshapen(key, 'a Map of all entries, {"$map":[[key,value],…]} in JSON')
        const entries = [...(value as Map<Key, unknown>)]
        return entries.map(([sub, held]) =>
          this.put(
            key,
            extended(prefix, out => encodeKey(sub, out)),
            held,
          ),
        )
      }
      case 'timers':
        throw new MillraceError('USAGE', `'${info.name}' holds timers, which can be taken out but not set`)
      default:
        return [this.put(key, prefix, value)]
    }
  }

  private checkFits(schema: Json, key: Key, value: unknown): void {
    const { schema: row } = this.state.decoder
    // Rows hold less than their schema lets through: no -0 for an integer.
    const misfit = schemaMisfit(schema, value) ?? (row && misfitOf(row, value))
    if (misfit === undefined) return
    const { operator, name } = this.state
    throw new MillraceError(
      'STATE_VALUE_INVALID',
      `the value for key ${describeKey(key)} of state '${name}' of '${operator}' does not fit its schema: ${misfit.reason}`,
      { context: { operator, state: name, key: describeKey(key), path: misfit.path } },
    )
  }

  private misshapen(key: Key, expected: string): MillraceError {
    const { operator, name, kind } = this.state
    return new MillraceError(
      'USAGE',
      `the value for key ${describeKey(key)} of ${kind} state '${name}' of '${operator}' must be ${expected}`,
    )
  }
}

function keyOf({ bytes, keyStart, keyEnd }: BlockCursor): Uint8Array {
  return bytes.slice(keyStart, keyEnd)
}

function extended(prefix: Uint8Array, write: (out: ByteWriter) => void): Uint8Array {
  const out = new ByteWriter(prefix.length + 16)
  out.raw(prefix)
  write(out)
  return out.copy()
}
