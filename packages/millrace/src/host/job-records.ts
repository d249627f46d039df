/**
 * What the process that runs a job keeps in the job's folder beside snapshots: how each run began and ended, and the history of
 * checkpoints. And what it removes there: what retention drops and what nobody names. Everything is done under the job's lock.
 */
import { isMillraceError } from '../base/errors.ts'
import { failpoint } from '../base/failpoint.ts'
import type { CheckpointOutcome, SavepointOutcome } from '../checkpoint/coordinator.ts'
import { SegmentNumbers } from '../checkpoint/segment-numbers.ts'
import { appendHistory } from '../snapshot/history.ts'
import { ManifestFolder } from '../snapshot/manifest-folder.ts'
import { decideRetention, periodicSavepointDueMs } from '../snapshot/retention.ts'
import {
  publishRunEnd,
  publishRunRecord,
  readRuns,
  type RunEnd,
  type RunFacts,
  type RunRecord,
} from '../snapshot/run-record.ts'
import { sweep } from '../snapshot/sweep.ts'
import type { SnapshotStore } from '../store/contract.ts'
import type { JobLock } from './lock.ts'
import type { ResolvedCheckpointing } from './options.ts'

export interface JobRecordsOptions {
  readonly job: string
  readonly store: SnapshotStore
  readonly lock: JobLock
  readonly checkpointing: ResolvedCheckpointing
  readonly warn: (message: string) => void
}

/** What stays whatever retention says, and what counts as the lineage before. */
export interface SweepScope {
  readonly pinnedId: number | undefined
  readonly previousLineage: number | undefined
  /** Also temporary files and old locks: at a start, when nothing is being written. */
  readonly leftovers: boolean
}

export class JobRecords {
  readonly lock: JobLock
  readonly segments = new SegmentNumbers()
  private readonly options: JobRecordsOptions
  private readonly folder: ManifestFolder
  private runs: readonly RunFacts[] = []

  constructor(options: JobRecordsOptions) {
    this.options = options
    this.lock = options.lock
    this.folder = new ManifestFolder(options.store, options.job)
  }

  /** Reads the records of all runs, which a sweep goes by. */
  async readRuns(): Promise<readonly RunFacts[]> {
    this.runs = await readRuns(this.options.store, this.options.job)
    return this.runs
  }

  /** The start becomes durable. @throws FENCED */
  async beginRun(record: Omit<RunRecord, 'format' | 'version'>): Promise<void> {
    await this.lock.confirm()
    await publishRunRecord(this.options.store, record)
    await this.readRuns()
  }

  /**
   * How the last run of this process ended becomes durable, and what it does not retain goes. That may be one whose beginning had seemed
   * to fail; when there is none, nothing is said. @throws FENCED, STORE_FAILED
   */
  async endRun(end: Omit<RunEnd, 'format' | 'version' | 'job' | 'run' | 'retained'>, scope: SweepScope): Promise<void> {
    const { store, job, checkpointing } = this.options
    const { onCancel, onFinish } = checkpointing
    const deletes =
      (end.end === 'finished' && onFinish === 'delete') || (end.end === 'cancelled' && onCancel === 'delete')
    await this.lock.confirm()
    const run = (await this.readRuns()).findLast(
      ({ record }) => !isMillraceError(record) && record.token === this.lock.token,
    )?.run
    if (run === undefined) return
    await publishRunEnd(store, { job, run, ...end, retained: !deletes })
    this.segments.releaseAll()
    await this.readRuns()
    await this.sweep(scope)
    failpoint('end.after-delete')
  }

  /** @throws FENCED, STORE_FAILED */
  async sweep({ pinnedId, previousLineage, leftovers }: SweepScope): Promise<void> {
    const { store, checkpointing, lock, warn } = this.options
    const pinned = pinnedId === undefined ? [] : [{ id: pinnedId }]
    const { retain, keepSavepoints } = checkpointing
    const policy = { retain, keepSavepoints, previousLineage, pinned }
    const report = await sweep(store, {
      token: lock.token,
      confirm: () => lock.confirm(),
      folder: this.folder,
      decide: snapshots => decideRetention(snapshots, this.runs, policy),
      liveSegments: this.segments.live,
      ...(leftovers && { leftovers: { runs: this.runs } }),
    })
    if (report.stopped !== undefined) {
      const { file, error } = report.stopped
      warn(`nothing is cleared up, since ${file} cannot be read: ${error.message}. Remove it with millrace delete.`)
    }
  }

  /** When the next periodic savepoint of a lineage is due, whose run has begun; Infinity: never. @throws STORE_FAILED */
  async savepointDueMs(lineage: number): Promise<number> {
    const { savepointEveryMs } = this.options.checkpointing
    if (savepointEveryMs === undefined) return Infinity
    const { manifests } = await this.folder.read()
    const snapshots = manifests.flatMap(({ facts }) => (isMillraceError(facts) ? [] : [facts]))
    return periodicSavepointDueMs(snapshots, this.runs, lineage, savepointEveryMs)
  }

  /** Never fails a checkpoint. */
  async appendHistory(run: number, outcome: CheckpointOutcome): Promise<void> {
    const { id, trigger, startedAtMs, durationMs, newBytes, totalBytes, alignmentMs, error } = outcome
    await appendHistory(this.options.store, {
      atMs: startedAtMs,
      kind: 'checkpoint',
      id,
      run,
      trigger,
      outcome: outcome.outcome === 'complete' ? 'completed' : outcome.outcome === 'expired' ? 'expired' : 'failed',
      durationMs,
      newBytes,
      totalBytes,
      alignmentMs,
      ...(error !== undefined && { error }),
    })
  }

  /** Never fails a savepoint. */
  async appendSavepoint(run: number, outcome: SavepointOutcome): Promise<void> {
    const { id, trigger, atMs, pinMs: durationMs, totalBytes, error } = outcome
    await appendHistory(this.options.store, {
      atMs,
      kind: 'savepoint',
      id,
      run,
      trigger,
      outcome: error === undefined ? 'completed' : 'failed',
      durationMs,
      totalBytes,
      ...(error !== undefined && { error }),
    })
  }
}
