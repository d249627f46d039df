/** Counts the entries of keyed states in a snapshot: what a restore would load, without tombstones and what has outlived its time. */
import type { SnapshotReader } from '../reading/index.ts'
import { KEY_PREFIX_BYTES } from '../snapshot/segment-format.ts'

export interface StateCount {
  entries: number
  /** Of the keys with their namespaces, without what stands before each. */
  keyBytes: number
  valueBytes: number
  /** Ascending; only those that have entries. */
  readonly keyGroups: Map<number, { entries: number; bytes: number }>
}

/** By state id; a state without entries is there too. @throws SNAPSHOT_DAMAGED, SNAPSHOT_VERSION */
export async function countEntries(
  { segments }: Pick<SnapshotReader, 'segments'>,
  stateIds: readonly number[],
): Promise<Map<number, StateCount>> {
  const counts = new Map(
    stateIds.map((id): [number, StateCount] => [id, { entries: 0, keyBytes: 0, valueBytes: 0, keyGroups: new Map() }]),
  )
  if (counts.size === 0) return counts
  for await (const { stateId, bytes, keyStart, keyEnd, valueStart, valueEnd } of segments.walk({
    stateIds: new Set(stateIds),
  })) {
    const count = counts.get(stateId)!
    const keyBytes = keyEnd - keyStart - KEY_PREFIX_BYTES
    const valueBytes = valueEnd - valueStart
    count.entries++
    count.keyBytes += keyBytes
    count.valueBytes += valueBytes
    addToKeyGroup(count, (bytes[keyStart] << 8) | bytes[keyStart + 1], keyBytes + valueBytes)
  }
  return counts
}

function addToKeyGroup({ keyGroups }: StateCount, keyGroup: number, bytes: number): void {
  const group = keyGroups.get(keyGroup)
  if (group === undefined) keyGroups.set(keyGroup, { entries: 1, bytes })
  else {
    group.entries++
    group.bytes += bytes
  }
}
