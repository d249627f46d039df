/**
 * A source in a slot: the splits that were dealt out to this subtask, their readers, and whose turn it is.
 *
 * Where event time needs it, splits are read interleaved, TURN records each; else one after the other, but while one waits for the
 * clock, as at a rate, the others are read. The turn is part of the snapshot, and a bounded split that is not ready is waited for, so
 * the order of records is the same in every attempt.
 */
import type { Json } from '../../base/json.ts'
import type { MillraceError } from '../../base/errors.ts'
import type { ReadResult, SourceContext, SourceOutput, Split, SplitReader } from '../../connectors/contract.ts'
import type { SourceProgress } from '../../checkpoint/mail.ts'
import type { SourceNode } from '../../graph/index.ts'
import type { SubtaskSource } from '../../snapshot/manifest-types.ts'
import type { SourceShare } from '../../snapshot/redistribute.ts'
import { countLink, privateCopy, type Push } from '../chain.ts'
import { connectorFailure } from '../failure.ts'
import type { Outputs } from '../output.ts'
import type { Services } from '../services.ts'
import type { EventTimeOperator } from './event-time.ts'

/** Records in a row before the next source, and the next split where splits are interleaved, has its turn; also the bound of one step. */
const TURN = 512
/** Readers open at a time; the one not read for longest is closed at its position. */
const OPEN_READERS_MAX = 128

interface SplitTask {
  readonly split: Split
  /** Over all sources of the slot. */
  readonly number: number
  reader: SplitReader<unknown> | undefined
  opening: boolean
  position: Json | undefined
  ended: boolean
}

/** Highest timestamp of a split in the snapshot being restored. */
export type HighestTimestamp = (eventTime: EventTimeOperator, splitId: string) => number | undefined

/** What the slot does for its sources. */
export interface SourceHost {
  nextSplitNumber(): number
  /** Every split of this subtask is read. True: so is every other one's, there being none. */
  ended(source: SourceNode): boolean
  fail(error: unknown): void
}

export class SourceTask {
  readonly node: SourceNode
  readonly eventTimes: EventTimeOperator[] = []
  private readonly outputs: Outputs
  private readonly services: Services
  private readonly context: SourceContext
  private readonly wakeSlotAt: SourceContext['wakeAt']
  private readonly host: SourceHost
  private readonly output: SourceOutput<unknown>
  /** Takes a record as the reader would hand it out. */
  readonly push: Push
  private readonly counter = { records: 0 }
  private splits: SplitTask[] = []
  private turn = 0
  private remaining = TURN
  private endPosted = false
  private hasEnded = false
  /** Reads in a row that found nothing. */
  private quietReads = 0
  /** The reader asked to be called again at a time, in its last `read`. */
  private waitsForClock = false
  /** The earliest time that a reader asked for since the last rest. */
  private wakeAtMs = Infinity
  /** Calls of `wake` so far, and before the reads in a row that found nothing. */
  private wakes = 0
  private wakesBefore = 0
  /** No split is asked before this time or a wake: else sources that have nothing would keep each other busy. */
  private restsUntilMs = -Infinity
  private openReaders: SplitTask[] = []

  constructor(node: SourceNode, outputs: Outputs, services: Services, context: SourceContext, host: SourceHost) {
    this.node = node
    this.outputs = outputs
    this.services = services
    this.wakeSlotAt = timeMs => context.wakeAt(timeMs)
    this.context = {
      ...context,
      wake: () => {
        this.wakes++
        this.restsUntilMs = -Infinity
        context.wake()
      },
      wakeAt: timeMs => {
        this.waitsForClock = true
        this.wakeAtMs = Math.min(this.wakeAtMs, timeMs)
        context.wakeAt(timeMs)
      },
    }
    this.host = host
    this.push = privateCopy(countLink)(outputs.main.push, this.counter)
    this.output = {
      record: this.push,
      side: (tag, value) => outputs.side(tag, value),
    }
  }

  /** A watermark as the source would send it. */
  watermark(time: number): void {
    this.outputs.watermark(time)
  }

  get bounded(): boolean {
    return this.node.source.bounded
  }

  /** Records handed out since the fresh start, exact even while one is being processed. */
  get records(): number {
    return this.counter.records
  }

