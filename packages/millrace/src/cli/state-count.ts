/** Counts the entries of keyed states in a snapshot: the newest entry of every key, tombstones left out. */
import { mergeEntries } from '../snapshot/entry-merge.ts'
import type { Manifest } from '../snapshot/manifest-types.ts'
import { ENTRY_TOMBSTONE, KEY_PREFIX_BYTES } from '../snapshot/segment-format.ts'
import { openSegment } from '../snapshot/segment-reader.ts'
import type { SnapshotStore } from '../store/contract.ts'

export interface StateCount {
  entries: number
  /** Of the keys with their namespaces, without what stands before each. */
  keyBytes: number
  valueBytes: number
  /** Ascending; only those that have entries. */
  readonly keyGroups: Map<number, { entries: number; bytes: number }>
}

/** By state id; a state without entries is there too. @throws OBJECT_MISSING, SNAPSHOT_DAMAGED, SNAPSHOT_VERSION */
export async function countEntries(
  store: SnapshotStore,
  { segments }: Manifest,
  stateIds: readonly number[],
): Promise<Map<number, StateCount>> {
  const counts = new Map(
    stateIds.map((id): [number, StateCount] => [id, { entries: 0, keyBytes: 0, valueBytes: 0, keyGroups: new Map() }]),
  )
  if (counts.size === 0) return counts
  const merge = mergeEntries(await Promise.all(segments.map(ref => openSegment(store, ref))))
  for (;;) {
    while (merge.advance()) {
      const { op, stateId, bytes, keyStart, keyEnd, valueStart, valueEnd } = merge.entry
      const count = counts.get(stateId)
      if (count === undefined || op === ENTRY_TOMBSTONE) continue
      const keyBytes = keyEnd - keyStart - KEY_PREFIX_BYTES
      const valueBytes = valueEnd - valueStart
      count.entries++
      count.keyBytes += keyBytes
      count.valueBytes += valueBytes
      addToKeyGroup(count, (bytes[keyStart] << 8) | bytes[keyStart + 1], keyBytes + valueBytes)
    }
    if (!merge.needsRefill) return counts
    await merge.refill()
  }
}

function addToKeyGroup({ keyGroups }: StateCount, keyGroup: number, bytes: number): void {
  const group = keyGroups.get(keyGroup)
  if (group === undefined) keyGroups.set(keyGroup, { entries: 1, bytes })
  else {
    group.entries++
    group.bytes += bytes
  }
}
