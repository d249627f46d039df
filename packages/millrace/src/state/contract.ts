/**
 * The contract between the engine and a state backend. A slot has one backend; each keyed operator gets a `KeyedStates` from it.
 *
 * Life of a snapshot: `freeze` at the barrier (constant time), then `collect` in small steps between records until it says it is
 * done, then `published` once the manifest is durable, or `abandoned`. Whatever user code does in between, the snapshot holds the
 * state as it was at `freeze`. `state/state-contract.test.ts` runs the same suite over every backend.
 */
import type { ByteReader, FixedSchema } from '../codec/index.ts'
import type {
  Aggregator,
  AggregatingState,
  Key,
  ListState,
  MapState,
  ReducingState,
  StateDeclaration,
  ValueState,
} from './declarations.ts'
import type { EventClock } from './event-clock.ts'
import type { KeyContext } from './key-context.ts'
import type { Adapt } from './value-adapter.ts'

export type StateId = number

export type StateHandle =
  | ValueState<any>
  | ListState<any>
  | MapState<any, any>
  | ReducingState<any>
  | AggregatingState<any, any>

/** Keyed state, timers and window contents of one operator, all read under the key that `keys` is bound to. */
export interface KeyedStates {
  readonly keys: KeyContext
  /** What expires in event time goes by it; the operator advances it. */
  readonly eventClock: EventClock
  /** `name`: what users call it, for messages. */
  state(id: StateId, name: string, declaration: StateDeclaration): StateHandle
  timers(id: StateId): TimerStore
  /** Accumulators per key and window start. */
  windows(id: StateId, aggregator: Aggregator<any, any, any>): WindowStore
  /** Where reading many keys at once is cheaper than one by one. */
  readonly prefetch?: Prefetch
}

/** Brings into memory what there is of the first `count` keys, whose hashes are given. The bound key is another one afterwards. */
export type Prefetch = (keys: readonly Key[], hashes: Int32Array, count: number) => void

/** The timers of one operator and time domain: a set of (key, time), fired in the order of time, then of registration. */
export interface TimerStore {
  /** For the bound key. Registering the same time twice is one timer. */
  register(time: number): void
  delete(time: number): void
  /** The earliest time; undefined when there is no timer. */
  readonly earliest: number | undefined
  /** Removes the first timer at or before `upTo`, binds its key and returns its time; undefined when there is none. */
  pop(upTo: number): number | undefined
}

export interface WindowStore {
  has(windowStart: number): boolean
  /** Adds a record to the bound key's window; true when the window is new. */
  add(windowStart: number, record: unknown): boolean
  /** The aggregator's result over the bound key's window. Only for windows that exist. */
  result(windowStart: number): unknown
  clear(windowStart: number): void
}

/** Takes serialised entries in ascending key order. */
export interface EntryConsumer {
  add(
    op: number,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
    lastTouchMs: number,
  ): void
}

export interface SnapshotRequest {
  readonly checkpointId: number
  /** The last published checkpoint, which the segment is a delta to; undefined: the segment holds everything. */
  readonly baseCheckpointId: number | undefined
  /** Write every entry even if a base exists. */
  readonly full: boolean
}

/** What the values of a snapshot were written under, for those states that had a schema of a fixed width. */
export type WriterSchemas = ReadonlyMap<StateId, FixedSchema>

export interface StateBackend {
  readonly kind: 'heap' | 'rocksdb'
  /** `operator`: its name, for messages. `record`: what it is processing, whose timestamp is a touch of state that expires in event time. */
  keyedStates(operator: string, record?: { readonly timestamp: number }): KeyedStates
  /** Some state has a time to live. Once the operators are built. */
  readonly hasTtl: boolean
  /**
   * Looks at about `maxEntries` entries of state with a time to live, where it stopped the last time, and removes those that are expired.
   * Called between records, again and again; the key is bound anew afterwards. True when a round over all of them is done.
   */
  sweepExpired(maxEntries: number): boolean
  /** Begins a snapshot: everything written from now on is not part of it. One at a time. */
  freeze(request: SnapshotRequest): void
  /** Serialises about `maxEntries` more entries into `consumer`; true once all are. */
  collect(consumer: EntryConsumer, maxEntries: number): boolean
  /** The snapshot that was begun last is given up; its changes stay in the next one. */
  abandoned(): void
  /** The checkpoint's manifest is durable: later deltas may use it as their base. */
  published(checkpointId: number): void
  /** Begins a restore: entries of the named checkpoint follow. `adapters`: of states whose values are read differently now. */
  restoreBegin(checkpointId: number, writers: WriterSchemas, adapters?: ReadonlyMap<StateId, Adapt>): void
  /**
   * One entry of the snapshot; its last touch, or NO_TOUCH (time/last-touch.ts). `key` stands behind key group and state id; it is read up to the end of its namespace.
   * Throws SNAPSHOT_DAMAGED when the bytes do not decode, STATE_INCOMPATIBLE when the value is not one that the state can hold.
   */
  restore(id: StateId, key: ByteReader, value: ByteReader, lastTouchMs: number): void
  restoreEnd(): void
  /** Gives back what is held outside of the JavaScript heap. Nothing may be called afterwards. */
  close(): void
  /** Keys and entries held, for status and metrics, by state. */
  entryCounts(): ReadonlyMap<StateId, number>
}

export type { Key }
