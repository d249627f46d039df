/**
 * A job from start to end: its lock, the choice of what to start from, attempts and restarts, and how it ends.
 *
 *   starting -> running <-> restarting (waits for the delay) -> ending -> ended
 *               running <-> rescaling (a last checkpoint at the old parallelism)
 *               running <-> stopping (a last checkpoint, committed) -> ended
 *
 * What a stop, or a rescale, asks for may fail: the job then goes on, with a new attempt. An end that cannot be put off, of input that is
 * finished or of the process, is `ending`, and a failure of its last checkpoint is the job's.
 *
 * Every attempt is a start of its own, recovered from what is stored and durable before its first record, so a restart in this process
 * and one after a crash are the same thing.
 */
import { isMillraceError, messageOf, MillraceError, namedError } from '../base/errors.ts'
import type { CheckpointRequest, Completed } from '../checkpoint/coordinator.ts'
import type { JobGraph } from '../graph/index.ts'
import { carry, uncarry } from '../runtime/carried-error.ts'
import { trimHistory } from '../snapshot/history.ts'
import type { AdoptionSource } from '../snapshot/adopt.ts'
import {
  recover,
  runRecordOf,
  type FreshStart,
  type RecoverOptions,
  type Recovery,
  type RestoringStart,
  type StartRequest,
} from '../snapshot/recover.ts'
import type { RunEnd } from '../snapshot/run-record.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import type { SnapshotStore } from '../store/contract.ts'
import { Attempt, type AttemptOptions } from './attempt.ts'
import { DeliveredRows } from './delivered-rows.ts'
import type { JobOutcome, OnJobEvent } from './events.ts'
import { JobRecords, type SweepScope } from './job-records.ts'
import type { Rescaled, Savepoint, SavepointOptions, StopOptions, Stopped } from './job-requests.ts'
import { JobFacts, type JobStatus } from './job-status.ts'
import { acquireLock, RENEW_EVERY_MS } from './lock.ts'
import type { ResolvedOptions } from './options.ts'
import {
  decideRestart,
  startRestarts,
  type Failure,
  type RestartDecision,
  type RestartState,
} from './restart-strategy.ts'
import { SavepointFolders, type SavepointFolder } from './savepoint-folders.ts'
import { assertLabel } from './savepoint-label.ts'
import type { SlotFactory } from './slot-port.ts'
import { SpareSlots } from './spare-slots.ts'
import { takeOver } from './take-over.ts'
import { VERSION } from './version.ts'
import { lockClockOf, type HostWorld } from './world.ts'

export interface RunnerOptions {
  readonly job: string
  readonly graph: JobGraph
  readonly options: ResolvedOptions
  readonly request: StartRequest
  /** A snapshot of another folder to start from, instead of what `request` says. */
  readonly adopt?: (() => Promise<AdoptionSource>) | undefined
  readonly allowDroppedState: boolean
  readonly store: SnapshotStore
  readonly slots: SlotFactory
  readonly world: HostWorld
  readonly onEvent: OnJobEvent
}

type JobEnd = { kind: 'ended'; outcome: JobOutcome } | { kind: 'failed'; error: MillraceError }

export class JobRunner {
  readonly finished: Promise<JobOutcome>
  private readonly options: RunnerOptions
  private readonly world: HostWorld
  private readonly rows = new DeliveredRows()
  private readonly settle: { resolve(outcome: JobOutcome): void; reject(error: unknown): void }
  private state: JobStatus['state'] = 'starting'
  /** Since the job's lock is held. */
  private records: JobRecords | undefined
  private cancelRenewal: () => void = () => undefined
  private attempt: Attempt | undefined
  private run: (FreshStart | RestoringStart) | undefined
  private restarts: RestartState
  private restartCount = 0
  private cancelRestart: () => void = () => undefined
  private parallelism: number
  /** Settles when no attempt is being opened. */
  private starting: Promise<void> = Promise.resolve()
  private readonly slots: SpareSlots
  private rescaling: Promise<unknown> = Promise.resolve()
  /** Settles when no stop is under way that may fail without being the end. */
  private stopping: Promise<unknown> = Promise.resolve()
  /** Settles when what the last failure led to has been decided. */
  private failing: Promise<void> = Promise.resolve()
  private readonly folders: SavepointFolders
  private readonly facts: JobFacts

