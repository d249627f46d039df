/** A job as the restore plan sees it: what it would take over of a snapshot. */
import { declarationOf, jobStates, type JobGraph } from '../graph/index.ts'
import { keyCodeOf } from '../runtime/key-guard.ts'
import type { PlannedJob } from '../snapshot/restore-plan.ts'
import { storedTtlOf } from './stored-ttl.ts'

export function plannedJob({ graph }: JobGraph): PlannedJob {
  const nodes = new Map(graph.nodes.map(node => [node.name, node]))
  return {
    operators: jobStates(graph).operators.map(operator => {
      const node = nodes.get(operator.name)!
      const keyCode = keyCodeOf(node)
      return {
        ...operator,
        states: operator.states.map(state => ({ ...state, ...storedTtlOf(declarationOf(node, state.name)) })),
        ...(keyCode !== undefined && { keyCode }),
        ...(node.kind === 'sink' && { sinkType: node.sink.type }),
      }
    }),
  }
}
