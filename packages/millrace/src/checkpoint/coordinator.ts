/**
 * Acts on the checkpoint protocol: triggers slots, publishes manifests, tells slots to commit, and afterwards merges segments and
 * clears what nobody needs any more.
 *
 * Each slot writes a segment of its own. A checkpoint is acknowledged when all slots have done so, and one that declines ends it for
 * all of them.
 *
 * A **savepoint** is a checkpoint pinned: once that one is complete, a second manifest names the same segments under an id and name of its
 * own. It comes before whatever is cleared up or published after the checkpoint, so its segments are there. Nothing of the job depends on
 * it: the checkpoint beside it carries the base of the next delta and what is to be committed, so whoever owns the savepoint may delete it.
 *
 * The commit point of a checkpoint is its manifest. After it was published the lock is confirmed once more, and only then is
 * anything committed: a process that was fenced meanwhile has published a stray manifest, which is in nobody's past, and stops
 * (DESIGN invariant 7; ARCHITECTURE.md, "Fencing").
 */
import { assert } from '../base/assert.ts'
import { isMillraceError, messageOf, MillraceError } from '../base/errors.ts'
import { failpoint } from '../base/failpoint.ts'
import { encodeManifest } from '../snapshot/manifest.ts'
import type { Manifest, SegmentRef } from '../snapshot/manifest-types.ts'
import { manifestName, segmentName } from '../snapshot/object-names.ts'
import { isRewriteBetter, MAX_LAYERS } from '../snapshot/merge-policy.ts'
import { layersOf } from '../snapshot/segment-layers.ts'
import type { SegmentNumbers } from './segment-numbers.ts'
import { composeOperators, composeWatermarks, type OperatorHead } from './compose.ts'
import { RollCall } from './roll-call.ts'
import { SegmentMerger } from './segment-merger.ts'
import type { SnapshotStore } from '../store/contract.ts'
import type { FromSlot, SlotSnapshot, ToSlot, Trigger } from './mail.ts'
import {
  nextTickMs,
  startProtocol,
  transition,
  type Pending,
  type ProtocolAction,
  type ProtocolEvent,
  type ProtocolOptions,
  type ProtocolState,
  type RequestReason,
} from './protocol.ts'

/** What a manifest says of the run, the same in all of them. */
export type ManifestHead = Pick<
  Manifest,
  'job' | 'run' | 'runId' | 'lineage' | 'token' | 'millrace' | 'parallelism' | 'maxParallelism' | 'nextStateId'
> & {
  readonly operators: readonly OperatorHead[]
}

export interface CoordinatorOptions {
  readonly protocol: ProtocolOptions
  readonly slots: number
  readonly compression: 'zstd' | 'none'
  readonly head: ManifestHead
  /** The snapshot that slots were restored from. */
  readonly restored: Manifest | undefined
  /** The first checkpoint holds everything: its delta could not be told from what the restored one holds. */
  readonly fullFirst: boolean
  readonly firstCheckpointId: number
  /** When the next periodic savepoint is due; Infinity: never. */
  readonly savepointDueMs: number
}

/** The outside world. */
export interface CoordinatorWorld {
  readonly store: SnapshotStore
  readonly segments: SegmentNumbers
  now(): number
  /** Calls back after `delayMs`; the result cancels it. */
  schedule(delayMs: number, callback: () => void): () => void
  /** Throws FENCED unless this process still owns the job. */
  confirm(): Promise<void>
  send(slot: number, mail: ToSlot): void
  /** Ends the attempt. */
  fail(error: MillraceError): void
  /** Something happened to a checkpoint. */
  report(outcome: CheckpointOutcome): void
  /** A savepoint was made, or could not be made of a complete checkpoint. */
  reportSavepoint(outcome: SavepointOutcome): void
  /** A checkpoint is complete: older ones may go. Called one at a time. */
  collectGarbage(current: Manifest): Promise<void>
  /** Lets the event loop run. */
  yield(): Promise<void>
}

export interface CheckpointOutcome {
  readonly id: number
  readonly trigger: Pending['reason']
  readonly outcome: 'complete' | 'declined' | 'expired' | 'publish-failed'
  readonly startedAtMs: number
  readonly durationMs: number
  /** Bytes that this checkpoint wrote, and of all segments it names. */
  readonly newBytes: number
  readonly totalBytes: number
  /** The longest that a slot had to wait for the barrier on all its channels; 0 unless complete. */
  readonly alignmentMs: number
  readonly error: string | undefined
}

