/**
 * Values of a fixed schema as rows of bytes, and back. A row is laid out as in snapshots (codec/fixed-layout.ts), up to a multiple of 8
 * bytes.
 *
 * A value is first read into a row that stands alone, checked, and then copied to its place: what does not fit changes nothing.
 * A snapshot takes the row's bytes as they are. What it holds of another schema, or of none, is decoded and taken as if it were set, so
 * that a state can be given a schema, another one, or none.
 */
import {
  decodeRow,
  decodeStateValue,
  encodeRow,
  encodeValue,
  LITTLE_ENDIAN,
  misfitOf,
  type ByteReader,
  type ByteWriter,
  type FixedSchema,
  type Misfit,
} from '../../codec/index.ts'
import {
  checkFields,
  generateCheck,
  generateLoad,
  generateParse,
  readField,
  RowPage,
  writeField,
  type Rows,
} from './field-access.ts'

export interface SchemaRowsOptions {
  /** False: as where the host forbids it. */
  readonly codeGeneration?: boolean
  /** False: as on a machine where rows in memory are not those of snapshots. */
  readonly littleEndian?: boolean
}

export class SchemaRows {
  /** Of a row, in units of 8 bytes. */
  readonly width: number
  private readonly schema: FixedSchema
  private readonly littleEndian: boolean
  /** One row. */
  private readonly parsed: Rows
  private readonly fastLoad: ReturnType<typeof generateLoad>
  private readonly fastParse: ReturnType<typeof generateParse>
  private readonly fastCheck: ReturnType<typeof generateCheck>
  /** What the values being decoded were written under. */
  private writer: FixedSchema | undefined
  private copiesRows = false

  constructor(schema: FixedSchema, { codeGeneration = true, littleEndian = LITTLE_ENDIAN }: SchemaRowsOptions = {}) {
    this.schema = schema
    this.littleEndian = littleEndian
    const { fields, sizeBytes } = schema.layout
    this.width = Math.ceil(sizeBytes / 8)
    this.parsed = new RowPage(this.width * 8)
    if (!codeGeneration) return
    this.fastLoad = generateLoad(fields, schema.isObject)
    this.fastParse = generateParse(fields, schema.isObject)
    this.fastCheck = generateCheck(fields)
  }

  /** Takes the value in, for `copyTo`; what is wrong with it if it does not fit. */
  parse(value: unknown): Misfit | undefined {
    const { f64, i32, u8 } = this.parsed
    if (this.fastParse !== undefined && this.fastParse(f64, i32, u8, value)) return undefined
    // The copy has the properties that count, and no getters.
    const plain = typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : value
    const misfit = misfitOf(this.schema, plain)
    if (misfit !== undefined) return misfit
    for (const field of this.schema.layout.fields) {
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
    const { isObject, layout } = this.schema
    if (!isObject) return readField(layout.fields[0], rows, at)
    const value: { [name: string]: number | boolean } = {}
    for (const field of layout.fields) value[field.column.name!] = readField(field, rows, at)
    return value
  }

  /** Appends the row's value, for `decode` of whoever knows the schema. */
  encode(rows: Rows, at: number, out: ByteWriter): void {
    if (this.littleEndian) encodeRow(rows.i32, rows.u8, at * 8, this.schema.layout.sizeBytes, out)
    else encodeValue(this.load(rows, at), out)
  }

  /** Values that were written under this schema come next; undefined: under none. */
  decodeFrom(writer: FixedSchema | undefined): void {
    this.writer = writer
    this.copiesRows = this.littleEndian && writer?.layout.signature === this.schema.layout.signature
  }

  /**
   * Takes an encoded value in, for `copyTo`; what is wrong with it if it does not fit.
   * @throws SNAPSHOT_DAMAGED
   */
  decode(reader: ByteReader): Misfit | undefined {
    const start = reader.offset
    const { f64, i32, u8 } = this.parsed
    if (this.copiesRows && decodeRow(reader, this.schema.layout.sizeBytes, i32, u8)) {
      const fits = this.fastCheck?.(f64, i32, u8, 0) ?? checkFields(this.schema.layout.fields, this.parsed)
      if (fits) return undefined
      reader.offset = start
    }
    return this.parse(decodeStateValue(reader, this.writer))
  }
}
