export { chainsOf } from './chains.ts'
export type { Chain } from './chains.ts'
export { describeGraph } from './describe.ts'
export { fingerprint, fingerprintDifference } from './fingerprint.ts'
export { exchangeInto, planExecution } from './execution-plan.ts'
export type { Exchange, ExecutionPlan } from './execution-plan.ts'
export { planJob } from './job-graph.ts'
export type { EventTimePlan, JobGraph, Output } from './job-graph.ts'
export { assertOperatorName, assertOutputName } from './names.ts'
export {
  declarationOf,
  EVENT_TIMERS,
  isKeyed,
  isStateless,
  jobStates,
  keySchemaOf,
  namedInputs,
  PROCESSING_TIMERS,
  statesOf,
  valueFormOf,
  WINDOW_CONTENTS,
} from './states.ts'
export type { JobStates, OperatorStates, StateInfo } from './states.ts'
export type {
  Edge,
  EventTimeNode,
  FilterNode,
  FlatMapNode,
  KeyedBroadcastProcessNode,
  KeyedProcessNode,
  MapNode,
  NodeId,
  OperatorOptions,
  ProcessNode,
  RebalanceNode,
  SinkNode,
  SourceNode,
  StreamGraph,
  StreamNode,
  UnionNode,
  WindowContents,
  WindowNode,
} from './stream-graph.ts'
export { graphWarnings, validateGraph } from './validate.ts'
