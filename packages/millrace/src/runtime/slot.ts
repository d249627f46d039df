/**
 * A slot: subtask i of every operator, as a synchronous step machine. `step()` does a bounded piece of work: the mails, due timers, some
 * pages of each exchange, a block of one source, a slice of the snapshot being written. Whoever drives it (a thread, the caller's event
 * loop, a test) calls it again and again and sleeps when it says so; nothing in here waits, except `restore` and `start` before the
 * first step.
 *
 * Reading goes round the sources by turns, and the turns are part of the snapshot. A trigger begins an alignment: nothing enters the
 * slot any more but what lies before the barrier in its channels, no timer fires, and once the barrier has come over all of them every
 * source's position and every operator's state are taken at once (DESIGN invariant 1; exchange/alignment.ts). A slot begins with an
 * alignment too: no record is processed before the restored watermarks have come over every channel.
 *
 *   new -> restored -> opening -> running <-> aligning -> reading ended ('finished' is posted) or stopped by a last barrier -> closed
 */
import { assert, unreachable } from '../base/assert.ts'
import { failpoint } from '../base/failpoint.ts'
import { SHARED_SPLIT } from '../checkpoint/compose.ts'
import type { FromSlot, SlotProgress, SlotSnapshot, SlotTimes, ToSlot, Trigger } from '../checkpoint/mail.ts'
import { planExecution, type ExecutionPlan, type JobGraph, type SourceNode } from '../graph/index.ts'
import { DiskBackend, HeapBackend, type StateBackend } from '../state/index.ts'
import { ChainTimes } from './chain-times.ts'
import { buildOperators, type Operators } from './build.ts'
import { capture } from './capture.ts'
import { carry } from './carried-error.ts'
import { ConnectorContexts } from './connector-contexts.ts'
import { SlotExchange } from './exchange/index.ts'
import type { SourceHost, SourceTask } from './operators/source-task.ts'
import { NO_SPLIT } from './operators/event-time.ts'
import type { Platform } from './platform.ts'
import { ExpirySweep } from './expiry-sweep.ts'
import { restoreState } from './restore.ts'
import { Meters } from './meters.ts'
import type { Services, SlotClock } from './services.ts'
import type { SlotPlan, SourceShares } from './slot-plan.ts'
import { SlotShare } from './slot-share.ts'
import { SnapshotTask } from './snapshot-task.ts'

/** The barrier of the alignment that a slot begins with. No checkpoint has this id. */
const OPENING = 0
/** A slice of a snapshot within a step: at least so long, or a share of what the step has taken, or a job with slow records would never be done. */
const SLICE_MS = 1
const SLICE_SHARE = 0.25
const SLICE_MAX_MS = 10
/** Records wait this long for their page to fill. */
const FLUSH_MS = 5
/** A split that is due to be asked whether it is idle may have to wait for its turn. */
const IDLE_LOOK_MS = 20

/** Between two reports of how far a restore is. */
const RESTORE_REPORT_MS = 200

export class Slot {
  /** When `step` returned 'idle': the time (epoch ms) to step again unless woken before. */
  idleUntilMs = Infinity
  /** What a source's reader asked for. */
  private requestedWakeMs = Infinity
  private readonly plan: SlotPlan
  private readonly execution: ExecutionPlan
  private readonly share: SlotShare
  private readonly platform: Platform
  private readonly post: (mail: FromSlot) => void
  private readonly clock: SlotClock = { nowMs: 0 }
  private readonly meters = new Meters()
  private readonly chainTimes: ChainTimes
  private readonly backend: StateBackend
  private readonly operators: Operators
  private readonly exchange: SlotExchange
  /** Undefined: no state has a time to live. */
  private readonly expirySweep: ExpirySweep | undefined
  private readonly mails: ToSlot[] = []
  /** What is being aligned for; undefined in an alignment: the beginning. */
  private trigger: Trigger | undefined
  private alignedFromMs = 0
  private snapshot: SnapshotTask | undefined
  /** Sources that have ended as a whole, to be told once no alignment is under way. */
  private readonly ending: string[] = []
  private ended = 0
  private flushedMs = 0
  /** Until the alignment that a slot begins with is over; mails wait for it. */
  private opening = true
  private sourceTurn = 0
  private splitNumbers = NO_SPLIT + 1
  private reading = false
  private finishedPosted = false
  private failed = false
  private closed = false
  private times: SlotTimes = { busyMs: 0, idleMs: 0, backpressuredMs: 0 }
  private longestStepMs = 0
  private longestSnapshotStepMs = 0

