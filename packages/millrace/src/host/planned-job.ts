/** A job as the restore plan sees it: what it would take over of a snapshot. */
import { jobStates, type JobGraph } from '../graph/index.ts'
import type { PlannedJob } from '../snapshot/restore-plan.ts'

export function plannedJob({ graph }: JobGraph): PlannedJob {
  const sinks = new Map(graph.nodes.map(node => [node.name, node.kind === 'sink' ? node.sink.type : undefined]))
  return {
    operators: jobStates(graph).operators.map(operator => {
      const sinkType = operator.kind === 'sink' ? sinks.get(operator.name) : undefined
      return { ...operator, ...(sinkType !== undefined && { sinkType }) }
    }),
  }
}
