/** Newline-delimited JSON: every line that is not blank is a value. */
import { messageOf } from '../../base/errors.ts'
import type { SourceOutput } from '../contract.ts'
import { LineReader, type LineReaderSetup } from './line-reader.ts'
import { describeIssues, validate, type StandardSchema } from './standard-schema.ts'

export class JsonReader<T> extends LineReader<T> {
  private readonly schema: StandardSchema<T> | undefined

  constructor(setup: LineReaderSetup, schema: StandardSchema<T> | undefined) {
    super(setup)
    this.schema = schema
  }

  protected override line(text: string, offset: number, _endsInCr: boolean, output: SourceOutput<T>): void {
    if (text.length === 0) return
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch (error) {
      if (text.trim() !== '') this.malformed.report(offset, text, `the line is not JSON (${messageOf(error)})`, output)
      return
    }
    if (this.schema === undefined) return output.record(value as T)
    const result = validate(this.schema, value)
    if (result.issues === undefined) output.record(result.value)
    else
      this.malformed.report(
        offset,
        text,
        `the value does not fit the schema (${describeIssues(result.issues)})`,
        output,
      )
  }
}
