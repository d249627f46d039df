/**
 * Streams as a job's build function sees them. A stream is one output of one operator; each method adds an operator to the graph and
 * returns its stream. Nothing runs here. A stream may be used any number of times: each use gets every record.
 */
import { MillraceError } from '../base/errors.ts'
import type { Schema } from '../codec/index.ts'
import type { Sink } from '../connectors/contract.ts'
import { assertOperatorName, type Edge, type OperatorOptions, type WindowContents } from '../graph/index.ts'
import type { Aggregator, BroadcastStateShape, Key, OperatorStateShape, StateShape } from '../state/declarations.ts'
import { parseDuration, type Duration, type Window, type WindowAssigner } from '../time/index.ts'
import { assertSynchronous, type Ignored, type NotPromise, type UseMapAsyncInstead } from './async-function.ts'
import { BroadcastStream } from './broadcast-stream.ts'
import type { GraphBuilder } from './graph-builder.ts'
import { tagName, type OutputTag } from './output-tag.ts'
import type { KeyedBroadcastProcessOperator, KeyedProcessOperator, ProcessOperator, WindowContext } from './process.ts'
import { aggregating, assertAggregator, checkedSchema, reducing } from './state.ts'

/** A name to show for an operator that needs none. */
export interface DisplayOptions {
  readonly name?: string
}

export interface EventTimeOptions extends DisplayOptions {
  /** How much later than a younger record a record may come. Default 0: timestamps never go back within a split. */
  readonly outOfOrderness?: Duration
  /** A split without records for this long (by the clock) stops holding the watermark back. Default: it waits for ever. */
  readonly idleAfter?: Duration
}

/** What `aggregate` and `reduce` of a keyed stream's window emit. */
export interface WindowResult<K, R> {
  readonly key: K
  readonly window: Window
  readonly value: R
}

export class Stream<T> {
  readonly #builder: GraphBuilder
  readonly #edge: Edge

  /** Streams come from `flow.source` and from the methods of other streams. */
  constructor(builder: GraphBuilder, edge: Edge) {
    this.#builder = builder
    this.#edge = edge
  }

