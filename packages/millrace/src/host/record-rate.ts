/** Records per second, of now. Pure: it is told how many there were at what time. */

/** The rate is over the last two seconds or so: steadier than from one report to the next, and still of now. */
const WINDOW_MS = 2000

interface Sample {
  readonly atMs: number
  readonly records: number
}

export class RecordRate {
  private samples: Sample[] = []

  report(records: number, atMs: number): void {
    this.samples = [...this.samples.filter(sample => atMs - sample.atMs <= WINDOW_MS), { atMs, records }]
  }

  /** Records went back to those of a snapshot: what was measured before says nothing of what comes. */
  restart(): void {
    this.samples = []
  }

  get perSecond(): number {
    const [first, last] = [this.samples[0], this.samples.at(-1)]
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return 0
    return Math.max(0, ((last.records - first.records) * 1000) / (last.atMs - first.atMs))
  }
}
