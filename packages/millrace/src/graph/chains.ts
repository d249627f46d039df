/**
 * The chains of one slot: operators that call each other directly. A chain is named by its head, where records enter it: a source, or
 * an operator that an exchange leads to. An operator that several heads reach by direct calls is in the chain of each. Pure.
 */
import { exchangeInto, type ExecutionPlan } from './execution-plan.ts'
import type { NodeId } from './stream-graph.ts'

export interface Chain {
  readonly head: NodeId
  /** The head first, then in the order of the graph. */
  readonly operators: readonly NodeId[]
}

/** In the order of the graph. */
export function chainsOf(plan: ExecutionPlan, slot: number): Chain[] {
  const { nodes } = plan.job.graph
  const isHere = (node: NodeId) => slot < plan.subtasks[node]
  const isHead = (node: NodeId) => nodes[node].kind === 'source' || plan.exchanges.some(({ to }) => to === node)
  return nodes
    .filter(({ id }) => isHere(id) && isHead(id))
    .map(({ id: head }) => {
      const operators = new Set([head])
      // One pass, since a node's inputs come before it.
      for (const { id, inputs } of nodes) {
        const isCalled = inputs.some((edge, index) => operators.has(edge.from) && !exchangeInto(plan, id, index))
        if (isCalled && isHere(id)) operators.add(id)
      }
      return { head, operators: [...operators] }
    })
}
