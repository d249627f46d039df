/**
 * CSV (RFC 4180): every row is an object of strings by column name. Empty lines are skipped.
 *
 * The position holds the columns beside the offset, since the header is not read again after a restore. While a row is spread over
 * several lines the position stays at its start.
 */
import type { Json } from '../../base/json.ts'
import type { SourceOutput } from '../contract.ts'
import { CsvRowParser } from './csv-row.ts'
import { LineReader, type LineReaderSetup } from './line-reader.ts'
import { describeIssues, validate, type StandardSchema } from './standard-schema.ts'
import { numberOf } from './number-of.ts'

export interface CsvShape<T> {
  /** Whether the first row of a file is a header. */
  readonly header: boolean
  /** Names that replace those of the header. */
  readonly columns: readonly string[] | undefined
  readonly delimiter: string
  readonly schema: StandardSchema<T> | undefined
}

export class CsvReader<T> extends LineReader<T> {
  private readonly shape: CsvShape<T>
  private readonly parser: CsvRowParser
  /** Undefined: the header is still to be read. */
  private columns: readonly string[] | undefined
  private headerIsNext: boolean
  private rowOffset = 0
  /** The lines of the present row, as they were, and the line break behind the last if the row goes on. */
  private rowText = ''
  private lineBreak = ''

  /** @param columns of the position to resume at */
  constructor(setup: LineReaderSetup, shape: CsvShape<T>, columns: readonly string[] | undefined) {
    super(setup)
    this.shape = shape
    this.parser = new CsvRowParser(shape.delimiter)
    this.headerIsNext = shape.header && columns === undefined
    this.columns = shape.columns ?? columns
  }

  override position(): Json {
    const offset = this.parser.open ? this.rowOffset : this.nextOffset()
    return { offset, columns: this.headerIsNext ? null : this.columns! }
  }

  protected override line(text: string, offset: number, endsInCr: boolean, output: SourceOutput<T>): void {
    const parser = this.parser
    if (parser.open) {
      this.continueRow(text)
      parser.append(this.lineBreak)
      if (this.rowText.length > this.maxLineBytes) {
        return this.brokenRow(
          `the row has more characters than maxLineBytes (${this.maxLineBytes}); its quoted field may lack its closing quote`,
          output,
        )
      }
    } else {
      if (text.length === 0) return
      this.rowOffset = offset
      this.rowText = text
    }
    const fields = parser.feed(text)
    if (fields !== undefined) this.row(fields, output)
    else if (parser.open) this.lineBreak = endsInCr ? '\r\n' : '\n'
    else this.brokenRow(parser.problem!, output)
  }

  protected override brokenLine(text: string, offset: number, reason: string, output: SourceOutput<T>): void {
    if (this.parser.open) {
      this.continueRow(text)
    } else {
      this.rowOffset = offset
      this.rowText = text
    }
    this.brokenRow(reason, output)
  }

  protected override endOfLines(output: SourceOutput<T>): void {
    if (this.parser.open) this.brokenRow('the file ends within a quoted field', output)
  }

  private continueRow(text: string): void {
    this.rowText += this.lineBreak + text
  }

  private row(fields: string[], output: SourceOutput<T>): void {
    if (this.headerIsNext) return this.readHeader(fields)
    const columns = this.columns!
    if (fields.length !== columns.length) {
      return this.brokenRow(
        `the row has ${numberOf(fields.length, 'field')}, but there are ${numberOf(columns.length, 'column')}`,
        output,
      )
    }
    const record: Record<string, string> = {}
    for (let index = 0; index < columns.length; index++) record[columns[index]] = fields[index]!
    if (this.shape.schema === undefined) return output.record(record as T)
    const result = validate(this.shape.schema, record)
    if (result.issues === undefined) output.record(result.value)
    else this.brokenRow(`the row does not fit the schema (${describeIssues(result.issues)})`, output)
  }

  /** A header that cannot be used fails the job even with a tag: without it no row of the file can be read. */
  private readHeader(fields: readonly string[]): void {
    const problem = columnsProblem(fields)
    if (problem !== undefined && this.shape.columns === undefined) {
      throw this.malformed.error(
        this.rowOffset,
        this.rowText,
        `the header cannot be used: ${problem}. Pass { columns } to name them yourself`,
      )
    }
    if (this.shape.columns !== undefined && fields.length !== this.shape.columns.length) {
      throw this.malformed.error(
        this.rowOffset,
        this.rowText,
        `the header has ${numberOf(fields.length, 'field')}, but { columns } names ${this.shape.columns.length}`,
      )
    }
    this.columns ??= fields
    this.headerIsNext = false
  }

  private brokenRow(reason: string, output: SourceOutput<T>): void {
    this.parser.reset()
    if (this.headerIsNext)
      throw this.malformed.error(this.rowOffset, this.rowText, `the header cannot be read: ${reason}`)
    this.malformed.report(this.rowOffset, this.rowText, reason, output)
  }
}

/** What is wrong with names that are to be the properties of a row. */
export function columnsProblem(columns: readonly string[]): string | undefined {
  const seen = new Set<string>()
  for (const column of columns) {
    if (column === '__proto__') return "a column cannot be called '__proto__'"
    if (seen.has(column)) return `the column ${JSON.stringify(column)} is there twice`
    seen.add(column)
  }
  return undefined
}
