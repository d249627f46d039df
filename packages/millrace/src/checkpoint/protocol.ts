/**
 * The life of checkpoints as a pure state machine: (state, event) -> (state, actions). It owns when to trigger, ids, bases, time-outs
 * and tolerated failures; it knows no clock, no store and no slot.
 *
 *   idle --trigger--> writing --acknowledged--> publishing --published--> idle (complete)
 *                        |  declined, expired       | publish failed
 *                        +----> idle (failed) <-----+
 *
 * A checkpoint that savepoints are to be made of takes ids for them too, right behind its own: a savepoint is then older than whatever
 * is made after it, however late it is published. Periodic ones are made of the first checkpoint after their time; a failed one is tried
 * again with the next checkpoint.
 *
 * One checkpoint at a time. While it is publishing it can be neither aborted nor expire: its manifest may exist (DESIGN
 * invariant 2). A delta's base is the last published checkpoint, whatever failed since (invariant 3).
 */
import { unreachable } from '../base/assert.ts'

export type TriggerReason = 'interval' | RequestReason
/** All but 'user' end reading: no record follows their barrier. */
export type RequestReason = 'user' | 'stop' | 'finish' | 'rescale'

export interface ProtocolOptions {
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly minPauseMs: number
  readonly tolerableFailures: number
  readonly incremental: boolean
  /** From one periodic savepoint to the next; undefined: none are made. */
  readonly savepointEveryMs: number | undefined
}

export interface Pending {
  readonly id: number
  readonly reason: TriggerReason
  /** No record follows its barrier. */
  readonly last: boolean
  /** The final watermark comes before it. */
  readonly drain: boolean
  /** It holds everything, not only what has changed since the base. */
  readonly full: boolean
  /** Of the savepoints to be made of it: those that were asked for, in that order, and the periodic one. */
  readonly savepointIds: readonly number[]
  readonly periodicSavepointId: number | undefined
  readonly startedAtMs: number
  readonly phase: 'writing' | 'publishing'
}

export interface ProtocolState {
  readonly options: ProtocolOptions
  readonly nextId: number
  /** The last published checkpoint that a delta may build on; undefined: the next one is a base. */
  readonly baseId: number | undefined
  /** The next one holds everything, by choice. */
  readonly rewrite: boolean
  readonly pending: Pending | undefined
  /** Asked for while one was pending. */
  readonly wanted: Wish | undefined
  readonly failuresInRow: number
  readonly lastTriggerAtMs: number
  readonly lastEndAtMs: number
  /** When the next periodic savepoint is due; Infinity: never. */
  readonly savepointDueMs: number
  /** A last checkpoint was triggered: none follows. */
  readonly closed: boolean
}

interface Wish {
  readonly reason: TriggerReason
  readonly last: boolean
  readonly drain: boolean
  readonly savepoints: number
}

export type ProtocolEvent =
  | { readonly type: 'tick'; readonly nowMs: number }
  /** `drain` is for those that end reading. */
  | {
      readonly type: 'request'
      readonly reason: RequestReason
      readonly nowMs: number
      readonly drain?: boolean
      readonly savepoint?: boolean
    }
  | { readonly type: 'acknowledged'; readonly id: number; readonly nowMs: number }
  | { readonly type: 'declined'; readonly id: number; readonly nowMs: number }
  /** `rewrite`: the next one had better hold everything. */
  | { readonly type: 'published'; readonly id: number; readonly rewrite: boolean; readonly nowMs: number }
  /** The manifest is known not to exist; its id is used up all the same. */
  | { readonly type: 'publish-failed'; readonly id: number; readonly nowMs: number }

export type ProtocolAction =
  | { readonly type: 'trigger'; readonly pending: Pending; readonly baseId: number | undefined }
  | { readonly type: 'abort'; readonly id: number; readonly why: 'expired' | 'declined' | 'publish-failed' }
  | { readonly type: 'publish'; readonly pending: Pending }
  | { readonly type: 'complete'; readonly pending: Pending }
  | { readonly type: 'give-up'; readonly why: 'too-many-failures' | 'last-failed' }

export interface Transition {
  readonly state: ProtocolState
  readonly actions: readonly ProtocolAction[]
}

export function startProtocol(
  options: ProtocolOptions,
  nextId: number,
  baseId: number | undefined,
  nowMs: number,
  savepointDueMs = Infinity,
): ProtocolState {
  return {
    options,
    nextId,
    baseId,
    rewrite: false,
    pending: undefined,
    wanted: undefined,
    failuresInRow: 0,
    lastTriggerAtMs: nowMs,
    lastEndAtMs: nowMs - options.minPauseMs,
    savepointDueMs,
    closed: false,
  }
}

/** When the next `tick` may do something. */
export function nextTickMs(state: ProtocolState): number {
  if (state.pending?.phase === 'writing') return state.pending.startedAtMs + state.options.timeoutMs
  if (state.pending !== undefined || state.closed) return Infinity
  const dueMs = Math.min(state.lastTriggerAtMs + state.options.intervalMs, state.savepointDueMs)
  return Math.max(dueMs, state.lastEndAtMs + state.options.minPauseMs)
}