  constructor(options: RunnerOptions) {
    this.options = options
    this.world = options.world
    this.parallelism = options.options.parallelism
    this.facts = new JobFacts(options.world.now())
    this.slots = new SpareSlots(options.slots)
    const { store } = options
    const { compression } = options.options.checkpointing
    this.folders = new SavepointFolders({ store, compression, yield: () => this.world.yield() })
    this.restarts = startRestarts(options.options.restart, this.world.now())
    const { promise, resolve, reject } = Promise.withResolvers<JobOutcome>()
    this.finished = promise
    this.settle = { resolve, reject }
    promise.catch(() => undefined)
  }

  // ----------------------------------------------------------------------------------------------------------- start

  /** Resolves once records flow, or the job turned out to be finished. Rejects when the first attempt cannot start. */
  async start(): Promise<void> {
    const { world } = this
    const { store, job, options, onEvent } = this.options
    const lock = await acquireLock(store, world.identity(), lockClockOf(world), {
      job,
      isAlive: owner => world.isAlive(owner),
      onWait: message => onEvent({ type: 'log', level: 'info', message }),
    })
    const { checkpointing } = options
    this.records = new JobRecords({ job, store, lock, checkpointing, warn: message => this.warn(message) })
    this.renewLater()
    try {
      await trimHistory(store).catch(() => undefined)
      const { adopt: find, request } = this.options
      if (find !== undefined) await takeOver(find, this.options, this.records)
      await this.startAttempt(find === undefined ? request : {})
    } catch (error) {
      await this.end({ kind: 'failed', error: namedError(error) })
      throw error
    }
    // Fenced meanwhile.
    if (this.state === 'ended') await this.finished
  }

  private async startAttempt(request: StartRequest): Promise<void> {
    const opened = this.openAttempt(request)
    this.starting = opened.then(
      () => undefined,
      () => undefined,
    )
    if ((await opened) !== 'already-finished') return
    this.options.onEvent({ type: 'already-finished' })
    await this.end({ kind: 'ended', outcome: 'already-finished' })
  }

  /** A failure of the attempt is this one's until its run has begun, and is told to `failed` from then on. */
  private async openAttempt(request: StartRequest): Promise<'already-finished' | undefined> {
    const { job, graph, onEvent, options } = this.options
    const { world } = this
    const records = this.records!
    const startedMs = world.now()
    records.segments.releaseAll()
    const sinksRetract = graph.graph.nodes.every(node => node.kind !== 'sink' || node.sink.retracts)
    let prepared: Attempt | undefined
    const { decision, manifest, runs } = await this.recover({
      job,
      request,
      sinksRetract,
      // Loading a snapshot checks every byte it uses, so it is its own verification.
      verify: async (_, candidate) => {
        const readRuns = await records.readRuns()
        try {
          prepared = await Attempt.prepare(this.attemptOptions(), candidate.runId, candidate, readRuns)
        } finally {
          this.facts.restoring = undefined
        }
      },
    })
    if (decision.kind === 'finished') {
      // The process that finished it may have died before it had cleared up.
      await records.readRuns()
      await this.sweep(true, decision.previousLineage)
      return 'already-finished'
    }
    this.report(decision)
    const runId = decision.inheritedRunId ?? world.runId()
    const attempt = prepared ?? (await Attempt.prepare(this.attemptOptions(), runId, undefined, runs))
    if (this.isOver) {
      await attempt.close()
      return undefined
    }
    this.attempt = attempt
    const { token } = records.lock
    const record = runRecordOf(decision, {
      job,
      token,
      runId,
      startedAtMs: world.now(),
      millrace: VERSION,
      maxParallelism: options.maxParallelism,
    })
    await records.beginRun(record)
    this.run = decision
    this.facts.begin(manifest)
    await this.sweep(true)
    const savepointDueMs = await records.savepointDueMs(record.lineage)
    if (this.isOver) {
      await attempt.close()
      return undefined
    }
    // Before records flow: a small job may have come to its end, or failed, when `start` returns.
    this.state = 'running'
    onEvent({ type: 'started', decision, manifest, plan: attempt.plan.entries, tookMs: world.now() - startedMs })
    await attempt.start(
      {
        job,
        run: record.run,
        runId: record.runId,
        lineage: record.lineage,
        token,
        millrace: VERSION,
        parallelism: this.parallelism,
        maxParallelism: options.maxParallelism,
      },
      { firstCheckpointId: record.firstCheckpointId, savepointDueMs },
    )
    return undefined
  }

