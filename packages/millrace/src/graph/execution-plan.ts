/**
 * The job graph at a parallelism: how many subtasks each operator has, and which edges are exchanges. Slot i holds subtask i of every
 * operator that has so many; every other edge is a direct call within a slot. Pure; the coordinator and every slot come to the same.
 */
import type { JobGraph } from './job-graph.ts'
import type { Edge, NodeId } from './stream-graph.ts'
import { mayMove, subtasksOf } from './subtasks.ts'

export interface ExecutionPlan {
  readonly job: JobGraph
  readonly parallelism: number
  readonly maxParallelism: number
  /** By node id. */
  readonly subtasks: readonly number[]
  /** Upstream before downstream; an exchange's id is its place here. */
  readonly exchanges: readonly Exchange[]
}

/** An edge over which records change slots: a channel from each subtask of the producer to each of the reader. */
export interface Exchange {
  readonly id: number
  readonly from: NodeId
  readonly to: NodeId
  readonly inputIndex: number
  /** By the key's hash, evenly by turns, or every record to every subtask. */
  readonly partitioning: 'hash' | 'rebalance' | 'broadcast'
  readonly fromSubtasks: number
  readonly toSubtasks: number
  /** Whether records have timestamps, which travel with them. */
  readonly timestamps: boolean
}

export function planExecution(job: JobGraph, parallelism: number, maxParallelism: number): ExecutionPlan {
  const subtasks = subtasksOf(job.graph, parallelism)
  const timed = timedNodes(job)
  const moves = mayMove(job.graph)
  const exchanges: Exchange[] = []
  for (const node of job.graph.nodes) {
    node.inputs.forEach((edge, inputIndex) => {
      const { from } = edge
      const [fromSubtasks, toSubtasks] = [subtasks[from], subtasks[node.id]]
      if (!moves(edge, node.id) || (fromSubtasks === 1 && toSubtasks === 1)) return
      const partitioning = partitioningOf(edge)
      const id = exchanges.length
      const timestamps = timed.has(from)
      exchanges.push({ id, from, to: node.id, inputIndex, partitioning, fromSubtasks, toSubtasks, timestamps })
    })
  }
  return { job, parallelism, maxParallelism, subtasks, exchanges }
}

function partitioningOf({ keyBy, broadcast }: Edge): Exchange['partitioning'] {
  if (keyBy !== undefined) return 'hash'
  return broadcast === true ? 'broadcast' : 'rebalance'
}

/** The exchange that an edge is; undefined: a direct call. */
export function exchangeInto(plan: ExecutionPlan, node: NodeId, inputIndex: number): Exchange | undefined {
  return plan.exchanges.find(exchange => exchange.to === node && exchange.inputIndex === inputIndex)
}

/** Nodes whose records may carry a timestamp: event time, and all that lies downstream of it. */
function timedNodes({ graph }: JobGraph): ReadonlySet<NodeId> {
  const timed = new Set<NodeId>()
  for (const node of graph.nodes) {
    if (node.kind === 'eventTime' || node.inputs.some(({ from }) => timed.has(from))) timed.add(node.id)
  }
  return timed
}
