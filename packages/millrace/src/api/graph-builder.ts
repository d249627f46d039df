/**
 * Collects the nodes of a stream graph while a job's build function runs. A node gets its id when it is made, so inputs always come
 * before their readers. Stateless operators without a name are numbered at the end, past the names the job uses itself.
 */
import { MillraceError } from '../base/errors.ts'
import {
  assertOperatorName,
  type Edge,
  type OperatorOptions,
  type StreamGraph,
  type StreamNode,
} from '../graph/index.ts'

type Draft<N extends StreamNode> = N extends StreamNode ? Omit<N, 'id' | 'inputs' | 'name' | 'options'> : never

export class GraphBuilder {
  readonly job: string
  private readonly nodes: (Omit<StreamNode, 'name'> & { name: string | undefined })[] = []
  private finished = false

  constructor(job: string) {
    this.job = job
  }

  /** Adds a node and returns its main output. Only stateless operators may do without a name. */
  add(draft: Draft<StreamNode>, inputs: readonly Edge[], name?: string, options: OperatorOptions = {}): Edge {
    if (this.finished) {
      throw new MillraceError(
        'GRAPH_INVALID',
        `job '${this.job}': a ${draft.kind} was added after the build function had returned; describe all of the job inside it`,
      )
    }
    if (name !== undefined) assertOperatorName(name, draft.kind)
    const id = this.nodes.length
    this.nodes.push({ ...draft, id, inputs, name, options })
    return { from: id }
  }

  /** The graph, not yet validated. Nothing can be added any more. */
  finish(): StreamGraph {
    this.finished = true
    const taken = new Set(this.nodes.map(node => node.name))
    const nodes = this.nodes.map(node => ({ ...node, name: node.name ?? freeName(node.kind, taken) }) as StreamNode)
    return { job: this.job, nodes }
  }
}

function freeName(kind: string, taken: Set<string | undefined>): string {
  let ordinal = 1
  while (taken.has(`${kind}-${ordinal}`)) ordinal++
  taken.add(`${kind}-${ordinal}`)
  return `${kind}-${ordinal}`
}
