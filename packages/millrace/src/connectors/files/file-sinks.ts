/** What users call: `files.writeLines`, `files.writeJson`, `files.writeCsv`. Options are checked here, once. */
import { MillraceError } from '../../base/errors.ts'
import { parseDuration, type Duration } from '../../time/index.ts'
import type { Sink } from '../contract.ts'
import { columnsProblem } from './csv-reader.ts'
import { FileSink, type RollPolicy } from './file-sink.ts'
import { CsvFormat, JsonFormat, LineFormat } from './row-format.ts'
import { parseSize, type Size } from '../../base/size.ts'

export interface FileSinkOptions {
  /**
   * Keep a part open over several checkpoints, until it has this size or this age: fewer, larger files, which readers see later.
   * Age is looked at when a checkpoint comes. Default: a part per checkpoint that had records.
   */
  readonly roll?: { readonly every?: Duration; readonly size?: Size }
}

export interface CsvSinkOptions extends FileSinkOptions {
  /**
   * Which properties are written, in this order; others are left out, missing ones are empty. Default: those of a part's first
   * record; a later record with another property is refused.
   */
  readonly columns?: readonly string[]
  /** Whether each part begins with a row of the columns' names. Default true. */
  readonly header?: boolean
  /** One character. Default `,`. */
  readonly delimiter?: string
}

/**
 * Writes each record as a line: strings as they are, anything else by `String`. Exactly-once.
 *
 * Committed parts are named `part-…` and appear, complete, when their checkpoint completes; whatever else is in the directory starts
 * with a dot. Within a subtask the parts in order of their names hold the records in order. The directory is made if it is missing;
 * other files in it are left alone.
 *
 * @param dir relative to the working directory
 * @throws VALUE_UNSUPPORTED for a record with a line feed in it, which would be read as two; SINK_FAILED, SINK_CONFLICT
 *
 * @example
 * words.sink('out', files.writeLines('out/words'))
 */
export function writeLines(dir: string, options: FileSinkOptions = {}): Sink<unknown> {
  return new FileSink(
    'files.writeLines',
    checkedDir('files.writeLines', dir),
    label => new LineFormat(label),
    rollPolicy('files.writeLines', options),
  )
}

/**
 * Writes each record as a line of JSON, as `JSON.stringify` does, except that a bigint becomes a string of its digits. (So a Date
 * becomes its ISO text, NaN becomes null, a Map becomes {}: map them first if that is not what you want.) Otherwise as `writeLines`.
 *
 * @throws VALUE_UNSUPPORTED for undefined, a function, a cycle; SINK_FAILED, SINK_CONFLICT
 */
export function writeJson(dir: string, options: FileSinkOptions = {}): Sink<unknown> {
  return new FileSink(
    'files.writeJson',
    checkedDir('files.writeJson', dir),
    label => new JsonFormat(label),
    rollPolicy('files.writeJson', options),
  )
}

/**
 * Writes each record, an object, as a CSV row (RFC 4180, but lines end in LF). Fields with a delimiter, quote or line break are quoted;
 * null and undefined are empty; a Date is its ISO text, another object its JSON. Otherwise as `writeLines`.
 *
 * @throws VALUE_UNSUPPORTED for a record that is no object, or has a property that is no column; SINK_FAILED, SINK_CONFLICT
 */
export function writeCsv<T extends object = object>(dir: string, options: CsvSinkOptions = {}): Sink<T> {
  const { columns, header = true, delimiter = ',' } = options
  if (typeof delimiter !== 'string' || delimiter.length !== 1 || '"\r\n'.includes(delimiter)) {
    throw invalid(
      `files.writeCsv: delimiter is ${JSON.stringify(delimiter)}; it must be one character, not a quote or a line break`,
    )
  }
  const problem = columns === undefined ? undefined : columns.length === 0 ? 'there is none' : columnsProblem(columns)
  if (problem !== undefined) throw invalid(`files.writeCsv: columns cannot be used: ${problem}`)
  const makeFormat = (label: string) => new CsvFormat(label, { columns, header, delimiter })
  return new FileSink<T>(
    'files.writeCsv',
    checkedDir('files.writeCsv', dir),
    makeFormat,
    rollPolicy('files.writeCsv', options),
  )
}

function checkedDir(type: string, dir: string): string {
  if (typeof dir === 'string' && dir !== '' && !dir.includes('\0')) return dir
  throw invalid(`${type} needs the path of a directory; it was given ${JSON.stringify(dir)}`)
}

function rollPolicy(type: string, options: FileSinkOptions): RollPolicy | undefined {
  const { roll } = options
  if (roll === undefined) return undefined
  if (roll.every === undefined && roll.size === undefined) throw invalid(`${type}: roll needs every, size, or both`)
  return {
    sizeBytes: roll.size === undefined ? Infinity : parseSize(roll.size, `${type}: roll.size`),
    everyMs: roll.every === undefined ? Infinity : parseDuration(roll.every, `${type}: roll.every`),
  }
}

function invalid(message: string): MillraceError {
  return new MillraceError('OPTION_INVALID', message)
}
