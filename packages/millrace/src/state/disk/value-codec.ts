/** How the values of a state are written to the store: as in snapshots, so that entries go from one to the other as they are. */
import { assert } from '../../base/assert.ts'
import { MillraceError } from '../../base/errors.ts'
import {
  decodeValue,
  describeKey,
  encodeNumber,
  encodeNumberArrayHeader,
  encodeValue,
  LITTLE_ENDIAN,
  type ByteReader,
  type ByteWriter,
  type FixedSchema,
} from '../../codec/index.ts'
import type { FixedAggregator, Key } from '../declarations.ts'
import { RowPage } from '../rows/field-access.ts'
import { SchemaRows } from '../rows/schema-rows.ts'
import { flatten } from '../entries/flatten.ts'
import type { StateName } from '../value-adapter.ts'

export interface ValueCodec {
  /** What is kept of a value that user code sets. @throws STATE_VALUE_INVALID */
  taken(value: unknown): unknown
  /** What user code gets of a value that is kept. */
  given(value: unknown): unknown
  /** User code gets the object that is kept, and may change it. */
  readonly isShared: boolean
  encode(value: unknown, out: ByteWriter): void
  /** Of what `encode` wrote. */
  decode(reader: ByteReader): unknown
  /** Values of a snapshot that was written under `writer` are what `encode` writes. */
  isOwnForm(writer: FixedSchema | undefined): boolean
  /** A value that was read from a snapshot, as one to be kept. @throws STATE_INCOMPATIBLE */
  restored(value: unknown, key: Key): unknown
}

/** Values of any kind. */
export const ANY_VALUE: ValueCodec = {
  taken: flatten,
  given: value => value,
  isShared: true,
  encode: encodeValue,
  decode: decodeValue,
  isOwnForm: writer => writer === undefined,
  restored: value => value,
}

/** Values of a fixed schema: rows. They are copied on their way in and out. */
export class RowCodec implements ValueCodec {
  readonly isShared = false
  private readonly schema: FixedSchema
  private readonly name: StateName
  private readonly rows: SchemaRows
  private readonly page: RowPage

  constructor(schema: FixedSchema, name: StateName) {
    this.schema = schema
    this.name = name
    this.rows = new SchemaRows(schema)
    this.page = new RowPage(this.rows.width * 8)
    this.rows.decodeFrom(schema)
  }

  taken(value: unknown): unknown {
    const misfit = this.rows.parse(value)
    if (misfit === undefined) return this.parsed()
    throw new MillraceError(
      'STATE_VALUE_INVALID',
      `the value set in state '${this.name.state}' does not fit its schema: ${misfit.reason}`,
      { context: { state: this.name.state, path: misfit.path } },
    )
  }

  given(value: unknown): unknown {
    return this.schema.isObject ? { ...(value as object) } : value
  }

  encode(value: unknown, out: ByteWriter): void {
    this.rows.parse(value)
    this.rows.copyTo(this.page, 0)
    this.rows.encode(this.page, 0, out)
  }

  decode(reader: ByteReader): unknown {
    assert(this.rows.decode(reader) === undefined, 'the store holds what was checked before')
    return this.parsed()
  }

  isOwnForm(writer: FixedSchema | undefined): boolean {
    return LITTLE_ENDIAN && writer?.layout.signature === this.schema.layout.signature
  }

  restored(value: unknown, key: Key): unknown {
    const misfit = this.rows.parse(value)
    if (misfit === undefined) return this.parsed()
    const { operator, state } = this.name
    throw new MillraceError(
      'STATE_INCOMPATIBLE',
      `the snapshot's value of state '${state}' of '${operator}' under key ${describeKey(key)} does not fit the state's schema: ${misfit.reason}; change the schema back, or give the state another name`,
      { context: { operator, state, key: describeKey(key), path: misfit.path } },
    )
  }

  private parsed(): unknown {
    this.rows.copyTo(this.page, 0)
    return this.rows.load(this.page, 0)
  }
}

/** Accumulators of the engine's own aggregators. */
export class AccumulatorCodec implements ValueCodec {
  readonly isShared = true
  private readonly aggregator: FixedAggregator<any, any>

  constructor(aggregator: FixedAggregator<any, any>) {
    this.aggregator = aggregator
  }

  taken(value: unknown): unknown {
    return value
  }

  given(value: unknown): unknown {
    return value
  }

  encode(value: unknown, out: ByteWriter): void {
    if (typeof value === 'number') return encodeNumber(value, out)
    const numbers = value as number[]
    encodeNumberArrayHeader(numbers.length, out)
    for (const number of numbers) encodeNumber(number, out)
  }

  decode(reader: ByteReader): unknown {
    return decodeValue(reader)
  }

  /** What another aggregator wrote is to be noticed while it is loaded. */
  isOwnForm(): boolean {
    return false
  }

  restored(value: unknown): unknown {
    const { width } = this.aggregator.fixed
    const numbers = width === 1 ? [value] : value
    if (Array.isArray(numbers) && numbers.length === width && numbers.every(n => typeof n === 'number')) return value
    throw new MillraceError(
      'STATE_INCOMPATIBLE',
      `the snapshot holds accumulators that are not those of the job's aggregator (${this.aggregator.shape ?? 'its own'}); give the changed aggregate another name`,
    )
  }
}
