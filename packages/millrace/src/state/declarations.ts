/**
 * Declarations of state: what a job says about its state, as data. Where the state lives is the backend's affair.
 */
import type { Key, Schema } from '../codec/index.ts'
import type { Duration } from '../time/index.ts'

export type { Key } from '../codec/index.ts'

export interface TtlOptions {
  /** How long an entry lives after its last touch: 1 ms or more. */
  readonly ttl: Duration
  /** What counts as a touch. Default `write`. */
  readonly updateOn?: 'write' | 'read-and-write'
  /**
   * `processing` (default): by the clock. `event`: a touch is the timestamp of the record, or the time of the timer, in whose callback it
   * happens, and an entry expires when the watermark is `ttl` past it, so that the same records always give the same result.
   * Without `eventTime` upstream a touch throws NO_EVENT_TIME.
   */
  readonly time?: 'processing' | 'event'
}

/** Options of every state, whose values (of a list its elements, of a map its values) are of type T. */
export interface StateOptions<T = any> {
  /**
   * Entries (of a list or map: each by itself) expire this long after they were last written. Expired values are never returned, and
   * removed in the background. A duration alone counts by the clock. It may be added, changed and removed; docs/jobs.md says how.
   */
  readonly ttl?: Duration | TtlOptions
  /**
   * A Standard JSON Schema (zod, valibot, arktype) or plain JSON Schema of the value. Where it is an object of required numbers,
   * integers and booleans and nothing else, or one of those alone, a value or reducing state without `ttl` checks what it is given
   * (STATE_VALUE_INVALID) and keeps it in typed arrays: a fraction of the memory, nothing for the garbage collector; `get` makes a new
   * object each time. Any other schema is a type, and is not checked when values are set.
   *
   * It is kept in every snapshot. A job whose schema is another one reads the old values if the one can be read as the other
   * (docs/state-evolution.md), and is refused otherwise.
   */
  readonly schema?: Schema<T>
  /** Version of the values, an integer from 1. Default 1. A job with a higher one migrates what a snapshot holds of lower ones. */
  readonly version?: number
  /**
   * `migrate[n]` makes a value of version n + 1 of one of version n. Called once for each value that is loaded, in the order of the
   * versions; it must not wait, and depend on nothing but the value. What comes out at the end must fit the `schema`, if there is one.
   *
   * @example value<Cart>({ version: 3, migrate: { 1: old => ({ items: old }), 2: old => ({ ...old, currency: 'EUR' }) } })
   */
  readonly migrate?: Migrations
}

/** By the version that each begins with. */
export interface Migrations {
  readonly [version: number]: (old: any) => unknown
}

export interface ValueStateOptions<T> extends StateOptions<T> {
  /** What `get` returns while nothing was set. */
  readonly default?: T
}

/** Broadcast state does not expire: a clock is not the same in all subtasks, and their copies would differ. */
export type BroadcastStateOptions = Omit<StateOptions, 'ttl'>

/** Folds records into an accumulator and the accumulator into a result. Must be deterministic and free of side effects. */
export interface Aggregator<T, A, R> {
  /**
   * What its accumulators are, as a short name: state of another shape is not taken over from a snapshot. The built-in ones have one;
   * without one, a change of the accumulator is for its author to notice.
   */
  readonly shape?: string
  create(): A
  /** The accumulator with the record added. It may change and return the one it was given. A property, so that a wrong record type is an error. */
  readonly add: (accumulator: A, record: T) => A
  merge?(a: A, b: A): A
  result(accumulator: A): R
}

/**
 * An engine-owned aggregator whose accumulator is a fixed number of float64 fields, so that it can live in a typed table.
 * As a value (in snapshots, in other backends) the accumulator is a number when `width` is 1, else an array of `width` numbers.
 * `create`, `add`, `merge`, `result` of the same object work on that value form and must agree with the row form.
 */
export interface FixedAggregator<T, R> extends Aggregator<T, number | number[], R> {
  readonly fixed: {
    readonly width: number
    init(row: Float64Array, offset: number): void
    add(row: Float64Array, offset: number, record: T): void
    merge(row: Float64Array, offset: number, from: Float64Array, fromOffset: number): void
    result(row: Float64Array, offset: number): R
  }
}

