/**
 * Loads keyed state from a snapshot's segments: the newest entry of every key, into the backend's tables. Key groups are computed
 * anew, so the max parallelism may be another one. State that the restore plan dropped is skipped.
 */
import { ByteReader } from '../codec/index.ts'
import { mergeEntries } from '../snapshot/entry-merge.ts'
import type { Manifest } from '../snapshot/manifest-types.ts'
import { openSegment } from '../snapshot/segment-reader.ts'
import type { StateBackend, StateId } from '../state/index.ts'
import type { SnapshotStore } from '../store/contract.ts'

/** Op of a deleted key in a segment. */
const TOMBSTONE = 1
/** Key group and state id stand before the key. */
const PREFIX_BYTES = 4

/** @throws SNAPSHOT_DAMAGED, OBJECT_MISSING, SNAPSHOT_VERSION: nothing of the backend may be used then */
export async function restoreState(
  store: SnapshotStore,
  backend: StateBackend,
  manifest: Manifest,
  wanted: ReadonlySet<StateId>,
): Promise<void> {
  const segments = await Promise.all(manifest.segments.map(ref => openSegment(store, ref)))
  const merge = mergeEntries(segments)
  const key = new ByteReader()
  const value = new ByteReader()
  backend.restoreBegin(manifest.id)
  for (;;) {
    while (merge.advance()) {
      const entry = merge.entry
      if (entry.op === TOMBSTONE || !wanted.has(entry.stateId)) continue
      key.reset(entry.bytes, entry.keyStart + PREFIX_BYTES, entry.keyEnd)
      value.reset(entry.bytes, entry.valueStart, entry.valueEnd)
      backend.restore(entry.stateId, key, value, entry.lastTouchMs)
    }
    if (!merge.needsRefill) break
    await merge.refill()
  }
  backend.restoreEnd()
}
