/**
 * What depends on what within one slot, from the execution plan. Pure.
 *
 * A head is where records enter a slot or are made: a source, the input of an exchange, an operator whose timer fires. From a head they go on by direct calls, through the own
 * channel of an exchange too, until they leave the slot or end in a sink.
 */
import { exchangeInto, type ExecutionPlan, type NodeId } from '../../graph/index.ts'

/** What one step of a head may write to. */
export interface Reach {
  /** Ids of exchanges that this slot writes to. */
  readonly exchanges: ReadonlySet<number>
  readonly sinks: ReadonlySet<NodeId>
}

export interface SlotReach {
  /** What one step of an operator may write to, by node id, of those that have a subtask here. */
  readonly operators: ReadonlyMap<NodeId, Reach>
  /** By exchange id, of those whose reader has a subtask here. */
  readonly inputs: ReadonlyMap<number, Reach>
}

export function slotReach(plan: ExecutionPlan, slot: number): SlotReach {
  const reaches: Reach[] = []
  for (const node of [...plan.job.graph.nodes].reverse()) reaches[node.id] = reachOf(plan, slot, node.id, reaches)
  const { nodes } = plan.job.graph
  const isHere = (node: NodeId) => slot < plan.subtasks[node]
  return {
    operators: new Map(nodes.filter(({ id }) => isHere(id)).map(({ id }) => [id, reaches[id]])),
    inputs: new Map(plan.exchanges.filter(({ to }) => isHere(to)).map(({ id, to }) => [id, reaches[to]])),
  }
}

function reachOf(plan: ExecutionPlan, slot: number, node: NodeId, downstream: readonly Reach[]): Reach {
  const exchanges = new Set<number>()
  const sinks = new Set<NodeId>()
  if (plan.job.graph.nodes[node].kind === 'sink') sinks.add(node)
  for (const reader of plan.job.outputs[node]) {
    const exchange = exchangeInto(plan, reader.node, reader.inputIndex)
    if (exchange !== undefined) exchanges.add(exchange.id)
    if (slot >= plan.subtasks[reader.node]) continue
    for (const id of downstream[reader.node].exchanges) exchanges.add(id)
    for (const id of downstream[reader.node].sinks) sinks.add(id)
  }
  return { exchanges, sinks }
}