/** A checkpoint on its way. */
export interface PendingCheckpoint {
  readonly id: number
  readonly startedAtMs: number
  /** How many of the slots have written their part. */
  readonly acknowledgedSlots: number
  readonly slots: number
}

export interface SavepointOutcome {
  readonly id: number
  /** What it pins. */
  readonly checkpointId: number
  /** 'interval': a periodic one. */
  readonly trigger: Pending['reason']
  readonly label: string | undefined
  readonly atMs: number
  /** Beyond the checkpoint. */
  readonly pinMs: number
  readonly totalBytes: number
  readonly error: string | undefined
}

export interface CheckpointRequest {
  /** The final watermark comes first. Only for what ends reading. */
  readonly drain?: boolean
  /** Pin it. */
  readonly savepoint?: { readonly label: string | undefined }
}

export interface Completed {
  readonly checkpointId: number
  /** If one was asked for. */
  readonly savepoint: Manifest | undefined
}

interface Waiter {
  readonly fromId: number
  readonly reason: RequestReason
  readonly savepoint: CheckpointRequest['savepoint']
  resolve(done: Completed | Promise<Completed>): void
  reject(error: unknown): void
}

/** Whose checkpoint is complete, but not yet committed. */
interface Committing {
  readonly waiter: Waiter
  readonly done: Promise<Completed>
}

type PinFacts = Pick<Manifest, 'id' | 'trigger'> & { readonly label: string | undefined }

export class CheckpointCoordinator {
  private readonly options: CoordinatorOptions
  private readonly world: CoordinatorWorld
  private state: ProtocolState
  private current: Manifest | undefined
  /** Of the pending checkpoint, or the one before. */
  private parts: RollCall<SlotSnapshot> | undefined
  private lastError: MillraceError | undefined
  /** The store takes no more writes from this process, so no later checkpoint could succeed. */
  private poison: MillraceError | undefined
  private cancelTimer: () => void = () => undefined
  private waiters: Waiter[] = []
  /** Of a last checkpoint that is complete. */
  private commits: { readonly call: RollCall<true>; readonly waiters: Committing[] } | undefined
  /** The segments of the pending checkpoint. */
  private writing: readonly string[] = []
  private background: Promise<void> = Promise.resolve()
  private readonly merger: SegmentMerger
  private closed = false

  constructor(options: CoordinatorOptions, world: CoordinatorWorld) {
    this.options = options
    this.world = world
    this.current = options.restored
    this.merger = new SegmentMerger({
      store: world.store,
      segments: world.segments,
      token: options.head.token,
      compression: options.compression,
      states: options.head.operators.flatMap(operator => operator.states),
      now: () => world.now(),
      yield: () => world.yield(),
    })
    const baseId = options.fullFirst || !options.protocol.incremental ? undefined : options.restored?.id
    const { protocol, firstCheckpointId, savepointDueMs } = options
    this.state = startProtocol(protocol, firstCheckpointId, baseId, world.now(), savepointDueMs)
  }

  /** A list that is full already is merged before the first checkpoint adds to it: there may be no second one. */
  start(): void {
    if (this.current !== undefined && this.state.baseId !== undefined) this.merger.begin(this.current)
    this.arm()
  }

  /** The newest snapshot that this attempt has published or was restored from; 0: none. Of one that is being ended, after `close`. */
  get publishedId(): number {
    return this.current?.id ?? 0
  }

  get pending(): PendingCheckpoint | undefined {
    const { pending } = this.state
    if (pending === undefined) return undefined
    const { id, startedAtMs } = pending
    return { id, startedAtMs, acknowledgedSlots: this.parts!.given().length, slots: this.options.slots }
  }

  /**
   * A checkpoint now. Resolves once it is complete, and pinned if that was asked for; for all reasons but 'user' once its output is
   * committed too.
   */
  async request(reason: RequestReason, { drain = false, savepoint }: CheckpointRequest = {}): Promise<Completed> {
    if (this.closed || this.state.closed)
      throw new MillraceError('JOB_NOT_RUNNING', 'the job is ending; no further checkpoint is taken')
    const fromId = this.state.nextId
    return new Promise<Completed>((resolve, reject) => {
      this.waiters.push({ fromId, reason, savepoint, resolve, reject })
      this.apply({ type: 'request', reason, drain, savepoint: savepoint !== undefined, nowMs: this.world.now() })
    })
  }

