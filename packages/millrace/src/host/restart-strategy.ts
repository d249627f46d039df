/** When to try again, and when trying again is pointless. Pure. */
import type { CarriedError } from '../checkpoint/mail.ts'
import { ERRORS, type ErrorCode } from '../base/errors.ts'
import type { ResolvedRestart } from './options.ts'

export interface Failure {
  readonly error: CarriedError
  /** Records that the sources had handed out, since the fresh start; -1 if not known. */
  readonly records: number
}

export interface RestartState {
  readonly delayMs: number
  readonly lastFailure: Failure | undefined
  readonly runningSinceMs: number
}

export type RestartDecision =
  | { readonly kind: 'restart'; readonly delayMs: number; readonly state: RestartState }
  | { readonly kind: 'give-up'; readonly why: 'strategy' | 'deterministic' | 'not-restartable' }

export function startRestarts(options: ResolvedRestart, nowMs: number): RestartState {
  return { delayMs: options.initialDelayMs, lastFailure: undefined, runningSinceMs: nowMs }
}

/** Ends the job whatever the strategy: the next attempt could not be another one. */
const FATAL: readonly string[] = ['FENCED', 'STORE_POISONED', 'GRAPH_NOT_DETERMINISTIC', 'CHECKPOINT_FAILED']

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
  const calm = nowMs - state.runningSinceMs >= options.resetAfterMs
  const delayMs = calm ? options.initialDelayMs : state.delayMs
  const jitter = 1 + options.jitter * (2 * random - 1)
  return {
    kind: 'restart',
    delayMs: Math.round(delayMs * jitter),
    state: {
      delayMs: Math.min(delayMs * options.multiplier, options.maxDelayMs),
      lastFailure: failure,
      runningSinceMs: nowMs,
    },
  }
}

/** DESIGN invariant 10: the same error twice in a row, with no source progress past it. What the world outside does may pass. */
function isDeterministic(before: Failure | undefined, failure: Failure): boolean {
  const page = ERRORS[failure.error.code as ErrorCode]
  if (before === undefined || page === undefined || page.retry) return false
  return before.error.signature === failure.error.signature && failure.records <= before.records
}
