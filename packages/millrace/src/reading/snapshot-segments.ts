/**
 * The segments of a snapshot, opened once, and walks over what lives in them: the newest entry of every key, without tombstones and
 * without what has outlived its time. Nothing but a few blocks of each segment is in memory at a time.
 */
import { mergeEntries } from '../snapshot/entry-merge.ts'
import { expiryOf, type IsExpired } from '../snapshot/expiry.ts'
import type { Manifest } from '../snapshot/manifest-types.ts'
import type { BlockCursor } from '../snapshot/segment-cursor.ts'
import { ENTRY_PUT_TOUCHED, ENTRY_TOMBSTONE } from '../snapshot/segment-format.ts'
import { openSegment, type SegmentReader } from '../snapshot/segment-reader.ts'
import type { KeyGroupRange } from '../codec/index.ts'
import type { ReadableStore } from '../store/index.ts'

export interface WalkOptions {
  readonly stateIds: ReadonlySet<number>
  /** Default: all. */
  readonly keyGroups?: KeyGroupRange
  /** For a look-up: little is read ahead. */
  readonly readAheadBytes?: number
}

export class SnapshotSegments {
  readonly manifest: Manifest
  private readonly files: ReadableStore
  private readonly isExpired: IsExpired
  private readers: Promise<SegmentReader[]> | undefined

  /** `nowMs`: by which entries expire in processing time; in event time they do by the snapshot's watermarks. */
  constructor(manifest: Manifest, files: ReadableStore, nowMs: number) {
    this.manifest = manifest
    this.files = files
    const states = manifest.operators.flatMap(operator => operator.states)
    this.isExpired = expiryOf(states, manifest, () => nowMs)
  }

  /**
   * Stands at one entry after the other, in ascending order of their keys; what it hands out is one cursor, valid until the next step.
   * @throws OBJECT_MISSING, SNAPSHOT_DAMAGED, SNAPSHOT_VERSION
   */
  async *walk({
    stateIds,
    keyGroups = [0, Infinity],
    readAheadBytes,
  }: WalkOptions): AsyncGenerator<BlockCursor, void, undefined> {
    const options = readAheadBytes === undefined ? {} : { readAheadBytes }
    const merge = mergeEntries(await this.open(), keyGroups[0], keyGroups[1], options)
    for (;;) {
      while (merge.advance()) {
        const { entry } = merge
        if (entry.op !== ENTRY_TOMBSTONE && stateIds.has(entry.stateId) && !this.hasOutlived(entry)) yield entry
      }
      if (!merge.needsRefill) return
      await merge.refill()
    }
  }

  private open(): Promise<SegmentReader[]> {
    return (this.readers ??= Promise.all(this.manifest.segments.map(ref => openSegment(this.files, ref))))
  }

  /** What was written before its state had a time to live counts from its restore, so it never is. */
  private hasOutlived({ op, stateId, lastTouchMs }: BlockCursor): boolean {
    return op === ENTRY_PUT_TOUCHED && this.isExpired(stateId, lastTouchMs)
  }
}
