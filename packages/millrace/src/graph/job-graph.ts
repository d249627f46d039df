/**
 * What the runtime needs of a stream graph, worked out once: who reads each output, and how each event-time transformation follows
 * its sources. Pure; the coordinator and every slot come to the same.
 */
import { fingerprint } from './fingerprint.ts'
import { isStateless } from './states.ts'
import type { NodeId, StreamGraph } from './stream-graph.ts'
import { mayMove } from './subtasks.ts'

export interface JobGraph {
  readonly graph: StreamGraph
  readonly fingerprint: string
  /** By node id: who reads it, in the order of the graph. */
  readonly outputs: readonly (readonly Output[])[]
  /** In the order of the graph. */
  readonly eventTimes: readonly EventTimePlan[]
}

/** One reader of a node's main output, or of one of its side outputs. */
export interface Output {
  readonly node: NodeId
  /** Which of the reader's inputs it is. */
  readonly inputIndex: number
  /** Of the side output; undefined: the main output. */
  readonly tag: string | undefined
  /** Whether the records go by key. */
  readonly keyed: boolean
}

export interface EventTimePlan {
  readonly node: NodeId
  /**
   * Names its watermarks in the manifest: `<names of all sources upstream, sorted, joined by ,>/<ordinal>`, where the ordinal counts
   * the transformations with the same sources in the order of the graph. It stays the same when other operators come or go.
   */
  readonly id: string
  /**
   * Sources reached through stateless operators only, and without changing slots at any parallelism, in the order of the graph: each of
   * their splits has its own watermark here.
   */
  readonly splitSources: readonly NodeId[]
  /** Whether records come in any other way too: those have no split, and share one watermark. */
  readonly hasOtherInput: boolean
}

export function planJob(graph: StreamGraph): JobGraph {
  return { graph, fingerprint: fingerprint(graph), outputs: outputsOf(graph), eventTimes: eventTimesOf(graph) }
}

function outputsOf(graph: StreamGraph): Output[][] {
  const outputs: Output[][] = graph.nodes.map(() => [])
  for (const node of graph.nodes) {
    node.inputs.forEach((edge, inputIndex) => {
      outputs[edge.from].push({ node: node.id, inputIndex, tag: edge.tag, keyed: edge.keyBy !== undefined })
    })
  }
  return outputs
}

/** What lies upstream of a node. */
interface Upstream {
  /** All sources. */
  readonly sources: ReadonlySet<NodeId>
  /** Sources whose records come with their split. */
  readonly splitSources: ReadonlySet<NodeId>
  /** Whether there are records without one. */
  readonly hasOther: boolean
}

function eventTimesOf(graph: StreamGraph): EventTimePlan[] {
  const upstream = upstreamOf(graph)
  const ordinals = new Map<string, number>()
  return graph.nodes.flatMap(node => {
    if (node.kind !== 'eventTime') return []
    const { sources, splitSources, hasOther } = upstream[node.id]
    const names = [...sources]
      .map(id => graph.nodes[id].name)
      .sort()
      .join(',')
    const ordinal = ordinals.get(names) ?? 0
    ordinals.set(names, ordinal + 1)
    return [
      { node: node.id, id: `${names}/${ordinal}`, splitSources: ascending(splitSources), hasOtherInput: hasOther },
    ]
  })
}

/** By node id: what lies upstream of the node's input. One pass, since inputs come before their readers. */
function upstreamOf(graph: StreamGraph): Upstream[] {
  const moves = mayMove(graph)
  const result: Upstream[] = []
  for (const node of graph.nodes) {
    const sources = new Set<NodeId>()
    const splitSources = new Set<NodeId>()
    let hasOther = false
    for (const edge of node.inputs) {
      const { from } = edge
      const input = graph.nodes[from]
      const before = result[from]
      for (const id of input.kind === 'source' ? [from] : before.sources) sources.add(id)
      if (moves(edge, node.id)) hasOther = true
      else if (input.kind === 'source') splitSources.add(from)
      else if (isStateless(input)) {
        for (const id of before.splitSources) splitSources.add(id)
        hasOther ||= before.hasOther
      } else hasOther = true
    }
    result.push({ sources, splitSources, hasOther })
  }
  return result
}

function ascending(ids: ReadonlySet<NodeId>): NodeId[] {
  return [...ids].sort((a, b) => a - b)
}
