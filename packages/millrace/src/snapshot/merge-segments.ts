/**
 * Merges neighbouring segments of a snapshot into one, in the background of a running job: of every key the newest entry is kept.
 *
 * - A tombstone hides older entries below; only a base has nothing below, so only there it is dropped.
 * - An entry whose time to live is over becomes a tombstone unless merged into the base (invariant 12).
 * - Memory: at most three reads of 256 KiB per input, 24 MiB in all, and one chunk of output. The work is done in pieces of about 2 ms.
 */
import { assert } from '../base/assert.ts'
import { failpoint } from '../base/failpoint.ts'
import type { KeyGroupRange } from '../codec/index.ts'
import type { ObjectWriter, SegmentStore } from '../store/index.ts'
import { type EntryMerge, mergeEntries } from './entry-merge.ts'
import type { IsExpired } from './expiry.ts'
import type { SegmentRef } from './manifest-types.ts'
import { uniteDictionaries } from './segment-dictionary.ts'
import { ENTRY_PUT_TOUCHED, ENTRY_TOMBSTONE } from './segment-format.ts'
import { openSegment, type SegmentReader } from './segment-reader.ts'
import { type Compression, type SegmentSummary, SegmentWriter } from './segment-writer.ts'

export interface MergeRequest {
  readonly store: SegmentStore
  /** Neighbours in the list of a snapshot, newest first, whole layers, with the same max parallelism. A base among them is the last layer. */
  readonly inputs: readonly SegmentRef[]
  /** Nothing lies below the inputs: tombstones and expired entries are dropped. */
  readonly intoBase: boolean
  readonly output: {
    /** The object's name, which is new: `segments/<token>-<number>.seg`. */
    readonly name: string
    readonly segmentId: number
    /** The newest checkpoint that is merged. */
    readonly checkpointId: number
    readonly compression: Compression
  }
  /** Whether an entry that was last touched then has outlived its state's time to live. */
  readonly isExpired?: IsExpired
  /** Called at least every 2 ms of work or so; what it returns is awaited. Throwing gives the merge up. */
  readonly pause: () => Promise<void> | undefined
}

const READ_AHEAD_BYTES = 256 * 1024
/** At most about 2 ms of reading, merging and writing, compressed or not, where an entry costs as much as 64 bytes. */
const PIECE_BYTES = 512 * 1024
const ENTRY_COST_BYTES = 64

/**
 * Resolves once the merged segment is durable. It belongs to no snapshot until a manifest names it in place of its inputs, which are
 * left alone. Throws SNAPSHOT_DAMAGED and the store's errors; then the output does not exist.
 */
export async function mergeSegments(request: MergeRequest): Promise<SegmentRef> {
  const { store, inputs, intoBase, output } = request
  assert(inputs.length > 0, 'there are segments to merge')
  const last = inputs.at(-1)!
  assert(
    inputs.every(({ base, checkpoint }) => !base || (last.base && checkpoint === last.checkpoint)),
    'nothing below a base is merged',
  )
  assert(intoBase || !last.base, 'a merge that takes in the base makes a base')
  const readers = await Promise.all(inputs.map(ref => openSegment(store, ref)))
  const dictionary = uniteDictionaries(readers.map(reader => reader.dictionary))
  const { segmentId, checkpointId, compression } = output
  const writer = new SegmentWriter({ segmentId, checkpointId, compression, dictionary })
  const object = await store.create(output.name)
  const summary = await writeMerged(readers, writer, object, request).catch(async (error: unknown) => {
    await object.abandon()
    throw error
  })
  failpoint('merge.after-finish')
  return {
    file: output.name,
    ...summary,
    base: intoBase,
    checkpoint: checkpointId,
    maxParallelism: dictionary.maxParallelism,
    keyGroups: coveredBy(inputs),
  }
}

function coveredBy(inputs: readonly SegmentRef[]): KeyGroupRange {
  const starts = inputs.map(({ keyGroups }) => keyGroups[0])
  const ends = inputs.map(({ keyGroups }) => keyGroups[1])
  return [Math.min(...starts), Math.max(...ends)]
}

async function writeMerged(
  readers: readonly SegmentReader[],
  writer: SegmentWriter,
  object: ObjectWriter,
  request: MergeRequest,
): Promise<SegmentSummary> {
  const merge = mergeEntries(readers, undefined, undefined, { readAheadBytes: READ_AHEAD_BYTES })
  for (;;) {
    const more = copyPiece(merge, writer, request) || merge.needsRefill
    await writeReady(writer, object)
    if (!more) break
    await request.pause()
    if (merge.needsRefill) await merge.refill()
  }
  const summary = writer.end()
  await writeReady(writer, object)
  failpoint('merge.before-finish')
  await object.finish()
  return summary
}

/** Copies entries for about 2 ms; false when the merge has to read on, or is at its end. */
function copyPiece(merge: EntryMerge, writer: SegmentWriter, { intoBase, isExpired }: MergeRequest): boolean {
  let cost = 0
  while (cost < PIECE_BYTES) {
    if (!merge.advance()) return false
    const { op, bytes, keyStart, keyEnd, valueStart, valueEnd, stateId, lastTouchMs } = merge.entry
    cost += ENTRY_COST_BYTES + valueEnd - keyStart
    const outlived = op === ENTRY_PUT_TOUCHED && isExpired !== undefined && isExpired(stateId, lastTouchMs)
    const keptOp = outlived ? ENTRY_TOMBSTONE : op
    if (keptOp === ENTRY_TOMBSTONE && intoBase) continue
    writer.add(keptOp, bytes, keyStart, keyEnd, bytes, valueStart, valueEnd, lastTouchMs)
  }
  return true
}

async function writeReady(writer: SegmentWriter, object: ObjectWriter): Promise<void> {
  for (const bytes of writer.takeReady()) await object.write(bytes)
}
