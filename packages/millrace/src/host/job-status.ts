/** What is known of a job from the outside: what its attempts have reported, kept over restarts. */
import type { CheckpointOutcome, PendingCheckpoint, SavepointOutcome } from '../checkpoint/coordinator.ts'
import type { SlotProgress } from '../checkpoint/mail.ts'
import type { Manifest } from '../snapshot/manifest-types.ts'
import { CheckpointTally, type CheckpointCounts } from './checkpoint-tally.ts'
import { RecordRate } from './record-rate.ts'
import type { RestoreProgress } from './restore-progress.ts'
import type { FolderProgress } from './savepoint-folders.ts'

export interface JobStatus {
  readonly job: string
  readonly state: 'starting' | 'running' | 'restarting' | 'rescaling' | 'stopping' | 'ending' | 'ended'
  readonly parallelism: number
  readonly stateBackend: 'heap' | 'rocksdb'
  readonly run: number | undefined
  readonly lineage: number | undefined
  readonly restarts: number
  readonly progress: SlotProgress | undefined
  /** While a snapshot is loaded, if that takes long. */
  readonly restoring: RestoreProgress | undefined
  readonly lastCheckpoint: CheckpointOutcome | undefined
  readonly pendingCheckpoint: PendingCheckpoint | undefined
  /** Savepoints that are being written to folders of their own. */
  readonly savepointFolders: readonly FolderProgress[]
  /** Of this process, over restarts. */
  readonly checkpoints: CheckpointCounts
  /** When the newest snapshot was taken that a restart would go on from; undefined: it would start afresh. */
  readonly restorableAtMs: number | undefined
  /** When this process took the job. */
  readonly startedAtMs: number
  readonly recordsPerSecond: number
  /** By slot, of those that have reported since the attempt began. */
  readonly slots: readonly SlotProgress[]
}

type Facts = Pick<
  JobStatus,
  'progress' | 'restoring' | 'lastCheckpoint' | 'checkpoints' | 'restorableAtMs' | 'startedAtMs' | 'recordsPerSecond'
>

export class JobFacts {
  /** The newest snapshot that is complete, or was restored; 0: none. */
  lastCheckpointId = 0
  /** Of this run. */
  lastSavepointId: number | undefined
  restoring: RestoreProgress | undefined
  private readonly startedAtMs: number
  private progress: SlotProgress | undefined
  private lastCheckpoint: CheckpointOutcome | undefined
  private readonly checkpoints = new CheckpointTally()
  private restorableAtMs: number | undefined
  private readonly rate = new RecordRate()

  constructor(startedAtMs: number) {
    this.startedAtMs = startedAtMs
  }

  /** A run begins, from this snapshot. */
  begin(manifest: Manifest | undefined): void {
    this.lastCheckpointId = manifest?.id ?? 0
    this.lastSavepointId = undefined
    this.restorableAtMs = manifest?.createdAtMs
    this.rate.restart()
  }

  progressed(progress: SlotProgress, nowMs: number): void {
    this.progress = progress
    this.rate.report(
      progress.sources.reduce((sum, source) => sum + source.records, 0),
      nowMs,
    )
  }

  checkpointed(outcome: CheckpointOutcome): void {
    this.lastCheckpoint = outcome
    this.checkpoints.add(outcome)
    if (outcome.outcome !== 'complete') return
    this.lastCheckpointId = outcome.id
    this.restorableAtMs = outcome.startedAtMs
  }

  savepointed(outcome: SavepointOutcome): void {
    if (outcome.error === undefined) this.lastSavepointId = outcome.id
  }

  read(): Facts {
    const { progress, restoring, lastCheckpoint, restorableAtMs, startedAtMs } = this
    const checkpoints = this.checkpoints.read()
    const recordsPerSecond = this.rate.perSecond
    return { progress, restoring, lastCheckpoint, checkpoints, restorableAtMs, startedAtMs, recordsPerSecond }
  }
}
