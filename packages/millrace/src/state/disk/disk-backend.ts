/**
 * The disk backend: state that may be larger than memory. What is used is in memory as cells (cell-cache.ts), everything else in a
 * DiskStore. That is scratch, filled from the snapshot at every start, so snapshots are those of any backend.
 *
 * A snapshot merges, key group by key group and state by state, what is in memory with what the view of the store adds (stored-entries.ts);
 * of the same key what is in memory counts.
 */
import { assert } from '../../base/assert.ts'
import { NO_TOUCH } from '../../time/index.ts'
import { ByteWriter, keyGroupOfHash, murmur3, skipKey, type ByteReader } from '../../codec/index.ts'
import type {
  EntryConsumer,
  KeyedStates,
  SnapshotRequest,
  StateBackend,
  StateHandle,
  StateId,
  TimerStore,
  WindowStore,
  WriterSchemas,
} from '../contract.ts'
import {
  isFixedAggregator,
  type Aggregator,
  type Key,
  type StateDeclaration,
  type StateOptions,
} from '../declarations.ts'
import { enforcedSchema } from '../enforced-schema.ts'
import { PUT, PUT_WITH_TOUCH, TOMBSTONE } from '../entries/entry-group.ts'
import { SnapshotWalk } from '../entries/snapshot-walk.ts'
import { EventClock } from '../event-clock.ts'
import { KeyContext } from '../key-context.ts'
import { ttlOf, type Ttl } from '../ttl.ts'
import type { Adapt } from '../value-adapter.ts'
import { DiskListState, DiskListTable } from './disk-list.ts'
import { DiskMapState, DiskMapTable, DiskWindowStore } from './disk-map.ts'
import type { DiskStore } from './disk-store.ts'
import { DiskSweep } from './disk-sweep.ts'
import { type DiskTable, TOUCH_BYTES } from './disk-table.ts'
import { DiskTimerTable } from './disk-timers.ts'
import { DiskAggregatingState, DiskReducingState, DiskValueState, DiskValueTable } from './disk-values.ts'
import { Packing } from './packed.ts'
import { AllEntries, ChangedEntries, type StoredEntries } from './stored-entries.ts'
import { AccumulatorCodec, ANY_VALUE, RowCodec, type ValueCodec } from './value-codec.ts'
import { ENTRIES, WorkingSet } from './working-set.ts'

const LOAD_BYTES = 256 * 1024

export interface DiskBackendOptions {
  readonly maxParallelism: number
  readonly clock: { readonly nowMs: number }
  readonly store: DiskStore
  /** Of state in memory, in bytes: an estimate. */
  readonly cacheBytes: number
  /** Timers of an operator in memory; a default that suits all but tests. */
  readonly nearTimers?: number
}

export class DiskBackend implements StateBackend {
  readonly kind = 'rocksdb'
  private readonly options: DiskBackendOptions
  private readonly working: WorkingSet
  private readonly tables: DiskTable[] = []
  private readonly byId = new Map<StateId, DiskTable>()
  private readonly expirySweep: DiskSweep
  /** Epoch of each checkpoint that may still become, or is, a base. */
  private readonly epochOf = new Map<number, number>()
  private readonly walk: SnapshotWalk<DiskTable>
  /** Of the entries that are collected where the walk stands: how many were handed on. */
  private emitted = 0
  /** What the snapshot being written takes from the store. */
  private stored: StoredEntries | undefined

  constructor(options: DiskBackendOptions) {
    this.options = options
    this.working = new WorkingSet(options.store, options.cacheBytes)
    this.walk = new SnapshotWalk(this.tables, options.maxParallelism)
    this.expirySweep = new DiskSweep(this.working, this.tables, options.maxParallelism)
  }

  keyedStates(operator: string, record?: { readonly timestamp: number }): KeyedStates {
    const keys = new KeyContext(this.options.maxParallelism)
    return new DiskKeyedStates(this, operator, keys, new EventClock(operator, record))
  }

  /** Called by the operators while they are built. */
  addTable<T extends DiskTable>(make: (working: WorkingSet) => T): T {
    const table = make(this.working)
    assert(!this.byId.has(table.stateId), `state id ${table.stateId} is used once`)
    this.byId.set(table.stateId, table)
    this.tables.push(table)
    this.tables.sort((a, b) => a.stateId - b.stateId)
    return table
  }

  addTimers(id: StateId, keys: KeyContext): TimerStore {
    return this.addTable(working => new DiskTimerTable(id, working, keys, this.options.nearTimers))
  }

  ttlOf(options: StateOptions, eventClock: EventClock): Ttl | undefined {
    return ttlOf(options, this.options.clock, eventClock)
  }

