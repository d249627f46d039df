/** What became of the checkpoints of this process. Plain counts: a metric is made of them when somebody asks. */
import { Distribution, type DistributionCounts } from '../base/distribution.ts'
import type { CheckpointOutcome } from '../checkpoint/coordinator.ts'

export interface CheckpointCounts {
  /** By outcome, of those that there were. */
  readonly outcomes: { readonly [Outcome in CheckpointOutcome['outcome']]?: number }
  /** Of complete ones, in ms. */
  readonly durations: DistributionCounts
  readonly alignments: DistributionCounts
  /** Written by complete ones, in all. */
  readonly newBytes: number
}

/** From what a small job takes to what is near the default timeout. */
const DURATION_BOUNDS_MS = [10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000]
const ALIGNMENT_BOUNDS_MS = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 30_000]

export class CheckpointTally {
  private readonly outcomes: { [Outcome in CheckpointOutcome['outcome']]?: number } = {}
  private readonly durations = new Distribution(DURATION_BOUNDS_MS)
  private readonly alignments = new Distribution(ALIGNMENT_BOUNDS_MS)
  private newBytes = 0

  add({ outcome, durationMs, alignmentMs, newBytes }: CheckpointOutcome): void {
    this.outcomes[outcome] = (this.outcomes[outcome] ?? 0) + 1
    if (outcome !== 'complete') return
    this.durations.observe(durationMs)
    this.alignments.observe(alignmentMs)
    this.newBytes += newBytes
  }

  read(): CheckpointCounts {
    const { outcomes, durations, alignments, newBytes } = this
    return { outcomes: { ...outcomes }, durations: durations.read(), alignments: alignments.read(), newBytes }
  }
}