  receive(slot: number, mail: FromSlot): void {
    const nowMs = this.world.now()
    if (mail.type === 'acknowledged') {
      if (this.parts?.answer(slot, mail.checkpointId, mail.part) === true)
        this.apply({ type: 'acknowledged', id: mail.checkpointId, nowMs })
    } else if (mail.type === 'declined') {
      // Of several slots that decline, the first one says why.
      if (mail.checkpointId !== this.state.pending?.id) return
      this.lastError = new MillraceError('CHECKPOINT_FAILED', mail.error.message, {
        context: { code: mail.error.code },
      })
      if (mail.error.code === 'STORE_POISONED') this.poison = new MillraceError('STORE_POISONED', mail.error.message)
      this.apply({ type: 'declined', id: mail.checkpointId, nowMs })
    } else if (mail.type === 'committed') {
      const { commits } = this
      if (commits?.call.answer(slot, mail.checkpointId, true) !== true) return
      this.commits = undefined
      for (const { waiter, done } of commits.waiters) waiter.resolve(done)
    }
  }

  /** Ends it: nothing is triggered any more, and merges stop. Waits until nothing is written any more, which a sweep could not see. */
  async close(why: MillraceError = new MillraceError('JOB_NOT_RUNNING', 'the job has ended')): Promise<void> {
    this.closed = true
    this.cancelTimer()
    const committing = this.commits?.waiters.map(({ waiter }) => waiter) ?? []
    for (const waiter of [...this.waiters, ...committing]) waiter.reject(why)
    this.waiters = []
    this.commits = undefined
    await this.merger.close()
    await this.background
  }

  // -------------------------------------------------------------------------------------------------------- protocol

  private apply(event: ProtocolEvent): void {
    if (this.closed) return
    const { state, actions } = transition(this.state, event)
    const before = this.state
    this.state = state
    for (const action of actions) this.act(action, before)
    this.arm()
  }

  private arm(): void {
    this.cancelTimer()
    const atMs = nextTickMs(this.state)
    if (atMs === Infinity || this.closed) return
    const delayMs = Math.max(0, atMs - this.world.now())
    this.cancelTimer = this.world.schedule(delayMs, () => this.apply({ type: 'tick', nowMs: this.world.now() }))
  }

  private act(action: ProtocolAction, before: ProtocolState): void {
    switch (action.type) {
      case 'trigger': {
        const { pending, baseId } = action
        const { id: checkpointId, full, last, drain } = pending
        this.trigger({ checkpointId, baseCheckpointId: baseId, full, last, drain })
        failpoint('checkpoint.after-trigger')
        return
      }
      case 'abort':
        this.sendAll({ type: 'abort', checkpointId: action.id })
        return this.aborted(action.id, action.why, before)
      case 'publish':
        failpoint('checkpoint.after-acknowledge')
        this.background = this.background.then(() => this.publish(action.pending))
        return
      case 'complete':
        return this.complete(action.pending)
      case 'give-up': {
        const what =
          action.why === 'last-failed' ? 'the final checkpoint failed' : 'too many checkpoints in a row failed'
        const cause = this.lastError
        return this.world.fail(
          new MillraceError('CHECKPOINT_FAILED', cause === undefined ? what : `${what}: ${cause.message}`, { cause }),
        )
      }
    }
  }

  /** Each slot has a segment of its own to write. */
  private trigger(trigger: Omit<Trigger, 'segment'>): void {
    const { slots, head } = this.options
    const segments = Array.from({ length: slots }, () => {
      const id = this.world.segments.take()
      return { file: segmentName(head.token, id), id }
    })
    this.writing = segments.map(({ file }) => file)
    for (const file of this.writing) this.world.segments.hold(file)
    this.parts = new RollCall(trigger.checkpointId, slots)
    for (const [slot, segment] of segments.entries())
      this.world.send(slot, { type: 'trigger', trigger: { ...trigger, segment } })
  }

  private sendAll(mail: ToSlot): void {
    for (let slot = 0; slot < this.options.slots; slot++) this.world.send(slot, mail)
  }

