/**
 * Accumulators of the engine's own aggregators in a typed table: a fixed number of float64 fields per key, or per key and window, which
 * the aggregator changes in place.
 */
import { MillraceError } from '../../base/errors.ts'
import {
  decodeValue,
  encodeNumber,
  encodeNumberArrayHeader,
  type ByteReader,
  type ByteWriter,
} from '../../codec/index.ts'
import type { AggregatingState, FixedAggregator, Key } from '../declarations.ts'
import type { WindowStore } from '../contract.ts'
import type { KeyContext } from '../key-context.ts'
import type { Epochs } from '../entries/epochs.ts'
import { NO_ROW } from './typed-group.ts'
import { RowCursor, TypedTable } from './typed-table.ts'

export class AccumulatorTable extends TypedTable {
  private readonly aggregator: FixedAggregator<any, any>

  constructor(stateId: number, epochs: Epochs, aggregator: FixedAggregator<any, any>, windowed: boolean) {
    super(stateId, epochs, aggregator.fixed.width, windowed)
    this.aggregator = aggregator
  }

  insert(keys: KeyContext, windowStart?: number): number {
    const row = this.insertRow(keys, windowStart)
    this.aggregator.fixed.init(this.store.pageOf(row).f64, this.store.fieldsOf(row))
    return row
  }

  add(groupIndex: number, row: number, record: unknown): void {
    this.beforeChange(groupIndex, row)
    this.aggregator.fixed.add(this.store.pageOf(row).f64, this.store.fieldsOf(row), record)
    this.changed(groupIndex, row)
  }

  /** `find`, `insert` if there is no row, and `add` in one: whether the row is new. The hot path of windows. */
  upsert(keys: KeyContext, windowStart: number, record: unknown): boolean {
    const row = this.find(keys, windowStart)
    this.add(keys.group, row === NO_ROW ? this.insert(keys, windowStart) : row, record)
    return row === NO_ROW
  }

  result(row: number): unknown {
    return this.aggregator.fixed.result(this.store.pageOf(row).f64, this.store.fieldsOf(row))
  }

  protected encodeFields(row: number, out: ByteWriter): void {
    const { f64 } = this.store.pageOf(row)
    const start = this.store.fieldsOf(row)
    if (this.width > 1) encodeNumberArrayHeader(this.width, out)
    for (let i = start; i < start + this.width; i++) encodeNumber(f64[i], out)
  }

  protected decodeFields(row: number, value: ByteReader, key: Key): void {
    const stored = decodeValue(value)
    const accumulator = this.adapt === undefined ? stored : this.adapt(stored, key)
    const numbers: unknown = this.width === 1 ? [accumulator] : accumulator
    if (!this.isRow(numbers)) {
      throw new MillraceError(
        'STATE_INCOMPATIBLE',
        `the snapshot holds accumulators that are not those of the job's aggregator (${this.aggregator.shape ?? 'its own'}); give the changed aggregate another name`,
      )
    }
    this.store.pageOf(row).f64.set(numbers, this.store.fieldsOf(row))
  }

  private isRow(numbers: unknown): numbers is number[] {
    return Array.isArray(numbers) && numbers.length === this.width && numbers.every(n => typeof n === 'number')
  }
}

export class TypedAggregatingState<T, R> extends RowCursor<AccumulatorTable> implements AggregatingState<T, R> {
  private readonly aggregator: FixedAggregator<T, R>

  constructor(keys: KeyContext, table: AccumulatorTable, aggregator: FixedAggregator<T, R>) {
    super(keys, table)
    this.aggregator = aggregator
  }

  add(value: T): void {
    let row = this.find()
    if (row === NO_ROW) row = this.row = this.table.insert(this.keys)
    this.table.add(this.keys.group, row, value)
  }

  get(): R {
    const row = this.find()
    return row === NO_ROW ? this.aggregator.result(this.aggregator.create()) : (this.table.result(row) as R)
  }
}

/** Window contents in a typed table. */
export class TypedWindowStore implements WindowStore {
  private readonly keys: KeyContext
  private readonly table: AccumulatorTable

  constructor(keys: KeyContext, table: AccumulatorTable) {
    this.keys = keys
    this.table = table
  }

  has(windowStart: number): boolean {
    return this.table.find(this.keys, windowStart) !== NO_ROW
  }

  add(windowStart: number, record: unknown): boolean {
    return this.table.upsert(this.keys, windowStart, record)
  }

  result(windowStart: number): unknown {
    return this.table.result(this.table.find(this.keys, windowStart))
  }

  clear(windowStart: number): void {
    const row = this.table.find(this.keys, windowStart)
    if (row !== NO_ROW) this.table.remove(this.keys.group, row)
  }
}
