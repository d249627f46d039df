/** The public door of `millrace`: what a job file, and a program that runs jobs, imports. Connectors of one's own: `millrace/connector`. */
export {
  aggregating,
  avg,
  collect,
  compose,
  count,
  defineJob,
  distinct,
  list,
  map,
  max,
  min,
  outputTag,
  reducing,
  sum,
  topK,
  type,
  unionList,
  value,
} from './api/index.ts'
export type {
  CheckpointingOptions,
  Counter,
  DisplayOptions,
  Distinguishable,
  EventTimeOptions,
  Flow,
  JobDefinition,
  JobOptions,
  KeyedProcessContext,
  KeyedProcessOperator,
  KeyedStream,
  Measure,
  Metrics,
  MillraceConfig,
  NotPromise,
  OperatorContext,
  OutputTag,
  Params,
  ProcessContext,
  ProcessOperator,
  Rank,
  RestartOptions,
  SourceOptions,
  Stream,
  TimerContext,
  Timers,
  UseMapAsyncInstead,
  WindowContext,
  WindowedStream,
  WindowResult,
} from './api/index.ts'
export type { JsonSchema, Schema, Typed } from './codec/index.ts'
export { isMillraceError, MillraceError } from './base/errors.ts'
export type { ErrorCode } from './base/errors.ts'
export type { Json } from './base/json.ts'
export { blackhole, collection, console, files, generator, memory } from './connectors/index.ts'
export type {
  ConsoleOptions,
  CsvOptions,
  CsvSinkOptions,
  Encoding,
  FileSinkOptions,
  GeneratorOptions,
  JsonOptions,
  Log,
  MalformedLine,
  Sink,
  Size,
  Source,
  StandardSchema,
  TextOptions,
} from './connectors/index.ts'
export type { OperatorOptions } from './graph/index.ts'
export { run } from './control/index.ts'
export type { JobEvent, JobHandle, JobOutcome, JobStatus, Rescaled, RunOptions } from './host/index.ts'
export type {
  AggregatingState,
  Aggregator,
  DefaultedValueState,
  Key,
  ListState,
  MapState,
  OperatorStateShape,
  ReducingState,
  StateOptions,
  StateShape,
  TtlOptions,
  ValueState,
  ValueStateOptions,
} from './state/declarations.ts'
export { global, tumbling } from './time/index.ts'
export type { Duration, Window, WindowAssigner } from './time/index.ts'