  private aborted(id: number, why: 'declined' | 'expired' | 'publish-failed', before: ProtocolState): void {
    const timeoutMs = this.options.protocol.timeoutMs
    if (why === 'expired')
      this.lastError = new MillraceError('CHECKPOINT_EXPIRED', `checkpoint ${id} took longer than ${timeoutMs} ms`)
    const error = this.lastError ?? new MillraceError('CHECKPOINT_FAILED', `checkpoint ${id} failed`)
    this.settle(id, waiter => waiter.reject(error))
    this.world.segments.release(this.writing)
    this.report(before.pending!, why, 0, error.message)
    if (this.poison !== undefined) this.world.fail(this.poison)
  }

  private complete(pending: Pending): void {
    const manifest = this.current
    assert(manifest?.id === pending.id, 'a complete checkpoint is the current one')
    this.report(
      pending,
      'complete',
      sizeOf(manifest.segments.filter(segment => segment.checkpoint === pending.id)),
      undefined,
    )
    if (pending.last) this.commits = { call: new RollCall(pending.id, this.options.slots), waiters: [] }
    const ids = pending.savepointIds.values()
    this.settle(pending.id, waiter => {
      const done = this.completed(manifest, waiter, ids)
      if (waiter.reason === 'user') waiter.resolve(done)
      else this.commits!.waiters.push({ waiter, done })
    })
    const { periodicSavepointId } = pending
    // That it could not be made is reported; the job is well.
    if (periodicSavepointId !== undefined)
      this.pin(manifest, { id: periodicSavepointId, trigger: 'interval', label: undefined }).catch(() => undefined)
    failpoint('checkpoint.before-notify')
    this.sendAll({ type: 'complete', checkpointId: pending.id })
    if (!pending.last) this.tidy(manifest)
  }

  /** `ids`: for savepoints of the checkpoint, in the order in which they were asked for. */
  private completed(manifest: Manifest, { reason, savepoint }: Waiter, ids: Iterator<number>): Promise<Completed> {
    const checkpointId = manifest.id
    if (savepoint === undefined) return Promise.resolve({ checkpointId, savepoint: undefined })
    const { value: id } = ids.next()
    assert(id !== undefined, 'a checkpoint has ids for all savepoints that are made of it')
    const pinned = this.pin(manifest, { id, trigger: reason, label: savepoint.label })
    const done = pinned.then(pin => ({ checkpointId, savepoint: pin }))
    // Nobody may wait for it any more.
    done.catch(() => undefined)
    return done
  }

  private settle(id: number, how: (waiter: Waiter) => void): void {
    for (const waiter of this.waiters) if (waiter.fromId <= id) how(waiter)
    this.waiters = this.waiters.filter(waiter => waiter.fromId > id)
  }

  private report(
    pending: Pending,
    outcome: CheckpointOutcome['outcome'],
    newBytes: number,
    error: string | undefined,
  ): void {
    const totalBytes = outcome === 'complete' ? sizeOf(this.current!.segments) : 0
    const { id, reason: trigger, startedAtMs } = pending
    this.world.report({
      id,
      trigger,
      outcome,
      startedAtMs,
      durationMs: this.world.now() - startedAtMs,
      newBytes,
      totalBytes,
      alignmentMs: outcome === 'complete' ? Math.max(...this.parts!.given().map(part => part.alignmentMs)) : 0,
      error,
    })
  }

  // ------------------------------------------------------------------------------------------------------- savepoints

  /** Behind whatever is published or cleared up already, and before all that comes later. */
  private pin(checkpoint: Manifest, facts: PinFacts): Promise<Manifest> {
    const pinned = this.background.then(() => this.publishPin(checkpoint, facts))
    this.background = pinned.then(
      () => undefined,
      () => undefined,
    )
    return pinned
  }

  private async publishPin(checkpoint: Manifest, { id, trigger, label }: PinFacts): Promise<Manifest> {
    const startedMs = this.world.now()
    const savepoint: Manifest = {
      ...checkpoint,
      id,
      kind: 'savepoint',
      createdAtMs: startedMs,
      trigger,
      ...(label !== undefined && { label }),
    }
    const report = (error: string | undefined): void =>
      this.world.reportSavepoint({
        id,
        checkpointId: checkpoint.id,
        trigger,
        label,
        atMs: startedMs,
        pinMs: this.world.now() - startedMs,
        totalBytes: sizeOf(savepoint.segments),
        error,
      })
    try {
      failpoint('savepoint.before-publish')
      const outcome = await this.publishOrReread(this.world.store, manifestName(savepoint), encodeManifest(savepoint))
      if (outcome !== 'created') throw this.notPublished(`savepoint ${id}`, outcome)
      failpoint('savepoint.before-confirm')
      await this.world.confirm()
    } catch (error) {
      report(messageOf(error))
      if (isMillraceError(error, 'FENCED')) this.world.fail(error)
      else if (this.poison !== undefined) this.world.fail(this.poison)
      throw error
    }
    report(undefined)
    return savepoint
  }