  /** What a process reads that has been replaced without knowing may be in pieces: it is told that instead. @throws FENCED */
  private async recover(options: RecoverOptions): Promise<Recovery> {
    try {
      return await recover(this.options.store, options)
    } catch (error) {
      await this.records!.lock.confirm()
      throw error
    }
  }

  private get isOver(): boolean {
    return this.state === 'ending' || this.state === 'ended'
  }

  private report(decision: FreshStart | RestoringStart): void {
    if (decision.kind !== 'restore') return
    for (const { kind, id, reason } of decision.skipped) {
      this.warn(`${kind} ${id} cannot be used and is skipped: ${reason}`)
    }
  }

  private attemptOptions(): AttemptOptions {
    const { job, graph, options, allowDroppedState, store, onEvent } = this.options
    const records = this.records!
    return {
      job,
      graph,
      options: { ...options, parallelism: this.parallelism },
      allowDroppedState,
      store,
      slots: this.slots.take,
      world: this.world,
      segments: records.segments,
      confirm: () => records.lock.confirm(),
      collectGarbage: () => this.sweep(false),
      onFinished: () => void this.finish(),
      onProgress: progress => {
        this.facts.progressed(progress, this.world.now())
        onEvent({ type: 'progress', progress })
      },
      onRestoring: progress => {
        this.facts.restoring = progress
        onEvent({ type: 'restoring', progress })
      },
      onRows: mail => this.rows.add(mail),
      onLog: (level, message) => onEvent({ type: 'log', level, message }),
      onCheckpoint: outcome => {
        this.facts.checkpointed(outcome)
        void records.appendHistory(this.run!.run, outcome)
        onEvent({ type: 'checkpoint', outcome })
      },
      onSavepoint: outcome => {
        this.facts.savepointed(outcome)
        void records.appendSavepoint(this.run!.run, outcome)
        onEvent({ type: 'savepoint', outcome })
      },
      onFailure: failure => void this.failed(failure),
    }
  }

  // --------------------------------------------------------------------------------------------------------- running

  /** Rows that a memory sink has committed. */
  rowsOf(sink: string): readonly unknown[] {
    return this.rows.of(sink)
  }

  status(): JobStatus {
    return {
      job: this.options.job,
      state: this.state,
      parallelism: this.parallelism,
      stateBackend: this.options.options.stateBackend,
      run: this.run?.run,
      lineage: this.run?.lineage,
      restarts: this.restartCount,
      ...this.facts.read(),
      pendingCheckpoint: this.attempt?.pendingCheckpoint,
      savepointFolders: this.folders.progress,
      slots: this.attempt?.slotProgress ?? [],
    }
  }

  /** Others find the control API of the job by its lock. @throws FENCED, STORE_FAILED */
  async publishControl(address: string): Promise<void> {
    await this.records!.lock.setControl(address)
  }

  async checkpoint(): Promise<number> {
    if (this.state !== 'running') throw this.notRunning()
    return (await this.attempt!.request('user')).checkpointId
  }

  // ------------------------------------------------------------------------------------------------------- savepoints

  /**
   * A checkpoint now, pinned. What is written to a folder is written while the job goes on.
   * @throws OPTION_INVALID, SAVEPOINT_FOLDER, JOB_NOT_RUNNING, CHECKPOINT_FAILED, and what keeps it from being written
   */
  async savepoint(options: SavepointOptions = {}): Promise<Savepoint> {
    assertLabel(options.label)
    if (this.state !== 'running') throw this.notRunning()
    const { attempt } = this
    return this.intoFolder(options, async () => attempt!.request('user', { savepoint: { label: options.label } }))
  }

