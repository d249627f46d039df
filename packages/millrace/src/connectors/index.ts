/** Sources and sinks, and the contracts that a user's own ones implement. */
export type {
  ConnectorContext,
  Log,
  Prepared,
  ReadResult,
  RestoredSink,
  Sink,
  SinkContext,
  SinkWriter,
  Source,
  SourceContext,
  SourceOutput,
  Split,
  SplitReader,
} from './contract.ts'
export { blackhole } from './blackhole/index.ts'
export { collection } from './collection/index.ts'
export { console } from './console/index.ts'
export type { ConsoleOptions } from './console/index.ts'
export { files } from './files/index.ts'
export type {
  CsvOptions,
  CsvSinkOptions,
  Encoding,
  FileSinkOptions,
  JsonOptions,
  MalformedLine,
  MalformedTag,
  StandardIssue,
  StandardResult,
  StandardSchema,
  TextOptions,
} from './files/index.ts'
export { generator } from './generator/index.ts'
export type { GeneratorOptions } from './generator/index.ts'
export { memory } from './memory/index.ts'
