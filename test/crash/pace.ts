/** Slows a source down, so that many checkpoints fall into a short run, without burning CPU and without touching its records. */
import type { ReadResult, Source, SourceContext, SourceOutput, SplitReader } from 'millrace/connector'

export interface Pace {
  /** Records handed out together. */
  readonly records: number
  /** Between two such blocks; 0: as fast as they are taken. */
  readonly everyMs: number
}

/** The same source, at that pace. */
export function slowed<T>(source: Source<T>, pace: Pace): Source<T> {
  if (pace.everyMs === 0) return source
  return {
    type: source.type,
    bounded: source.bounded,
    enumerate: (context) => source.enumerate(context),
    open: async (split, position, context) =>
      new SlowReader(await source.open(split, position, context), pace, context),
  }
}

class SlowReader<T> implements SplitReader<T> {
  private readonly reader: SplitReader<T>
  private readonly pace: Pace
  private readonly context: SourceContext
  private nextMs = 0

  constructor(reader: SplitReader<T>, pace: Pace, context: SourceContext) {
    this.reader = reader
    this.pace = pace
    this.context = context
  }

  read(output: SourceOutput<T>, maxRecords: number): ReadResult {
    const nowMs = this.context.now()
    if (nowMs < this.nextMs) {
      this.context.wakeAt(this.nextMs)
      return 'blocked'
    }
    const result = this.reader.read(output, Math.min(maxRecords, this.pace.records))
    this.nextMs = nowMs + this.pace.everyMs
    return result
  }

  position() {
    return this.reader.position()
  }

  close(): Promise<void> {
    return this.reader.close()
  }
}