  /** Takes the folder, if one is wanted, before anything is asked of the job. */
  private async intoFolder(
    { to, onProgress }: SavepointOptions,
    request: () => Promise<Completed>,
  ): Promise<Savepoint> {
    const folder: SavepointFolder | undefined = to === undefined ? undefined : await this.folders.take(to)
    let completed: Completed
    try {
      completed = await request()
    } catch (error) {
      await folder?.release()
      throw error
    }
    const { checkpointId } = completed
    const savepoint = completed.savepoint!
    await folder?.write(savepoint, onProgress)
    return {
      id: formatSnapshotId('savepoint', savepoint.id),
      checkpoint: formatSnapshotId('checkpoint', checkpointId),
      path: folder?.path,
    }
  }

  // -------------------------------------------------------------------------------------------------------- rescaling

  /**
   * Goes on at another parallelism, from a checkpoint that is taken now. When that checkpoint fails, or the new slots cannot start, the
   * job goes on at the old one from its latest.
   * @throws OPTION_INVALID, JOB_NOT_RUNNING, and what failed
   */
  async rescale(parallelism: number): Promise<Rescaled> {
    const { maxParallelism } = this.options.options
    if (!Number.isSafeInteger(parallelism) || parallelism < 1 || parallelism > maxParallelism) {
      throw new MillraceError(
        'OPTION_INVALID',
        `parallelism is ${String(parallelism)}; it must be a whole number from 1 to maxParallelism, which is ${maxParallelism}`,
      )
    }
    if (this.state !== 'running') throw this.notRunning()
    this.state = 'rescaling'
    const done = this.rescaleTo(parallelism)
    this.rescaling = done.catch(() => undefined)
    return done
  }

  private async rescaleTo(parallelism: number): Promise<Rescaled> {
    const before = this.parallelism
    const attempt = await this.prepareSlots(parallelism)
    const fromMs = this.world.now()
    let checkpointId: number
    try {
      checkpointId = (await attempt.request('rescale')).checkpointId
    } catch (error) {
      await this.slots.discard()
      throw error
    }
    await attempt.close()
    if (this.isOver) throw this.notRunning()
    this.parallelism = parallelism
    try {
      await this.startAttempt({})
    } catch (error) {
      this.parallelism = before
      await this.failed({ error: carry(namedError(error)), records: -1 })
      throw error
    }
    this.restarts = startRestarts(this.options.options.restart, this.world.now())
    return { parallelism, checkpointId, pauseMs: this.world.now() - fromMs }
  }

  /** The job goes on meanwhile. Resolves with its attempt, if that is still the one. */
  private async prepareSlots(parallelism: number): Promise<Attempt> {
    const attempt = this.attempt!
    try {
      await this.slots.prepare(parallelism)
    } catch (error) {
      if (this.state === 'rescaling') this.state = 'running'
      throw error
    }
    if (this.state === 'rescaling' && this.attempt === attempt) return attempt
    await this.slots.discard()
    throw this.notRunning()
  }

  // ------------------------------------------------------------------------------------------------------- restarting

  private failed(failure: Failure): Promise<void> {
    this.failing = this.handleFailure(failure)
    return this.failing
  }

  private async handleFailure(failure: Failure): Promise<void> {
    if (this.state === 'ended') return
    const { world } = this
    const { options, onEvent } = this.options
    const error = uncarry(failure.error)
    // The final checkpoint, or its commit, is what is being waited for: it fails with this.
    if (this.state === 'ending') return this.attempt?.close(error)
    const attempt = this.attempt
    // The checkpoint of a rescale or a stop that failed costs no more than that.
    const decision: RestartDecision =
      (this.state === 'rescaling' || this.state === 'stopping') && error.code === 'CHECKPOINT_FAILED'
        ? { kind: 'restart', delayMs: 0, state: this.restarts }
        : decideRestart(options.restart, this.restarts, failure, world.now(), world.random())
    this.state = 'restarting'
    await attempt?.close(error)
    if (this.state !== 'restarting') return
    if (decision.kind === 'give-up') {
      const why = decision.why === 'deterministic' ? deterministic(error) : error
      return this.end({ kind: 'failed', error: why })
    }
    this.restarts = decision.state
    this.restartCount++
    onEvent({ type: 'restarting', error, delayMs: decision.delayMs })
    this.cancelRestart = world.schedule(decision.delayMs, () => void this.restart())
  }

