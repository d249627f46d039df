/**
 * The stream graph: what a job's build function described, as data. User functions hang on its nodes and are addressed by operator
 * name; everything else is plain. Nodes are in the order of their making, so a node's inputs always come before it.
 */
import type { Schema } from '../codec/index.ts'
import type { Sink, Source } from '../connectors/contract.ts'
import type { Aggregator, BroadcastStateShape, Key, OperatorStateShape, StateShape } from '../state/declarations.ts'
import type { WindowAssigner } from '../time/windows.ts'

export type NodeId = number

export interface StreamGraph {
  readonly job: string
  readonly nodes: readonly StreamNode[]
}

/** Where records come from: the main output of a node, or one of its side outputs. */
export interface Edge {
  readonly from: NodeId
  /** Name of the side output's tag; undefined: the main output. */
  readonly tag?: string
  /** Set on the inputs of keyed operators. */
  readonly keyBy?: (record: any) => Key
  /** What the keys are, if that was said. */
  readonly keySchema?: Schema<unknown>
  /** Every subtask of the reader gets every record. */
  readonly broadcast?: true
}

export interface OperatorOptions {
  /** The operator's name in older snapshots. */
  readonly renamedFrom?: string
  /** At most the job's. */
  readonly parallelism?: number
  /** Reserved: the schema of its output. */
  readonly schema?: unknown
}

interface NodeBase {
  readonly id: NodeId
  readonly inputs: readonly Edge[]
  /** Names are identity for nodes that own state; for the others they are for display. */
  readonly name: string
  readonly options: OperatorOptions
}

export type StreamNode =
  | SourceNode
  | MapNode
  | FilterNode
  | FlatMapNode
  | EventTimeNode
  | UnionNode
  | RebalanceNode
  | ProcessNode
  | KeyedProcessNode
  | KeyedBroadcastProcessNode
  | WindowNode
  | SinkNode

export interface SourceNode extends NodeBase {
  readonly kind: 'source'
  readonly source: Source<any>
}
export interface MapNode extends NodeBase {
  readonly kind: 'map'
  readonly fn: (record: any) => any
}
export interface FilterNode extends NodeBase {
  readonly kind: 'filter'
  readonly fn: (record: any) => boolean
}
export interface FlatMapNode extends NodeBase {
  readonly kind: 'flatMap'
  readonly fn: (record: any) => Iterable<any>
}
export interface EventTimeNode extends NodeBase {
  readonly kind: 'eventTime'
  readonly timestamp: (record: any) => number
  readonly outOfOrdernessMs: number
  /** A split without records for this long (processing time) stops holding the watermark back. */
  readonly idleAfterMs: number | undefined
}
export interface UnionNode extends NodeBase {
  readonly kind: 'union'
}
export interface RebalanceNode extends NodeBase {
  readonly kind: 'rebalance'
}
/** Not keyed; operator state only. */
export interface ProcessNode extends NodeBase {
  readonly kind: 'process'
  readonly state: OperatorStateShape
  readonly onRecord: (record: any, ctx: any) => void
  readonly onEnd: ((ctx: any) => void) | undefined
}
/** `reduce` and `aggregate` of a keyed stream are keyed process operators too. */
export interface KeyedProcessNode extends NodeBase {
  readonly kind: 'keyedProcess'
  readonly state: StateShape
  readonly onRecord: (record: any, ctx: any) => void
  readonly onTimer: ((time: number, ctx: any) => void) | undefined
}
/** Its first input is keyed, its second one broadcast. */
export interface KeyedBroadcastProcessNode extends NodeBase {
  readonly kind: 'keyedBroadcastProcess'
  readonly state: StateShape
  readonly broadcastState: BroadcastStateShape
  readonly onRecord: (record: any, ctx: any) => void
  readonly onBroadcast: (record: any, ctx: any) => void
  readonly onTimer: ((time: number, ctx: any) => void) | undefined
}
export interface WindowNode extends NodeBase {
  readonly kind: 'window'
  readonly assigner: WindowAssigner
  readonly allowedLatenessMs: number
  readonly lateTag: string | undefined
  readonly contents: WindowContents
}
export type WindowContents =
  | { readonly kind: 'aggregate'; readonly aggregator: Aggregator<any, any, any> }
  | { readonly kind: 'reduce'; readonly fn: (a: any, b: any) => any }
  | { readonly kind: 'process'; readonly fn: (records: readonly any[], ctx: any) => void }
export interface SinkNode extends NodeBase {
  readonly kind: 'sink'
  readonly sink: Sink<any>
}
