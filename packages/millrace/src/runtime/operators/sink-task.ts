/**
 * A sink in a slot: its writer, and the committables that wait. A committable is carried in every manifest from the checkpoint that
 * prepared it until its commit was acknowledged; a failed checkpoint drops none (DESIGN invariant 2).
 */
import type { MillraceError } from '../../base/errors.ts'
import { failpoint } from '../../base/failpoint.ts'
import type { Json } from '../../base/json.ts'
import type { RestoredSink, SinkContext, SinkWriter } from '../../connectors/contract.ts'
import type { SinkNode } from '../../graph/index.ts'
import type { CarriedCommittable, SubtaskSink } from '../../snapshot/manifest-types.ts'
import { privateCopy, sinkLink, type Input, type Push } from '../chain.ts'
import { connectorFailure, failure } from '../failure.ts'
import type { OperatorMeter } from '../meters.ts'
import type { Services } from '../services.ts'

export class SinkTask implements Input {
  readonly node: SinkNode
  readonly push: Push
  writer: SinkWriter<unknown> | undefined
  private readonly context: SinkContext
  private readonly meter: OperatorMeter
  private carried: CarriedCommittable[] = []
  private state: Json | undefined
  /** Prepares of one writer follow each other, also when a checkpoint was aborted meanwhile. */
  private preparing: Promise<void> = Promise.resolve()
  private committing: Promise<void> = Promise.resolve()

  constructor(node: SinkNode, services: Services, context: SinkContext) {
    this.node = node
    this.context = context
    this.meter = services.meters.of(node.name)
    const fail = (error: unknown, record: unknown) => failure('SINK_FAILED', node.name, error, { record })
    this.push = privateCopy(sinkLink)(this, services.chain, fail, this.meter.input)
  }

  watermark(time: number): void {
    this.meter.watermark = time
  }
  idle(): void {}

  get writable(): boolean {
    return this.writer?.writable?.() ?? true
  }

  /** Opens the writer, puts leftovers of earlier attempts right, and commits its share of what the snapshot carried. */
  async open(restored: RestoredSink, carried: readonly CarriedCommittable[]): Promise<void> {
    this.carried = [...carried]
    try {
      this.writer = await this.node.sink.open(this.context, restored)
    } catch (error) {
      throw this.named(error)
    }
    await this.commit(Infinity)
  }

  /** The barrier: what was written so far belongs to the checkpoint. */
  prepare(checkpointId: number, last: boolean): Promise<void> {
    const prepared = this.writer!.prepareCommit(checkpointId, last)
    this.preparing = Promise.all([prepared, this.preparing]).then(
      ([{ committables, state }]) => {
        for (const value of committables) this.carried.push({ checkpoint: checkpointId, value })
        this.state = state
      },
      error => {
        throw this.named(error)
      },
    )
    // A failure is reported by whoever awaits this checkpoint.
    this.preparing.catch(() => undefined)
    return this.preparing
  }

  /** Once `prepare` resolved. */
  snapshot(): SubtaskSink {
    const { type, retracts } = this.node.sink
    return { type, retracts, ...(this.state !== undefined && { state: this.state }), committables: this.carried }
  }

  /** Commits what checkpoints up to this one prepared. */
  commit(upTo: number): Promise<void> {
    this.committing = this.committing.then(async () => {
      const due = this.carried.filter(committable => committable.checkpoint <= upTo)
      if (due.length === 0) return
      try {
        await this.writer!.commit(due.map(committable => committable.value))
      } catch (error) {
        throw this.named(error)
      }
      this.carried = this.carried.filter(committable => !due.includes(committable))
      failpoint('checkpoint.after-commit')
    })
    return this.committing
  }

  async close(): Promise<void> {
    await this.writer?.close().catch(() => undefined)
  }

  private named(error: unknown): MillraceError {
    return connectorFailure('sink', this.node.name, error)
  }
}
