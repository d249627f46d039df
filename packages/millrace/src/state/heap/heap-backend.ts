/**
 * The heap backend: working state as JavaScript objects and typed arrays of the slot's own isolate.
 *
 * Which table holds a state is decided here: typed tables for the engine's own aggregators without a time to live and for values of a
 * fixed schema, cells for all else. Snapshots come out in ascending (key group, state id) order, so key groups are walked outermost.
 */
import { assert } from '../../base/assert.ts'
import { decodeKey, type ByteReader, type FixedSchema } from '../../codec/index.ts'
import {
  isFixedAggregator,
  type Aggregator,
  type AggregatingDeclaration,
  type FixedAggregator,
  type StateDeclaration,
  type StateOptions,
} from '../declarations.ts'
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
import { enforcedSchema } from '../enforced-schema.ts'
import { EventClock } from '../event-clock.ts'
import { KeyContext } from '../key-context.ts'
import { ttlOf, type Ttl } from '../ttl.ts'
import type { Adapt } from '../value-adapter.ts'
import { AccumulatorTable, TypedAggregatingState, TypedWindowStore } from './accumulator-table.ts'
import { CellTable, type SnapshotTable } from './cell-table.ts'
import { Epochs } from '../entries/epochs.ts'
import { SnapshotWalk } from '../entries/snapshot-walk.ts'
import { HeapListState, ListTable } from './list-table.ts'
import { CellWindowStore, HeapMapState, MapTable } from './map-table.ts'
import { SchemaTable, TypedReducingState, TypedValueState } from './schema-table.ts'
import { TimerTable } from './timer-table.ts'
import { HeapAggregatingState, HeapReducingState, HeapValueState, ValueTable } from './value-table.ts'

export class HeapBackend implements StateBackend {
  readonly kind = 'heap'
  private readonly maxParallelism: number
  private readonly clock: { readonly nowMs: number }
  private readonly epochs = new Epochs()
  private readonly tables: SnapshotTable[] = []
  private readonly byId = new Map<StateId, { table: SnapshotTable; keys: KeyContext }>()
  /** Epoch of each checkpoint that may still become, or is, a base. */
  private readonly epochOf = new Map<number, number>()
  private readonly walk: SnapshotWalk<SnapshotTable>

  constructor(maxParallelism: number, clock: { readonly nowMs: number }) {
    this.maxParallelism = maxParallelism
    this.clock = clock
    this.walk = new SnapshotWalk(this.tables, maxParallelism)
  }

  keyedStates(operator: string, record?: { readonly timestamp: number }): KeyedStates {
    return new HeapKeyedStates(this, operator, new KeyContext(this.maxParallelism), new EventClock(operator, record))
  }

  /** Called by the operators while they are built. */
  addTable<T extends SnapshotTable>(keys: KeyContext, make: (epochs: Epochs) => T): T {
    const table = make(this.epochs)
    assert(!this.byId.has(table.stateId), `state id ${table.stateId} is used once`)
    this.byId.set(table.stateId, { table, keys })
    this.tables.push(table)
    this.tables.sort((a, b) => a.stateId - b.stateId)
    return table
  }

  ttlOf(options: StateOptions, eventClock: EventClock): Ttl | undefined {
    return ttlOf(options, this.clock, eventClock)
  }

  // -------------------------------------------------------------------------------------------------------- clean-up

  /** The next table to look at. */
  private sweepAt = 0

  get hasTtl(): boolean {
    return this.tables.some(expires)
  }

  sweepExpired(maxEntries: number): boolean {
    const { tables } = this
    // A snapshot walks over the same lists.
    if (this.epochs.active) return false
    for (; this.sweepAt < tables.length; this.sweepAt++) {
      const table = tables[this.sweepAt]
      if (expires(table) && !table.sweepExpired(maxEntries)) return false
    }
    this.sweepAt = 0
    return true
  }

  // -------------------------------------------------------------------------------------------------------- snapshot

  freeze(request: SnapshotRequest): void {
    const { epochs } = this
    assert(!epochs.active, 'one snapshot at a time')
    epochs.frozen = epochs.current++
    epochs.full = request.full
    epochs.base = request.baseCheckpointId === undefined ? 0 : this.epochOf.get(request.baseCheckpointId)!
    assert(epochs.base !== undefined, `the base checkpoint ${request.baseCheckpointId} is one of this attempt`)
    epochs.active = true
    this.epochOf.set(request.checkpointId, epochs.frozen)
    for (const table of this.tables) table.freeze(epochs.frozen)
  }

  collect(consumer: EntryConsumer, maxEntries: number): boolean {
    const { walk, epochs } = this
    assert(epochs.active, 'a snapshot was begun')
    if (!walk.advance(maxEntries, () => walk.entries.emit(consumer, maxEntries), nothingElse)) return false
    this.thaw()
    return true
  }

