/** How records become text: what `writeLines`, `writeJson` and `writeCsv` differ in. */
import { MillraceError, messageOf } from '../../base/errors.ts'
import type { Json } from '../../base/json.ts'

/** One per writer. `row` is the hot path. */
export interface RowFormat<T> {
  /** What a part begins with; called with its first record, which is then given to `row` too. */
  begin(first: T): string
  /** The record as text that ends in a line break. */
  row(record: T): string
  /** What a part that stays open needs to be continued after a restore. */
  state(): Json
  resume(state: Json): void
}

/** @param label names the sink in errors */
export type MakeFormat<T> = (label: string) => RowFormat<T>

export class LineFormat implements RowFormat<unknown> {
  private readonly label: string

  constructor(label: string) {
    this.label = label
  }

  begin(): string {
    return ''
  }

  row(record: unknown): string {
    const text = typeof record === 'string' ? record : String(record)
    if (text.includes('\n')) {
      throw unsupported(
        this.label,
        'a record has a line break in it, so it would be read as several lines. Replace it, or use files.writeJson',
        text,
      )
    }
    return text + '\n'
  }

  state(): Json {
    return null
  }

  resume(): void {}
}

export class JsonFormat implements RowFormat<unknown> {
  private readonly label: string

  constructor(label: string) {
    this.label = label
  }

  begin(): string {
    return ''
  }

  row(record: unknown): string {
    let text: string | undefined
    try {
      text = JSON.stringify(record)
    } catch (first) {
      // Most records hold no bigint, and a replacer makes JSON.stringify several times slower: so it is the second try.
      try {
        text = JSON.stringify(record, bigintAsString)
      } catch {
        throw unsupported(this.label, `a record cannot be written as JSON (${messageOf(first)})`)
      }
    }
    if (text === undefined) throw unsupported(this.label, `a record is ${typeof record}, which JSON cannot say`)
    return text + '\n'
  }

  state(): Json {
    return null
  }

  resume(): void {}
}

function bigintAsString(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}

export interface CsvFormatOptions {
  readonly columns: readonly string[] | undefined
  readonly header: boolean
  readonly delimiter: string
}

export class CsvFormat implements RowFormat<object> {
  private readonly label: string
  private readonly options: CsvFormatOptions
  private readonly special: RegExp
  /** Of the present part. */
  private columns: readonly string[]
  private known: ReadonlySet<string> = new Set()

  constructor(label: string, options: CsvFormatOptions) {
    this.label = label
    this.options = options
    this.special = new RegExp(`["\\r\\n${options.delimiter.replace(/[\\\]^-]/, '\\$&')}]`)
    this.columns = options.columns ?? []
  }

  begin(first: object): string {
    this.assertObject(first)
    if (this.options.columns === undefined) this.setColumns(Object.keys(first))
    if (this.columns.length === 0) throw unsupported(this.label, 'a record has no properties, so there are no columns')
    return this.options.header ? this.join(this.columns) : ''
  }

  row(record: object): string {
    this.assertObject(record)
    const fields = record as { readonly [name: string]: unknown }
    if (this.options.columns === undefined) this.assertKnownColumns(fields)
    return this.join(this.columns.map(column => fields[column]))
  }

  state(): Json {
    return this.columns
  }

  resume(state: Json): void {
    if (this.options.columns === undefined && Array.isArray(state)) this.setColumns(state.map(String))
  }

  private setColumns(columns: readonly string[]): void {
    this.columns = columns
    this.known = new Set(columns)
  }

  private join(values: readonly unknown[]): string {
    const text = values.map(value => this.field(value)).join(this.options.delimiter)
    // A row of one empty field would be an empty line, which readers skip.
    return (text === '' ? '""' : text) + '\n'
  }

  private field(value: unknown): string {
    if (value === undefined || value === null) return ''
    const text = typeof value === 'object' ? this.objectText(value) : String(value)
    return this.special.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }

  private objectText(value: object): string {
    if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString()
    try {
      return JSON.stringify(value, bigintAsString)
    } catch (error) {
      throw unsupported(this.label, `a value cannot be written as JSON (${messageOf(error)})`)
    }
  }

  private assertObject(record: unknown): void {
    if (typeof record === 'object' && record !== null) return
    throw unsupported(
      this.label,
      `a record is ${record === null ? 'null' : `a ${typeof record}`}; a CSV row is made of an object's properties`,
    )
  }

  /** Without `columns` the first record of a part decides; silently leaving out what a later one has besides would lose data. */
  private assertKnownColumns(record: object): void {
    for (const name of Object.keys(record)) {
      if (this.known.has(name)) continue
      throw unsupported(
        this.label,
        `a record has the property ${JSON.stringify(name)}, which the first record of the part had not. Pass { columns } to say which there are`,
      )
    }
  }
}

function unsupported(label: string, reason: string, text?: string): MillraceError {
  const shown = text === undefined ? '' : `: ${JSON.stringify(text.slice(0, 200))}`
  return new MillraceError('VALUE_UNSUPPORTED', `${label}: ${reason}${shown}`)
}