  // --------------------------------------------------------------------------------------------------------- publish

  private async publish(pending: Pending): Promise<void> {
    const { store } = this.world
    // A full list waits for the merge that shortens it: restore reads all segments at once.
    if (layersOf(this.current?.segments ?? []).length >= MAX_LAYERS) await this.merger.idle()
    const manifest = this.compose(pending, this.parts!.given())
    const name = manifestName({ kind: 'checkpoint', id: pending.id })
    try {
      const outcome = await this.publishOrReread(store, name, encodeManifest(manifest))
      if (outcome !== 'created') {
        this.lastError = this.notPublished(`checkpoint ${pending.id}`, outcome)
        await this.world.confirm()
        return this.apply({ type: 'publish-failed', id: pending.id, nowMs: this.world.now() })
      }
      failpoint('checkpoint.before-confirm')
      await this.world.confirm()
    } catch (error) {
      // The manifest may exist, or the job has another owner: this attempt cannot go on (DESIGN invariant 2).
      return this.world.fail(
        isMillraceError(error) ? error : new MillraceError('STORE_FAILED', messageOf(error), { cause: error }),
      )
    }
    this.current = manifest
    this.world.segments.release(this.writing)
    this.merger.published(manifest)
    this.apply({
      type: 'published',
      id: pending.id,
      rewrite: isRewriteBetter(manifest.segments),
      nowMs: this.world.now(),
    })
  }

  /** A publish whose reply was lost may have succeeded: what is there decides. */
  private async publishOrReread(
    store: SnapshotStore,
    name: string,
    bytes: Uint8Array,
  ): Promise<'created' | 'exists' | 'missing'> {
    try {
      if ((await store.publish(name, bytes)) === 'created') return 'created'
    } catch (error) {
      this.lastError = isMillraceError(error)
        ? error
        : new MillraceError('STORE_FAILED', messageOf(error), { cause: error })
      if (isMillraceError(error, 'STORE_POISONED')) this.poison = error
    }
    try {
      return Buffer.compare(await store.read(name), bytes) === 0 ? 'created' : 'exists'
    } catch (error) {
      if (isMillraceError(error, 'OBJECT_MISSING')) return 'missing'
      throw error
    }
  }

  private notPublished(what: string, outcome: 'exists' | 'missing'): MillraceError {
    const why =
      outcome === 'exists'
        ? 'its manifest exists already, written by another process'
        : 'its manifest could not be written'
    return new MillraceError('STORE_FAILED', `${what}: ${why}`, { cause: this.lastError })
  }

  private compose(pending: Pending, parts: readonly SlotSnapshot[]): Manifest {
    const { head } = this.options
    const nowMs = this.world.now()
    return {
      format: 'millrace-manifest',
      version: 1,
      id: pending.id,
      kind: 'checkpoint',
      ...head,
      createdAtMs: nowMs,
      durationMs: nowMs - pending.startedAtMs,
      trigger: pending.reason,
      hashVersion: 1,
      operators: composeOperators(head.operators, parts),
      segments: this.segmentsWith(
        parts.flatMap(({ segment }) => segment ?? []),
        pending.full,
      ),
      watermarks: composeWatermarks(parts),
    }
  }

  /** A full snapshot leaves nothing of what was before, even if it has no entries. */
  private segmentsWith(layer: readonly SegmentRef[], full: boolean): readonly SegmentRef[] {
    if (full) return layer
    return [...layer, ...this.merger.replaceIn(this.current?.segments ?? [])]
  }

  /** After a checkpoint: older ones may go, and segments are merged, both behind whatever is published next. */
  private tidy(manifest: Manifest): void {
    this.background = this.background.then(async () => {
      try {
        if (!this.closed) await this.world.collectGarbage(manifest)
      } catch (error) {
        if (isMillraceError(error, 'FENCED')) return this.world.fail(error)
        // Garbage stays until next time.
        this.lastError = isMillraceError(error) ? error : this.lastError
      }
      if (!isRewriteBetter(manifest.segments)) this.merger.begin(manifest)
    })
  }
}

function sizeOf(segments: readonly SegmentRef[]): number {
  return segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}
