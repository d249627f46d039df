/** Wall time, CPU time and memory of this process, and the line of JSON that a run prints: see "A run's line" in WORKLOADS.md. */

/** The fields that every run has; most have those of `Meter.use`, and a workload may add some. */
export interface Line {
  readonly engine: 'millrace' | 'plain'
  readonly workload: string
  readonly parallelism: number
  readonly backend: 'heap' | 'rocksdb' | 'none'
  readonly events: number
  readonly checksum: string
  readonly [more: string]: number | string | undefined
}

/** A line, and the checksum that it must have when that is known. */
export interface Result {
  readonly line: Line
  readonly expected: string | undefined
}

interface Mark {
  /** Of the source, 0 to 1. */
  readonly fraction: number
  readonly atMs: number
  readonly cpuMs: number
}

const QUARTER = 0.25

export class Meter {
  private readonly skippedMs: number
  private quarter: Mark | undefined
  private end: Mark | undefined

  /** @param skippedMs of the time since the process began: does not count */
  constructor(skippedMs = 0) {
    this.skippedMs = skippedMs
  }

  /** So much of the source is read. The steady rate is that between the first mark from a quarter on and the last that moved. */
  mark(fraction: number): void {
    if (fraction < QUARTER || fraction <= (this.end?.fraction ?? 0)) return
    this.end = { fraction, atMs: performance.now(), cpuMs: cpuMs() }
    this.quarter ??= this.end
  }

  /** What the process took until now. */
  use(events: number) {
    const wallMs = performance.now() - this.skippedMs
    const usedMs = cpuMs()
    return {
      wall_s: rounded(wallMs / 1000),
      cpu_s: rounded(usedMs / 1000),
      events_per_s: Math.round((events / wallMs) * 1000),
      steady_events_per_s: this.steady(events, 'atMs'),
      events_per_cpu_s: Math.round((events / usedMs) * 1000),
      steady_events_per_cpu_s: this.steady(events, 'cpuMs'),
      peak_rss_mb: Math.round(process.resourceUsage().maxRSS / 1024),
    }
  }

  /** Undefined when the run was too short for two marks. */
  private steady(events: number, of: 'atMs' | 'cpuMs'): number | undefined {
    const { quarter, end } = this
    if (quarter === undefined || end === undefined || quarter === end) return undefined
    return Math.round(((end.fraction - quarter.fraction) * events * 1000) / (end[of] - quarter[of]))
  }
}

/** Of all threads. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
