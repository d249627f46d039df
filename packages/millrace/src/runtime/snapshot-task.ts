/**
 * A checkpoint in a slot, from the barrier to the acknowledgement: serialises frozen state in slices between records, writes the
 * segment in the background, and waits for the sinks to prepare their commit.
 */
import type { KeyGroupRange } from '../codec/index.ts'
import type { SegmentDictionary } from '../snapshot/segment-dictionary.ts'
import { SegmentWriter } from '../snapshot/segment-writer.ts'
import type { SegmentRef } from '../snapshot/manifest-types.ts'
import type { ObjectWriter, SegmentStore } from '../store/contract.ts'
import type { StateBackend } from '../state/index.ts'
import type { Trigger } from '../checkpoint/mail.ts'

/** Serialised bytes waiting for the store: past this, serialising waits. */
const UNWRITTEN_BYTES_MAX = 8 * 1024 * 1024
/** About 0.1 ms of serialising; the clock is looked at in between. */
const ENTRIES_PER_LOOK = 64

export interface SegmentTarget {
  readonly store: SegmentStore
  readonly compression: 'zstd' | 'none'
  readonly dictionary: SegmentDictionary
  readonly maxParallelism: number
  /** All entries lie in these. */
  readonly keyGroups: KeyGroupRange
}

export class SnapshotTask {
  readonly trigger: Trigger
  /** Resolves once the segment is durable; undefined when nothing changed. */
  readonly written: Promise<SegmentRef | undefined>
  private readonly backend: StateBackend
  private readonly target: SegmentTarget
  private readonly writer: SegmentWriter
  private readonly wake: () => void
  private collecting = true
  private aborted = false
  private object: ObjectWriter | undefined
  private unwritten: Uint8Array[] = []
  private unwrittenBytes = 0
  private pumping = false
  private pumped: Promise<void> = Promise.resolve()
  private settle!: { resolve(ref: SegmentRef | undefined): void; reject(error: unknown): void }

  constructor(trigger: Trigger, backend: StateBackend, target: SegmentTarget, wake: () => void) {
    this.trigger = trigger
    this.backend = backend
    this.target = target
    this.wake = wake
    this.writer = new SegmentWriter({
      segmentId: trigger.segment.id,
      checkpointId: trigger.checkpointId,
      compression: target.compression,
      dictionary: target.dictionary,
    })
    this.written = new Promise((resolve, reject) => (this.settle = { resolve, reject }))
    this.written.catch(() => undefined)
    backend.freeze(trigger)
  }

  /** There is serialising to do right now. */
  get hasWork(): boolean {
    return this.collecting && this.unwrittenBytes < UNWRITTEN_BYTES_MAX
  }

  /** Serialises until `isOver` says so, or all is serialised. */
  slice(isOver: () => boolean): void {
    while (this.hasWork) {
      if (this.backend.collect(this.writer, ENTRIES_PER_LOOK)) {
        this.collecting = false
        this.finish()
        return
      }
      if (this.writer.readyBytes > 0) this.take()
      if (isOver()) return
    }
  }

  /** Resolves once nothing is written any more. What was written is garbage. */
  async abort(): Promise<void> {
    if (this.aborted) return this.pumped
    this.aborted = true
    if (this.collecting) this.backend.abandoned()
    this.collecting = false
    this.settle.reject(new Error('the checkpoint was aborted'))
    await (this.pumping ? this.pumped : this.object?.abandon())
  }

  private summary: Pick<SegmentRef, 'sizeBytes' | 'entries' | 'tombstones' | 'checksum'> | undefined

  private finish(): void {
    if (this.writer.entries === 0) return this.settle.resolve(undefined)
    this.summary = this.writer.end()
    this.take()
  }

  private take(): void {
    for (const bytes of this.writer.takeReady()) {
      this.unwritten.push(bytes)
      this.unwrittenBytes += bytes.length
    }
    if (!this.pumping) {
      this.pumping = true
      this.pumped = this.pump().catch(error => {
        if (this.collecting) this.backend.abandoned()
        this.collecting = false
        this.settle.reject(error)
        this.wake()
        return this.object?.abandon()
      })
    }
  }

  private async pump(): Promise<void> {
    this.object ??= await this.target.store.create(this.trigger.segment.file)
    while (this.unwritten.length > 0 && !this.aborted) {
      const bytes = this.unwritten.shift()!
      await this.object.write(bytes)
      this.unwrittenBytes -= bytes.length
      this.wake()
    }
    if (this.aborted) return this.object.abandon()
    if (this.summary !== undefined) {
      await this.object.finish()
      this.settle.resolve(this.ref(this.summary))
    }
    this.pumping = false
  }

  private ref(summary: Pick<SegmentRef, 'sizeBytes' | 'entries' | 'tombstones' | 'checksum'>): SegmentRef {
    const { trigger, target } = this
    return {
      file: trigger.segment.file,
      ...summary,
      base: trigger.full || trigger.baseCheckpointId === undefined,
      checkpoint: trigger.checkpointId,
      maxParallelism: target.maxParallelism,
      keyGroups: target.keyGroups,
    }
  }
}
