/** A graph for people and programs, as JSON: what `inspect` and the REST API show. */
import type { Json, JsonObject } from '../base/json.ts'
import type { Edge, StreamGraph, StreamNode } from './stream-graph.ts'
import { statesOf } from './states.ts'

export function describeGraph(graph: StreamGraph): Json {
  return { job: graph.job, operators: graph.nodes.map(node => describeNode(graph, node)) }
}

export function describeNode(graph: StreamGraph, node: StreamNode): JsonObject {
  const { renamedFrom, parallelism } = node.options
  return {
    kind: node.kind,
    name: node.name,
    inputs: node.inputs.map(edge => describeEdge(graph, edge)),
    ...(renamedFrom === undefined ? {} : { renamedFrom }),
    ...(parallelism === undefined ? {} : { parallelism }),
    ...details(node),
    states: statesOf(node).map(({ name, kind }) => ({ name, kind })),
  }
}

function describeEdge(graph: StreamGraph, edge: Edge): Json {
  return {
    from: graph.nodes[edge.from].name,
    ...(edge.tag === undefined ? {} : { tag: edge.tag }),
    keyed: edge.keyBy !== undefined,
    ...(edge.broadcast === true && { broadcast: true }),
  }
}

function details(node: StreamNode): JsonObject {
  switch (node.kind) {
    case 'source':
      return { type: node.source.type, bounded: node.source.bounded }
    case 'sink':
      return { type: node.sink.type, retracts: node.sink.retracts }
    case 'eventTime':
      return { outOfOrdernessMs: node.outOfOrdernessMs, idleAfterMs: node.idleAfterMs ?? null }
    case 'window':
      return {
        assigner: { ...node.assigner },
        contents: node.contents.kind,
        allowedLatenessMs: node.allowedLatenessMs,
        lateTag: node.lateTag ?? null,
      }
    case 'keyedProcess':
    case 'keyedBroadcastProcess':
      return { timers: node.onTimer !== undefined }
    default:
      return {}
  }
}
