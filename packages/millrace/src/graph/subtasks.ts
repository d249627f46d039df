/**
 * How many subtasks each operator has at a parallelism of the job.
 *
 * An operator runs at its own `parallelism` (at most the job's). Without one, sources, keyed operators and what `rebalance` makes run
 * at the job's, a union at the largest of its inputs, and all else at that of its input, so that no record moves unless asked to.
 */
import { isKeyed } from './states.ts'
import type { Edge, StreamGraph, StreamNode } from './stream-graph.ts'

/** By node id. */
export function subtasksOf({ nodes }: StreamGraph, parallelism: number): number[] {
  const subtasks: number[] = []
  for (const node of nodes) subtasks[node.id] = own(node, subtasks, parallelism)
  return subtasks
}

function own(node: StreamNode, before: readonly number[], parallelism: number): number {
  const wanted = node.options.parallelism
  if (wanted !== undefined) return Math.min(wanted, parallelism)
  if (node.kind === 'source' || node.kind === 'rebalance' || isKeyed(node)) return parallelism
  return Math.max(...node.inputs.map(({ from }) => before[from]))
}

/** Whether the records of an edge may change slots, at some parallelism of the job. Records that do belong to no split any more. */
export function mayMove(graph: StreamGraph): (edge: Edge, to: number) => boolean {
  const most = subtasksOf(graph, Number.MAX_SAFE_INTEGER)
  return ({ from, keyBy, broadcast }, to) =>
    keyBy !== undefined || broadcast === true || graph.nodes[to].kind === 'rebalance' || most[from] !== most[to]
}