  get hasTtl(): boolean {
    return this.tables.some(({ ttl }) => ttl !== undefined)
  }

  sweepExpired(maxEntries: number): boolean {
    return !this.hasTtl || this.expirySweep.step(maxEntries)
  }

  close(): void {
    this.working.thaw()
    this.working.store.close()
  }

  // -------------------------------------------------------------------------------------------------------- snapshot

  freeze(request: SnapshotRequest): void {
    const { working } = this
    assert(!working.epochs.active, 'one snapshot at a time')
    const base = request.baseCheckpointId === undefined ? 0 : this.epochOf.get(request.baseCheckpointId)!
    assert(base !== undefined, `the base checkpoint ${request.baseCheckpointId} is one of this attempt`)
    working.freeze(request, base)
    const { frozen } = working.epochs
    this.epochOf.set(request.checkpointId, frozen)
    for (const table of this.tables) table.freeze(frozen)
    const view = working.view!
    this.stored = request.full ? new AllEntries(view) : new ChangedEntries(view, base, frozen)
  }

  collect(consumer: EntryConsumer, maxEntries: number): boolean {
    const { walk, stored } = this
    assert(stored !== undefined, 'a snapshot was begun')
    const emit = () => this.emit(stored, consumer, maxEntries)
    if (!walk.advance(maxEntries, emit, () => this.isStoredHere(stored))) return false
    this.thaw()
    return true
  }

  /** Merges about `maxEntries` from memory and store; true once the state's key group is done. */
  private emit(stored: StoredEntries, consumer: EntryConsumer, maxEntries: number): boolean {
    const { entries } = this.walk
    const { full } = this.working.epochs
    for (; maxEntries > 0; maxEntries--) {
      const inStore = this.isStoredHere(stored)
      const inMemory = this.emitted < entries.count
      if (!inMemory && !inStore) {
        this.emitted = 0
        return true
      }
      let order = inMemory ? -1 : 1
      if (inMemory && inStore) {
        order = entries.compareKey(this.emitted, stored.keyBytes, stored.keyStart, stored.keyEnd)
      }
      if (order > 0) this.emitStored(stored, consumer)
      else {
        // In a full snapshot a tombstone only says that what the store has does not count.
        const counts = !entries.isRepeated(this.emitted) && !(full && entries.isTombstone(this.emitted))
        if (counts) entries.hand(this.emitted, consumer)
        this.emitted++
      }
      if (order >= 0) stored.next()
    }
    return false
  }

  private emitStored(stored: StoredEntries, consumer: EntryConsumer): void {
    const { op, keyBytes, keyStart, keyEnd, valueBytes, valueStart, valueEnd } = stored
    if (op === TOMBSTONE || this.walk.table.ttl === undefined) {
      consumer.add(op, keyBytes, keyStart, keyEnd, valueBytes, valueStart, valueEnd, 0)
      return
    }
    const touchedMs = new DataView(valueBytes.buffer, valueBytes.byteOffset + valueStart).getFloat64(0, true)
    const touchedOp = touchedMs === NO_TOUCH ? PUT : PUT_WITH_TOUCH
    consumer.add(touchedOp, keyBytes, keyStart, keyEnd, valueBytes, valueStart + TOUCH_BYTES, valueEnd, touchedMs)
  }

  private isStoredHere({ atEnd, keyBytes, keyStart: at }: StoredEntries): boolean {
    if (atEnd || ((keyBytes[at] << 8) | keyBytes[at + 1]) !== this.walk.group) return false
    return ((keyBytes[at + 2] << 8) | keyBytes[at + 3]) === this.walk.table.stateId
  }

  abandoned(): void {
    this.thaw()
  }

  private thaw(): void {
    this.walk.reset()
    this.emitted = 0
    this.stored = undefined
    this.working.thaw()
    for (const table of this.tables) table.thaw()
  }

  published(checkpointId: number): void {
    const epoch = this.epochOf.get(checkpointId)
    if (epoch === undefined) return
    this.working.published(epoch)
    for (const table of this.tables) table.published(epoch)
    for (const [id, at] of this.epochOf) if (at < epoch) this.epochOf.delete(id)
  }

  // --------------------------------------------------------------------------------------------------------- restore

  private readonly loading = new Packing()
  /** The key that was loaded last: the store takes them in ascending order, as they come unless each was hashed anew. */
  private readonly lastKey = new ByteWriter(64)
  private ascends = true

