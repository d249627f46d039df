/**
 * A slot: subtask i of every operator, as a synchronous step machine. `step()` does a bounded piece of work: the mails, a block of
 * one source, due timers, a slice of the snapshot being written. Whoever drives it (a thread, the caller's event loop, a test)
 * calls it again and again and sleeps when it says so; nothing in here waits, except `restore` and `start` before the first step.
 *
 * Reading goes round the sources by turns, and the turns are part of the snapshot. A trigger is handled between two steps: every
 * source's position and every operator's state are taken before any further record (DESIGN invariant 1).
 *
 *   new -> restored -> running -> reading ended ('finished' is posted) or stopped by a last barrier -> closed
 */
import { assert, unreachable } from '../base/assert.ts'
import { isMillraceError, messageOf, MillraceError } from '../base/errors.ts'
import { failpoint } from '../base/failpoint.ts'
import type { Json } from '../base/json.ts'
import { ByteWriter, encodeValue, type KeyGroupRange } from '../codec/index.ts'
import type { ConnectorContext, SinkContext, SourceContext } from '../connectors/contract.ts'
import type { JobGraph } from '../graph/index.ts'
import type { CarriedCommittable, Manifest, OperatorSnapshot } from '../snapshot/manifest-types.ts'
import { shareOfLists, shareOfSink, shareOfSource, type Subtask } from '../snapshot/redistribute.ts'
import type { SegmentDictionary } from '../snapshot/segment-dictionary.ts'
import { HeapBackend, type StateBackend, type StateId } from '../state/index.ts'
import { buildOperators, type Operators } from './build.ts'
import { carry } from './carried-error.ts'
import { SHARED_SPLIT } from '../checkpoint/compose.ts'
import type { FromSlot, SlotProgress, SlotSnapshot, ToSlot, Trigger } from '../checkpoint/mail.ts'
import type { SourceHost } from './operators/source-task.ts'
import { NO_SPLIT, type EventTimeOperator } from './operators/event-time.ts'
import type { Platform } from './platform.ts'
import { restoreState } from './restore.ts'
import { Counters, type Services, type SlotClock } from './services.ts'
import { SnapshotTask } from './snapshot-task.ts'

/** What one slot of one attempt is made from. Plain data but for the job graph: it crosses threads. */
export interface SlotPlan {
  readonly job: string
  readonly runId: string
  /** Which of how many slots: it holds the subtasks of that index. */
  readonly slot: number
  readonly parallelism: number
  readonly maxParallelism: number
  /** All its keyed state lies in these key groups. */
  readonly keyGroups: KeyGroupRange
  readonly compression: 'zstd' | 'none'
  readonly stateIds: { readonly [operator: string]: { readonly [state: string]: StateId } }
  readonly dictionary: SegmentDictionary
  /** Undefined: a fresh start. */
  readonly restore: RestoreFrom | undefined
}

export interface RestoreFrom {
  readonly manifest: Manifest
  /** New operator name by the name in the manifest, for operators that were renamed. */
  readonly renamed: { readonly [operator: string]: string }
  /** Output of these runs up to these checkpoints is this attempt's past. */
  readonly past: readonly { readonly runId: string; readonly from: number; readonly through: number }[]
}

/** A slice of a snapshot within a step. */
const SLICE_MS = 1

export class Slot {
  /** When `step` returned 'idle': the time (epoch ms) to step again unless woken before. */
  idleUntilMs = Infinity
  private readonly plan: SlotPlan
  private readonly platform: Platform
  private readonly post: (mail: FromSlot) => void
  private readonly clock: SlotClock = { nowMs: 0 }
  private readonly counters = new Counters()
  private readonly backend: StateBackend
  private readonly operators: Operators
  private readonly mails: ToSlot[] = []
  private snapshot: SnapshotTask | undefined
  private sourceTurn = 0
  private splitNumbers = NO_SPLIT + 1
  private reading = false
  private finishedPosted = false
  private failed = false
  private closed = false
  private longestStepMs = 0
  private longestSnapshotStepMs = 0

  constructor(job: JobGraph, plan: SlotPlan, platform: Platform, post: (mail: FromSlot) => void) {
    this.plan = plan
    this.platform = platform
    this.post = post
    this.clock.nowMs = platform.now()
    this.backend = new HeapBackend(plan.maxParallelism, this.clock)
    const services: Services = {
      chain: { timestamp: NaN, split: NO_SPLIT },
      clock: this.clock,
      log: {
        info: message => post({ type: 'log', level: 'info', message }),
        warn: message => post({ type: 'log', level: 'warn', message }),
      },
      counters: this.counters,
    }
    const sourceHost: SourceHost = { nextSplitNumber: () => this.splitNumbers++, fail: error => this.fail(error) }
    this.operators = buildOperators(job, {
      backend: this.backend,
      services,
      stateIds: plan.stateIds,
      sourceHost,
      sourceContext: operator => this.sourceContext(operator, services),
      sinkContext: operator => this.sinkContext(operator, services),
    })
  }

  // ----------------------------------------------------------------------------------------------------------- start

