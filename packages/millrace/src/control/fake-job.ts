/** A job for tests of the control API: it does nothing, and what is asked of it ends when the test says so. */
import type { JobStatus, Rescaled } from '../host/index.ts'
import type { ControlledJob } from './controlled-job.ts'

export class FakeJob implements ControlledJob {
  /** What was asked of it, in order. */
  readonly calls: string[] = []
  private readonly name: string
  private readonly asked: { resolve(checkpointId: number): void; reject(error: unknown): void }[] = []
  private waiting: (() => void)[] = []

  constructor(name: string) {
    this.name = name
  }

  status(): JobStatus {
    return {
      job: this.name,
      state: 'running',
      parallelism: 2,
      run: 3,
      lineage: undefined,
      restarts: 1,
      progress: {
        sources: [{ source: 'in', records: 7, fraction: undefined }],
        entries: 1,
        counters: {},
        longestStepMs: 0,
        longestSnapshotStepMs: 0,
      },
      lastCheckpoint: undefined,
    }
  }

  checkpoint(): Promise<number> {
    return this.ask('checkpoint')
  }

  async stop(): Promise<void> {
    await this.ask('stop')
  }

  async cancel(): Promise<void> {
    await this.ask('cancel')
  }

  async rescale(parallelism: number): Promise<Rescaled> {
    return { parallelism, checkpointId: await this.ask(`rescale ${parallelism}`), pauseMs: 140 }
  }

  /** Resolves once so many things were asked of it. */
  async whenAsked(count: number): Promise<void> {
    while (this.calls.length < count) await new Promise<void>(resolve => this.waiting.push(resolve))
  }

  /** All that is under way is done. */
  complete(checkpointId = 42): void {
    for (const each of this.asked.splice(0)) each.resolve(checkpointId)
  }

  /** All that is under way fails. */
  fail(error: unknown): void {
    for (const each of this.asked.splice(0)) each.reject(error)
  }

  private ask(call: string): Promise<number> {
    this.calls.push(call)
    for (const wake of this.waiting.splice(0)) wake()
    return new Promise((resolve, reject) => this.asked.push({ resolve, reject }))
  }
}
