/**
 * Loads a slot's keyed state from a snapshot's segments: the newest entry of every key that lies in its key groups, into the backend's
 * tables. Of the same max parallelism only those key groups are read. Of another one everything is, and each key is hashed anew,
 * from its bytes: what is another slot's is never decoded. State that the restore plan dropped is skipped.
 */
import {
  ByteReader,
  decodeKey,
  fixedSchemaOfJson,
  keyGroupOfHash,
  murmur3,
  skipKey,
  type Key,
  type KeyGroupRange,
} from '../codec/index.ts'
import { mergeEntries } from '../snapshot/entry-merge.ts'
import type { Manifest } from '../snapshot/manifest-types.ts'
import { ENTRY_PUT_TOUCHED, ENTRY_TOMBSTONE, KEY_PREFIX_BYTES } from '../snapshot/segment-format.ts'
import { openSegment } from '../snapshot/segment-reader.ts'
import type { Adapt, StateBackend, StateId, WriterSchemas } from '../state/index.ts'
import type { SegmentStore } from '../store/contract.ts'
import { NO_TOUCH } from '../time/index.ts'

/** @throws STATE_INCOMPATIBLE for a key that the state cannot have */
export type KeyCheck = (key: Key) => void

/** What of the keyed state is the slot's. */
export interface StateShare {
  /** Of the job now; the snapshot may have had another one. */
  readonly maxParallelism: number
  readonly keyGroups: KeyGroupRange
  /** Within these: whether a state's key group is the slot's, for operators with a parallelism of their own. Default: each is. */
  readonly owns?: (id: StateId, keyGroup: number) => boolean
  /** Of states whose values, or keys, the job describes differently than the snapshot. */
  readonly adapters?: ReadonlyMap<StateId, Adapt>
  readonly keyChecks?: ReadonlyMap<StateId, KeyCheck>
  /** States whose entries come without a touch, whatever the snapshot says: it is of another time than theirs. */
  readonly untouched?: ReadonlySet<StateId>
}

/**
 * `onRead` is told how much of the segments is loaded, of how much, in bytes as they are stored: before the first, then now and then.
 * @throws SNAPSHOT_DAMAGED, OBJECT_MISSING, SNAPSHOT_VERSION: nothing of the backend may be used then
 */
export async function restoreState(
  store: SegmentStore,
  backend: StateBackend,
  manifest: Manifest,
  wanted: ReadonlySet<StateId>,
  { maxParallelism, keyGroups, owns, adapters, keyChecks, untouched }: StateShare,
  onRead: (readBytes: number, totalBytes: number) => void = () => undefined,
): Promise<void> {
  const [start, end] = keyGroups
  const rehash = manifest.maxParallelism !== maxParallelism
  const refs = manifest.segments.filter(segment => rehash || overlap(segment.keyGroups, keyGroups))
  const segments = await Promise.all(refs.map(ref => openSegment(store, ref)))
  const merge = rehash ? mergeEntries(segments) : mergeEntries(segments, start, end)
  const takesAll = owns === undefined && (!rehash || (start === 0 && end === maxParallelism))
  const key = new ByteReader()
  const value = new ByteReader()
  backend.restoreBegin(manifest.id, writerSchemas(manifest), adapters)
  for (;;) {
    while (merge.advance()) {
      const { op, stateId, bytes, keyStart, keyEnd, valueStart, valueEnd, lastTouchMs } = merge.entry
      if (op === ENTRY_TOMBSTONE || !wanted.has(stateId)) continue
      key.reset(bytes, keyStart + KEY_PREFIX_BYTES, keyEnd)
      if (!takesAll) {
        const keyGroup = rehash ? keyGroupAt(key, maxParallelism) : (bytes[keyStart] << 8) | bytes[keyStart + 1]
        if (keyGroup < start || keyGroup >= end || owns?.(stateId, keyGroup) === false) continue
      }
      keyChecks?.get(stateId)?.(keyAt(key))
      value.reset(bytes, valueStart, valueEnd)
      const isTouched = op === ENTRY_PUT_TOUCHED && untouched?.has(stateId) !== true
      backend.restore(stateId, key, value, isTouched ? lastTouchMs : NO_TOUCH)
    }
    onRead(merge.readBytes, merge.totalBytes)
    if (!merge.needsRefill) break
    await merge.refill()
  }
  backend.restoreEnd()
}

function writerSchemas({ operators }: Manifest): WriterSchemas {
  const states = operators.flatMap(operator => operator.states)
  return new Map(
    states.flatMap(({ id, schema }) => {
      const fixed = fixedSchemaOfJson(schema)
      return fixed === undefined ? [] : [[id, fixed]]
    }),
  )
}

function overlap(a: KeyGroupRange, b: KeyGroupRange): boolean {
  return a[0] < b[1] && b[0] < a[1]
}

/** The key that the reader stands before, and goes on standing before. */
function keyAt(reader: ByteReader): Key {
  const start = reader.offset
  const key = decodeKey(reader)
  reader.offset = start
  return key
}

/** Of the encoded key that the reader stands before, and goes on standing before. */
function keyGroupAt(reader: ByteReader, maxParallelism: number): number {
  const start = reader.offset
  skipKey(reader)
  const hash = murmur3(reader.bytes, start, reader.offset)
  reader.offset = start
  return keyGroupOfHash(hash, maxParallelism)
}