  constructor(job: JobGraph, plan: SlotPlan, platform: Platform, post: (mail: FromSlot) => void) {
    this.plan = plan
    this.execution = planExecution(job, plan.parallelism, plan.maxParallelism)
    this.share = new SlotShare(plan, this.execution)
    this.platform = platform
    this.post = post
    this.clock.nowMs = platform.now()
    this.backend = openBackend(plan, platform, this.clock)
    const services: Services = {
      chain: { timestamp: NaN, split: NO_SPLIT },
      clock: this.clock,
      log: {
        info: message => post({ type: 'log', level: 'info', message }),
        warn: message => post({ type: 'log', level: 'warn', message }),
      },
      meters: this.meters,
    }
    const sourceHost: SourceHost = {
      nextSplitNumber: () => this.splitNumbers++,
      fail: error => this.fail(error),
      ended: source => this.sourceEnded(source),
    }
    this.chainTimes = new ChainTimes(this.execution, plan.slot, () => platform.monotonic())
    this.exchange = new SlotExchange({
      plan: this.execution,
      slot: plan.slot,
      memory: plan.exchange,
      chain: services.chain,
      chainTimes: this.chainTimes,
      wake: slot => platform.wakeSlot(slot),
      isWritable: node => this.operators.sinks.find(sink => sink.node.id === node)!.writable,
    })
    const contexts = new ConnectorContexts({
      job: plan.job,
      runId: plan.runId,
      platform,
      services,
      subtaskOf: node => this.share.subtaskOf(node),
      wakeAt: timeMs => {
        this.requestedWakeMs = Math.min(this.requestedWakeMs, timeMs)
      },
      post,
    })
    this.operators = buildOperators(this.execution, {
      slot: plan.slot,
      exchange: this.exchange,
      backend: this.backend,
      services,
      stateIds: plan.stateIds,
      sourceHost,
      sourceContext: operator => contexts.ofSource(operator),
      sinkContext: operator => contexts.ofSink(operator),
      keyGuard: operator => this.share.keyGuard(operator),
    })
    this.expirySweep = this.backend.hasTtl ? new ExpirySweep(this.backend) : undefined
  }

  // ----------------------------------------------------------------------------------------------------------- start

  /** Loads keyed state and operator state. Throws SNAPSHOT_DAMAGED when a segment does not hold. */
  async restore(): Promise<void> {
    const from = this.plan.restore
    if (from === undefined) return
    for (const operator of this.operators.keyed) operator.eventClock.advance(this.share.watermarkOf(operator.node))
    const [wanted, share] = this.share.keyedState()
    await restoreState(this.platform.store, this.backend, from.manifest, wanted, share, this.restoreReport())
    for (const operator of this.operators.processes) {
      const lists = this.share.listsOf(operator)
      if (lists !== undefined) operator.restore(lists, this.share.adapterOf(operator.node))
    }
    for (const operator of this.operators.broadcasts) {
      operator.restore(this.share.broadcastOf(operator), this.share.adapterOf(operator.node))
    }
    failpoint('restore.after-load')
  }

  private restoreReport(): (readBytes: number, totalBytes: number) => void {
    let dueMs = -Infinity
    return (readBytes, totalBytes) => {
      const nowMs = this.platform.monotonic()
      if (nowMs < dueMs) return
      dueMs = nowMs + RESTORE_REPORT_MS
      this.post({ type: 'restoring', readBytes, totalBytes })
    }
  }

  /** Opens sinks, then sources. The start is durable before this is called (DESIGN invariant 6). */
  async start(shares: SourceShares): Promise<void> {
    const { share } = this
    const { sources, sinks, eventTimes } = this.operators
    for (const sink of sinks) await sink.open(...share.ofSink(sink.node))
    for (const [index, source] of sources.entries()) {
      const { name } = source.node
      const active = await source.open(shares[name], ({ plan }, split) => share.highest(plan.id, `${name}:${split}`))
      if (active) this.sourceTurn = index
    }
    this.clock.nowMs = this.platform.now()
    for (const eventTime of eventTimes) eventTime.start(share.highest(eventTime.plan.id, SHARED_SPLIT))
    this.exchange.align(OPENING)
    this.chainTimes.start()
    this.reading = true
  }