export function isFixedAggregator(aggregator: Aggregator<any, any, any>): aggregator is FixedAggregator<any, any> {
  return 'fixed' in aggregator
}

export interface ValueDeclaration<T> {
  readonly kind: 'value'
  readonly options: ValueStateOptions<T>
}
export interface ListDeclaration<T> {
  readonly kind: 'list'
  readonly options: StateOptions
  /** Only for the type of the elements; never set. */
  readonly _element?: T
}
export interface UnionListDeclaration<T> {
  readonly kind: 'unionList'
  readonly options: StateOptions
  readonly _element?: T
}
/** Not a StateDeclaration: it is no key's, and every subtask has all of it. */
export interface BroadcastDeclaration<K extends Key, V> {
  readonly kind: 'broadcast'
  readonly options: BroadcastStateOptions
  readonly _entry?: [K, V]
}
export interface MapDeclaration<K extends Key, V> {
  readonly kind: 'map'
  readonly options: StateOptions
  readonly _entry?: [K, V]
}
export interface ReducingDeclaration<T> {
  readonly kind: 'reducing'
  readonly options: StateOptions<T>
  readonly reduce: (a: T, b: T) => T
}
export interface AggregatingDeclaration<T, A, R> {
  readonly kind: 'aggregating'
  readonly options: StateOptions
  readonly aggregator: Aggregator<T, A, R>
}

export type StateDeclaration =
  | ValueDeclaration<any>
  | ListDeclaration<any>
  | MapDeclaration<any, any>
  | ReducingDeclaration<any>
  | AggregatingDeclaration<any, any, any>

/** Of state of any kind, with keys or without. */
export type AnyDeclaration = StateDeclaration | UnionListDeclaration<any> | BroadcastDeclaration<any, any>

/** State of a keyed process operator, by state name. */
export type StateShape = { readonly [name: string]: StateDeclaration }

/** State of an operator that is not keyed: `list` is split when the parallelism changes, every subtask gets all of a `unionList`. */
export type OperatorStateShape = { readonly [name: string]: ListDeclaration<any> | UnionListDeclaration<any> }

/** Broadcast state of a keyed operator that is connected to a broadcast stream. */
export type BroadcastStateShape = { readonly [name: string]: BroadcastDeclaration<any, any> }

// --------------------------------------------------------------------------------------------------- what user functions see

export interface ValueState<T> {
  get(): T | undefined
  set(value: T): void
  clear(): void
}
/** A value state with a `default`: `get` never returns undefined. */
export interface DefaultedValueState<T> extends ValueState<T> {
  get(): T
}
export interface ListState<T> {
  get(): Iterable<T>
  add(value: T): void
  set(values: Iterable<T>): void
  clear(): void
}
/** Iterates in the order of the keys: numbers by value, strings by code point. */
export interface MapState<K extends Key, V> {
  get(key: K): V | undefined
  set(key: K, value: V): void
  has(key: K): boolean
  delete(key: K): void
  entries(): Iterable<[K, V]>
  keys(): Iterable<K>
  values(): Iterable<V>
  clear(): void
}
/** Broadcast state as `onRecord` and `onTimer` see it. Iterates in the order of the keys, as map state. */
export interface ReadOnlyBroadcastState<K extends Key, V> {
  get(key: K): V | undefined
  has(key: K): boolean
  entries(): Iterable<readonly [K, V]>
  keys(): Iterable<K>
  values(): Iterable<V>
}
/** Broadcast state as `onBroadcast` sees it. */
export interface BroadcastState<K extends Key, V> extends ReadOnlyBroadcastState<K, V> {
  set(key: K, value: V): void
  delete(key: K): void
  clear(): void
}
export interface ReducingState<T> {
  add(value: T): void
  get(): T | undefined
  clear(): void
}
export interface AggregatingState<T, R> {
  add(value: T): void
  /** The result over what was added; of an empty accumulator when nothing was. */
  get(): R
  clear(): void
}
