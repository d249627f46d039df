/** A job for tests of the control API: it does nothing, and what is asked of it ends when the test says so. */
import { CheckpointTally } from '../host/checkpoint-tally.ts'
import type { JobStatus, Rescaled, Savepoint, SavepointOptions, StopOptions, Stopped } from '../host/index.ts'
import { NO_PROGRESS, sumProgress } from '../host/slot-progress.ts'
import type { SlotProgress } from '../checkpoint/mail.ts'
import type { ControlledJob } from './controlled-job.ts'

export class FakeJob implements ControlledJob {
  /** What was asked of it, in order. */
  readonly calls: string[] = []
  readonly checkpoints = new CheckpointTally()
  pendingCheckpoint: JobStatus['pendingCheckpoint']
  savepointFolders: JobStatus['savepointFolders'] = []
  state: JobStatus['state'] = 'running'
  restoring: JobStatus['restoring']
  slots: SlotProgress[] = [{ ...NO_PROGRESS, sources: [{ source: 'in', records: 7, fraction: undefined }] }]
  private readonly name: string
  private readonly asked: { resolve(checkpointId: number): void; reject(error: unknown): void }[] = []
  private waiting: (() => void)[] = []
  private readonly looking: (() => void)[] = []

  constructor(name: string) {
    this.name = name
  }

  /** Resolves the next time that somebody asks for its status. */
  whenLookedAt(): Promise<void> {
    return new Promise(resolve => this.looking.push(resolve))
  }

  status(): JobStatus {
    for (const looked of this.looking.splice(0)) looked()
    return {
      job: this.name,
      state: this.state,
      parallelism: 2,
      stateBackend: 'heap',
      run: 3,
      lineage: undefined,
      restarts: 1,
      progress: sumProgress(this.slots),
      restoring: this.restoring,
      lastCheckpoint: undefined,
      pendingCheckpoint: this.pendingCheckpoint,
      savepointFolders: this.savepointFolders,
      checkpoints: this.checkpoints.read(),
      restorableAtMs: undefined,
      startedAtMs: 1000,
      recordsPerSecond: 50,
      slots: this.slots,
    }
  }

  checkpoint(): Promise<number> {
    return this.ask('checkpoint')
  }

  async savepoint(options: SavepointOptions): Promise<Savepoint> {
    return savepointOf(await this.ask(withOptions('savepoint', options)), options)
  }

  async stop(options: StopOptions): Promise<Stopped> {
    const checkpointId = await this.ask(withOptions('stop', options))
    const { savepoint } = options
    if (!savepoint) return { savepoint: undefined }
    return { savepoint: savepointOf(checkpointId, savepoint === true ? {} : savepoint) }
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

function withOptions(call: string, options: object): string {
  const text = JSON.stringify(options)
  return text === '{}' ? call : `${call} ${text}`
}

function savepointOf(checkpointId: number, { to }: SavepointOptions): Savepoint {
  return { id: `sp-${checkpointId + 1}`, checkpoint: `chk-${checkpointId}`, path: to }
}