  get ended(): boolean {
    return this.bounded && this.splits.every(split => split.ended)
  }

  // ----------------------------------------------------------------------------------------------------------- start

  /** Takes over its share of the splits. Returns whether it is this source's turn. */
  async open({ splits, records, turn }: SourceShare, highest: HighestTimestamp): Promise<boolean> {
    for (const { id, detail, position, ended } of splits) {
      this.addSplit({ id, detail }, position ?? undefined, ended, highest)
    }
    this.counter.records = records
    if (turn !== undefined) {
      this.turn = turn.split
      this.remaining = turn.remaining
    }
    if (this.splits.length > 0) await this.openReader(this.splits[this.turn])
    return turn?.active ?? false
  }

  /** Splits that were discovered later. */
  addSplits(splits: readonly Split[]): void {
    for (const split of splits) this.addSplit(split, undefined, false, () => undefined)
    for (const eventTime of this.eventTimes) eventTime.update()
    this.context.wake()
  }

  private addSplit(split: Split, position: Json | undefined, ended: boolean, highest: HighestTimestamp): void {
    const number = this.host.nextSplitNumber()
    this.splits.push({ split, number, reader: undefined, opening: false, position, ended })
    for (const eventTime of this.eventTimes) {
      eventTime.addSplit(number, highest(eventTime, split.id))
      if (ended) eventTime.endSplit(number)
    }
  }

  /** After everything is restored: a source that had ended says so again. */
  start(): void {
    this.endIfDone()
  }

  /**
   * Every subtask of this source has read its splits, or is drained: nothing more comes of any. They end together, so that a snapshot
   * holds either all of them before their end or all behind it, and the end is not taken back or repeated at another parallelism.
   */
  end(): void {
    if (this.hasEnded) return
    this.hasEnded = true
    this.watermark(Infinity)
  }

  // ------------------------------------------------------------------------------------------------------------ read

  /**
   * Reads some records of the split whose turn it is. 'turn': this source's turn is over. 'waiting': for data that is on its way, and
   * so must every other source, or the order of records would depend on timing. 'resting': for the clock, or for what may never come.
   */
  read(): 'progress' | 'turn' | 'waiting' | 'resting' | 'ended' {
    if (this.ended) return 'ended'
    if (this.splits.length === 0 || this.rests()) return 'resting'
    const split = this.splits[this.turn]
    if (split.ended) return this.passTurn()
    if (split.reader === undefined) {
      if (!split.opening)
        this.openReader(split).then(
          () => this.context.wake(),
          error => this.host.fail(this.named(error)),
        )
      return 'waiting'
    }
    const before = this.counter.records
    this.services.chain.split = split.number
    this.waitsForClock = false
    const result = this.readSplit(split.reader, this.remaining)
    const count = this.counter.records - before
    this.remaining -= count
    if (count > 0) this.quietReads = 0
    if (result === 'end') return this.endSplit(split)
    if (result === 'caught-up') for (const eventTime of this.eventTimes) eventTime.caughtUp(split.number)
    if (this.remaining <= 0) return this.passTurn()
    if (result === 'more') return 'progress'
    if (this.bounded && !this.waitsForClock) return count > 0 ? 'progress' : 'waiting'
    this.passTurn(true)
    if (count > 0) return 'progress'
    // A split that has nothing does not speak for the others: rest only when each was asked in vain.
    if (this.quietReads === 0) this.wakesBefore = this.wakes
    if (++this.quietReads < this.splits.filter(({ ended }) => !ended).length) return 'turn'
    this.quietReads = 0
    if (this.wakes === this.wakesBefore) this.restsUntilMs = this.wakeAtMs
    this.wakeAtMs = Infinity
    return 'resting'
  }

  private rests(): boolean {
    const { nowMs } = this.services.clock
    if (nowMs >= this.restsUntilMs || this.eventTimes.some(({ idleDueMs }) => idleDueMs <= nowMs)) return false
    // The slot knows one time for all that it waits for.
    if (this.restsUntilMs < Infinity) this.wakeSlotAt(this.restsUntilMs)
    return true
  }

  private readSplit(reader: SplitReader<unknown>, budget: number): ReadResult {
    try {
      return reader.read(this.output, budget)
    } catch (error) {
      throw this.named(error)
    }
  }

