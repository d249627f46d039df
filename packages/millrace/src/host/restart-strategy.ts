/** When to try again, and when trying again is pointless. Pure. */
import type { CarriedError } from '../checkpoint/mail.ts'
import { ERRORS, type ErrorCode } from '../base/errors.ts'
import type { ResolvedRestart } from './options.ts'

export interface Failure {
  readonly error: CarriedError
  /** Records that the sources had handed out, since the fresh start; -1 if not known. */
  readonly records: number
}

export interface DelayState {
  /** The next one, before it is varied. */
  readonly delayMs: number
  readonly runningSinceMs: number
}

export interface RestartState extends DelayState {
  readonly lastFailure: Failure | undefined
}

export type RestartDecision =
  | { readonly kind: 'restart'; readonly delayMs: number; readonly state: RestartState }
  | { readonly kind: 'give-up'; readonly why: 'strategy' | 'deterministic' | 'not-restartable' }

export function startRestarts(options: ResolvedRestart, nowMs: number): RestartState {
  return { ...startDelays(options, nowMs), lastFailure: undefined }
}

export function startDelays({ initialDelayMs }: ResolvedRestart, nowMs: number): DelayState {
  return { delayMs: initialDelayMs, runningSinceMs: nowMs }
}

/** Ends the job whatever the strategy: the next attempt could not be another one. */
const FATAL: readonly string[] = [
  'FENCED',
  'STORE_POISONED',
  'GRAPH_NOT_DETERMINISTIC',
  'STATE_INCOMPATIBLE',
  'CHECKPOINT_FAILED',
]

/** `random` is a number in [0, 1). */
export function decideRestart(
  options: ResolvedRestart,
  state: RestartState,
  failure: Failure,
  nowMs: number,
  random: number,
): RestartDecision {
  if (FATAL.includes(failure.error.code)) return { kind: 'give-up', why: 'not-restartable' }
  if (options.strategy === 'none') return { kind: 'give-up', why: 'strategy' }
  if (isDeterministic(state.lastFailure, failure)) return { kind: 'give-up', why: 'deterministic' }
  const { delayMs, state: delays } = nextDelay(options, state, nowMs, random)
  return { kind: 'restart', delayMs, state: { ...delays, lastFailure: failure } }
}

/** Grows with every call, up to the limit; begins again when the last one is long ago. `random` is a number in [0, 1). */
export function nextDelay(
  options: ResolvedRestart,
  state: DelayState,
  nowMs: number,
  random: number,
): { readonly delayMs: number; readonly state: DelayState } {
  const calm = nowMs - state.runningSinceMs >= options.resetAfterMs
  // The options may be others than those of the last call.
  const delayMs = Math.min(calm ? options.initialDelayMs : state.delayMs, options.maxDelayMs)
  const jitter = 1 + options.jitter * (2 * random - 1)
  return {
    delayMs: Math.round(delayMs * jitter),
    state: { delayMs: Math.min(delayMs * options.multiplier, options.maxDelayMs), runningSinceMs: nowMs },
  }
}

/** DESIGN invariant 10: the same error twice in a row, with no source progress past it. What the world outside does may pass. */
function isDeterministic(before: Failure | undefined, failure: Failure): boolean {
  const page = ERRORS[failure.error.code as ErrorCode]
  if (before === undefined || page === undefined || page.retry) return false
  return before.error.signature === failure.error.signature && failure.records <= before.records
}
