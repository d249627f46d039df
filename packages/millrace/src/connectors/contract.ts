/**
 * The contracts of connectors. `millrace/connector` exports them; `millrace/testing` has a contract suite for each.
 *
 * All calls on one reader or writer come from one slot, one after the other. `read` and `write` are the hot path: synchronous,
 * no promise, no closure per record. Positions, split details, committables and writer states are JSON and live in the manifest.
 */
import type { Json } from '../base/json.ts'

// ---------------------------------------------------------------------------------------------------------------- sources

export interface Source<T> {
  /** For people: `files.lines`. */
  readonly type: string
  /** A bounded source ends by itself. Its splits are fixed at the first start and kept in the snapshot. */
  readonly bounded: boolean
  /** Unbounded sources: ask `enumerate` for new splits this often. */
  readonly discoverEveryMs?: number

  /**
   * The splits that exist now, in reading order. Called once before the first record of a fresh start, never after a restore of a
   * bounded source; with `discoverEveryMs` again and again (splits already known, by id, are ignored).
   */
  enumerate(context: SourceContext): Promise<readonly Split[]>

  /** Open a split at a position that `position()` returned earlier, or at its beginning (undefined). */
  open(split: Split, position: Json | undefined, context: SourceContext): Promise<SplitReader<T>>
}

export interface Split {
  /** Unique in the source and stable over restarts: a path, a partition. */
  readonly id: string
  /** Whatever `open` needs besides, such as the size of the file when it was listed. */
  readonly detail: Json
}

/**
 * What a call of `read` found.
 * - `more`: there may be more right now
 * - `blocked`: nothing more for now; the reader has arranged for `context.wake()` or `context.wakeAt()`
 * - `caught-up`: as blocked, and the split has no more data at present (an idle split, for `idleAfter`)
 * - `end`: the split is read to its end; not called again
 */
export type ReadResult = 'more' | 'blocked' | 'caught-up' | 'end'

export interface SplitReader<T> {
  /** Hand at most `maxRecords` (>= 1) records to `output`, then return. May hand out fewer, or none. */
  read(output: SourceOutput<T>, maxRecords: number): ReadResult
  /** Between two calls of `read`: a reader opened at this position hands out exactly the records not yet handed out. */
  position(): Json
  /** How far it is. `total` undefined: not known. */
  progress?(): { readonly done: number; readonly total: number | undefined; readonly unit: 'bytes' | 'records' }
  close(): Promise<void>
}

export interface SourceOutput<T> {
  record(value: T): void
  /** To the side output of this source with that tag's name. Not counted against `maxRecords`. */
  side(tag: string, value: unknown): void
}

export interface SourceContext extends ConnectorContext {
  /** Something arrived: read again. May be called from any callback, any number of times. */
  wake(): void
  /** Read again at this time (epoch milliseconds) at the latest. */
  wakeAt(timeMs: number): void
}

export interface ConnectorContext {
  readonly job: string
  /** The operator's name. */
  readonly operator: string
  readonly subtask: number
  readonly parallelism: number
  /** Epoch milliseconds. */
  now(): number
  /** Add to a counter of this operator, shown by status and metrics. Not per record. */
  count(counter: string, by: number): void
  log: Log
}

export interface Log {
  info(message: string): void
  warn(message: string): void
}

// ------------------------------------------------------------------------------------------------------------------ sinks

export interface Sink<T> {
  readonly type: string
  /** Whether it can hide again what a checkpoint past the restored one committed. If not, recovery never falls back past one by itself. */
  readonly retracts: boolean
  /** Called once per attempt, after the start is durable and before the first record. Leftovers of earlier attempts are put right here. */
  open(context: SinkContext, restored: RestoredSink): Promise<SinkWriter<T>>
}

export interface SinkContext extends ConnectorContext {
  /** Random per fresh start or fork, 8 hexadecimal digits; inherited by restarts. */
  readonly runId: string
  /** Something became writable again (see `writable`). */
  wake(): void
  /** Hand committed rows to the program that started the job (`handle.rows`). Called from `commit`, at most once per committable. */
  deliver(committable: string, rows: readonly unknown[]): void
}

export interface RestoredSink {
  /** Of the snapshot this attempt starts from; undefined on a fresh start. */
  readonly checkpointId: number | undefined
  /**
   * What `prepareCommit` returned as `state` in that snapshot, of the subtasks that this one takes over: one, none, or several if
   * there were more subtasks than now.
   */
  readonly states: readonly Json[]
  /**
   * Committables of that snapshot whose commit was not acknowledged, this subtask's share of them. `commit` is called with them right
   * after `open`.
   */
  readonly committables: readonly Json[]
  /** Those of all subtasks: for a sink whose subtasks share a place, so that none clears away what another one takes over. */
  readonly all: { readonly states: readonly Json[]; readonly committables: readonly Json[] }
  /** Whether output committed by that checkpoint of this job is part of this attempt's past. Other output of this job must be hidden. */
  isAncestor(runId: string, checkpointId: number): boolean
}

/**
 * Two-phase: `write`…, at the barrier `prepareCommit`, once the checkpoint is complete `commit`.
 * A checkpoint that fails discards nothing: its committables are carried into the next manifest.
 */
export interface SinkWriter<T> {
  /** A property, so that a sink of another record type is a compile error (methods are compared both ways). */
  readonly write: (record: T, timestamp: number) => void
  /** False: the slot stops reading until `context.wake()`. */
  writable?(): boolean
  /**
   * The barrier of a checkpoint. What was written before the call (up to its first await) belongs to this checkpoint, what is
   * written later does not. Everything a committable names is durable once it resolves. `last`: no further record will come.
   * When it rejects, the job restarts from its latest checkpoint, with a new writer.
   */
  prepareCommit(checkpointId: number, last: boolean): Promise<Prepared>
  /** Make committables visible: idempotent, repeated after recovery. Resolves once it is durable. */
  commit(committables: readonly Json[]): Promise<void>
  close(): Promise<void>
}

export interface Prepared {
  readonly committables: readonly Json[]
  /** What this subtask needs to go on after a restore, such as a part that stays open. `null` is none. */
  readonly state?: Json
}
