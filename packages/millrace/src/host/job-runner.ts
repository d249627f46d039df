/**
 * A job from start to end: its lock, the choice of what to start from, attempts and restarts, and how it ends.
 *
 *   starting -> running <-> restarting (waits for the delay) -> ending -> ended
 *               running <-> rescaling (a last checkpoint at the old parallelism)
 *
 * Every attempt is a start of its own, recovered from what is stored and durable before its first record, so a restart in this process
 * and one after a crash are the same thing.
 */
import { randomBytes } from 'node:crypto'
import { isMillraceError, messageOf, MillraceError, namedError } from '../base/errors.ts'
import { failpoint } from '../base/failpoint.ts'
import type { CheckpointOutcome } from '../checkpoint/coordinator.ts'
import type { FromSlot, SlotProgress } from '../checkpoint/mail.ts'
import { SegmentNumbers } from '../checkpoint/segment-numbers.ts'
import { ByteReader, decodeValue } from '../codec/index.ts'
import type { JobGraph } from '../graph/index.ts'
import { carry, uncarry } from '../runtime/carried-error.ts'
import { appendHistory, trimHistory } from '../snapshot/history.ts'
import { ManifestFolder } from '../snapshot/manifest-folder.ts'
import { recover, runRecordOf, type FreshStart, type RestoringStart, type StartRequest } from '../snapshot/recover.ts'
import { decideRetention } from '../snapshot/retention.ts'
import { publishRunEnd, publishRunRecord, readRuns, type RunEnd, type RunFacts } from '../snapshot/run-record.ts'
import { sweep } from '../snapshot/sweep.ts'
import type { SnapshotStore } from '../store/contract.ts'
import { Attempt, type AttemptOptions } from './attempt.ts'
import type { JobOutcome, OnJobEvent } from './events.ts'
import { acquireLock, RENEW_EVERY_MS, type JobLock } from './lock.ts'
import type { ResolvedOptions } from './options.ts'
import { currentProcess } from './process-identity.ts'
import { decideRestart, startRestarts, type Failure, type RestartState } from './restart-strategy.ts'
import type { SlotFactory } from './slot-port.ts'
import { VERSION } from './version.ts'

export interface RunnerOptions {
  readonly job: string
  readonly graph: JobGraph
  readonly options: ResolvedOptions
  readonly request: StartRequest
  readonly allowDroppedState: boolean
  readonly store: SnapshotStore
  readonly slots: SlotFactory
  readonly onEvent: OnJobEvent
}

export interface JobStatus {
  readonly job: string
  readonly state: 'starting' | 'running' | 'restarting' | 'rescaling' | 'ending' | 'ended'
  readonly parallelism: number
  readonly run: number | undefined
  readonly lineage: number | undefined
  readonly restarts: number
  readonly progress: SlotProgress | undefined
  readonly lastCheckpoint: CheckpointOutcome | undefined
}

export interface Rescaled {
  readonly parallelism: number
  /** The checkpoint between the two parallelisms. */
  readonly checkpointId: number
  /** From its trigger until records flow again. */
  readonly pauseMs: number
}

export class JobRunner {
  readonly finished: Promise<JobOutcome>
  private readonly options: RunnerOptions
  private readonly segments = new SegmentNumbers()
  private readonly rows = new Map<string, { readonly seen: Set<string>; readonly rows: unknown[] }>()
  private readonly folder: ManifestFolder
  private readonly settle: { resolve(outcome: JobOutcome): void; reject(error: unknown): void }
  private state: JobStatus['state'] = 'starting'
  private lock: JobLock | undefined
  private renewing: NodeJS.Timeout | undefined
  private attempt: Attempt | undefined
  private run: (FreshStart | RestoringStart) | undefined
  private runs: readonly RunFacts[] = []
  private restarts: RestartState
  private restartCount = 0
  private restartTimer: NodeJS.Timeout | undefined
  private parallelism: number
  private rescaling: Promise<unknown> = Promise.resolve()
  private progress: SlotProgress | undefined
  private lastCheckpoint: CheckpointOutcome | undefined
  private lastCheckpointId = 0