  // ------------------------------------------------------------------------------------------------------------ step

  receive(mail: ToSlot): void {
    this.mails.push(mail)
    this.platform.wake()
  }

  /** A bounded piece of work. 'idle': nothing to do until `idleUntilMs` or a wake. */
  step(): 'progress' | 'idle' {
    if (this.failed || this.closed) return this.sleep(Infinity)
    const startMs = this.platform.monotonic()
    this.chainTimes.step(startMs)
    const inSnapshot = this.snapshot !== undefined
    try {
      return this.work(startMs)
    } catch (error) {
      this.fail(error)
      return this.sleep(Infinity)
    } finally {
      const tookMs = this.platform.monotonic() - startMs
      if (tookMs > this.longestStepMs) this.longestStepMs = tookMs
      if (inSnapshot && tookMs > this.longestSnapshotStepMs) this.longestSnapshotStepMs = tookMs
    }
  }

  private work(startedMs: number): 'progress' | 'idle' {
    const nowMs = (this.clock.nowMs = this.platform.now())
    if (this.requestedWakeMs <= nowMs) this.requestedWakeMs = Infinity
    if (this.hasMail) this.handleMails()
    if (this.flows) this.fireTimers()
    const received = this.exchange.read()
    this.deliver()
    const aligned = this.exchange.aligned()
    if (aligned) this.endAlignment()
    const read = this.flows ? this.read() : this.exchange.aligning && this.holdSources()
    for (const eventTime of this.operators.eventTimes) {
      if (eventTime.stepped(!this.flows || this.exchange.heldUp)) this.chainTimes.worked(eventTime.plan.node)
    }
    this.deliver()
    const snapshot = this.snapshot
    if (snapshot?.hasWork) {
      const atMs = this.platform.monotonic()
      const sliceEndMs = atMs + Math.min(SLICE_MAX_MS, Math.max(SLICE_MS, (atMs - startedMs) * SLICE_SHARE))
      snapshot.slice(() => this.platform.monotonic() >= sliceEndMs)
    } else if (this.flows) this.expirySweep?.step(nowMs)
    // What an alignment held back, timers and pages behind the barrier, is looked at in the next step.
    const progress = received || aligned || read || snapshot?.hasWork === true || this.hasMail
    this.flush(!progress)
    return progress ? 'progress' : this.sleep(this.dueMs())
  }

  /** Lets records that wait for their keys' state through: none may wait at a barrier, or from step to step. */
  private deliver(): void {
    for (const input of this.operators.prefetched) input.deliver()
  }

  /** Not in an alignment, nor behind a last barrier: nothing that is read or fires there would be committed. */
  private get flows(): boolean {
    return this.reading && !this.exchange.aligning
  }

  private get hasMail(): boolean {
    return this.mails.length > 0 && !this.opening
  }

  /** Pages that are not full go out before the slot sleeps, and when they have waited long enough. */
  private flush(sleeps: boolean): void {
    const nowMs = this.clock.nowMs
    if (!sleeps && nowMs - this.flushedMs < FLUSH_MS) return
    this.flushedMs = nowMs
    this.exchange.flush()
  }

  private sleep(untilMs: number): 'idle' {
    this.idleUntilMs = untilMs
    return 'idle'
  }

  private fireTimers(): void {
    const { nowMs } = this.clock
    for (const operator of this.operators.keyed) {
      if (operator.nextProcessingTimeMs > nowMs) continue
      const { id } = operator.node
      if (this.exchange.hasRoomAfter(id)) {
        operator.processingTime(nowMs)
        this.chainTimes.worked(id)
      } else this.chainTimes.held(id)
    }
  }

  /** When there is something to do that nothing wakes the slot for. What waits for room, or for an alignment, is woken. */
  private dueMs(): number {
    if (!this.flows) return Infinity
    let dueMs = Math.min(this.requestedWakeMs, this.expirySweep?.idleDueMs ?? Infinity)
    for (const operator of this.operators.keyed) {
      if (this.exchange.hasRoomAfter(operator.node.id)) dueMs = Math.min(dueMs, operator.nextProcessingTimeMs)
    }
    if (this.exchange.heldUp) return dueMs
    for (const eventTime of this.operators.eventTimes) {
      const { idleDueMs } = eventTime
      dueMs = Math.min(dueMs, idleDueMs > this.clock.nowMs ? idleDueMs : this.clock.nowMs + IDLE_LOOK_MS)
    }
    return dueMs
  }

