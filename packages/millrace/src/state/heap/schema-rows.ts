/**
 * Values of a fixed schema as rows of bytes, and back.
 *
 *   row = the f64 columns, then those of four bytes, of two, of one; up to a multiple of 8 bytes. A boolean is 0 or 1
 *
 * A value is first read into a row that stands alone, checked, and then copied to its place: what does not fit changes nothing.
 * In snapshots it is written as encodeValue writes it, so that a state can be given a schema, another one, or none.
 */
import {
  decodeNumberOrBoolean,
  decodeValue,
  encodeBoolean,
  encodeNumber,
  fits,
  misfitOf,
  objectHeader,
  type ByteReader,
  type ByteWriter,
  type Column,
  type FixedSchema,
  type Misfit,
} from '../../codec/index.ts'
import { BYTES, generateLoad, generateParse, readField, writeField, type Field, type Rows } from './field-access.ts'

const NO_HEADER = new Uint8Array(0)

export class SchemaRows {
  /** Of a row, in units of 8 bytes. */
  readonly width: number
  private readonly schema: FixedSchema
  /** In the order of the columns. */
  private readonly fields: readonly Field[]
  /** What an encoded object of the schema begins with. */
  private readonly header: Uint8Array
  /** One row. */
  private readonly parsed: Rows
  private readonly fastLoad: ReturnType<typeof generateLoad>
  private readonly fastParse: ReturnType<typeof generateParse>

  /** `codeGeneration`: false as where the host forbids it. */
  constructor(schema: FixedSchema, codeGeneration = true) {
    this.schema = schema
    const { fields, width } = layOut(schema.columns)
    this.fields = fields
    this.width = width
    this.header = schema.isObject ? objectHeader(schema.columns.map(({ name }) => name!)) : NO_HEADER
    const buffer = new ArrayBuffer(width * 8)
    this.parsed = { f64: new Float64Array(buffer), i32: new Int32Array(buffer), u8: new Uint8Array(buffer) }
    if (!codeGeneration) return
    this.fastLoad = generateLoad(fields, schema.isObject)
    this.fastParse = generateParse(fields, schema.isObject)
  }

  /** Takes the value in, for `copyTo`; what is wrong with it if it does not fit. */
  parse(value: unknown): Misfit | undefined {
    const { f64, i32, u8 } = this.parsed
    if (this.fastParse !== undefined && this.fastParse(f64, i32, u8, value)) return undefined
    // The copy has the properties that count, and no getters.
    const plain = typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : value
    const misfit = misfitOf(this.schema, plain)
    if (misfit !== undefined) return misfit
    for (const field of this.fields) {
      const { name } = field.column
      writeField(field, this.parsed, 0, (name === undefined ? plain : (plain as never)[name]) as number | boolean)
    }
    return undefined
  }

  /** Copies what was taken in last to the row whose fields begin at `at` of `rows.f64`. */
  copyTo(rows: Rows, at: number): void {
    const from = this.parsed.i32
    const to = rows.i32
    // As integers: a NaN may change its bits on the way through a float.
    for (let i = 0, j = at * 2; i < from.length; i++, j++) to[j] = from[i]
  }

  /** The value of a row, a new object. */
  load(rows: Rows, at: number): unknown {
    if (this.fastLoad !== undefined) return this.fastLoad(rows.f64, rows.i32, rows.u8, at)
    if (!this.schema.isObject) return readField(this.fields[0], rows, at)
    const value: { [name: string]: number | boolean } = {}
    for (const field of this.fields) value[field.column.name!] = readField(field, rows, at)
    return value
  }

  /** Appends what encodeValue would of the row's value. */
  encode(rows: Rows, at: number, out: ByteWriter): void {
    out.raw(this.header)
    for (const field of this.fields) {
      const value = readField(field, rows, at)
      if (typeof value === 'number') encodeNumber(value, out)
      else encodeBoolean(value, out)
    }
  }

  /**
   * Takes an encoded value in, for `copyTo`; what is wrong with it if it does not fit.
   * @throws SNAPSHOT_DAMAGED
   */
  decode(reader: ByteReader): Misfit | undefined {
    const start = reader.offset
    if (this.decodeSameShape(reader)) return undefined
    reader.offset = start
    return this.parse(decodeValue(reader))
  }

  /** False, with the reader anywhere, for an object of another shape (its properties in another order, say) and for what does not fit. */
  private decodeSameShape(reader: ByteReader): boolean {
    const { header, fields } = this
    if (reader.remaining() < header.length) return false
    for (let i = 0; i < header.length; i++) if (reader.bytes[reader.offset + i] !== header[i]) return false
    reader.skip(header.length)
    for (const field of fields) {
      const value = decodeNumberOrBoolean(reader)
      if (!fits(field.column, value)) return false
      writeField(field, this.parsed, 0, value)
    }
    return true
  }
}

function layOut(columns: readonly Column[]): { fields: Field[]; width: number } {
  const offsets = new Map<Column, number>()
  let end = 0
  for (const size of [8, 4, 2, 1]) {
    for (const column of columns) {
      if (BYTES[column.storage] !== size) continue
      offsets.set(column, end)
      end += size
    }
  }
  return { fields: columns.map(column => ({ column, offset: offsets.get(column)! })), width: Math.ceil(end / 8) }
}
