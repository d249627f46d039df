/**
 * How many bytes of a snapshot's segments a restore reads, estimated from the manifest alone: keys are spread evenly over the key
 * groups, so a slot reads of a segment what its key groups are of the segment's. Where the max parallelism changes every slot reads
 * everything (runtime/restore.ts).
 */
import { keyGroupRange } from '../codec/index.ts'
import type { Manifest } from './manifest-types.ts'

export interface RestoreTarget {
  readonly parallelism: number
  readonly maxParallelism: number
}

export function estimateRestoreBytes(
  { segments, maxParallelism: before }: Pick<Manifest, 'segments' | 'maxParallelism'>,
  { parallelism, maxParallelism }: RestoreTarget,
): number {
  if (before !== maxParallelism) return parallelism * segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  let bytes = 0
  for (let slot = 0; slot < parallelism; slot++) {
    const [start, end] = keyGroupRange(slot, parallelism, maxParallelism)
    for (const { sizeBytes, keyGroups } of segments) {
      const shared = Math.min(end, keyGroups[1]) - Math.max(start, keyGroups[0])
      if (shared > 0) bytes += (sizeBytes * shared) / (keyGroups[1] - keyGroups[0])
    }
  }
  return Math.round(bytes)
}
