/**
 * A source that comes in bursts: hundreds of records at once, then none until a callback or the clock says there are more, and every
 * split in a rhythm of its own. Windows over it do not care.
 */
import { compose, count, defineJob, files, max, sum, tumbling } from 'millrace'
import type { ReadResult, Source, SourceContext, SourceOutput, SplitReader } from 'millrace/connector'
import { slowed } from '../../crash/pace.ts'
import { draw, numbered, PARAMS, type Golden } from '../golden-job.ts'

const SPLITS = 6
/** Of a split. */
const COUNT = 1600
const SIZE_MS = 20_000

interface Beat {
  readonly key: number
  readonly at: number
  readonly n: number
}
const beatOf = (split: number, n: number): Beat => ({
  key: draw(n, 20, split),
  at: 1_700_000_000_000 + n * 100,
  n: draw(n, 1000, 10 + split),
})

function bursts(isBursty: boolean): Source<Beat> {
  return {
    type: 'bursts',
    bounded: true,
    enumerate: async () => numbered(SPLITS, split => ({ id: `split-${split}`, detail: split })),
    open: async (split, position, context) =>
      new BurstReader(split.detail as number, (position as number | undefined) ?? 0, isBursty, context),
  }
}

class BurstReader implements SplitReader<Beat> {
  private readonly split: number
  private readonly isBursty: boolean
  private readonly context: SourceContext
  private next: number
  /** A pause comes before this record, and was made before it or not. */
  private pausedBefore = -1
  private isPaused = false

  constructor(split: number, next: number, isBursty: boolean, context: SourceContext) {
    this.split = split
    this.next = next
    this.isBursty = isBursty
    this.context = context
  }

  read(output: SourceOutput<Beat>, maxRecords: number): ReadResult {
    for (let made = 0; made < maxRecords && this.next < COUNT; made++) {
      const pause = draw(this.next, 240, 20 + this.split)
      if (this.isPaused || (this.isBursty && pause < 4 && this.pausedBefore !== this.next)) return this.pause(pause)
      output.record(beatOf(this.split, this.next++))
    }
    return this.next < COUNT ? 'more' : 'end'
  }

  private pause(kind: number): ReadResult {
    if (!this.isPaused) {
      this.isPaused = true
      this.pausedBefore = this.next
      const resume = () => {
        this.isPaused = false
        this.context.wake()
      }
      if (kind === 0) setImmediate(resume)
      else setTimeout(resume, kind * 3)
    }
    if (kind === 1) this.context.wakeAt(this.context.now() + 1)
    return kind === 2 ? 'caught-up' : 'blocked'
  }

  position(): number {
    return this.next
  }

  async close(): Promise<void> {}
}

export default defineJob(
  'bursty',
  flow => {
    const { dir, everyMs } = flow.params
    flow
      .source('beats', slowed(bursts(everyMs > 0), { records: 100, everyMs: everyMs / 4 }))
      .eventTime(beat => beat.at)
      .keyBy(beat => beat.key)
      .window(tumbling(SIZE_MS))
      .aggregate('beats-of', compose({ count: count(), max: max((b: Beat) => b.n), sum: sum((b: Beat) => b.n) }))
      .map(({ key, window, value }) => ({ key, end: window.end, ...value }))
      .sink('out', files.writeJson(`${dir}/out/beats`))
  },
  { params: PARAMS },
)

export const golden: Golden = {
  expected() {
    const beats = numbered(SPLITS, split => numbered(COUNT, n => beatOf(split, n))).flat()
    const endOf = ({ at }: Beat) => at - (at % SIZE_MS) + SIZE_MS
    const windows = Object.values(Object.groupBy(beats, beat => `${beat.key} ${endOf(beat)}`)).map(each => each!)
    return {
      beats: windows.map(own => ({
        key: own[0].key,
        end: endOf(own[0]),
        count: own.length,
        max: own.reduce((most, beat) => Math.max(most, beat.n), 0),
        sum: own.reduce((total, beat) => total + beat.n, 0),
      })),
    }
  },
}
