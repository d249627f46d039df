/**
 * Values of a fixed schema in a typed table: value and reducing state without objects. What is set is checked and copied into the row;
 * what is got is a new object, so changing it changes nothing until it is set.
 */
import { MillraceError } from '../../base/errors.ts'
import { decodeStateValue, describeKey, type ByteReader, type ByteWriter, type FixedSchema } from '../../codec/index.ts'
import type { Key, ReducingState, ValueState } from '../declarations.ts'
import type { KeyContext } from '../key-context.ts'
import type { Adapt, StateName } from '../value-adapter.ts'
import type { Epochs } from '../entries/epochs.ts'
import { SchemaRows } from '../rows/schema-rows.ts'
import { NO_ROW } from './typed-group.ts'
import { RowCursor, TypedTable } from './typed-table.ts'

export class SchemaTable extends TypedTable {
  private readonly rows: SchemaRows
  private readonly name: StateName
  /** Of the values being restored. */
  private writer: FixedSchema | undefined

  constructor(stateId: number, epochs: Epochs, schema: FixedSchema, name: StateName) {
    const rows = new SchemaRows(schema)
    super(stateId, epochs, rows.width, false)
    this.rows = rows
    this.name = name
  }

  read(row: number): unknown {
    return this.rows.load(this.store.pageOf(row), this.store.fieldsOf(row))
  }

  /** Takes in what is to be written next. @throws STATE_VALUE_INVALID */
  parse(value: unknown): void {
    const misfit = this.rows.parse(value)
    if (misfit === undefined) return
    throw new MillraceError(
      'STATE_VALUE_INVALID',
      `the value set in state '${this.name.state}' does not fit its schema: ${misfit.reason}`,
      { context: { state: this.name.state, path: misfit.path } },
    )
  }

  /** A row for the bound key, which has none, with the value that was taken in. */
  insert(keys: KeyContext): number {
    const row = this.insertRow(keys)
    this.rows.copyTo(this.store.pageOf(row), this.store.fieldsOf(row))
    return row
  }

  update(groupIndex: number, row: number): void {
    this.beforeChange(groupIndex, row)
    this.rows.copyTo(this.store.pageOf(row), this.store.fieldsOf(row))
    this.changed(groupIndex, row)
  }

  override restoreBegin(writer: FixedSchema | undefined, adapt: Adapt | undefined): void {
    super.restoreBegin(writer, adapt)
    this.writer = writer
    this.rows.decodeFrom(writer)
  }

  protected encodeFields(row: number, out: ByteWriter): void {
    this.rows.encode(this.store.pageOf(row), this.store.fieldsOf(row), out)
  }

  protected decodeFields(row: number, value: ByteReader, key: Key): void {
    const { adapt } = this
    const misfit =
      adapt === undefined ? this.rows.decode(value) : this.rows.parse(adapt(decodeStateValue(value, this.writer), key))
    if (misfit !== undefined) {
      const { operator, state } = this.name
      throw new MillraceError(
        'STATE_INCOMPATIBLE',
        `the snapshot's value of state '${state}' of '${operator}' under key ${describeKey(key)} does not fit the state's schema: ${misfit.reason}; change the schema back, or give the state another name`,
        { context: { operator, state, key: describeKey(key), path: misfit.path } },
      )
    }
    this.rows.copyTo(this.store.pageOf(row), this.store.fieldsOf(row))
  }
}

class SchemaCursor<T> extends RowCursor<SchemaTable> {
  protected read(): T | undefined {
    const row = this.find()
    return row === NO_ROW ? undefined : (this.table.read(row) as T)
  }

  protected put(value: T): void {
    this.table.parse(value)
    const row = this.find()
    if (row === NO_ROW) this.row = this.table.insert(this.keys)
    else this.table.update(this.keys.group, row)
  }
}

export class TypedValueState<T> extends SchemaCursor<T> implements ValueState<T> {
  private readonly fallback: T | undefined

  constructor(keys: KeyContext, table: SchemaTable, fallback: T | undefined) {
    super(keys, table)
    this.fallback = fallback
  }

  get(): T | undefined {
    return this.read() ?? this.freshFallback()
  }

  set(value: T): void {
    this.put(value)
  }

  private freshFallback(): T | undefined {
    const { fallback } = this
    return typeof fallback === 'object' && fallback !== null ? { ...fallback } : fallback
  }
}

export class TypedReducingState<T> extends SchemaCursor<T> implements ReducingState<T> {
  private readonly reduce: (a: T, b: T) => T

  constructor(keys: KeyContext, table: SchemaTable, reduce: (a: T, b: T) => T) {
    super(keys, table)
    this.reduce = reduce
  }

  get(): T | undefined {
    return this.read()
  }

  add(value: T): void {
    const before = this.read()
    this.put(before === undefined ? value : this.reduce(before, value))
  }
}
