/**
 * The states of a job as plain data: what a snapshot of it holds, and what a restore plan compares. Besides the declared states there
 * are the engine's own, whose names begin with `~`: timers and window contents are keyed state like any other.
 */
import type { JsonObject } from '../base/json.ts'
import { storableSchemaOf, type WantedForm } from '../codec/index.ts'
import type { AnyDeclaration } from '../state/declarations.ts'
import type { KeyedBroadcastProcessNode, KeyedProcessNode, StreamGraph, StreamNode } from './stream-graph.ts'

/** Event-time timers of keyed process operators and windows. */
export const EVENT_TIMERS = '~event-timers'
export const PROCESSING_TIMERS = '~processing-timers'
/** What is in the open windows, by key and window. */
export const WINDOW_CONTENTS = '~window'

export interface JobStates {
  readonly operators: readonly OperatorStates[]
}

export interface OperatorStates {
  readonly name: string
  readonly renamedFrom?: string
  readonly kind: StreamNode['kind']
  /** Of its keys, if the job says so. */
  readonly keySchema?: JsonObject
  readonly states: readonly StateInfo[]
}

export interface StateInfo {
  readonly name: string
  /** Kind of the declaration (`broadcast`: held by every subtask, without keys); `timers`; or `window-` and the kind of its contents. Of an aggregation also the accumulator's shape. */
  readonly kind: string
  /** What its values are; of the engine's own states nothing is said. */
  readonly values?: WantedForm
}

/** Operators that a snapshot knows by name: sources, sinks, and all that own state. In the order of the graph. */
export function jobStates(graph: StreamGraph): JobStates {
  return {
    operators: graph.nodes.filter(hasIdentity).map(node => {
      const { renamedFrom } = node.options
      const renamed = renamedFrom === undefined ? {} : { renamedFrom }
      const keySchema = keySchemaOf(node)
      return {
        name: node.name,
        ...renamed,
        kind: node.kind,
        ...(keySchema !== undefined && { keySchema }),
        states: statesOf(node),
      }
    }),
  }
}

const STATELESS: ReadonlySet<StreamNode['kind']> = new Set([
  'map',
  'filter',
  'flatMap',
  'union',
  'rebalance',
  'eventTime',
])

/** Whether the operator passes records on without keeping anything between them. */
export function isStateless(node: StreamNode): boolean {
  return STATELESS.has(node.kind)
}

/** Whether the operator has state per key, and so runs where its key groups are. */
export function isKeyed(node: StreamNode): boolean {
  return node.inputs.some(({ keyBy }) => keyBy !== undefined)
}

/** Names of the operators of a snapshot whose records the node reads: stateless ones between them are passed over. */
export function namedInputs(graph: StreamGraph, node: StreamNode): string[] {
  const names = new Set<string>()
  const seen = new Set<StreamNode>()
  const visit = ({ inputs }: StreamNode): void => {
    for (const { from } of inputs) {
      const input = graph.nodes[from]
      if (hasIdentity(input)) names.add(input.name)
      else if (!seen.has(input)) visit(input)
      seen.add(input)
    }
  }
  visit(node)
  return [...names]
}

function hasIdentity(node: StreamNode): boolean {
  return !isStateless(node)
}

/** Of the operator's state of that name, with keys or without; undefined when it is not one that was declared. */
export function declarationOf(node: StreamNode, state: string): AnyDeclaration | undefined {
  switch (node.kind) {
    case 'process':
    case 'keyedProcess':
      return node.state[state]
    case 'keyedBroadcastProcess':
      return node.state[state] ?? node.broadcastState[state]
    default:
      return undefined
  }
}

/** What a declaration says of the state's values. */
export function valueFormOf({ options: { schema, version = 1, migrate = {} } }: AnyDeclaration): WantedForm {
  const migrations = Object.keys(migrate).map(Number)
  return { schema: (schema && storableSchemaOf(schema)) ?? null, version, migrations }
}

/** What the keys of a keyed operator are; undefined: nobody said it. */
export function keySchemaOf({ inputs }: StreamNode): JsonObject | undefined {
  const said = inputs.find(({ keyBy }) => keyBy !== undefined)?.keySchema
  return said && storableSchemaOf(said)
}

/** The states of an operator, declared ones first. */
export function statesOf(node: StreamNode): StateInfo[] {
  switch (node.kind) {
    case 'process':
      return declared(node.state)
    case 'keyedProcess':
      return [...declared(node.state), ...timersOf(node)]
    case 'keyedBroadcastProcess':
      return [...declared(node.state), ...declared(node.broadcastState), ...timersOf(node)]
    case 'window':
      return [
        {
          name: WINDOW_CONTENTS,
          kind: withShape(`window-${node.contents.kind}`, node.contents.kind === 'aggregate' ? node.contents : {}),
        },
        { name: EVENT_TIMERS, kind: 'timers' },
      ]
    default:
      return []
  }
}

function timersOf({ onTimer }: KeyedProcessNode | KeyedBroadcastProcessNode): StateInfo[] {
  if (onTimer === undefined) return []
  return [
    { name: EVENT_TIMERS, kind: 'timers' },
    { name: PROCESSING_TIMERS, kind: 'timers' },
  ]
}

type MaybeAggregating = { readonly aggregator?: { readonly shape?: string } }

function declared(state: { readonly [name: string]: AnyDeclaration }): StateInfo[] {
  return Object.entries(state).map(([name, declaration]) => ({
    name,
    kind: withShape(declaration.kind, 'aggregator' in declaration ? declaration : {}),
    values: valueFormOf(declaration),
  }))
}

/** Accumulators of a sum are not those of a count: the shape is part of the kind, so that a restore does not mix them up. */
function withShape(kind: string, { aggregator }: MaybeAggregating): string {
  return aggregator?.shape === undefined ? kind : `${kind} (${aggregator.shape})`
}
