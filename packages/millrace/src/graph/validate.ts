/**
 * What makes a stream graph one that can run. Cycles need no check: a node's inputs were made before it. What the API refuses as it
 * is called (foreign streams, async functions) is checked there, where the stack shows the place.
 */
import { assert } from '../base/assert.ts'
import { MillraceError } from '../base/errors.ts'
import { fixedSchemaOf, misfitOf } from '../codec/index.ts'
import type { ValueStateOptions } from '../state/declarations.ts'
import { assertOperatorName, assertOutputName, assertStateName } from './names.ts'
import type {
  Edge,
  KeyedBroadcastProcessNode,
  KeyedProcessNode,
  ProcessNode,
  StreamGraph,
  StreamNode,
} from './stream-graph.ts'

/** @throws GRAPH_INVALID, DUPLICATE_NAME, OPTION_INVALID */
export function validateGraph(graph: StreamGraph): void {
  for (const node of graph.nodes) validateNode(graph, node)
  validateNames(graph)
  if (!graph.nodes.some(node => node.kind === 'source')) {
    throw new MillraceError('GRAPH_INVALID', `job '${graph.job}' has no source; begin with flow.source('name', …)`)
  }
  if (!graph.nodes.some(node => node.kind === 'sink')) {
    throw new MillraceError('GRAPH_INVALID', `job '${graph.job}' has no sink; end a stream with .sink('name', …)`)
  }
}

function validateNode(graph: StreamGraph, node: StreamNode): void {
  assertOperatorName(node.name, node.kind)
  for (const edge of node.inputs) {
    assert(edge.from < node.id, 'the inputs of a node were made before it')
    if (edge.tag !== undefined) validateSideOutput(graph.nodes[edge.from], edge)
  }
  validateStates(node)
  const { parallelism } = node.options
  if (parallelism === undefined || (Number.isSafeInteger(parallelism) && parallelism >= 1)) return
  throw new MillraceError(
    'OPTION_INVALID',
    `parallelism of '${node.name}' is ${String(parallelism)}; it must be a whole number from 1 up`,
  )
}

const KEYED_STATES: readonly string[] = ['value', 'list', 'map', 'reducing', 'aggregating']
const OPERATOR_STATES: readonly string[] = ['list', 'unionList']

const BROADCAST_STATES: readonly string[] = ['broadcast']

function validateStates(node: StreamNode): void {
  if (node.kind === 'process') validateOperatorStates(node)
  if (node.kind === 'keyedProcess' || node.kind === 'keyedBroadcastProcess') validateKeyedStates(node)
  if (node.kind !== 'keyedBroadcastProcess') return
  validateShape(node, node.broadcastState, BROADCAST_STATES, 'broadcastState')
  const both = Object.keys(node.broadcastState).find(name => Object.hasOwn(node.state, name))
  if (both === undefined) return
  throw new MillraceError(
    'GRAPH_INVALID',
    `'${node.name}' has '${both}' in state and in broadcastState; snapshots tell its states apart by name, so rename one`,
  )
}

function validateOperatorStates(node: ProcessNode): void {
  validateShape(node, node.state, OPERATOR_STATES, 'an operator that is not keyed')
  for (const [name, { options }] of Object.entries(node.state)) {
    if (options.ttl === undefined) continue
    throw new MillraceError(
      'GRAPH_INVALID',
      `state '${name}' of '${node.name}' has a ttl; only state of keyed operators expires`,
    )
  }
}

function validateKeyedStates(node: KeyedProcessNode | KeyedBroadcastProcessNode): void {
  validateShape(node, node.state, KEYED_STATES, 'a keyed operator')
  for (const [name, { options }] of Object.entries(node.state)) {
    if ('default' in options && options.default !== undefined) validateDefault(node, name, options)
  }
}