  constructor(options: RunnerOptions) {
    this.options = options
    this.folder = new ManifestFolder(options.store, options.job)
    this.parallelism = options.options.parallelism
    this.restarts = startRestarts(options.options.restart, Date.now())
    const { promise, resolve, reject } = Promise.withResolvers<JobOutcome>()
    this.finished = promise
    this.settle = { resolve, reject }
    promise.catch(() => undefined)
  }

  // ----------------------------------------------------------------------------------------------------------- start

  /** Resolves once records flow, or the job turned out to be finished. Rejects when the first attempt cannot start. */
  async start(): Promise<void> {
    const { store, job, onEvent } = this.options
    this.lock = await acquireLock(store, currentProcess(), SYSTEM_CLOCK, {
      job,
      onWait: message => onEvent({ type: 'log', level: 'info', message }),
    })
    this.renewing = setInterval(() => void this.renew(), RENEW_EVERY_MS)
    this.renewing.unref()
    try {
      await trimHistory(store).catch(() => undefined)
      await this.startAttempt(this.options.request)
    } catch (error) {
      await this.end({ kind: 'failed', error: namedError(error) })
      throw error
    }
  }

  private async startAttempt(request: StartRequest): Promise<void> {
    const { store, job, graph, onEvent, options } = this.options
    const startedMs = Date.now()
    this.segments.releaseAll()
    const sinksRetract = graph.graph.nodes.every(node => node.kind !== 'sink' || node.sink.retracts)
    let prepared: Attempt | undefined
    const { decision, manifest, runs } = await recover(store, {
      job,
      request,
      sinksRetract,
      // Loading a snapshot checks every byte it uses, so it is its own verification.
      verify: async (_, candidate) => {
        prepared = await Attempt.prepare(this.attemptOptions(), candidate.runId, candidate, await readRuns(store, job))
      },
    })
    if (decision.kind === 'finished') {
      // The process that finished it may have died before it had cleared up.
      this.runs = runs
      await this.sweep(true, decision.previousLineage)
      onEvent({ type: 'already-finished' })
      await this.end({ kind: 'ended', outcome: 'already-finished' })
      return
    }
    this.report(decision)
    const runId = decision.inheritedRunId ?? randomBytes(4).toString('hex')
    const attempt = prepared ?? (await Attempt.prepare(this.attemptOptions(), runId, undefined, runs))
    this.attempt = attempt
    this.run = decision
    this.lastCheckpointId = manifest?.id ?? 0
    const { token } = this.lock!
    const record = runRecordOf(decision, {
      job,
      token,
      runId,
      startedAtMs: Date.now(),
      millrace: VERSION,
      maxParallelism: options.maxParallelism,
    })
    await this.lock!.confirm()
    await publishRunRecord(store, record)
    this.runs = await readRuns(store, job)
    await this.sweep(true)
    if (this.state === 'ending' || this.state === 'ended') return attempt.close()
    // Before records flow: a small job may have come to its end, or failed, when `start` returns.
    this.state = 'running'
    onEvent({ type: 'started', decision, manifest, plan: attempt.plan.entries, tookMs: Date.now() - startedMs })
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
      record.firstCheckpointId,
    )
  }

  private report(decision: FreshStart | RestoringStart): void {
    if (decision.kind !== 'restore') return
    for (const { kind, id, reason } of decision.skipped) {
      this.warn(`${kind} ${id} cannot be used and is skipped: ${reason}`)
    }
  }

  private attemptOptions(): AttemptOptions {
    const { job, graph, options, allowDroppedState, store, slots, onEvent } = this.options
    return {
      job,
      graph,
      options: { ...options, parallelism: this.parallelism },
      allowDroppedState,
      store,
      slots,
      segments: this.segments,
      confirm: () => this.lock!.confirm(),
      collectGarbage: () => this.sweep(false),
      onFinished: () => void this.finish(),
      onProgress: progress => {
        this.progress = progress
        onEvent({ type: 'progress', progress })
      },
      onRows: mail => this.deliver(mail),
      onLog: (level, message) => onEvent({ type: 'log', level, message }),
      onCheckpoint: outcome => {
        this.lastCheckpoint = outcome
        if (outcome.outcome === 'complete') this.lastCheckpointId = outcome.id
        void this.appendHistory(outcome)
        onEvent({ type: 'checkpoint', outcome })
      },
      onFailure: failure => void this.failed(failure),
    }
  }

  // --------------------------------------------------------------------------------------------------------- running

  private deliver({ sink, committable, rows }: Extract<FromSlot, { type: 'rows' }>): void {
    let delivered = this.rows.get(sink)
    if (delivered === undefined) this.rows.set(sink, (delivered = { seen: new Set(), rows: [] }))
    if (delivered.seen.has(committable)) return
    delivered.seen.add(committable)
    delivered.rows.push(...(decodeValue(new ByteReader(rows)) as unknown[]))
  }

  /** Rows that a memory sink has committed. */
  rowsOf(sink: string): readonly unknown[] {
    return this.rows.get(sink)?.rows ?? []
  }

  status(): JobStatus {
    return {
      job: this.options.job,
      state: this.state,
      parallelism: this.parallelism,
      run: this.run?.run,
      lineage: this.run?.lineage,
      restarts: this.restartCount,
      progress: this.progress,
      lastCheckpoint: this.lastCheckpoint,
    }
  }

  /** Others find the control API of the job by its lock. @throws FENCED, STORE_FAILED */
  async publishControl(address: string): Promise<void> {
    await this.lock!.setControl(address)
  }

  async checkpoint(): Promise<number> {
    if (this.state !== 'running') throw notRunning(this.options.job)
    return this.attempt!.request('user')
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
    if (this.state !== 'running') throw notRunning(this.options.job)
    this.state = 'rescaling'
    const done = this.rescaleTo(parallelism)
    this.rescaling = done.catch(() => undefined)
    return done
  }

  private async rescaleTo(parallelism: number): Promise<Rescaled> {
    const fromMs = Date.now()
    const attempt = this.attempt!
    const before = this.parallelism
    const checkpointId = await attempt.request('rescale')
    await attempt.close()
    this.parallelism = parallelism
    try {
      await this.startAttempt({})
    } catch (error) {
      this.parallelism = before
      await this.failed({ error: carry(namedError(error)), records: -1 })
      throw error
    }
    this.restarts = startRestarts(this.options.options.restart, Date.now())
    return { parallelism, checkpointId, pauseMs: Date.now() - fromMs }
  }

  // ------------------------------------------------------------------------------------------------------- restarting

  private async failed(failure: Failure): Promise<void> {
    if (this.state === 'ended') return
    const { options, onEvent } = this.options
    const error = uncarry(failure.error)
    // The final checkpoint, or its commit, is what is being waited for: it fails with this.
    if (this.state === 'ending') return this.attempt?.close(error)
    const attempt = this.attempt
    this.state = 'restarting'
    const decision = decideRestart(options.restart, this.restarts, failure, Date.now(), Math.random())
    await attempt?.close(error)
    if (decision.kind === 'give-up') {
      const why = decision.why === 'deterministic' ? deterministic(error) : error
      return this.end({ kind: 'failed', error: why })
    }
    this.restarts = decision.state
    this.restartCount++
    onEvent({ type: 'restarting', error, delayMs: decision.delayMs })
    this.restartTimer = setTimeout(() => void this.restart(), decision.delayMs)
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

  /** A last checkpoint, its output committed, and out. */
  async stop(): Promise<void> {
    await this.endWith('stop', 'stopped')
  }

  private async finish(): Promise<void> {
    await this.endWith('finish', 'finished').catch(() => undefined)
  }

  private async endWith(reason: 'stop' | 'finish', outcome: 'stopped' | 'finished'): Promise<void> {
    await this.rescaling
    if (this.state === 'ended' || this.state === 'ending') return void (await this.finished)
    const hadAttempt = this.state === 'running' || this.state === 'starting'
    this.state = 'ending'
    clearTimeout(this.restartTimer)
    try {
      // Between two attempts there is nothing newer than the latest checkpoint.
      if (hadAttempt) await this.attempt!.request(reason)
    } catch (error) {
      await this.end({ kind: 'failed', error: namedError(error) })
      throw error
    }
    await this.end({ kind: 'ended', outcome })
  }

  /** No further snapshot; retained checkpoints stay, unless `onCancel` says delete. */
  async cancel(): Promise<void> {
    if (this.state === 'ended' || this.state === 'ending') return void (await this.finished)
    this.state = 'ending'
    clearTimeout(this.restartTimer)
    await this.end({ kind: 'ended', outcome: 'cancelled' })
  }

  private async end(
    how: { kind: 'ended'; outcome: JobOutcome } | { kind: 'failed'; error: MillraceError },
  ): Promise<void> {
    if (this.state === 'ended') return
    this.state = 'ended'
    clearTimeout(this.restartTimer)
    await this.attempt?.close(how.kind === 'failed' ? how.error : undefined)
    try {
      await this.recordEnd(how)
    } catch (error) {
      // The end could not be said: the next start goes on from the latest snapshot, as after a crash.
      this.warn(`the end of the run could not be recorded: ${messageOf(error)}`)
    }
    clearInterval(this.renewing)
    await this.lock?.release().catch(() => undefined)
    if (how.kind === 'failed') return this.settle.reject(how.error)
    this.options.onEvent({ type: 'ended', outcome: how.outcome })
    this.settle.resolve(how.outcome)
  }

  private async recordEnd(
    how: { kind: 'ended'; outcome: JobOutcome } | { kind: 'failed'; error: MillraceError },
  ): Promise<void> {
    if (this.run === undefined || (how.kind === 'ended' && how.outcome === 'already-finished')) return
    const { store, job, options } = this.options
    const { onCancel, onFinish } = options.checkpointing
    const end: RunEnd['end'] = how.kind === 'failed' ? 'failed' : (how.outcome as 'finished' | 'stopped' | 'cancelled')
    const deletes = (end === 'finished' && onFinish === 'delete') || (end === 'cancelled' && onCancel === 'delete')
    await this.lock!.confirm()
    await publishRunEnd(store, {
      job,
      run: this.run.run,
      end,
      atMs: Date.now(),
      lastCheckpointId: this.lastCheckpointId,
      retained: !deletes,
      ...(how.kind === 'failed' && { error: { code: how.error.code, message: how.error.message } }),
    })
    this.segments.releaseAll()
    this.runs = await readRuns(store, job)
    await this.sweep(false)
    failpoint('end.after-delete')
  }

  // --------------------------------------------------------------------------------------------------------- storage

  private async sweep(leftovers: boolean, previousLineage = this.run?.previousLineage): Promise<void> {
    const { store, options } = this.options
    // What this run was restored from stays until it has a snapshot of its own.
    const restored = this.attempt?.manifest
    const pinned = restored !== undefined && this.lastCheckpointId === restored.id ? [{ id: restored.id }] : []
    const policy = { retain: options.checkpointing.retain, previousLineage, pinned }
    const report = await sweep(store, {
      token: this.lock!.token,
      confirm: () => this.lock!.confirm(),
      folder: this.folder,
      decide: snapshots => decideRetention(snapshots, this.runs, policy),
      liveSegments: this.segments.live,
      leftovers,
    })
    if (report.stopped !== undefined) {
      const { file, error } = report.stopped
      this.warn(
        `nothing is cleared up, since ${file} cannot be read: ${error.message}. Remove it with millrace delete.`,
      )
    }
  }

  private async appendHistory(outcome: CheckpointOutcome): Promise<void> {
    const { id, trigger, startedAtMs, durationMs, newBytes, totalBytes, alignmentMs, error } = outcome
    await appendHistory(this.options.store, {
      atMs: startedAtMs,
      kind: 'checkpoint',
      id,
      run: this.run!.run,
      trigger,
      outcome: outcome.outcome === 'complete' ? 'completed' : outcome.outcome === 'expired' ? 'expired' : 'failed',
      durationMs,
      newBytes,
      totalBytes,
      alignmentMs,
      ...(error !== undefined && { error }),
    })
  }

  private async renew(): Promise<void> {
    try {
      await this.lock!.renew()
    } catch (error) {
      if (isMillraceError(error, 'FENCED')) await this.failed({ error: carry(error), records: -1 })
      // A store that fails now may work again before the lease is over; every publish confirms the lock anyway.
    }
  }

  private warn(message: string): void {
    this.options.onEvent({ type: 'log', level: 'warn', message })
  }
}

const SYSTEM_CLOCK = {
  now: () => Date.now(),
  sleep: (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms)),
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

function notRunning(job: string): MillraceError {
  return new MillraceError('JOB_NOT_RUNNING', `job '${job}' is not running`)
}
