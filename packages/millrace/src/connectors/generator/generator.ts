/**
 * A source of computed records. Split s of n makes the records i = s, s + n, s + 2n, …; a position is the next i.
 *
 * With a rate, record i of a reader is due at `base + i * interval`: computed from i, not added up, so it does not drift. A reader
 * that fell behind catches up at once, but by at most a second's records; what it is behind beyond that is forgotten.
 */
import { MillraceError } from '../../base/errors.ts'
import { isJsonObject, type Json } from '../../base/json.ts'
import type { ReadResult, Source, SourceContext, SourceOutput, Split, SplitReader } from '../contract.ts'

const LARGEST_BURST_MS = 1000
const MAX_SPLITS = 32768

export interface GeneratorOptions<T> {
  /** The record with this number. A function of `i` alone: after a restart it is asked for the same records again. */
  readonly next: (i: number) => T
  /** How many records there are, over all splits. Default: no end. */
  readonly count?: number
  /** Records per second, over all splits. Default: as fast as they are taken. */
  readonly rate?: number
  /** Default 1. Fixed at the first start. */
  readonly splits?: number
}

/**
 * A source of the records `next(0)`, `next(1)`, …: bounded if `count` is given.
 *
 * @throws OPTION_INVALID
 *
 * @example
 * flow.source('ticks', generator({ next: i => ({ id: i }), rate: 1000 }))
 */
export function generator<T>(options: GeneratorOptions<T>): Source<T> {
  const { next, count = Infinity, rate, splits = 1 } = options
  if (typeof next !== 'function') throw invalid(`next is ${typeof next}; it must be a function of the record's number`)
  if (count !== Infinity && (!Number.isSafeInteger(count) || count < 0))
    throw invalid(`count is ${count}; it must be an integer from 0 up`)
  if (rate !== undefined && !(rate > 0 && rate < Infinity))
    throw invalid(`rate is ${rate}; it must be a number of records per second above 0`)
  if (!Number.isInteger(splits) || splits < 1 || splits > MAX_SPLITS)
    throw invalid(`splits is ${splits}; it must be an integer from 1 to ${MAX_SPLITS}`)
  return {
    type: 'generator',
    bounded: count !== Infinity,
    async enumerate() {
      return Array.from({ length: splits }, (_, index) => ({ id: `split-${index}`, detail: { index, splits } }))
    },
    async open(split, position, context) {
      const { index, stride } = strideOf(split)
      return new GeneratorReader(
        next,
        index,
        stride,
        checkedPosition(split, position ?? index, index, stride),
        count,
        rate,
        context,
      )
    },
  }
}

class GeneratorReader<T> implements SplitReader<T> {
  private readonly makeRecord: (i: number) => T
  private readonly index: number
  private readonly stride: number
  private readonly count: number
  private readonly intervalMs: number
  private readonly context: SourceContext
  private next: number
  /** When record 0 would have been due. */
  private baseMs: number

  constructor(
    makeRecord: (i: number) => T,
    index: number,
    stride: number,
    next: number,
    count: number,
    rate: number | undefined,
    context: SourceContext,
  ) {
    this.makeRecord = makeRecord
    this.index = index
    this.stride = stride
    this.next = next
    this.count = count
    this.intervalMs = rate === undefined ? 0 : 1000 / rate
    this.context = context
    this.baseMs = context.now() - (next - index) * this.intervalMs
  }

  read(output: SourceOutput<T>, maxRecords: number): ReadResult {
    if (this.next >= this.count) return 'end'
    const due = this.intervalMs === 0 ? maxRecords : Math.min(maxRecords, this.dueNow())
    if (due <= 0) {
      this.context.wakeAt(Math.ceil(this.baseMs + this.next * this.intervalMs))
      return 'caught-up'
    }
    for (let made = 0; made < due && this.next < this.count; made++) {
      const i = this.next
      this.next = i + this.stride
      output.record(this.makeRecord(i))
    }
    return this.next < this.count ? 'more' : 'end'
  }

  position(): Json {
    return this.next
  }

  progress(): { done: number; total: number | undefined; unit: 'records' } {
    const recordsBefore = (i: number) => Math.max(0, Math.ceil((i - this.index) / this.stride))
    const total = this.count === Infinity ? undefined : recordsBefore(this.count)
    return { done: recordsBefore(this.next), total, unit: 'records' }
  }

  async close(): Promise<void> {}

  /** How many records of this split are due and not made. */
  private dueNow(): number {
    const behindMs = this.context.now() - (this.baseMs + this.next * this.intervalMs)
    if (behindMs > LARGEST_BURST_MS) this.baseMs += behindMs - LARGEST_BURST_MS
    return Math.floor(Math.min(behindMs, LARGEST_BURST_MS) / (this.intervalMs * this.stride) + 1)
  }
}

function strideOf(split: Split): { index: number; stride: number } {
  const detail = isJsonObject(split.detail) ? split.detail : {}
  const index = detail['index']
  const stride = detail['splits']
  if (isCount(index) && isCount(stride) && index < stride && stride <= MAX_SPLITS) return { index, stride }
  throw damaged(split, split.detail)
}

function checkedPosition(split: Split, position: Json, index: number, stride: number): number {
  if (isCount(position) && position >= index && (position - index) % stride === 0) return position
  throw damaged(split, position)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function damaged(split: Split, found: Json): MillraceError {
  return new MillraceError(
    'SNAPSHOT_DAMAGED',
    `the snapshot holds ${JSON.stringify(found)?.slice(0, 200)} for ${split.id} of a generator, which fits no such split`,
  )
}

function invalid(message: string): MillraceError {
  return new MillraceError('OPTION_INVALID', `generator: ${message}`)
}
