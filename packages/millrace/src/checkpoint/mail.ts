/** What coordinator and slot tell each other. Plain data: it crosses threads. Segments and records never come this way. */
import type { DistributionCounts } from '../base/distribution.ts'
import type { SegmentRef, SplitSnapshot, SubtaskSnapshot } from '../snapshot/manifest-types.ts'

export type ToSlot =
  | { readonly type: 'trigger'; readonly trigger: Trigger }
  | { readonly type: 'abort'; readonly checkpointId: number }
  /** The checkpoint's manifest is durable and this process still owns the job: commit. */
  | { readonly type: 'complete'; readonly checkpointId: number }
  /** Every subtask of the source has read its splits. Comes to all slots before the same trigger, or to all after it. */
  | { readonly type: 'end-source'; readonly source: string }
  /** Splits discovered for the source's subtask in this slot. */
  | { readonly type: 'splits'; readonly source: string; readonly splits: readonly NewSplit[] }

/** As the source described it: not read from yet. */
export type NewSplit = Pick<SplitSnapshot, 'id' | 'detail'>

export interface Trigger {
  readonly checkpointId: number
  /** The last published checkpoint: the segment is a delta to it (DESIGN invariant 3). */
  readonly baseCheckpointId: number | undefined
  readonly full: boolean
  readonly segment: { readonly file: string; readonly id: number }
  /** No record is read after this barrier: the job stops or has ended. */
  readonly last: boolean
  /** The final watermark comes before the barrier: windows and event-time timers fire. Only with `last`. */
  readonly drain: boolean
}

export type FromSlot =
  | { readonly type: 'acknowledged'; readonly checkpointId: number; readonly part: SlotSnapshot }
  | { readonly type: 'declined'; readonly checkpointId: number; readonly error: CarriedError }
  | { readonly type: 'committed'; readonly checkpointId: number }
  /** The source's subtask in this slot has read all its splits; not sent by one that is the only subtask. */
  | { readonly type: 'source-ended'; readonly source: string }
  /** Every source of the slot has ended. */
  | { readonly type: 'finished' }
  | { readonly type: 'failed'; readonly error: CarriedError; readonly records: number }
  | { readonly type: 'progress'; readonly progress: SlotProgress }
  /** How much of the snapshot is loaded, of how much: as loading begins, and then now and then if it takes long. */
  | { readonly type: 'restoring'; readonly readBytes: number; readonly totalBytes: number }
  | { readonly type: 'rows'; readonly sink: string; readonly committable: string; readonly rows: Uint8Array }
  | { readonly type: 'log'; readonly level: 'info' | 'warn'; readonly message: string }

/** What one slot contributes to a manifest (compose.ts puts them together). */
export interface SlotSnapshot {
  /** Of the operators that have more than the keyed state in the segment. */
  readonly operators: readonly SubtaskSnapshot[]
  readonly watermarks: { readonly [transformation: string]: { readonly [split: string]: number | null } }
  /** Undefined when no state changed. */
  readonly segment: SegmentRef | undefined
  /** From the trigger to the barrier on every channel: so long this slot read no source. */
  readonly alignmentMs: number
}

export interface SourceProgress {
  readonly source: string
  /** Since the fresh start. */
  readonly records: number
  /** How much of a bounded source was read, 0 to 1; undefined when it has no end. */
  readonly fraction: number | undefined
  /** What its open readers know to be unread; undefined when they do not. */
  readonly pending?: { readonly count: number; readonly unit: 'bytes' | 'records' } | undefined
}

/** Values by operator, then name. */
export type ByName<Value> = { readonly [operator: string]: { readonly [name: string]: Value } }

/** What was counted since the attempt began. */
export interface MeterReadings {
  readonly operators: readonly OperatorReading[]
  readonly counters: ByName<number>
  readonly gauges: ByName<number>
  readonly histograms: ByName<DistributionCounts>
}

export interface OperatorReading {
  readonly operator: string
  readonly recordsIn: number
  /** To side outputs too. */
  readonly recordsOut: number
  /** Up to which event time its input is complete. Undefined: it saw no watermark yet. */
  readonly watermark: number | undefined
}

/** Since the attempt began. */
export interface SlotTimes {
  readonly busyMs: number
  /** Asleep, with nothing to do. */
  readonly idleMs: number
  /** Asleep, while what it writes to had no room. */
  readonly backpressuredMs: number
}

/** Of one chain of a slot (runtime/chain-times.ts), since the slot began to work. */
export interface ChainReading {
  /** Its head. */
  readonly chain: string
  /** Those in it, the head first. */
  readonly operators: readonly string[]
  readonly busyMs: number
  readonly idleMs: number
  readonly backpressuredMs: number
}

export interface SlotProgress extends MeterReadings {
  readonly sources: readonly SourceProgress[]
  readonly entries: number
  /** By operator, then state. */
  readonly stateEntries: ByName<number>
  readonly times: SlotTimes
  /** In the order of the graph. */
  readonly chains: readonly ChainReading[]
  /** Longest step since the last report, and longest step with a snapshot being written, ms. */
  readonly longestStepMs: number
  readonly longestSnapshotStepMs: number
}

/** An error on its way between threads. */
export interface CarriedError {
  readonly code: string
  readonly message: string
  readonly hint: string | undefined
  readonly stack: string
  /** code | operator | top frame of user code. */
  readonly signature: string
  readonly context: { readonly [name: string]: string }
}