/** As `set` would check it. */
function validateDefault({ name: operator }: StreamNode, state: string, options: ValueStateOptions<unknown>): void {
  const row = options.schema && fixedSchemaOf(options.schema)
  const misfit = row && misfitOf(row, options.default)
  if (misfit === undefined) return
  throw new MillraceError(
    'GRAPH_INVALID',
    `the default of state '${state}' of '${operator}' does not fit its schema: ${misfit.reason}`,
    { context: { operator, state, path: misfit.path } },
  )
}

function validateShape(
  node: StreamNode,
  shape: { readonly [name: string]: unknown },
  allowed: readonly string[],
  where: string,
): void {
  for (const [name, declaration] of Object.entries(shape)) {
    assertStateName(name, node.name)
    validateStateKind(node, name, declaration, allowed, where)
  }
}

function validateStateKind(
  node: StreamNode,
  name: string,
  declaration: unknown,
  allowed: readonly string[],
  where: string,
): void {
  const kind =
    typeof declaration === 'object' && declaration !== null && 'kind' in declaration ? declaration.kind : undefined
  if (typeof kind === 'string' && allowed.includes(kind)) return
  const found = typeof kind === 'string' ? `${kind}()` : 'not a declaration of state'
  throw new MillraceError(
    'GRAPH_INVALID',
    `state '${name}' of '${node.name}' is ${found}; ${where} takes ${allowed.map(each => `${each}()`).join(', ')}`,
  )
}

function validateSideOutput(from: StreamNode, edge: Edge): void {
  assertOutputName(edge.tag)
  if (mayWriteTo(from, edge.tag)) return
  throw new MillraceError(
    'GRAPH_INVALID',
    `${from.kind} '${from.name}' never writes to side output '${edge.tag}'; take it from the stream of the source, process or window operator that does`,
  )
}

const WRITES_ANY_OUTPUT: ReadonlySet<StreamNode['kind']> = new Set([
  'source',
  'process',
  'keyedProcess',
  'keyedBroadcastProcess',
])

function mayWriteTo(node: StreamNode, tag: string): boolean {
  if (WRITES_ANY_OUTPUT.has(node.kind)) return true
  return node.kind === 'window' && (node.lateTag === tag || node.contents.kind === 'process')
}

function validateNames(graph: StreamGraph): void {
  const owners = new Map<string, StreamNode>()
  for (const node of graph.nodes) {
    const other = owners.get(node.name)
    if (other !== undefined) {
      throw new MillraceError(
        'DUPLICATE_NAME',
        `job '${graph.job}' has two operators named '${node.name}' (${other.kind} and ${node.kind}); rename one`,
      )
    }
    owners.set(node.name, node)
  }
  const heirs = new Map<string, StreamNode>()
  for (const node of graph.nodes) {
    const { renamedFrom } = node.options
    if (renamedFrom === undefined) continue
    assertOperatorName(renamedFrom, node.kind)
    // Both would claim the state that older snapshots hold under that name.
    const rival = heirs.get(renamedFrom) ?? owners.get(renamedFrom)
    if (rival !== undefined) {
      throw new MillraceError(
        'GRAPH_INVALID',
        `'${node.name}' says it was renamed from '${renamedFrom}', but ${rival === node ? 'that is its own name' : `so does or is called '${rival.name}'`}; one operator can take over a name`,
      )
    }
    heirs.set(renamedFrom, node)
  }
}

/** What runs, but likely is not meant: outputs that nothing reads. One sentence each. */
export function graphWarnings(graph: StreamGraph): string[] {
  const edges = graph.nodes.flatMap(node => node.inputs)
  return graph.nodes.flatMap(node => {
    if (node.kind === 'sink') return []
    const read = edges.filter(edge => edge.from === node.id)
    if (read.length === 0) return [`nothing reads the stream of ${node.kind} '${node.name}'`]
    if (node.kind !== 'window' || node.lateTag === undefined || read.some(edge => edge.tag === node.lateTag)) return []
    return [`nothing reads late output '${node.lateTag}' of window '${node.name}'`]
  })
}
