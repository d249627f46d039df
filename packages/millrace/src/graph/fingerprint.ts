/**
 * The structure of a graph as text, one line a node, so that the coordinator and every worker thread can compare what the build
 * function described, and say where it differs. Functions are not part of it: their text says nothing about what they close over.
 */
import { describeNode } from './describe.ts'
import type { StreamGraph } from './stream-graph.ts'

export function fingerprint(graph: StreamGraph): string {
  return graph.nodes.map(node => JSON.stringify(describeNode(graph, node))).join('\n')
}

/** The first line where two fingerprints differ, for the message of `GRAPH_NOT_DETERMINISTIC`; undefined when they are equal. */
export function fingerprintDifference(a: string, b: string): { readonly a: string; readonly b: string } | undefined {
  if (a === b) return undefined
  const [left, right] = [a.split('\n'), b.split('\n')]
  let at = 0
  while (left[at] === right[at]) at++
  return { a: left[at] ?? 'no such operator', b: right[at] ?? 'no such operator' }
}
