/**
 * Lists the splits of every source, once for all slots, and deals them out: one each in turn at a fresh start, as the snapshot says
 * after a restore (snapshot/redistribute.ts). Of a source that is still to discover splits it asks again and again, and sends new ones
 * to the subtasks whose turn it is.
 */
import type { MillraceError } from '../base/errors.ts'
import type { Log, SourceContext, Split } from '../connectors/contract.ts'
import type { ExecutionPlan, SourceNode } from '../graph/index.ts'
import { connectorFailure } from '../runtime/failure.ts'
import type { SourceShares } from '../runtime/slot-plan.ts'
import type { OperatorSnapshot } from '../snapshot/manifest-types.ts'
import { dealt, shareOfSource, type SourceShare } from '../snapshot/redistribute.ts'
import type { HostWorld } from './world.ts'

export interface EnumeratorOptions {
  readonly plan: ExecutionPlan
  /** What the snapshot says of a source; undefined: it is new. */
  restored(source: string): OperatorSnapshot | undefined
  readonly world: Pick<HostWorld, 'now' | 'schedule'>
  readonly log: Log
  onSplits(slot: number, source: string, splits: readonly Split[]): void
  onError(error: MillraceError): void
}

export class SplitEnumerator {
  private readonly options: EnumeratorOptions
  private readonly known = new Map<string, Set<string>>()
  /** By source, of its next look for new splits. */
  private readonly cancels = new Map<string, () => void>()
  private closed = false

  constructor(options: EnumeratorOptions) {
    this.options = options
  }

  /** What each slot's sources begin with, by slot. @throws SOURCE_FAILED */
  async shares(): Promise<SourceShares[]> {
    const { plan } = this.options
    const slots: { [source: string]: SourceShare }[] = Array.from({ length: plan.parallelism }, () => ({}))
    for (const node of this.sources()) {
      const shares = await this.sharesOf(node)
      this.known.set(node.name, new Set(shares.flatMap(({ splits }) => splits.map(({ id }) => id))))
      for (const [slot, share] of shares.entries()) slots[slot][node.name] = share
    }
    return slots
  }

  /** Begins to look for new splits, after a restore at once. */
  start(): void {
    for (const node of this.sources()) {
      const everyMs = node.source.discoverEveryMs
      if (everyMs === undefined) continue
      this.discoverIn(node, this.options.restored(node.name) === undefined ? everyMs : 0, everyMs)
    }
  }

  close(): void {
    this.closed = true
    for (const cancel of this.cancels.values()) cancel()
  }

  private sources(): SourceNode[] {
    return this.options.plan.job.graph.nodes.filter(node => node.kind === 'source')
  }

  private async sharesOf(node: SourceNode): Promise<SourceShare[]> {
    const parallelism = this.options.plan.subtasks[node.id]
    const restored = this.options.restored(node.name)
    const subtasks = Array.from({ length: parallelism }, (_, subtask) => subtask)
    if (restored?.source !== undefined) {
      return subtasks.map(subtask => shareOfSource(restored, { subtask, parallelism })!)
    }
    const found = await this.enumerate(node)
    return subtasks.map(subtask => ({
      splits: dealt(found, { subtask, parallelism }).map(({ id, detail }) => ({
        id,
        detail,
        position: null,
        ended: false,
      })),
      records: 0,
      turn: undefined,
    }))
  }

  private async enumerate(node: SourceNode): Promise<readonly Split[]> {
    try {
      return await node.source.enumerate(this.context(node))
    } catch (error) {
      throw connectorFailure('source', node.name, error)
    }
  }

  private discoverIn(node: SourceNode, delayMs: number, everyMs: number): void {
    if (this.closed) return
    const look = (): void => {
      this.discover(node).then(
        () => this.discoverIn(node, everyMs, everyMs),
        error => this.options.onError(error),
      )
    }
    this.cancels.set(node.name, this.options.world.schedule(delayMs, look))
  }

  private async discover(node: SourceNode): Promise<void> {
    const known = this.known.get(node.name)!
    const found = (await this.enumerate(node)).filter(({ id }) => !known.has(id))
    if (this.closed) return
    const parallelism = this.options.plan.subtasks[node.id]
    const before = known.size
    for (const { id } of found) known.add(id)
    for (let subtask = 0; subtask < parallelism; subtask++) {
      const splits = dealt(found, { subtask, parallelism }, before)
      if (splits.length > 0) this.options.onSplits(subtask, node.name, splits)
    }
  }

  private context({ id, name }: SourceNode): SourceContext {
    const { plan, log } = this.options
    return {
      job: plan.job.graph.job,
      operator: name,
      subtask: 0,
      parallelism: plan.subtasks[id],
      now: () => this.options.world.now(),
      count() {},
      log,
      wake() {},
      wakeAt() {},
    }
  }
}
