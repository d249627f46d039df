/**
 * Process operators: the general building block, an object with state and callbacks, and what the callbacks see. The runtime
 * implements these interfaces; nothing here runs.
 */
import type { Typed } from '../codec/index.ts'
import type { Log } from '../connectors/contract.ts'
import type { BroadcastStateShape, OperatorStateShape, StateShape } from '../state/declarations.ts'
import type { Ignored, UseMapAsyncInstead } from './async-function.ts'
import type { OutputTag } from './output-tag.ts'
import type { BroadcastView, ReadOnlyBroadcastView, StateView } from './state.ts'

/** What every process operator sees. It is one object per operator, valid only during the call it was passed to. */
export interface OperatorContext<R> {
  /** Event time of the record, epoch milliseconds. Throws `NO_EVENT_TIME` when there is no `eventTime` upstream. In `onTimer`: the timer's time. */
  readonly timestamp: number
  /** Event time up to which the input is complete: -Infinity before the first watermark, Infinity at the end of bounded input. */
  readonly watermark: number
  /** Sends a record downstream, with the current timestamp. It is immutable from then on. */
  emit(value: R): void
  /** Sends a record to a side output; see `Stream.sideOutput`. */
  output<V>(tag: OutputTag<V>, value: NoInfer<V>): void
  readonly metrics: Metrics
  readonly log: Log
}

export interface Metrics {
  /** The operator's counter of that name; the same object every time. */
  counter(name: string): Counter
  /** The operator's gauge of that name; the same object every time. Each subtask has one of its own. */
  gauge(name: string): Gauge
  /**
   * The operator's histogram of that name; the same object every time.
   * @param bounds ascending: how many values were at most so large is known. Default 1, 2, 5, 10 … 10,000
   */
  histogram(name: string, bounds?: readonly number[]): Histogram
}

export interface Counter {
  /** Adds `by`, default 1. */
  add(by?: number): void
}

export interface Gauge {
  set(value: number): void
}

export interface Histogram {
  observe(value: number): void
}

/** Timers of the current key. Setting the same time twice sets one timer. Times are epoch milliseconds. */
export interface Timers {
  /** `onTimer` once the watermark reaches `time`. `Infinity` fires last, when bounded input ends. */
  onEventTime(time: number): void
  /** `onTimer` once the clock reaches `time`. */
  onProcessingTime(time: number): void
  deleteEventTime(time: number): void
  deleteProcessingTime(time: number): void
}

export interface KeyedProcessContext<K, S extends StateShape, R> extends OperatorContext<R> {
  readonly key: K
  /** State of the current key. */
  readonly state: StateView<S>
  readonly timers: Timers
}

export interface TimerContext<K, S extends StateShape, R> extends KeyedProcessContext<K, S, R> {
  /** Which clock made the timer fire. */
  readonly timeDomain: 'event' | 'processing'
}

/** A process operator on a keyed stream. Flink: KeyedProcessFunction. */
export interface KeyedProcessOperator<K, T, R, S extends StateShape> {
  /** The type of what it emits: `type<Alert>()` or a schema. Left out, the stream is of unknown. Not checked at run time. */
  readonly emits?: Typed<R>
  /** State per key, by state name. */
  readonly state?: S
  /** Once per record. Must not wait, and must depend on nothing but the record, the state and the timers. */
  readonly onRecord: (record: T, ctx: KeyedProcessContext<K, S, R>) => Ignored | UseMapAsyncInstead
  /** Once per timer, in the order of their times; event-time timers before any record that comes after the watermark. */
  readonly onTimer?: (time: number, ctx: TimerContext<K, S, R>) => Ignored | UseMapAsyncInstead
}

export interface KeyedBroadcastContext<
  K,
  S extends StateShape,
  B extends BroadcastStateShape,
  R,
> extends KeyedProcessContext<K, S, R> {
  /** What the broadcast records so far made of it. To be read only. */
  readonly broadcastState: ReadOnlyBroadcastView<B>
}

export interface KeyedBroadcastTimerContext<
  K,
  S extends StateShape,
  B extends BroadcastStateShape,
  R,
> extends TimerContext<K, S, R> {
  readonly broadcastState: ReadOnlyBroadcastView<B>
}

/** No key: a broadcast record is no key's, and keyed state is not to be reached from here. */
export interface BroadcastContext<B extends BroadcastStateShape, R> extends OperatorContext<R> {
  /** This subtask's copy. */
  readonly broadcastState: BroadcastView<B>
}

/**
 * A process operator on a keyed stream that is connected to a broadcast stream. Every subtask gets every broadcast record, and has a
 * copy of the broadcast state. Flink: KeyedBroadcastProcessFunction, without applyToKeyedState.
 */
export interface KeyedBroadcastProcessOperator<K, T, U, R, S extends StateShape, B extends BroadcastStateShape> {
  readonly emits?: Typed<R>
  /** State per key, by state name. */
  readonly state?: S
  /** By state name: `broadcast<K, V>()`. */
  readonly broadcastState?: B
  /** Once per record of the keyed stream. */
  readonly onRecord: (record: T, ctx: KeyedBroadcastContext<K, S, B, R>) => Ignored | UseMapAsyncInstead
  /**
   * Once per broadcast record, in every subtask. Must do the same to the broadcast state everywhere: depend on nothing but the record
   * and that state. What it emits is emitted by every subtask. Records of one subtask of the source come in its order; those of
   * several may come in another order in each subtask.
   */
  readonly onBroadcast: (record: U, ctx: BroadcastContext<B, R>) => Ignored | UseMapAsyncInstead
  readonly onTimer?: (time: number, ctx: KeyedBroadcastTimerContext<K, S, B, R>) => Ignored | UseMapAsyncInstead
}

export interface ProcessContext<S extends OperatorStateShape, R> extends OperatorContext<R> {
  /** Operator state of this subtask. */
  readonly state: StateView<S>
}

/** A process operator on a stream that is not keyed: no keyed state, no timers. Flink: ProcessFunction. */
export interface ProcessOperator<T, R, S extends OperatorStateShape> {
  readonly emits?: Typed<R>
  /** Operator state: `list` is split when the parallelism changes, of a `unionList` every subtask gets all. */
  readonly state?: S
  readonly onRecord: (record: T, ctx: ProcessContext<S, R>) => Ignored | UseMapAsyncInstead
  /** Once, after the last record of bounded input. `ctx.timestamp` throws there. */
  readonly onEnd?: (ctx: ProcessContext<S, R>) => Ignored | UseMapAsyncInstead
}

/** What the function of a process window sees. */
export interface WindowContext<K, R> {
  readonly key: K
  readonly window: { readonly start: number; readonly end: number }
  /** Sends a record downstream, with the last timestamp of the window (`end - 1`). */
  emit(value: R): void
  output<V>(tag: OutputTag<V>, value: NoInfer<V>): void
}