  /** One block of the source whose turn it is; true if there may be more to read at once. */
  private read(): boolean {
    const { sources } = this.operators
    for (let tried = 0; tried < sources.length; tried++) {
      const source = sources[this.sourceTurn]
      if (!this.exchange.hasRoomAfter(source.node.id)) return this.holdSources()
      const result = source.read()
      this.chainTimes.worked(source.node.id)
      if (result === 'progress') return true
      if (result === 'waiting') return false
      this.sourceTurn = (this.sourceTurn + 1) % sources.length
      if (result === 'turn') return true
    }
    return false
  }

  /** Also those whose turn it is not: it does not come before the turn of the one that has no room. */
  private holdSources(): false {
    for (const source of this.operators.sources) if (!source.ended) this.chainTimes.held(source.node.id)
    return false
  }

  // ------------------------------------------------------------------------------------------------- ends of sources

  /** A subtask has read all its splits. The coordinator's side knows when all subtasks have, unless this is the only one. */
  private sourceEnded(source: SourceNode): boolean {
    const isOnly = this.execution.subtasks[source.id] === 1
    if (isOnly) this.countEnd()
    else this.post({ type: 'source-ended', source: source.name })
    return isOnly
  }

  private endSources(): void {
    for (const name of this.ending.splice(0)) {
      const source = this.operators.sources.find(({ node }) => node.name === name)
      if (source === undefined) continue
      this.end(source)
      this.countEnd()
    }
  }

  /** The final watermark fires what waits. */
  private end(source: SourceTask): void {
    this.chainTimes.passed()
    source.end()
    this.chainTimes.worked(source.node.id)
  }

  private countEnd(): void {
    this.ended++
    this.postFinished()
  }

  private postFinished(): void {
    if (this.finishedPosted || this.ended < this.operators.sources.length) return
    this.finishedPosted = true
    this.post({ type: 'finished' })
  }

  // ------------------------------------------------------------------------------------------------------ checkpoints

  private handleMails(): void {
    while (this.hasMail) this.handle(this.mails.shift()!)
    this.chainTimes.passed()
  }

  private handle(mail: ToSlot): void {
    switch (mail.type) {
      case 'trigger':
        return this.align(mail.trigger)
      case 'abort':
        return this.abort(mail.checkpointId)
      case 'complete':
        return this.complete(mail.checkpointId)
      case 'end-source':
        this.ending.push(mail.source)
        if (!this.exchange.aligning) this.endSources()
        return
      case 'splits':
        return this.operators.sources.find(({ node }) => node.name === mail.source)!.addSplits(mail.splits)
      default:
        unreachable(mail, 'mail')
    }
  }

  private align(trigger: Trigger): void {
    assert(this.snapshot === undefined && !this.exchange.aligning, 'one checkpoint at a time')
    // In every slot before its barrier, as when all sources have ended.
    if (trigger.drain) for (const source of this.operators.sources) this.end(source)
    this.trigger = trigger
    this.alignedFromMs = this.platform.monotonic()
    this.exchange.align(trigger.checkpointId)
  }

  /** Also of a checkpoint that this slot has not begun to align for, or is writing. */
  private abort(checkpointId: number): void {
    if (this.snapshot?.trigger.checkpointId === checkpointId) {
      void this.snapshot.abort()
      this.snapshot = undefined
    }
    this.exchange.release(checkpointId)
    this.trigger = undefined
    this.endSources()
  }

  private endAlignment(): void {
    const { trigger } = this
    this.trigger = undefined
    if (trigger !== undefined) this.freeze(trigger)
    else this.open()
    this.chainTimes.passed()
    if (trigger?.last !== true) this.endSources()
  }

  /** The beginning is over: restored watermarks are everywhere. A source that had ended says so again. */
  private open(): void {
    this.opening = false
    for (const source of this.operators.sources) {
      source.start()
      this.chainTimes.worked(source.node.id)
    }
    this.postFinished()
  }