  /** Loads keyed state and operator state. Throws SNAPSHOT_DAMAGED when a segment does not hold. */
  async restore(): Promise<void> {
    const from = this.plan.restore
    if (from === undefined) return
    const wanted = new Set(Object.values(this.plan.stateIds).flatMap(states => Object.values(states)))
    await restoreState(this.platform.store, this.backend, from.manifest, wanted)
    for (const operator of this.operators.processes) {
      const restored = this.restoredOperator(operator.name)
      if (restored !== undefined)
        operator.restore(shareOfLists(restored, this.subtask, state => operator.isUnion(state)))
    }
    failpoint('restore.after-load')
  }

  /** Opens sinks, then sources. The start is durable before this is called (DESIGN invariant 6). */
  async start(): Promise<void> {
    const { sources, sinks, eventTimes } = this.operators
    for (const sink of sinks) await this.openSink(sink)
    for (const [index, source] of sources.entries()) {
      const restored = this.restoredOperator(source.node.name)
      const share = restored && shareOfSource(restored, this.subtask)
      const active = await source.open(share, (eventTime, split) =>
        this.restoredHighest(eventTime, `${source.node.name}:${split}`),
      )
      if (active) this.sourceTurn = index
    }
    this.clock.nowMs = this.platform.now()
    for (const eventTime of eventTimes) eventTime.start(this.restoredHighest(eventTime, SHARED_SPLIT))
    for (const source of sources) source.start()
    this.reading = true
  }

  private async openSink(sink: Operators['sinks'][number]): Promise<void> {
    const restored = this.restoredOperator(sink.node.name)
    const share = restored && shareOfSink(restored, this.subtask)
    const past = this.plan.restore?.past ?? []
    await sink.open(
      {
        checkpointId: this.plan.restore?.manifest.id,
        states: share?.states ?? [],
        committables: valuesOf(share?.committables),
        all: {
          states: restored?.sink?.states.filter(state => state !== null) ?? [],
          committables: valuesOf(restored?.sink?.committables),
        },
        isAncestor: (runId, checkpoint) =>
          past.some(span => span.runId === runId && checkpoint >= span.from && checkpoint <= span.through),
      },
      share?.committables ?? [],
    )
  }

  /** Of every operator. */
  private get subtask(): Subtask {
    return { subtask: this.plan.slot, parallelism: this.plan.parallelism }
  }

  private restoredOperator(name: string): OperatorSnapshot | undefined {
    const from = this.plan.restore
    return from?.manifest.operators.find(operator => (from.renamed[operator.name] ?? operator.name) === name)
  }

  private restoredHighest(eventTime: EventTimeOperator, split: string): number | undefined {
    return this.plan.restore?.manifest.watermarks[eventTime.plan.id]?.[split] ?? undefined
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
    const inSnapshot = this.snapshot !== undefined
    try {
      return this.work()
    } catch (error) {
      this.fail(error)
      return this.sleep(Infinity)
    } finally {
      const tookMs = this.platform.monotonic() - startMs
      if (tookMs > this.longestStepMs) this.longestStepMs = tookMs
      if (inSnapshot && tookMs > this.longestSnapshotStepMs) this.longestSnapshotStepMs = tookMs
    }
  }

  private work(): 'progress' | 'idle' {
    this.clock.nowMs = this.platform.now()
    while (this.mails.length > 0) this.handle(this.mails.shift()!)
    const timersDueMs = this.fireTimers()
    const read = this.reading && this.read()
    const snapshot = this.snapshot
    if (snapshot?.hasWork) {
      const sliceEndMs = this.platform.monotonic() + SLICE_MS
      snapshot.slice(() => this.platform.monotonic() >= sliceEndMs)
    }
    if (read || snapshot?.hasWork || this.mails.length > 0) return 'progress'
    return this.sleep(Math.min(timersDueMs, this.requestedWakeMs))
  }

  private requestedWakeMs = Infinity

  private sleep(untilMs: number): 'idle' {
    this.idleUntilMs = untilMs
    return 'idle'
  }

  private fireTimers(): number {
    let dueMs = Infinity
    const nowMs = this.clock.nowMs
    for (const operator of this.operators.keyed) dueMs = Math.min(dueMs, operator.processingTime(nowMs))
    for (const eventTime of this.operators.eventTimes) dueMs = Math.min(dueMs, eventTime.checkIdle(nowMs))
    if (this.requestedWakeMs <= nowMs) this.requestedWakeMs = Infinity
    return dueMs
  }

  /** One block of the source whose turn it is; true if there may be more to read at once. */
  private read(): boolean {
    const { sources, sinks } = this.operators
    for (const sink of sinks) if (!sink.writable) return false
    for (let tried = 0; tried < sources.length; tried++) {
      const source = sources[this.sourceTurn]
      const result = source.read()
      if (result === 'progress') return true
      if (result === 'waiting') return false
      this.sourceTurn = (this.sourceTurn + 1) % sources.length
      if (result === 'turn') return true
    }
    if (!this.finishedPosted && sources.every(source => source.ended)) {
      this.finishedPosted = true
      this.post({ type: 'finished' })
    }
    return false
  }