  restoreBegin(checkpointId: number, writers: WriterSchemas, adapters?: ReadonlyMap<StateId, Adapt>): void {
    this.epochOf.set(checkpointId, 0)
    for (const table of this.tables) table.restoreBegin(writers.get(table.stateId), adapters?.get(table.stateId))
  }

  restore(id: StateId, key: ByteReader, value: ByteReader, lastTouchMs: number): void {
    const table = this.byId.get(id)
    assert(table !== undefined, `the restore plan drops entries of state id ${id}`)
    const start = key.offset
    skipKey(key)
    const group = keyGroupOfHash(murmur3(key.bytes, start, key.offset), this.options.maxParallelism)
    key.offset = start
    storeValue.reset()
    if (!table.restore(key, group, value, lastTouchMs, storeValue)) return
    storeKey.reset()
    storeKey.u8(ENTRIES)
    storeKey.u16be(group)
    storeKey.u16be(id)
    storeKey.raw(key.bytes, start, key.end)
    this.load(storeKey.view(), storeValue.view())
  }

  private load(key: Uint8Array, value: Uint8Array): void {
    const { lastKey, loading } = this
    if (this.ascends && Buffer.compare(lastKey.view(), key) > 0) {
      this.flushLoading()
      this.working.store.endLoad()
      this.ascends = false
    }
    lastKey.reset()
    lastKey.raw(key)
    loading.put(key, value)
    if (loading.length >= LOAD_BYTES) this.flushLoading()
  }

  private flushLoading(): void {
    const { loading } = this
    if (loading.count === 0) return
    if (this.ascends) this.working.store.load(loading.bytes)
    else this.working.store.write(loading.bytes)
    loading.reset()
  }

  restoreEnd(): void {
    this.flushLoading()
    if (this.ascends) this.working.store.endLoad()
    this.working.flush()
    for (const table of this.tables) table.restoreEnd()
  }

  entryCounts(): ReadonlyMap<StateId, number> {
    return new Map(this.tables.map(table => [table.stateId, table.entryCount()]))
  }
}

const storeKey = new ByteWriter(64)
const storeValue = new ByteWriter(256)

class DiskKeyedStates implements KeyedStates {
  readonly keys: KeyContext
  readonly eventClock: EventClock
  private readonly backend: DiskBackend
  private readonly operator: string
  private readonly valueTables: DiskValueTable[] = []

  constructor(backend: DiskBackend, operator: string, keys: KeyContext, eventClock: EventClock) {
    this.eventClock = eventClock
    this.backend = backend
    this.operator = operator
    this.keys = keys
  }

  state(id: StateId, name: string, declaration: StateDeclaration): StateHandle {
    const { keys, backend } = this
    const ttl = backend.ttlOf(declaration.options, this.eventClock)
    const values = (codec: ValueCodec) => {
      const table = backend.addTable(working => new DiskValueTable(id, working, codec, ttl))
      this.valueTables.push(table)
      return table
    }
    const schema = enforcedSchema(declaration)
    const codec = schema === undefined ? ANY_VALUE : new RowCodec(schema, { operator: this.operator, state: name })
    switch (declaration.kind) {
      case 'value': {
        const fallback = declaration.options.default
        return new DiskValueState(keys, values(codec), () =>
          fallback === undefined ? fallback : codec.given(fallback),
        )
      }
      case 'list':
        return new DiskListState(
          keys,
          backend.addTable(working => new DiskListTable(id, working, ANY_VALUE, ttl)),
        )
      case 'map':
        return new DiskMapState(
          keys,
          backend.addTable(working => new DiskMapTable(id, working, ANY_VALUE, ttl)),
        )
      case 'reducing':
        return new DiskReducingState(keys, values(codec), declaration.reduce)
      case 'aggregating': {
        const { aggregator } = declaration
        return new DiskAggregatingState(keys, values(accumulatorCodec(aggregator)), aggregator)
      }
    }
  }

  readonly prefetch = (keys: readonly Key[], hashes: Int32Array, count: number): void => {
    for (const table of this.valueTables) table.prefetch(this.keys, keys, hashes, count)
  }

  timers(id: StateId): TimerStore {
    return this.backend.addTimers(id, this.keys)
  }

  windows(id: StateId, aggregator: Aggregator<any, any, any>): WindowStore {
    const table = this.backend.addTable(
      working => new DiskMapTable(id, working, accumulatorCodec(aggregator), undefined),
    )
    return new DiskWindowStore(this.keys, table, aggregator)
  }
}

function accumulatorCodec(aggregator: Aggregator<any, any, any>): ValueCodec {
  return isFixedAggregator(aggregator) ? new AccumulatorCodec(aggregator) : ANY_VALUE
}
