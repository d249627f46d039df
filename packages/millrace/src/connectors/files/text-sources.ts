/** What users call: `files.lines`, `files.json`, `files.csv`. Options are checked here, once. */
import { MillraceError } from '../../base/errors.ts'
import type { Json } from '../../base/json.ts'
import type { Source } from '../contract.ts'
import { CsvReader, columnsProblem } from './csv-reader.ts'
import { FileSource, type FileSourceShape } from './file-source.ts'
import { JsonReader } from './json-reader.ts'
import { TextReader, type Encoding } from './line-reader.ts'
import type { MalformedTag } from './malformed-lines.ts'
import { isStandardSchema, type StandardSchema } from './standard-schema.ts'

const MAX_LINE_BYTES = 256 * 1024 * 1024
/** The longest string V8 can make. */
const LONGEST_STRING = 2 ** 29 - 24

export interface TextOptions {
  /** Watch for growth and for new files, for ever. Default: read what is there now, then end. */
  readonly follow?: boolean
  /** Where lines go that cannot be read. Default: such a line fails the job (MALFORMED_RECORD). */
  readonly malformed?: MalformedTag
  /** A longer line is malformed. Bytes, default 256 MiB. */
  readonly maxLineBytes?: number
  /** Default `utf8`; bytes that are not UTF-8 make a line malformed. `latin1` takes every byte as a character. */
  readonly encoding?: Encoding
}

export interface JsonOptions<T> extends TextOptions {
  /** Any Standard Schema (zod, valibot, arktype): its output is the record; a value that does not fit is a malformed line. */
  readonly schema?: StandardSchema<T>
}

export interface CsvOptions<T> extends TextOptions {
  /** Whether the first row of each file is a header. Default true. Without, `columns` must be given. */
  readonly header?: boolean
  /** Names of the columns, instead of those in the header. */
  readonly columns?: readonly string[]
  /** One character. Default `,`. */
  readonly delimiter?: string
  /** Any Standard Schema (zod, valibot, arktype): takes the row of strings, its output is the record. */
  readonly schema?: StandardSchema<T>
}

/**
 * The lines of text files, without their line breaks (LF or CRLF), empty ones included.
 *
 * A bounded source: the files and their sizes are fixed at the first start, each file is a split, and the source ends with the last.
 * With `follow` it reads on as files grow and new ones match; a last line is held back until its line break arrives. Resumes at the
 * exact byte. A `.gz` file is decompressed on the way; it must be complete when it appears.
 *
 * @param globs paths or patterns (`*`, `**`, `?`, `[…]`, `{a,b}`), relative to the working directory
 * @throws SOURCE_FILE_MISSING, SOURCE_FILE_CHANGED, SOURCE_FAILED when the job runs; MALFORMED_RECORD for a line that is not UTF-8 or too long
 *
 * @example
 * flow.source('lines', files.lines('corpus/*.txt'))
 */
export function lines(globs: string | readonly string[], options: TextOptions = {}): Source<string> {
  return new FileSource(textShape('files.lines', globs, options, setup => new TextReader(setup)))
}

/**
 * The values of newline-delimited JSON files; blank lines are skipped. Otherwise as `files.lines`.
 *
 * @throws MALFORMED_RECORD for a line that is not JSON or does not fit the schema, unless `malformed` names a tag for them
 *
 * @example
 * flow.source('orders', files.json<Order>('orders/*.jsonl'))
 */
export function json<T = unknown>(globs: string | readonly string[], options: JsonOptions<T> = {}): Source<T> {
  const schema = checkedSchema('files.json', options.schema)
  return new FileSource(textShape('files.json', globs, options, setup => new JsonReader(setup, schema)))
}

/**
 * The rows of CSV files (RFC 4180: quoted fields, doubled quotes, line breaks within quotes, CRLF), each an object of strings by
 * column name. Empty lines are skipped. A row with too many or too few fields is malformed. Otherwise as `files.lines`.
 *
 * @throws MALFORMED_RECORD for a row that cannot be read or does not fit the schema, unless `malformed` names a tag for them; for a
 *   header that cannot be used always
 *
 * @example
 * flow.source('flights', files.csv('flights/*.csv.gz')).map(row => Number(row.distance))
 */
export function csv<T = Record<string, string>>(
  globs: string | readonly string[],
  options: CsvOptions<T> = {},
): Source<T> {
  const { header = true, columns, delimiter = ',' } = options
  if (typeof delimiter !== 'string' || delimiter.length !== 1 || '"\r\n'.includes(delimiter)) {
    throw invalid(
      `files.csv: delimiter is ${JSON.stringify(delimiter)}; it must be one character, not a quote or a line break`,
    )
  }
  if (!header && columns === undefined) throw invalid('files.csv: without a header, columns must name the fields')
  const problem = columns === undefined ? undefined : columnsProblem(columns)
  if (problem !== undefined) throw invalid(`files.csv: columns cannot be used: ${problem}`)
  const shape = { header, columns, delimiter, schema: checkedSchema('files.csv', options.schema) }
  return new FileSource(
    textShape(
      'files.csv',
      globs,
      options,
      (setup, position) => new CsvReader(setup, shape, columnsOf(position['columns'])),
    ),
  )
}

function textShape<T>(
  type: string,
  globs: string | readonly string[],
  options: TextOptions,
  reader: FileSourceShape<T>['reader'],
): FileSourceShape<T> {
  const patterns = typeof globs === 'string' ? [globs] : globs
  if (
    !Array.isArray(patterns) ||
    patterns.length === 0 ||
    !patterns.every(pattern => typeof pattern === 'string' && pattern !== '')
  ) {
    throw invalid(`${type} needs a path, a pattern, or a list of them; it was given ${JSON.stringify(globs)}`)
  }
  const { maxLineBytes = MAX_LINE_BYTES, encoding = 'utf8', follow = false, malformed } = options
  if (!Number.isInteger(maxLineBytes) || maxLineBytes < 1 || maxLineBytes > LONGEST_STRING) {
    throw invalid(`${type}: maxLineBytes is ${String(maxLineBytes)}; it must be an integer from 1 to ${LONGEST_STRING}`)
  }
  if (encoding !== 'utf8' && encoding !== 'latin1')
    throw invalid(`${type}: encoding is ${JSON.stringify(encoding)}; it must be 'utf8' or 'latin1'`)
  if (malformed !== undefined && typeof malformed?.name !== 'string')
    throw invalid(`${type}: malformed must be a tag made by outputTag('name')`)
  return { type, patterns, follow, malformed, maxLineBytes, encoding, reader }
}

function checkedSchema<T>(type: string, schema: StandardSchema<T> | undefined): StandardSchema<T> | undefined {
  if (schema === undefined || isStandardSchema(schema)) return schema
  throw invalid(
    `${type}: schema is not a Standard Schema (zod, valibot, arktype, or an object with '~standard'.validate)`,
  )
}

function columnsOf(columns: Json | undefined): string[] | undefined {
  if (columns === undefined || columns === null) return undefined
  if (Array.isArray(columns) && columns.every(column => typeof column === 'string')) return columns
  throw new MillraceError(
    'SNAPSHOT_DAMAGED',
    `the columns of a CSV file in the snapshot are ${JSON.stringify(columns).slice(0, 200)}, which are none`,
  )
}

function invalid(message: string): MillraceError {
  return new MillraceError('OPTION_INVALID', message)
}
