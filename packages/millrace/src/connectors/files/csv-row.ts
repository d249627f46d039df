/**
 * Parses CSV rows (RFC 4180), fed line by line: a quoted field may contain line breaks, so a row may take several lines.
 *
 *   row = field *(delimiter field);  field = bare / quoted;  quoted = '"' *(any but '"' / '""') '"'
 *
 * A bare field has no quote in it, and after a closing quote comes a delimiter or the end of the row: anything else is a problem
 * of that row, rather than a guess about where it ends.
 */
export class CsvRowParser {
  private readonly delimiter: string
  private fields: string[] = []
  /** What is known of the quoted field that the last line left open. */
  private quoted = ''
  /** Whether the row goes on in the next line. */
  open = false
  /** Why the last line could not be parsed. */
  problem: string | undefined

  constructor(delimiter: string) {
    this.delimiter = delimiter
  }

  /** The fields of the row that ends with this line; undefined when it goes on (`open`) or has a `problem`. */
  feed(line: string): string[] | undefined {
    this.problem = undefined
    if (!this.open) {
      if (!line.includes('"')) return line.split(this.delimiter)
      this.fields = []
      return this.parse(line, 0)
    }
    this.open = false
    const next = this.quotedField(line, 0)
    return next === undefined ? undefined : this.afterQuoted(line, next)
  }

  /** Adds text between two lines of an open row: the line break. */
  append(text: string): void {
    this.quoted += text
  }

  reset(): void {
    this.open = false
    this.quoted = ''
    this.fields = []
  }

  private parse(line: string, start: number): string[] | undefined {
    let at = start
    for (;;) {
      if (line.charCodeAt(at) === 34) {
        this.quoted = ''
        const next = this.quotedField(line, at + 1)
        return next === undefined ? undefined : this.afterQuoted(line, next)
      }
      const delimiter = line.indexOf(this.delimiter, at)
      const field = delimiter === -1 ? line.slice(at) : line.slice(at, delimiter)
      if (field.includes('"')) return this.fail('a field that is not quoted has a quote in it')
      this.fields.push(field)
      if (delimiter === -1) return this.fields
      at = delimiter + 1
    }
  }

  /** Reads a quoted field from `at`, behind its opening quote. Where it ends, behind its closing quote; undefined: in a later line. */
  private quotedField(line: string, at: number): number | undefined {
    for (;;) {
      const quote = line.indexOf('"', at)
      if (quote === -1) {
        this.quoted += line.slice(at)
        this.open = true
        return undefined
      }
      this.quoted += line.slice(at, quote)
      if (line.charCodeAt(quote + 1) !== 34) return quote + 1
      this.quoted += '"'
      at = quote + 2
    }
  }

  private afterQuoted(line: string, at: number): string[] | undefined {
    this.fields.push(this.quoted)
    if (at === line.length) return this.fields
    if (line[at] !== this.delimiter) return this.fail('a quoted field is followed by something else than a delimiter')
    return this.parse(line, at + 1)
  }

  private fail(problem: string): undefined {
    this.problem = problem
    this.open = false
    return undefined
  }
}