  private freeze(trigger: Trigger): void {
    if (trigger.last) this.reading = false
    const { checkpointId } = trigger
    const part = capture(this.operators, this.sourceTurn, this.plan.slot)
    const alignmentMs = this.platform.monotonic() - this.alignedFromMs
    const prepared = Promise.all(this.operators.sinks.map(sink => sink.prepare(checkpointId, trigger.last)))
    // What a writer fails to prepare it may have lost: an attempt that goes on from the last checkpoint has it again.
    prepared.catch(error => this.fail(error))
    // The driver's reports are some time apart; what the run came to in the end must not be one behind.
    if (trigger.last) this.post({ type: 'progress', progress: this.progress() })
    const task = new SnapshotTask(trigger, this.backend, this.segmentTarget(), () => this.platform.wake())
    this.snapshot = task
    failpoint('checkpoint.after-freeze')
    Promise.all([task.written, prepared]).then(
      ([segment]) => {
        if (this.snapshot !== task) return
        this.snapshot = undefined
        this.post({
          type: 'acknowledged',
          checkpointId,
          part: { ...part, operators: this.withSinks(part.operators), segment, alignmentMs },
        })
      },
      error => {
        if (this.snapshot !== task) return
        void task.abort()
        this.snapshot = undefined
        this.post({ type: 'declined', checkpointId, error: carry(error) })
      },
    )
  }

  private withSinks(operators: SlotSnapshot['operators']): SlotSnapshot['operators'] {
    return [...operators, ...this.operators.sinks.map(sink => ({ name: sink.node.name, sink: sink.snapshot() }))]
  }

  private segmentTarget() {
    const { compression, dictionary, maxParallelism } = this.plan
    const { keyGroups } = this.share
    return { store: this.platform.store, compression, dictionary, maxParallelism, keyGroups }
  }

  private complete(checkpointId: number): void {
    this.backend.published(checkpointId)
    Promise.all(this.operators.sinks.map(sink => sink.commit(checkpointId))).then(
      () => this.post({ type: 'committed', checkpointId }),
      error => this.fail(error),
    )
  }

  // ------------------------------------------------------------------------------------------------------------- rest

  /** Whether it rests because what it writes to has no room. */
  get isBackpressured(): boolean {
    return this.exchange.heldUp
  }

  /** @param times as whoever drives it has measured them */
  progress(times: SlotTimes = this.times): SlotProgress {
    this.times = times
    const stateEntries = this.stateEntries()
    const progress: SlotProgress = {
      ...this.meters.read(),
      sources: this.operators.sources.map(source => source.progress()),
      entries: Object.values(stateEntries).reduce((sum, states) => sum + sumOf(Object.values(states)), 0),
      stateEntries,
      times,
      chains: this.chainTimes.read(),
      longestStepMs: this.longestStepMs,
      longestSnapshotStepMs: this.longestSnapshotStepMs,
    }
    this.longestStepMs = 0
    this.longestSnapshotStepMs = 0
    return progress
  }

  private stateEntries(): SlotProgress['stateEntries'] {
    const counts = this.backend.entryCounts()
    return Object.fromEntries(
      Object.entries(this.plan.stateIds).map(([operator, states]) => [
        operator,
        Object.fromEntries(Object.entries(states).map(([state, id]) => [state, counts.get(id) ?? 0])),
      ]),
    )
  }

  async close(): Promise<void> {
    this.closed = true
    const aborted = this.snapshot?.abort()
    this.snapshot = undefined
    await Promise.all([aborted, ...[...this.operators.sources, ...this.operators.sinks].map(task => task.close())])
    this.backend.close()
  }

  private fail(error: unknown): void {
    if (this.failed || this.closed) return
    this.failed = true
    const records = this.operators.sources.reduce((sum, source) => sum + source.records, 0)
    this.post({ type: 'failed', error: carry(error), records })
  }
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0)
}

function openBackend(
  { maxParallelism, parallelism, workingState }: SlotPlan,
  platform: Platform,
  clock: { readonly nowMs: number },
): StateBackend {
  if (workingState.backend === 'heap') return new HeapBackend(maxParallelism, clock)
  const store = platform.openDiskStore(workingState, parallelism)
  return new DiskBackend({ maxParallelism, clock, store, cacheBytes: workingState.cacheBytes })
}