  // ------------------------------------------------------------------------------------------------------ checkpoints

  private handle(mail: ToSlot): void {
    switch (mail.type) {
      case 'trigger':
        return this.trigger(mail.trigger)
      case 'abort':
        if (this.snapshot?.trigger.checkpointId !== mail.checkpointId) return
        void this.snapshot.abort()
        this.snapshot = undefined
        return
      case 'complete':
        return this.complete(mail.checkpointId)
      default:
        unreachable(mail, 'mail')
    }
  }

  private trigger(trigger: Trigger): void {
    assert(this.snapshot === undefined, 'one checkpoint at a time')
    if (trigger.last) {
      this.reading = false
      // The driver's reports are some time apart; what the run came to in the end must not be one behind.
      this.post({ type: 'progress', progress: this.progress() })
    }
    const { checkpointId } = trigger
    const part = this.capture()
    const prepared = this.operators.sinks.map(sink => sink.prepare(checkpointId, trigger.last))
    const task = new SnapshotTask(trigger, this.backend, this.segmentTarget(), () => this.platform.wake())
    this.snapshot = task
    failpoint('checkpoint.after-freeze')
    Promise.all([task.written, ...prepared]).then(
      ([segment]) => {
        if (this.snapshot !== task) return
        this.snapshot = undefined
        this.post({
          type: 'acknowledged',
          checkpointId,
          part: { ...part, operators: this.withSinks(part.operators), segment },
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

  /** Everything but sinks and keyed state, at the barrier. */
  private capture(): Omit<SlotSnapshot, 'segment'> {
    const { sources, processes, eventTimes } = this.operators
    const operators: SlotSnapshot['operators'][number][] = []
    for (const [index, source] of sources.entries()) {
      operators.push({ name: source.node.name, source: source.snapshot(index === this.sourceTurn) })
    }
    for (const operator of processes) {
      operators.push({ name: operator.name, operatorState: operator.snapshot() })
    }
    const watermarks: { [id: string]: { [split: string]: number | null } } = {}
    for (const eventTime of eventTimes) {
      const splits = sources
        .filter(source => source.eventTimes.includes(eventTime))
        .flatMap(source => source.watermarks(eventTime))
      const shared = eventTime.sharedHighest()
      if (shared !== undefined) splits.push({ split: SHARED_SPLIT, highest: shared })
      watermarks[eventTime.plan.id] = Object.fromEntries(splits.map(({ split, highest }) => [split, highest]))
    }
    return { operators, watermarks }
  }

  private withSinks(operators: SlotSnapshot['operators']): SlotSnapshot['operators'] {
    return [...operators, ...this.operators.sinks.map(sink => ({ name: sink.node.name, sink: sink.snapshot() }))]
  }

  private segmentTarget() {
    const { compression, dictionary, maxParallelism, keyGroups } = this.plan
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

  progress(): SlotProgress {
    const progress: SlotProgress = {
      sources: this.operators.sources.map(source => source.progress()),
      entries: this.backend.entryCount(),
      counters: this.counters.read(),
      longestStepMs: this.longestStepMs,
      longestSnapshotStepMs: this.longestSnapshotStepMs,
    }
    this.longestStepMs = 0
    this.longestSnapshotStepMs = 0
    return progress
  }

  async close(): Promise<void> {
    this.closed = true
    const aborted = this.snapshot?.abort()
    this.snapshot = undefined
    await Promise.all([aborted, ...[...this.operators.sources, ...this.operators.sinks].map(task => task.close())])
  }

  private fail(error: unknown): void {
    if (this.failed || this.closed) return
    this.failed = true
    const records = this.operators.sources.reduce((sum, source) => sum + source.records, 0)
    const named = isMillraceError(error) ? error : new MillraceError('INTERNAL', messageOf(error), { cause: error })
    this.post({ type: 'failed', error: carry(named), records })
  }

  private connectorContext(operator: string, services: Services): ConnectorContext {
    return {
      job: this.plan.job,
      operator,
      subtask: 0,
      parallelism: 1,
      now: () => this.platform.now(),
      count: (name, by) => services.counters.counter(operator, name).add(by),
      log: services.log,
    }
  }

  private sourceContext(operator: string, services: Services): SourceContext {
    return {
      ...this.connectorContext(operator, services),
      wake: () => this.platform.wake(),
      wakeAt: timeMs => {
        this.requestedWakeMs = Math.min(this.requestedWakeMs, timeMs)
      },
    }
  }

  private sinkContext(operator: string, services: Services): SinkContext {
    return {
      ...this.connectorContext(operator, services),
      runId: this.plan.runId,
      wake: () => this.platform.wake(),
      deliver: (committable, rows) => {
        const out = new ByteWriter()
        encodeValue(rows, out)
        this.post({ type: 'rows', sink: operator, committable, rows: out.copy() })
      },
    }
  }
}

function valuesOf(committables: readonly CarriedCommittable[] = []): Json[] {
  return committables.map(({ value }) => value)
}