  abandoned(): void {
    this.thaw()
  }

  private thaw(): void {
    this.walk.reset()
    this.epochs.active = false
    for (const table of this.tables) table.thaw()
  }

  published(checkpointId: number): void {
    const epoch = this.epochOf.get(checkpointId)
    if (epoch === undefined) return
    for (const table of this.tables) table.published(epoch)
    for (const [id, at] of this.epochOf) if (at < epoch) this.epochOf.delete(id)
  }

  // --------------------------------------------------------------------------------------------------------- restore

  restoreBegin(checkpointId: number, writers: WriterSchemas, adapters?: ReadonlyMap<StateId, Adapt>): void {
    this.epochOf.set(checkpointId, 0)
    for (const table of this.tables) table.restoreBegin(writers.get(table.stateId), adapters?.get(table.stateId))
  }

  restore(id: StateId, key: ByteReader, value: ByteReader, lastTouchMs: number): void {
    const target = this.byId.get(id)
    assert(target !== undefined, `the restore plan drops entries of state id ${id}`)
    const decoded = decodeKey(key)
    target.keys.bind(decoded)
    target.keys.locate()
    target.table.restore(decoded, target.keys.group, key, value, lastTouchMs)
  }

  restoreEnd(): void {
    for (const table of this.tables) table.restoreEnd()
  }

  close(): void {}

  entryCounts(): ReadonlyMap<StateId, number> {
    return new Map(this.tables.map(table => [table.stateId, table.entryCount()]))
  }
}

/** Only cells have a place for the last touch. */
function expires(table: SnapshotTable): table is CellTable {
  return table instanceof CellTable && table.ttl !== undefined
}

const nothingElse = () => false

class HeapKeyedStates implements KeyedStates {
  readonly keys: KeyContext
  readonly eventClock: EventClock
  private readonly backend: HeapBackend
  private readonly operator: string

  constructor(backend: HeapBackend, operator: string, keys: KeyContext, eventClock: EventClock) {
    this.backend = backend
    this.operator = operator
    this.keys = keys
    this.eventClock = eventClock
  }

  private accumulators(id: StateId, aggregator: FixedAggregator<any, any>, windowed: boolean): AccumulatorTable {
    return this.backend.addTable(this.keys, epochs => new AccumulatorTable(id, epochs, aggregator, windowed))
  }

  state(id: StateId, name: string, declaration: StateDeclaration): StateHandle {
    const { keys, backend } = this
    const schema = enforcedSchema(declaration)
    if (schema !== undefined) return this.typed(id, name, declaration, schema)
    const ttl = backend.ttlOf(declaration.options, this.eventClock)
    const values = () => backend.addTable(keys, epochs => new ValueTable(id, epochs, ttl))
    switch (declaration.kind) {
      case 'value':
        return new HeapValueState(keys, values(), declaration.options.default)
      case 'list':
        return new HeapListState(
          keys,
          backend.addTable(keys, epochs => new ListTable(id, epochs, ttl)),
        )
      case 'map':
        return new HeapMapState(
          keys,
          backend.addTable(keys, epochs => new MapTable(id, epochs, ttl)),
        )
      case 'reducing':
        return new HeapReducingState(keys, values(), declaration.reduce)
      case 'aggregating':
        return this.aggregating(id, declaration, ttl, values)
    }
  }

  private typed(id: StateId, name: string, declaration: StateDeclaration, schema: FixedSchema): StateHandle {
    const { keys, backend, operator } = this
    const table = backend.addTable(keys, epochs => new SchemaTable(id, epochs, schema, { operator, state: name }))
    if (declaration.kind === 'reducing') return new TypedReducingState(keys, table, declaration.reduce)
    assert(declaration.kind === 'value', 'a schema is enforced in value and reducing state')
    return new TypedValueState(keys, table, declaration.options.default)
  }

  private aggregating(
    id: StateId,
    { aggregator }: AggregatingDeclaration<any, any, any>,
    ttl: Ttl | undefined,
    values: () => ValueTable,
  ): StateHandle {
    const { keys } = this
    if (ttl !== undefined || !isFixedAggregator(aggregator)) return new HeapAggregatingState(keys, values(), aggregator)
    return new TypedAggregatingState(keys, this.accumulators(id, aggregator, false), aggregator)
  }

  timers(id: StateId): TimerStore {
    return this.backend.addTable(this.keys, epochs => new TimerTable(id, epochs, this.keys))
  }

  windows(id: StateId, aggregator: Aggregator<any, any, any>): WindowStore {
    const { keys, backend } = this
    if (!isFixedAggregator(aggregator)) {
      return new CellWindowStore(
        keys,
        backend.addTable(keys, epochs => new MapTable(id, epochs)),
        aggregator,
      )
    }
    return new TypedWindowStore(keys, this.accumulators(id, aggregator, true))
  }
}