  /** One record for each record. */
  map<R>(fn: (record: T) => NotPromise<R>, options: DisplayOptions = {}): Stream<R> {
    assertSynchronous(fn, label('map', options.name))
    return new Stream(this.#builder, this.#builder.add({ kind: 'map', fn }, [this.#edge], options.name))
  }

  /** Only the records for which `fn` says true; a type guard narrows the stream. */
  filter<R extends T>(fn: (record: T) => record is R, options?: DisplayOptions): Stream<R>
  filter(fn: (record: T) => boolean | UseMapAsyncInstead, options?: DisplayOptions): Stream<T>
  filter(fn: (record: T) => any, options: DisplayOptions = {}): Stream<T> {
    assertSynchronous(fn, label('filter', options.name))
    return new Stream(this.#builder, this.#builder.add({ kind: 'filter', fn }, [this.#edge], options.name))
  }

  /** Any number of records for each record: an array, a generator, or any other iterable. */
  flatMap<R>(fn: (record: T) => Iterable<R> | UseMapAsyncInstead, options: DisplayOptions = {}): Stream<R> {
    assertSynchronous(fn, label('flatMap', options.name))
    const node = { kind: 'flatMap', fn: fn as (record: T) => Iterable<R> } as const
    return new Stream(this.#builder, this.#builder.add(node, [this.#edge], options.name))
  }

  /**
   * Says when each record happened, and makes watermarks: event time is complete up to the greatest timestamp seen less
   * `outOfOrderness`. Reached from a source through stateless operators, every split of the source has a watermark of its own and the
   * least of them counts.
   * Flink: assignTimestampsAndWatermarks with forBoundedOutOfOrderness and withIdleness.
   * @param timestamp epoch milliseconds, finite
   */
  eventTime(timestamp: (record: T) => number | UseMapAsyncInstead, options: EventTimeOptions = {}): Stream<T> {
    const where = label('eventTime', options.name)
    assertSynchronous(timestamp, where)
    const node = {
      kind: 'eventTime',
      timestamp: timestamp as (record: T) => number,
      outOfOrdernessMs: parseDuration(options.outOfOrderness ?? 0, `outOfOrderness of ${where}`),
      idleAfterMs:
        options.idleAfter === undefined ? undefined : parseDuration(options.idleAfter, `idleAfter of ${where}`),
    } as const
    return new Stream(this.#builder, this.#builder.add(node, [this.#edge], options.name))
  }

  /** The records of all these streams, in no promised order. Its watermark is the least of theirs. */
  union(...others: Stream<T>[]): Stream<T> {
    const edges = others.map(other => {
      if (other instanceof Stream && other.#builder === this.#builder) return other.#edge
      throw new MillraceError(
        'GRAPH_INVALID',
        `job '${this.#builder.job}': union was given a stream of another job, or no stream`,
      )
    })
    return new Stream(this.#builder, this.#builder.add({ kind: 'union' }, [this.#edge, ...edges]))
  }

  /**
   * Groups the records by key: state, timers and windows downstream belong to one key.
   * @param key a string, number, bigint, boolean, or a tuple of those; compared by value, NaN is an error
   * @param options `schema`: what the keys are, kept in every snapshot, so that a job with other keys is refused its state. Keys of
   *   records are not checked against it
   */
  keyBy<const K extends Key>(
    key: (record: T) => K | UseMapAsyncInstead,
    options: { readonly schema?: Schema<K> } = {},
  ): KeyedStream<K, T> {
    assertSynchronous(key, 'keyBy')
    const { schema } = options
    const keySchema = schema === undefined ? {} : { keySchema: checkedSchema(schema, 'keyBy') }
    return new KeyedStream(this.#builder, { ...this.#edge, keyBy: key as (record: T) => K, ...keySchema })
  }

  /** An operator with callbacks and operator state. With `emits` left out the result is a stream of unknown. */
  process<S extends OperatorStateShape = {}, R = unknown>(
    name: string,
    operator: ProcessOperator<T, R, S>,
    options?: OperatorOptions,
  ): Stream<R> {
    assertOperatorName(name, 'process')
    assertOperator(operator, `process '${name}'`, 'onEnd')
    const node = {
      kind: 'process',
      state: operator.state ?? {},
      onRecord: operator.onRecord.bind(operator) as (record: T, ctx: any) => void,
      onEnd: operator.onEnd?.bind(operator) as ((ctx: any) => void) | undefined,
    } as const
    return new Stream(this.#builder, this.#builder.add(node, [this.#edge], name, options))
  }

  /**
   * Sends every record to every subtask of the operator that reads it: `keyed.connect(rules.broadcast())`. A keyed stream and the
   * rules, settings or exchange rates that all of its keys need.
   */
  broadcast(): BroadcastStream<T> {
    return new BroadcastStream(this.#builder, this.#edge)
  }

  /** Spreads the records evenly over the subtasks of what follows. */
  rebalance(options: DisplayOptions = {}): Stream<T> {
    return new Stream(this.#builder, this.#builder.add({ kind: 'rebalance' }, [this.#edge], options.name))
  }

  /** What the operator that made this stream writes with `ctx.output(tag, …)`, or a window's late records, or a source's malformed lines. */
  sideOutput<R>(tag: OutputTag<R>): Stream<R> {
    return new Stream(this.#builder, { from: this.#edge.from, tag: tagName(tag, 'sideOutput') })
  }

  /** Ends the stream in a sink. */
  sink(name: string, sink: Sink<T>, options?: OperatorOptions): void {
    assertOperatorName(name, 'sink')
    if (typeof sink?.open !== 'function') {
      throw new MillraceError(
        'GRAPH_INVALID',
        `sink '${name}' was given no sink; for example .sink('out', files.writeJson('out'))`,
      )
    }
    this.#builder.add({ kind: 'sink', sink }, [this.#edge], name, options)
  }
}

export class KeyedStream<K, T> {
  readonly #builder: GraphBuilder
  readonly #edge: Edge

  constructor(builder: GraphBuilder, edge: Edge) {
    this.#builder = builder
    this.#edge = edge
  }

  /** An operator with state and timers per key. With `emits` left out the result is a stream of unknown. Flink: KeyedProcessFunction. */
  process<S extends StateShape = {}, R = unknown>(
    name: string,
    operator: KeyedProcessOperator<K, T, R, S>,
    options?: OperatorOptions,
  ): Stream<R> {
    assertOperatorName(name, 'process')
    assertOperator(operator, `process '${name}'`, 'onTimer')
    const node = {
      kind: 'keyedProcess',
      ...keyedParts(operator),
    } as const
    return new Stream(this.#builder, this.#builder.add(node, [this.#edge], name, options))
  }

  /** Folds the records of each key into one and emits it after every record. */
  reduce(name: string, fn: (a: T, b: T) => T | UseMapAsyncInstead, options?: OperatorOptions): Stream<T> {
    assertOperatorName(name, 'reduce')
    assertSynchronous(fn, `reduce '${name}'`)
    const node = {
      kind: 'keyedProcess',
      state: { value: reducing(fn as (a: T, b: T) => T) },
      onRecord(record: T, ctx: any) {
        const { value } = ctx.state
        value.add(record)
        ctx.emit(value.get())
      },
      onTimer: undefined,
    } as const
    return new Stream(this.#builder, this.#builder.add(node, [this.#edge], name, options))
  }

  /** Aggregates the records of each key and emits the result after every record. */
  aggregate<A, R>(
    name: string,
    aggregator: Aggregator<T, A, R>,
    options?: OperatorOptions,
  ): Stream<{ readonly key: K; readonly value: R }> {
    assertOperatorName(name, 'aggregate')
    assertAggregator(aggregator, `aggregate '${name}'`)
    const node = {
      kind: 'keyedProcess',
      state: { value: aggregating(aggregator) },
      onRecord(record: T, ctx: any) {
        const { value } = ctx.state
        value.add(record)
        ctx.emit({ key: ctx.key, value: value.get() })
      },
      onTimer: undefined,
    } as const
    return new Stream(this.#builder, this.#builder.add(node, [this.#edge], name, options))
  }

  /** Joins the stream to a broadcast one, for an operator that gets the records of both. */
  connect<U>(broadcast: BroadcastStream<U>): BroadcastConnectedStream<K, T, U> {
    const edge = BroadcastStream.edgeOf(broadcast, this.#builder)
    if (edge !== undefined) return new BroadcastConnectedStream(this.#builder, this.#edge, edge)
    throw new MillraceError(
      'GRAPH_INVALID',
      `job '${this.#builder.job}': connect was given a stream of another job, or one that is not broadcast; for example keyed.connect(rules.broadcast())`,
    )
  }

  /** Groups the records of each key by time: `tumbling('1h')`, `global()`. Needs `eventTime` upstream, except for `global()`. */
  window(assigner: WindowAssigner): WindowedStream<K, T> {
    if (typeof assigner?.kind !== 'string') {
      throw new MillraceError('GRAPH_INVALID', `window needs an assigner, such as tumbling('1h')`)
    }
    return new WindowedStream(this.#builder, this.#edge, { assigner, allowedLatenessMs: 0, lateTag: undefined })
  }
}

/** A keyed stream and a broadcast one, on their way into one operator. */
export class BroadcastConnectedStream<K, T, U> {
  readonly #builder: GraphBuilder
  readonly #keyed: Edge
  readonly #broadcast: Edge

  constructor(builder: GraphBuilder, keyed: Edge, broadcast: Edge) {
    this.#builder = builder
    this.#keyed = keyed
    this.#broadcast = broadcast
  }

  /**
   * An operator with state and timers per key, and with broadcast state: `onBroadcast` writes it, `onRecord` and `onTimer` read it.
   * Its watermark is the lower of both inputs. With `emits` left out the result is a stream of unknown.
   * Flink: KeyedBroadcastProcessFunction.
   *
   * @example
   * orders.keyBy(order => order.shop).connect(limits.broadcast()).process('large', {
   *   emits: type<Order>(),
   *   broadcastState: { limits: broadcast<string, number>() },
   *   onRecord(order, ctx) {
   *     if (order.amount > (ctx.broadcastState.limits.get(ctx.key) ?? Infinity)) ctx.emit(order)
   *   },
   *   onBroadcast(limit, ctx) { ctx.broadcastState.limits.set(limit.shop, limit.amount) },
   * })
   */
  process<S extends StateShape = {}, B extends BroadcastStateShape = {}, R = unknown>(
    name: string,
    operator: KeyedBroadcastProcessOperator<K, T, U, R, S, B>,
    options?: OperatorOptions,
  ): Stream<R> {
    assertOperatorName(name, 'process')
    assertOperator(operator, `process '${name}'`, 'onTimer')
    assertSynchronous(operator.onBroadcast, `onBroadcast of process '${name}'`)
    const node = {
      kind: 'keyedBroadcastProcess',
      ...keyedParts(operator),
      broadcastState: operator.broadcastState ?? {},
      onBroadcast: operator.onBroadcast.bind(operator) as (record: U, ctx: any) => void,
    } as const
    return new Stream(this.#builder, this.#builder.add(node, [this.#keyed, this.#broadcast], name, options))
  }
}

interface WindowSettings {
  readonly assigner: WindowAssigner
  readonly allowedLatenessMs: number
  readonly lateTag: string | undefined
}

/** A window fires when the watermark passes its end, and again for every late record that is still allowed. */
export class WindowedStream<K, T> {
  readonly #builder: GraphBuilder
  readonly #edge: Edge
  readonly #settings: WindowSettings

  constructor(builder: GraphBuilder, edge: Edge, settings: WindowSettings) {
    this.#builder = builder
    this.#edge = edge
    this.#settings = settings
  }

  /** How long past its end (in event time) a window still takes records. Default 0. */
  allowedLateness(duration: Duration): WindowedStream<K, T> {
    const allowedLatenessMs = parseDuration(duration, 'allowedLateness of a window')
    return new WindowedStream(this.#builder, this.#edge, { ...this.#settings, allowedLatenessMs })
  }

  /** Where records go that come too late; without it they are dropped and counted. */
  lateOutput(tag: OutputTag<T>): WindowedStream<K, T> {
    return new WindowedStream(this.#builder, this.#edge, { ...this.#settings, lateTag: tagName(tag, 'lateOutput') })
  }

  /** One result per key and window. Holds one accumulator per key and window. */
  aggregate<A, R>(
    name: string,
    aggregator: Aggregator<T, A, R>,
    options?: OperatorOptions,
  ): Stream<WindowResult<K, R>> {
    assertOperatorName(name, 'aggregate')
    assertAggregator(aggregator, `window '${name}'`)
    return this.#fold(name, { kind: 'aggregate', aggregator }, options)
  }

  /** The records of a key and window folded into one. */
  reduce(
    name: string,
    fn: (a: T, b: T) => T | UseMapAsyncInstead,
    options?: OperatorOptions,
  ): Stream<WindowResult<K, T>> {
    assertOperatorName(name, 'reduce')
    assertSynchronous(fn, `reduce of window '${name}'`)
    return this.#fold(name, { kind: 'reduce', fn: fn as (a: T, b: T) => T }, options)
  }

  /** `fn` gets all records of a key and window, in the order of their arrival. Holds every record until then. */
  process<R = unknown>(
    name: string,
    fn: (records: readonly T[], ctx: WindowContext<K, R>) => Ignored | UseMapAsyncInstead,
    options?: OperatorOptions,
  ): Stream<R> {
    assertOperatorName(name, 'process')
    assertSynchronous(fn, `process of window '${name}'`)
    return this.#fold(name, { kind: 'process', fn: fn as (records: readonly T[], ctx: any) => void }, options)
  }

  #fold<R>(name: string, contents: WindowContents, options: OperatorOptions | undefined): Stream<R> {
    const node = { kind: 'window', ...this.#settings, contents } as const
    return new Stream(this.#builder, this.#builder.add(node, [this.#edge], name, options))
  }
}

/** For messages: `map 'parse'`. */
function label(kind: string, name: string | undefined): string {
  return name === undefined ? kind : `${kind} '${name}'`
}

/** What a node has of an operator that is called per key. */
function keyedParts(operator: {
  readonly state?: StateShape
  onRecord(record: any, ctx: any): unknown
  onTimer?(time: number, ctx: any): unknown
}) {
  return {
    state: operator.state ?? {},
    onRecord: operator.onRecord.bind(operator) as (record: any, ctx: any) => void,
    onTimer: operator.onTimer?.bind(operator) as ((time: number, ctx: any) => void) | undefined,
  }
}

function assertOperator(operator: unknown, where: string, optional: 'onTimer' | 'onEnd'): void {
  if (typeof operator !== 'object' || operator === null) {
    throw new MillraceError('GRAPH_INVALID', `${where} needs an operator: { emits, state, onRecord(record, ctx) }`)
  }
  assertSynchronous(Reflect.get(operator, 'onRecord'), `onRecord of ${where}`)
  const callback: unknown = Reflect.get(operator, optional)
  if (callback !== undefined) assertSynchronous(callback, `${optional} of ${where}`)
}
