/** Text files as sources and sinks. */
import { writeCsv, writeJson, writeLines } from './file-sinks.ts'
import { csv, json, lines } from './text-sources.ts'

/** Sources over text files (plain or gzip), and exactly-once sinks that write them. */
export const files = { lines, json, csv, writeLines, writeJson, writeCsv }

export { diffOutputs, type OutputOwner, type SinkDiff } from './output-diff.ts'
export type { CsvSinkOptions, FileSinkOptions } from './file-sinks.ts'
export type { Encoding } from './line-reader.ts'
export type { MalformedLine, MalformedTag } from './malformed-lines.ts'
export type { StandardIssue, StandardResult, StandardSchema } from './standard-schema.ts'
export type { CsvOptions, JsonOptions, TextOptions } from './text-sources.ts'
