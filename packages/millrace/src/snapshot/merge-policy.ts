/**
 * When segments are merged, and when a checkpoint writes everything instead of what has changed. Keeps a snapshot's list at 8 layers,
 * and its bytes at about twice what lives, for as few rewritten bytes as that takes. Pure: from the list of a manifest to what to merge, if anything.
 *
 * The oldest layer of a list is its base, those above are deltas. Whole layers are merged, into one segment; a merge that takes in
 * the base makes the new base.
 */
import { layersOf, type LayeredSegment, type SegmentLayer } from './segment-layers.ts'

/** `segments.slice(from, to)` of the list, newest first, become one segment in their place. */
export interface MergePlan {
  readonly from: number
  readonly to: number
  readonly intoBase: boolean
}

/** Restore reads all of them at once, and an entry may have to be looked for in each. */
export const MAX_LAYERS = 8
/** Merging fewer rewrites every byte more often: with 4 about once per factor 4 that the deltas grow. */
const MIN_RUN = 4
/** A large layer is not rewritten to get rid of small ones. */
const MAX_SIZE_RATIO = 3
/** Of the base: deltas as large as what they lie upon make a snapshot twice what lives. Half that cost a merge every second checkpoint. */
const MAX_GARBAGE_RATIO = 1
/** Below this much in all, space is not worth a merge at every checkpoint; a list this small is bounded by its length. */
const MIN_DELTAS_BYTES = 4 * 1024 * 1024

/**
 * The merge to do next for a list, newest first; undefined when none is worth it. At MAX_LAYERS there always is one, so a list
 * whose merges are done before the next layer is added never grows beyond. Layers below the base, if any, are left out.
 */
export function planMerge(segments: readonly LayeredSegment[]): MergePlan | undefined {
  const layers = layersOf(segments)
  const plan = planLayers(layers)
  return plan && { ...plan, from: layers[plan.from].from, to: layers[plan.to - 1].to }
}

function planLayers(layers: readonly SegmentLayer[]): MergePlan | undefined {
  const below = layers.findIndex(({ base }) => base)
  const live = below === -1 ? layers : layers.slice(0, below + 1)
  const base = live.at(-1)
  if (base === undefined || live.length === 1) return undefined
  const deltas = live.slice(0, -1)
  if (garbageExceeds(deltas, base)) return { from: 0, to: live.length, intoBase: true }
  const run = newestRun(deltas)
  if (run !== undefined) return { ...run, intoBase: false }
  if (live.length < MAX_LAYERS) return undefined
  return { ...cheapestNeighbours(deltas), intoBase: false }
}

/**
 * With deltas of d times the base's bytes and tombstones for a share t of its entries, a snapshot is (1 + d) / (1 - t) times what
 * lives. That is 2 where d + 2t is 1: tombstones have few bytes, but each buries an entry, so what they bury counts twice.
 */
function garbageExceeds(deltas: readonly SegmentLayer[], base: SegmentLayer): boolean {
  const bytes = deltas.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const buried = deltas.reduce((sum, { tombstones }) => sum + tombstones, 0)
  const buriedBytes = base.entries === 0 ? 0 : Math.min(1, buried / base.entries) * base.sizeBytes
  return bytes + 2 * buriedBytes > Math.max(base.sizeBytes * MAX_GARBAGE_RATIO, MIN_DELTAS_BYTES)
}

/** The newest run of at least MIN_RUN deltas within MAX_SIZE_RATIO of each other, as long as it goes. */
function newestRun(deltas: readonly SegmentLayer[]): { from: number; to: number } | undefined {
  for (let from = 0; from + MIN_RUN <= deltas.length; from++) {
    let smallest = Infinity
    let largest = 0
    let to = from
    for (; to < deltas.length; to++) {
      smallest = Math.min(smallest, deltas[to].sizeBytes)
      largest = Math.max(largest, deltas[to].sizeBytes)
      if (largest > smallest * MAX_SIZE_RATIO) break
    }
    if (to - from >= MIN_RUN) return { from, to }
  }
  return undefined
}

/**
 * Whether the next checkpoint had better write everything: the newest delta has at least half as many entries as the base. To write an
 * entry anew costs less than to merge those that it has collected meanwhile, and restore then reads two layers at most.
 */
export function isRewriteBetter(segments: readonly LayeredSegment[]): boolean {
  const layers = layersOf(segments)
  const base = layers.find(layer => layer.base)
  return base !== undefined && !layers[0].base && layers[0].entries * 2 >= base.entries
}

/** No run is left, but the list is full: the neighbours that cost the fewest rewritten bytes for each layer that goes. */
function cheapestNeighbours(deltas: readonly SegmentLayer[]): { from: number; to: number } {
  let best = { from: 0, to: deltas.length }
  let bestCost = Infinity
  for (let from = 0; from + 2 <= deltas.length; from++) {
    let bytes = deltas[from].sizeBytes
    for (let to = from + 2; to <= deltas.length; to++) {
      bytes += deltas[to - 1].sizeBytes
      const cost = bytes / (to - from - 1)
      if (cost >= bestCost) continue
      bestCost = cost
      best = { from, to }
    }
  }
  return best
}
