/**
 * The life of checkpoints as a pure state machine: (state, event) -> (state, actions). It owns when to trigger, ids, bases, time-outs
 * and tolerated failures; it knows no clock, no store and no slot.
 *
 *   idle --trigger--> writing --acknowledged--> publishing --published--> idle (complete)
 *                        |  declined, expired       | publish failed
 *                        +----> idle (failed) <-----+
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
}

export interface Pending {
  readonly id: number
  readonly reason: TriggerReason
  /** No record follows its barrier. */
  readonly last: boolean
  readonly startedAtMs: number
  readonly phase: 'writing' | 'publishing'
}

export interface ProtocolState {
  readonly options: ProtocolOptions
  readonly nextId: number
  /** The last published checkpoint that a delta may build on; undefined: the next one is a base. */
  readonly baseId: number | undefined
  readonly pending: Pending | undefined
  /** Asked for while one was pending. */
  readonly wanted: { readonly reason: TriggerReason; readonly last: boolean } | undefined
  readonly failuresInRow: number
  readonly lastTriggerAtMs: number
  readonly lastEndAtMs: number
  /** A last checkpoint was triggered: none follows. */
  readonly closed: boolean
}

export type ProtocolEvent =
  | { readonly type: 'tick'; readonly nowMs: number }
  | { readonly type: 'request'; readonly reason: RequestReason; readonly nowMs: number }
  | { readonly type: 'acknowledged'; readonly id: number; readonly nowMs: number }
  | { readonly type: 'declined'; readonly id: number; readonly nowMs: number }
  | { readonly type: 'published'; readonly id: number; readonly nowMs: number }
  /** The manifest is known not to exist; its id is used up all the same. */
  | { readonly type: 'publish-failed'; readonly id: number; readonly nowMs: number }

export type ProtocolAction =
  | { readonly type: 'trigger'; readonly pending: Pending; readonly baseId: number | undefined; readonly full: boolean }
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
): ProtocolState {
  return {
    options,
    nextId,
    baseId,
    pending: undefined,
    wanted: undefined,
    failuresInRow: 0,
    lastTriggerAtMs: nowMs,
    lastEndAtMs: nowMs - options.minPauseMs,
    closed: false,
  }
}

/** When the next `tick` may do something. */
export function nextTickMs(state: ProtocolState): number {
  if (state.pending?.phase === 'writing') return state.pending.startedAtMs + state.options.timeoutMs
  if (state.pending !== undefined || state.closed) return Infinity
  return Math.max(state.lastTriggerAtMs + state.options.intervalMs, state.lastEndAtMs + state.options.minPauseMs)
}

export function transition(state: ProtocolState, event: ProtocolEvent): Transition {
  switch (event.type) {
    case 'tick':
      return tick(state, event.nowMs)
    case 'request':
      return request(state, { reason: event.reason, last: event.reason !== 'user' }, event.nowMs)
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
      const idle: ProtocolState = { ...state, pending: undefined, baseId, failuresInRow: 0, lastEndAtMs: event.nowMs }
      return followUp(idle, [{ type: 'complete', pending }], event.nowMs)
    }
    default:
      return unreachable(event, 'event')
  }
}

function tick(state: ProtocolState, nowMs: number): Transition {
  if (nowMs < nextTickMs(state)) return unchanged(state)
  if (state.pending !== undefined) return failed(state, state.pending, 'expired', nowMs)
  return trigger(state, { reason: 'interval', last: false }, [], nowMs)
}

function request(state: ProtocolState, wanted: { reason: TriggerReason; last: boolean }, nowMs: number): Transition {
  if (state.closed) return unchanged(state)
  if (state.pending === undefined) return trigger(state, wanted, [], nowMs)
  // A stop that is waiting is not replaced by a lesser wish.
  return unchanged({ ...state, wanted: state.wanted?.last === true ? state.wanted : wanted })
}

function trigger(
  state: ProtocolState,
  { reason, last }: { reason: TriggerReason; last: boolean },
  before: readonly ProtocolAction[],
  nowMs: number,
): Transition {
  const pending: Pending = { id: state.nextId, reason, last, startedAtMs: nowMs, phase: 'writing' }
  return {
    state: { ...state, nextId: state.nextId + 1, pending, wanted: undefined, lastTriggerAtMs: nowMs, closed: last },
    actions: [...before, { type: 'trigger', pending, baseId: state.baseId, full: state.baseId === undefined }],
  }
}

function failed(
  state: ProtocolState,
  pending: Pending,
  why: 'expired' | 'declined' | 'publish-failed',
  nowMs: number,
): Transition {
  const failuresInRow = state.failuresInRow + 1
  const idle: ProtocolState = { ...state, pending: undefined, failuresInRow, lastEndAtMs: nowMs }
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