  private async restart(): Promise<void> {
    if (this.state !== 'restarting') return
    try {
      await this.startAttempt({})
    } catch (error) {
      const fault = namedError(error)
      // What the snapshot or the lock says will not change; a source or sink that cannot be opened may come back.
      if (!['SOURCE_FAILED', 'SINK_FAILED', 'STORE_FAILED', 'USER_FUNCTION_FAILED', 'INTERNAL'].includes(fault.code)) {
        return this.end({ kind: 'failed', error: fault })
      }
      await this.failed({ error: carry(fault), records: -1 })
    }
  }

  // ---------------------------------------------------------------------------------------------------------- ending

  /**
   * A last checkpoint, its output committed, and out. When that fails the job goes on from its latest checkpoint, unless it must end.
   * @throws STOP_FAILED, OPTION_INVALID, SAVEPOINT_FOLDER, JOB_NOT_RUNNING, and whatever ends the job instead
   */
  async stop({ drain = false, savepoint, mustEnd = false }: StopOptions = {}): Promise<Stopped> {
    const wanted: SavepointOptions | undefined = savepoint === true ? {} : savepoint || undefined
    assertLabel(wanted?.label)
    const request: CheckpointRequest = { drain, ...(wanted && { savepoint: { label: wanted.label } }) }
    await this.quiet()
    if (this.state !== 'running') {
      if (drain || wanted !== undefined) throw this.notRunning()
      await this.endWith('stop', 'stopped')
      return { savepoint: undefined }
    }
    this.state = mustEnd ? 'ending' : 'stopping'
    const stopped = this.stopRunning(this.attempt!, wanted, request)
    this.stopping = stopped.catch(() => undefined)
    return stopped
  }

  private async stopRunning(
    attempt: Attempt,
    wanted: SavepointOptions | undefined,
    request: CheckpointRequest,
  ): Promise<Stopped> {
    let savepoint: Savepoint | undefined
    let isAsked = false
    const ask = async (): Promise<Completed> => {
      isAsked = true
      return attempt.request('stop', request)
    }
    try {
      if (wanted === undefined) await ask()
      else savepoint = await this.intoFolder(wanted, ask)
    } catch (error) {
      throw await this.notStopped(namedError(error), isAsked)
    }
    await this.end({ kind: 'ended', outcome: 'stopped' })
    return { savepoint }
  }

  /** What to say of it, once it is clear what becomes of the job. `isAsked`: it may have stopped reading. */
  private async notStopped(error: MillraceError, isAsked: boolean): Promise<MillraceError> {
    if (this.state === 'ending') await this.end({ kind: 'failed', error })
    else if (this.state === 'stopping') {
      if (!isAsked) {
        this.state = 'running'
        return error
      }
      // The attempt itself is well, but behind its last barrier.
      const failed = new MillraceError('CHECKPOINT_FAILED', error.message, { cause: error })
      void this.failed({ error: carry(failed), records: -1 })
    }
    await this.failing
    if (this.isOver) return error
    const message = `job '${this.options.job}' was not stopped, and goes on: ${error.message}`
    return new MillraceError('STOP_FAILED', message, { cause: error })
  }

  /** Every source has ended. Of an attempt that a rescale or a failure replaces meanwhile, the next one comes to that end again. */
  private async finish(): Promise<void> {
    const { attempt } = this
    await this.quiet()
    if (this.state !== 'running' || this.attempt !== attempt) return
    await this.endWith('finish', 'finished').catch(() => undefined)
  }

  private async endWith(reason: 'stop' | 'finish', outcome: 'stopped' | 'finished'): Promise<void> {
    await this.quiet()
    if (this.state === 'ended' || this.state === 'ending') return void (await this.finished)
    const hadAttempt = this.state === 'running' || this.state === 'starting'
    this.state = 'ending'
    this.cancelRestart()
    try {
      // Between two attempts there is nothing newer than the latest checkpoint.
      if (hadAttempt) await this.attempt!.request(reason)
    } catch (error) {
      await this.end({ kind: 'failed', error: namedError(error) })
      throw error
    }
    await this.end({ kind: 'ended', outcome })
  }

