/**
 * The door `millrace/connector`: the contracts that sources and sinks of one's own implement. `millrace/testing` has a contract suite
 * for each.
 */
export { isMillraceError, MillraceError } from './base/errors.ts'
export type { ErrorCode, ErrorDetails } from './base/errors.ts'
export type { Json, JsonObject } from './base/json.ts'
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
} from './connectors/index.ts'
export { parseDuration } from './time/index.ts'
export type { Duration } from './time/index.ts'
