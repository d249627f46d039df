/** How often values lay between which bounds: counts only, so that noting one is cheap and those of several threads add up. */

export interface DistributionCounts {
  /** Ascending; a value lies in the first whose bound is not below it. */
  readonly bounds: readonly number[]
  /** By bound, and one more for what lies above them all. Not cumulative. */
  readonly counts: readonly number[]
  readonly sum: number
}

export class Distribution {
  private readonly bounds: readonly number[]
  private readonly counts: number[]
  private sum = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0)
  }

  observe(value: number): void {
    let index = 0
    while (index < this.bounds.length && value > this.bounds[index]) index++
    this.counts[index]++
    this.sum += value
  }

  read(): DistributionCounts {
    return { bounds: this.bounds, counts: [...this.counts], sum: this.sum }
  }
}

/** Of the same bounds. */
export function addDistributions(a: DistributionCounts, b: DistributionCounts): DistributionCounts {
  return { bounds: a.bounds, counts: a.counts.map((count, index) => count + b.counts[index]), sum: a.sum + b.sum }
}
