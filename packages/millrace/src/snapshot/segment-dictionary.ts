/**
 * What a segment says about itself (invariant 4): with it, its entries can be read without any manifest. Stored as UTF-8 JSON in the
 * segment's dictionary block; read back it is checked field by field, since nothing from a disk is trusted.
 */
import { Buffer } from 'node:buffer'
import { assert } from '../base/assert.ts'
import { MillraceError } from '../base/errors.ts'
import { isJsonObject, type Json } from '../base/json.ts'
import { HASH_VERSION } from '../codec/index.ts'
import { MAX_DICTIONARY_BYTES, MAX_KEY_GROUPS, segmentDamaged } from './segment-format.ts'

export interface SegmentDictionary {
  /** Key groups are the hash of the key modulo this. */
  readonly maxParallelism: number
  readonly hashVersion: 1
  /** By state id. State ids are never reused in a job. */
  readonly states: { readonly [stateId: number]: SegmentState }
}

export interface SegmentState {
  readonly operator: string
  readonly state: string
  readonly kind: string
  /** JSON Schema that the values were checked against and that says how their rows are read; null when they describe themselves. */
  readonly schema: Json
  /** Of the values, as their author counts; absent: 1. */
  readonly version?: number
}

const STATE_ID = /^(0|[1-9][0-9]{0,4})$/
const MAX_STATE_ID = 65_535

export function encodeDictionary(dictionary: SegmentDictionary): Uint8Array {
  const { maxParallelism } = dictionary
  assert(
    Number.isInteger(maxParallelism) && maxParallelism >= 1 && maxParallelism <= MAX_KEY_GROUPS,
    `max parallelism ${maxParallelism} is 1 to ${MAX_KEY_GROUPS}`,
  )
  const bytes = Buffer.from(JSON.stringify(dictionary))
  assert(bytes.length <= MAX_DICTIONARY_BYTES, 'the dictionary of a segment fits 4 MiB')
  return bytes
}

/** `offset` is where the dictionary block stands in the file, for messages. */
export function decodeDictionary(bytes: Uint8Array, file: string, offset: number): SegmentDictionary {
  const parsed = parseJson(bytes, file, offset)
  const bad = (what: string): MillraceError => segmentDamaged(file, offset, `its dictionary has no valid ${what}`)
  if (!isJsonObject(parsed)) throw bad('content')
  const { maxParallelism, hashVersion, states } = parsed
  if (!Number.isInteger(maxParallelism) || Number(maxParallelism) < 1 || Number(maxParallelism) > MAX_KEY_GROUPS) {
    throw bad('maxParallelism')
  }
  if (!Number.isInteger(hashVersion) || Number(hashVersion) < HASH_VERSION) throw bad('hashVersion')
  if (hashVersion !== HASH_VERSION) {
    throw new MillraceError(
      'SNAPSHOT_VERSION',
      `Segment '${file}' distributes keys by hash version ${String(hashVersion)}; this millrace knows ${HASH_VERSION}. Upgrade millrace.`,
      { context: { file, hashVersion } },
    )
  }
  if (!isJsonObject(states)) throw bad('states')
  const checked: { [stateId: number]: SegmentState } = {}
  for (const [id, state] of Object.entries(states)) {
    if (!STATE_ID.test(id) || Number(id) > MAX_STATE_ID || !isSegmentState(state))
      throw bad(`state '${id.slice(0, 20)}'`)
    const { operator, state: name, kind, schema, version } = state
    checked[Number(id)] = { operator, state: name, kind, schema, ...(version !== undefined && { version }) }
  }
  return { maxParallelism: Number(maxParallelism), hashVersion: HASH_VERSION, states: checked }
}

/**
 * What describes the entries of all of them, newest first. Names may have changed (a rename keeps the id), and the schema: the newest
 * ones win. Whoever wrote under the newest schema had checked all that was there before, and rows of another layout are not in one
 * list with its own (needsFullBase).
 */
export function uniteDictionaries(newestFirst: readonly SegmentDictionary[]): SegmentDictionary {
  const newest = newestFirst[0]
  assert(newest !== undefined, 'there is a dictionary to unite')
  const states: { [stateId: number]: SegmentState } = {}
  for (const dictionary of newestFirst) {
    assert(
      dictionary.maxParallelism === newest.maxParallelism,
      'segments with different max parallelism are never merged: the first checkpoint after a change is a base',
    )
    for (const [id, state] of Object.entries(dictionary.states)) {
      const known = states[Number(id)]
      states[Number(id)] = known ?? state
      assert(
        known === undefined || known.kind === state.kind,
        `state id ${id} has one kind in all segments that are merged`,
      )
    }
  }
  return { maxParallelism: newest.maxParallelism, hashVersion: HASH_VERSION, states }
}

function parseJson(bytes: Uint8Array, file: string, offset: number): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw segmentDamaged(file, offset, 'its dictionary is not JSON', cause)
  }
}

function isSegmentState(value: unknown): value is SegmentState {
  if (!isJsonObject(value)) return false
  const { operator, state, kind, schema, version = 1 } = value
  const isNamed = typeof operator === 'string' && typeof state === 'string' && typeof kind === 'string'
  return isNamed && schema !== undefined && Number.isInteger(version) && (version as number) >= 1
}