export function transition(state: ProtocolState, event: ProtocolEvent): Transition {
  switch (event.type) {
    case 'tick':
      return tick(state, event.nowMs)
    case 'request': {
      const { reason, drain = false, savepoint = false, nowMs } = event
      return request(state, { reason, last: reason !== 'user', drain, savepoints: savepoint ? 1 : 0 }, nowMs)
    }
    case 'acknowledged': {
      const pending = pendingOf(state, event.id, 'writing')
      if (pending === undefined) return unchanged(state)
      const publishing: Pending = { ...pending, phase: 'publishing' }
      return { state: { ...state, pending: publishing }, actions: [{ type: 'publish', pending: publishing }] }
    }
    case 'declined': {
      const pending = pendingOf(state, event.id, 'writing')
      return pending === undefined ? unchanged(state) : failed(state, pending, 'declined', event.nowMs)
    }
    case 'publish-failed': {
      const pending = pendingOf(state, event.id, 'publishing')
      return pending === undefined ? unchanged(state) : failed(state, pending, 'publish-failed', event.nowMs)
    }
    case 'published': {
      const pending = pendingOf(state, event.id, 'publishing')
      if (pending === undefined) return unchanged(state)
      const baseId = state.options.incremental ? pending.id : undefined
      const { rewrite, nowMs: lastEndAtMs } = event
      const idle: ProtocolState = { ...state, pending: undefined, baseId, rewrite, failuresInRow: 0, lastEndAtMs }
      return followUp(idle, [{ type: 'complete', pending }], event.nowMs)
    }
    default:
      return unreachable(event, 'event')
  }
}

function tick(state: ProtocolState, nowMs: number): Transition {
  if (nowMs < nextTickMs(state)) return unchanged(state)
  if (state.pending !== undefined) return failed(state, state.pending, 'expired', nowMs)
  return trigger(state, { reason: 'interval', last: false, drain: false, savepoints: 0 }, [], nowMs)
}

function request(state: ProtocolState, wish: Wish, nowMs: number): Transition {
  if (state.closed) return unchanged(state)
  if (state.pending === undefined) return trigger(state, wish, [], nowMs)
  const before = state.wanted
  if (before === undefined) return unchanged({ ...state, wanted: wish })
  // A stop that is waiting is not replaced by a lesser wish. Every savepoint is made.
  const stronger = before.last ? before : wish
  return unchanged({ ...state, wanted: { ...stronger, savepoints: before.savepoints + wish.savepoints } })
}

function trigger(
  state: ProtocolState,
  { reason, last, drain, savepoints }: Wish,
  before: readonly ProtocolAction[],
  nowMs: number,
): Transition {
  const id = state.nextId
  const savepointIds = Array.from({ length: savepoints }, (_, index) => id + 1 + index)
  const isPeriodic = !last && nowMs >= state.savepointDueMs
  const periodicSavepointId = isPeriodic ? id + 1 + savepoints : undefined
  const pending: Pending = {
    id,
    reason,
    last,
    drain,
    full: state.rewrite || state.baseId === undefined,
    savepointIds,
    periodicSavepointId,
    startedAtMs: nowMs,
    phase: 'writing',
  }
  const next: ProtocolState = {
    ...state,
    nextId: id + 1 + savepoints + (isPeriodic ? 1 : 0),
    pending,
    wanted: undefined,
    lastTriggerAtMs: nowMs,
    savepointDueMs: isPeriodic ? nowMs + (state.options.savepointEveryMs ?? Infinity) : state.savepointDueMs,
    closed: last,
  }
  return {
    state: next,
    actions: [...before, { type: 'trigger', pending, baseId: state.baseId }],
  }
}

function failed(
  state: ProtocolState,
  pending: Pending,
  why: 'expired' | 'declined' | 'publish-failed',
  nowMs: number,
): Transition {
  const failuresInRow = state.failuresInRow + 1
  const retryMs = pending.periodicSavepointId === undefined ? Infinity : pending.startedAtMs + state.options.intervalMs
  const idle: ProtocolState = {
    ...state,
    pending: undefined,
    failuresInRow,
    lastEndAtMs: nowMs,
    savepointDueMs: Math.min(state.savepointDueMs, retryMs),
  }
  const abort: ProtocolAction = { type: 'abort', id: pending.id, why }
  if (pending.last) return { state: idle, actions: [abort, { type: 'give-up', why: 'last-failed' }] }
  if (failuresInRow > state.options.tolerableFailures) {
    return { state: idle, actions: [abort, { type: 'give-up', why: 'too-many-failures' }] }
  }
  return followUp(idle, [abort], nowMs)
}

/** What was asked for meanwhile comes at once. */
function followUp(state: ProtocolState, actions: readonly ProtocolAction[], nowMs: number): Transition {
  return state.wanted === undefined ? { state, actions } : trigger(state, state.wanted, actions, nowMs)
}

function pendingOf(state: ProtocolState, id: number, phase: Pending['phase']): Pending | undefined {
  return state.pending?.id === id && state.pending.phase === phase ? state.pending : undefined
}

function unchanged(state: ProtocolState): Transition {
  return { state, actions: [] }
}
