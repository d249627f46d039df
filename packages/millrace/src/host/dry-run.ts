/**
 * A dry run: a job whose sinks count what they would have written, and drop it. Nothing of the real sinks is opened or touched.
 *
 * Its snapshots say so by the type of their sinks, since a job that went on from one and wrote again would leave a hole in its output:
 * the restore plan refuses that (snapshot/restore-plan.ts).
 */
import type { Sink, SinkContext, SinkWriter } from '../connectors/contract.ts'
import type { StreamGraph } from '../graph/index.ts'
import { DRY_RUN_SINK } from '../snapshot/restore-plan.ts'

/** Counter of a sink: what it has dropped since the job started. */
export const DISCARDED = 'discarded'

/** Counting is a look-up by name, so it is done now and then, and at every barrier. */
const COUNT_EVERY = 1024

/** The same graph with sinks that drop everything. */
export function withDrySinks(graph: StreamGraph): StreamGraph {
  return { ...graph, nodes: graph.nodes.map(node => (node.kind === 'sink' ? { ...node, sink: DRY_SINK } : node)) }
}

const DRY_SINK: Sink<unknown> = {
  type: DRY_RUN_SINK,
  retracts: true,
  open: async context => new DryWriter(context),
}

class DryWriter implements SinkWriter<unknown> {
  private readonly context: SinkContext
  private uncounted = 0

  constructor(context: SinkContext) {
    this.context = context
  }

  readonly write = (): void => {
    if (++this.uncounted === COUNT_EVERY) this.count()
  }

  async prepareCommit(): Promise<{ committables: [] }> {
    this.count()
    return { committables: [] }
  }

  async commit(): Promise<void> {}

  async close(): Promise<void> {}

  private count(): void {
    this.context.count(DISCARDED, this.uncounted)
    this.uncounted = 0
  }
}
