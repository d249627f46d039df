/**
 * Slows a source down, so that many checkpoints fall into a short run, without burning CPU and without touching its records: it hands
 * out small blocks some time apart, and after some blocks waits for a checkpoint, so that a run has as many of them on a busy machine.
 *
 * It is slow as a disk is: its next records are on their way, so other sources wait for it and the order of records stays the same.
 * (One that waits for the clock, by `wakeAt`, gives way to others.)
 */
import type { ReadResult, Source, SourceContext, SourceOutput, SplitReader } from 'millrace/connector'

export interface Pace {
  /** Records in a block. */
  readonly records: number
  /** From one block to the next; 0: as fast as they are taken, and no waiting for checkpoints. */
  readonly everyMs: number
}

const BLOCKS_PER_CHECKPOINT = 12

/** The same source, at that pace. */
export function slowed<T>(source: Source<T>, pace: Pace): Source<T> {
  if (pace.everyMs === 0) return source
  return {
    type: source.type,
    bounded: source.bounded,
    enumerate: context => source.enumerate(context),
    open: async (split, position, context) =>
      new SlowReader(await source.open(split, position, context), pace, context),
  }
}

class SlowReader<T> implements SplitReader<T> {
  private readonly reader: SplitReader<T>
  private readonly pace: Pace
  private readonly context: SourceContext
  private nextMs = 0
  private blocksLeft = BLOCKS_PER_CHECKPOINT
  private timer: NodeJS.Timeout | undefined

  constructor(reader: SplitReader<T>, pace: Pace, context: SourceContext) {
    this.reader = reader
    this.pace = pace
    this.context = context
  }

  read(output: SourceOutput<T>, maxRecords: number): ReadResult {
    if (this.blocksLeft === 0) return 'blocked'
    const nowMs = this.context.now()
    if (nowMs < this.nextMs) {
      this.timer ??= setTimeout(() => this.arrived(), this.nextMs - nowMs)
      return 'blocked'
    }
    const result = this.reader.read(output, Math.min(maxRecords, this.pace.records))
    this.blocksLeft--
    this.nextMs = nowMs + this.pace.everyMs
    return result
  }

  private arrived(): void {
    this.timer = undefined
    this.context.wake()
  }

  /** Asked for at a checkpoint. */
  position() {
    this.blocksLeft = BLOCKS_PER_CHECKPOINT
    this.context.wake()
    return this.reader.position()
  }

  close(): Promise<void> {
    clearTimeout(this.timer)
    return this.reader.close()
  }
}