  private get interleaved(): boolean {
    return this.eventTimes.length > 0 || !this.bounded
  }

  private endSplit(split: SplitTask): 'turn' {
    split.ended = true
    split.position = split.reader!.position()
    this.closeReader(split)
    for (const eventTime of this.eventTimes) eventTime.endSplit(split.number)
    this.endIfDone()
    return this.passTurn()
  }

  private passTurn(isSharedByAll = this.interleaved): 'turn' {
    this.remaining = TURN
    if (!isSharedByAll && !this.splits[this.turn].ended) return 'turn'
    for (let i = 0; i < this.splits.length; i++) {
      this.turn = (this.turn + 1) % this.splits.length
      if (!this.splits[this.turn].ended) break
    }
    return 'turn'
  }

  private endIfDone(): void {
    if (!this.ended || this.endPosted) return
    this.endPosted = true
    if (this.host.ended(this.node)) this.end()
  }

  // --------------------------------------------------------------------------------------------------------- readers

  private async openReader(split: SplitTask): Promise<void> {
    if (split.ended) return
    split.opening = true
    try {
      split.reader = await this.node.source.open(split.split, split.position, this.context)
    } catch (error) {
      throw this.named(error)
    } finally {
      split.opening = false
    }
    this.openReaders.push(split)
    const oldest = this.openReaders[0]
    if (this.openReaders.length <= OPEN_READERS_MAX || oldest === split || oldest === this.splits[this.turn]) return
    oldest.position = oldest.reader!.position()
    this.closeReader(oldest)
  }

  private closeReader(split: SplitTask): void {
    const reader = split.reader
    split.reader = undefined
    this.openReaders = this.openReaders.filter(open => open !== split)
    reader?.close().catch(error => this.host.fail(this.named(error)))
  }

  // -------------------------------------------------------------------------------------------------------- snapshot

  snapshot(active: boolean): SubtaskSource {
    return {
      splits: this.splits.map(task => ({
        id: task.split.id,
        detail: task.split.detail,
        position: task.reader === undefined ? (task.position ?? null) : task.reader.position(),
        ended: task.ended,
      })),
      records: this.counter.records,
      turn: { split: this.turn, remaining: this.remaining, active },
    }
  }

  /** Highest timestamps by split, for each event-time transformation that this source feeds. */
  watermarks(eventTime: EventTimeOperator): { readonly split: string; readonly highest: number | null }[] {
    return this.splits.map(task => {
      const highest = eventTime.highestOf(task.number)
      return {
        split: `${this.node.name}:${task.split.id}`,
        highest: highest === undefined || highest === -Infinity ? null : highest,
      }
    })
  }

  progress(): SourceProgress {
    return { source: this.node.name, records: this.counter.records, ...this.measured() }
  }

  /** As far as the readers can say. */
  private measured(): Pick<SourceProgress, 'fraction' | 'pending'> {
    try {
      return { fraction: this.fraction(), pending: this.pending() }
    } catch (error) {
      this.host.fail(this.named(error))
      return { fraction: undefined, pending: undefined }
    }
  }

  private fraction(): number | undefined {
    if (!this.bounded || this.splits.length === 0) return undefined
    return this.splits.reduce((sum, task) => sum + fractionOf(task), 0) / this.splits.length
  }

  /** Of the splits that are being read; what others hold is not known before they are opened. */
  private pending(): SourceProgress['pending'] {
    const known = this.splits.flatMap(({ ended, reader }) => (ended ? [] : (reader?.progress?.() ?? [])))
    const sized = known.filter(({ total }) => total !== undefined)
    if (sized.length === 0) return undefined
    return { count: sized.reduce((sum, { done, total }) => sum + Math.max(0, total! - done), 0), unit: sized[0].unit }
  }

  async close(): Promise<void> {
    await Promise.all(this.splits.map(async task => task.reader?.close().catch(() => undefined)))
  }

  private named(error: unknown): MillraceError {
    return connectorFailure('source', this.node.name, error)
  }
}

function fractionOf(task: SplitTask): number {
  if (task.ended) return 1
  const progress = task.reader?.progress?.()
  return progress?.total ? Math.min(progress.done / progress.total, 1) : 0
}
