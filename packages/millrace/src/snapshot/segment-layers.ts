/**
 * A snapshot's list of segments as layers: every slot writes a segment at a checkpoint, so those of one checkpoint are of one age,
 * share no key, and count as one. A merged segment is a layer of its own; its checkpoint is that of the newest one in it, which is
 * nowhere else in the list, since whole layers are merged.
 */
import type { SegmentRef } from './manifest-types.ts'

export type LayeredSegment = Pick<SegmentRef, 'checkpoint' | 'sizeBytes' | 'entries' | 'tombstones' | 'base'>

/** `segments.slice(from, to)` of the list, and what they have together. */
export interface SegmentLayer {
  readonly from: number
  readonly to: number
  readonly sizeBytes: number
  readonly entries: number
  readonly tombstones: number
  readonly base: boolean
}

/** Newest first, as the list is. */
export function layersOf(segments: readonly LayeredSegment[]): SegmentLayer[] {
  const layers: SegmentLayer[] = []
  for (let from = 0, to = 0; from < segments.length; from = to) {
    const { checkpoint, base } = segments[from]
    while (to < segments.length && segments[to].checkpoint === checkpoint) to++
    const own = segments.slice(from, to)
    const sum = (of: 'sizeBytes' | 'entries' | 'tombstones') => own.reduce((total, segment) => total + segment[of], 0)
    layers.push({ from, to, sizeBytes: sum('sizeBytes'), entries: sum('entries'), tombstones: sum('tombstones'), base })
  }
  return layers
}
