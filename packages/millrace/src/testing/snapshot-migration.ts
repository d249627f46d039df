/** Trying out a changed state on the values of a real snapshot, without running the job. */
import { assert } from '../base/assert.ts'
import { MillraceError } from '../base/errors.ts'
import { ByteReader, decodeKey, decodeStateValue, decodeValue, fixedSchemaOfJson, type Key } from '../codec/index.ts'
import { valueFormOf } from '../graph/index.ts'
import { findSnapshot } from '../snapshot/catalogue.ts'
import { mergeEntries } from '../snapshot/entry-merge.ts'
import type { KeyedStateInfo, Manifest, OperatorSnapshot, StoredForm } from '../snapshot/manifest-types.ts'
import { ENTRY_TOMBSTONE, KEY_PREFIX_BYTES } from '../snapshot/segment-format.ts'
import { openSegment } from '../snapshot/segment-reader.ts'
import { parseSnapshotRef } from '../snapshot/snapshot-id.ts'
import { valueAdapter, type Adapt } from '../state/index.ts'
import type { AnyDeclaration } from '../state/declarations.ts'
import type { SnapshotStore, Storage } from '../store/contract.ts'
import { localStorage } from '../store/local/index.ts'

export interface SnapshotMigration {
  /** A directory, or a Storage. */
  readonly storage: string | Storage
  readonly job: string
  /** `chk-42`, `sp-43` or `latest`. Default: `latest`. */
  readonly snapshot?: string
  /** As the snapshot names them. */
  readonly operator: string
  readonly state: string
  /** The state as the changed job declares it: `value({ schema, version: 2, migrate: { 1: … } })`. */
  readonly declaration: AnyDeclaration
}

export interface MigratedValue {
  /** Undefined in state without keys. */
  readonly key: Key | undefined
  /** As the snapshot holds it, and as the changed job would load it. Of a map its values, of a list its elements. */
  readonly before: unknown
  readonly after: unknown
}

/**
 * Every value of a state in a snapshot, as it is and as a job with the given declaration would load it: by the same conversions,
 * migrations and checks. Reads only. All values are held in memory.
 * @throws STATE_INCOMPATIBLE as the start of that job would, with operator, state and key; SNAPSHOT_NOT_FOUND; USAGE for a state that the
 *   snapshot does not have
 *
 * @example
 * const values = await migrateSnapshot({ storage: 'fixtures', job: 'shop', operator: 'carts', state: 'cart', declaration: cart })
 * for (const { before, after } of values) assert.equal(after.total, before.items.length)
 */
export async function migrateSnapshot(options: SnapshotMigration): Promise<MigratedValue[]> {
  const { storage, job, snapshot = 'latest', operator, state, declaration } = options
  const store = (typeof storage === 'string' ? localStorage(storage) : storage).job(job)
  const ref = parseSnapshotRef(snapshot)
  assert(ref.kind !== 'path', 'a snapshot is named by its id or latest')
  const manifest = await findSnapshot(store, job, ref)
  const found = manifest.operators.find(({ name }) => name === operator)
  const keyed = found?.states.find(({ name }) => name === state)
  const adapterOf = ({ schema, version = 1 }: StoredForm): Adapt =>
    valueAdapter({ operator, state }, { schema, version }, declaration, valueFormOf(declaration)) ?? (value => value)
  if (keyed !== undefined) return keyedValues(store, manifest, keyed, adapterOf(keyed))
  const values = found === undefined ? undefined : unkeyedValues(found, state)
  if (values === undefined) {
    const message = `the snapshot has no state '${state}' of an operator '${operator}'`
    throw new MillraceError('USAGE', message, { hint: 'millrace inspect tells what it has.' })
  }
  const adapt = adapterOf(found!.forms?.[state] ?? { schema: null })
  return values.map(([key, before]) => ({ key, before, after: adapt(before, key) }))
}

async function keyedValues(
  store: SnapshotStore,
  { segments }: Manifest,
  { id, schema }: KeyedStateInfo,
  adapt: Adapt,
): Promise<MigratedValue[]> {
  const merge = mergeEntries(await Promise.all(segments.map(segment => openSegment(store, segment))))
  const rows = fixedSchemaOfJson(schema)
  const [reader, value] = [new ByteReader(), new ByteReader()]
  const values: MigratedValue[] = []
  for (;;) {
    while (merge.advance()) {
      const { op, stateId, bytes, keyStart, keyEnd, valueStart, valueEnd } = merge.entry
      if (op === ENTRY_TOMBSTONE || stateId !== id) continue
      reader.reset(bytes, keyStart + KEY_PREFIX_BYTES, keyEnd)
      value.reset(bytes, valueStart, valueEnd)
      const key = decodeKey(reader)
      const read = (): unknown => decodeStateValue(value, rows)
      const before = read()
      // A migration may change what it is given.
      value.reset(bytes, valueStart, valueEnd)
      values.push({ key, before, after: adapt(read(), key) })
    }
    if (!merge.needsRefill) return values
    await merge.refill()
  }
}

/** Undefined: the operator has no such state. */
function unkeyedValues(
  { operatorState = {}, broadcastState = {} }: OperatorSnapshot,
  state: string,
): [key: Key | undefined, value: unknown][] | undefined {
  const load = (stored: string): unknown => decodeValue(new ByteReader(Buffer.from(stored, 'base64')))
  if (Object.hasOwn(operatorState, state)) return operatorState[state].flat().map(stored => [undefined, load(stored)])
  if (Object.hasOwn(broadcastState, state)) return broadcastState[state].map(stored => load(stored) as [Key, unknown])
  return undefined
}
