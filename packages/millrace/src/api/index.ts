export { avg, compose, count, max, min, sum } from './aggregators.ts'
export type { Measure } from './aggregators.ts'
export type { Ignored, NotPromise, UseMapAsyncInstead } from './async-function.ts'
export { collect, distinct, topK } from './collecting-aggregators.ts'
export type { Distinguishable, Rank } from './collecting-aggregators.ts'
export type { BroadcastStream } from './broadcast-stream.ts'
export { assertJobName, buildGraph, defineJob, isJobDefinition } from './job.ts'
export type { Flow, JobDefinition, SourceOptions } from './job.ts'
export type {
  CheckpointingOptions,
  JobOptions,
  MillraceConfig,
  Params,
  RestartOptions,
  RocksDbOptions,
} from './options.ts'
export { outputTag } from './output-tag.ts'
export type { OutputTag } from './output-tag.ts'
export type {
  BroadcastContext,
  Counter,
  Gauge,
  Histogram,
  KeyedBroadcastContext,
  KeyedBroadcastProcessOperator,
  KeyedBroadcastTimerContext,
  KeyedProcessContext,
  KeyedProcessOperator,
  Metrics,
  OperatorContext,
  ProcessContext,
  ProcessOperator,
  TimerContext,
  Timers,
  WindowContext,
} from './process.ts'
export { aggregating, broadcast, list, map, reducing, unionList, value } from './state.ts'
export type { BroadcastView, DefaultedValueDeclaration, ReadOnlyBroadcastView, StateView } from './state.ts'
export type {
  BroadcastConnectedStream,
  DisplayOptions,
  EventTimeOptions,
  KeyedStream,
  Stream,
  WindowedStream,
  WindowResult,
} from './stream.ts'
export { type } from './type.ts'
export type { UncheckedType } from './type.ts'