  /** A rescale or a stop that is under way may yet fail, and the job go on. */
  private async quiet(): Promise<void> {
    await this.rescaling
    while (this.state === 'stopping') await this.stopping
  }

  /** No further snapshot; retained checkpoints stay, unless `onCancel` says delete. */
  async cancel(): Promise<void> {
    if (this.state === 'ended' || this.state === 'ending') return void (await this.finished)
    this.state = 'ending'
    this.cancelRestart()
    await this.end({ kind: 'ended', outcome: 'cancelled' })
  }

  private async end(how: JobEnd): Promise<void> {
    if (this.state === 'ended') return
    this.state = 'ended'
    this.cancelRestart()
    await this.attempt?.close(how.kind === 'failed' ? how.error : undefined)
    await this.starting
    await this.slots.discard()
    await this.folders.settle(how.kind === 'failed' || how.outcome === 'cancelled')
    try {
      await this.recordEnd(how)
    } catch (error) {
      // The end could not be said: the next start goes on from the latest snapshot, as after a crash.
      this.warn(`the end of the run could not be recorded: ${messageOf(error)}`)
    }
    this.cancelRenewal()
    await this.records?.lock.release().catch(() => undefined)
    if (how.kind === 'failed') return this.settle.reject(how.error)
    this.options.onEvent({ type: 'ended', outcome: how.outcome })
    this.settle.resolve(how.outcome)
  }

  private async recordEnd(how: JobEnd): Promise<void> {
    if (how.kind === 'ended' && how.outcome === 'already-finished') return
    const end: RunEnd['end'] = how.kind === 'failed' ? 'failed' : (how.outcome as 'finished' | 'stopped' | 'cancelled')
    const { lastSavepointId } = this.facts
    await this.records!.endRun(
      {
        end,
        atMs: this.world.now(),
        lastCheckpointId: Math.max(this.facts.lastCheckpointId, this.attempt?.publishedId ?? 0),
        ...(lastSavepointId !== undefined && { lastSavepointId }),
        ...(how.kind === 'failed' && { error: { code: how.error.code, message: how.error.message } }),
      },
      this.sweepScope(false),
    )
  }

  // --------------------------------------------------------------------------------------------------------- storage

  private sweep(leftovers: boolean, previousLineage?: number): Promise<void> {
    return this.records!.sweep(this.sweepScope(leftovers, previousLineage))
  }

  /** What this run was restored from stays until it has a snapshot of its own. */
  private sweepScope(leftovers: boolean, previousLineage = this.run?.previousLineage): SweepScope {
    const restored = this.attempt?.manifest
    const pinnedId = restored !== undefined && restored.id >= this.facts.lastCheckpointId ? restored.id : undefined
    return { pinnedId, previousLineage, leftovers }
  }

  private renewLater(): void {
    this.cancelRenewal = this.world.schedule(RENEW_EVERY_MS, () => {
      this.renewLater()
      void this.renew()
    })
  }

  private async renew(): Promise<void> {
    try {
      await this.records!.lock.renew()
    } catch (error) {
      if (isMillraceError(error, 'FENCED')) await this.failed({ error: carry(error), records: -1 })
      // A store that fails now may work again before the lease is over; every publish confirms the lock anyway.
    }
  }

  private notRunning(): MillraceError {
    const { job } = this.options
    if (this.state !== 'ending' && this.state !== 'stopping') {
      const doing = this.state === 'ended' ? '' : ` at the moment, it is ${this.state}`
      return new MillraceError('JOB_NOT_RUNNING', `job '${job}' is not running${doing}`)
    }
    const hint = `Wait until it has ended; its final snapshot is then in 'millrace snapshots ${job}'.`
    return new MillraceError('JOB_NOT_RUNNING', `job '${job}' is ending: its final checkpoint is being made`, { hint })
  }

  private warn(message: string): void {
    this.options.onEvent({ type: 'log', level: 'warn', message })
  }
}

function deterministic(error: MillraceError): MillraceError {
  const stopped = new MillraceError(
    'DETERMINISTIC_FAILURE',
    `the job failed twice in the same way, so it stops: ${error.message}`,
    {
      context: { ...error.context, code: error.code },
    },
  )
  stopped.stack = error.stack ?? ''
  return stopped
}
