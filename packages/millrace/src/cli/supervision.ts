/** What follows when a supervised process has ended, in decisions and in words. Pure. */
import type { ResolvedRestart } from '../host/options.ts'
import { nextDelay, type DelayState } from '../host/restart-strategy.ts'
import { FAILED, REFUSED, USAGE } from './exit-codes.ts'
import type { RunFlags } from './run.ts'
import { statusOfSignal, STOP_SIGNALS } from './signals.ts'
import { formatElapsed } from './units.ts'

/** `error`: why there was no process at all. */
export interface ProcessEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly error?: string
}

export type Next =
  /** It ended as the command ends, which is passed through. */
  | { readonly kind: 'exit'; readonly status: number }
  | { readonly kind: 'restart'; readonly delayMs: number; readonly delays: DelayState }
  /** It died, and nobody wants another one. */
  | { readonly kind: 'give-up'; readonly status: number }

/** What the command ends with: exit-codes.ts. */
const OWN_STATUS: readonly number[] = [0, FAILED, USAGE, REFUSED, ...STOP_SIGNALS.map(statusOfSignal)]

/** `isStopping`: the process was told to stop. `random` is a number in [0, 1). */
export function decideNext(
  end: ProcessEnd,
  isStopping: boolean,
  options: ResolvedRestart,
  delays: DelayState,
  nowMs: number,
  random: number,
): Next {
  const status = ownStatus(end)
  if (status !== undefined) return { kind: 'exit', status }
  if (isStopping) return { kind: 'give-up', status: FAILED }
  const { delayMs, state } = nextDelay(options, delays, nowMs, random)
  return { kind: 'restart', delayMs, delays: state }
}

function ownStatus({ code, signal }: ProcessEnd): number | undefined {
  // Sent by somebody who wants an end, before the process listened for them.
  if (signal === 'SIGINT' || signal === 'SIGTERM') return statusOfSignal(signal)
  return code !== null && OWN_STATUS.includes(code) ? code : undefined
}

export function deathLine(end: ProcessEnd, delayMs: number | undefined): string {
  const next = delayMs === undefined ? 'run again to go on' : `starting again in ${formatElapsed(delayMs)}`
  return `${deathText(end)}; ${next}`
}

function deathText({ code, signal, error }: ProcessEnd): string {
  if (error !== undefined) return `no process could be started: ${error}`
  if (signal !== null) return `the job's process was killed by ${signal}`
  return `the job's process died with exit status ${code}`
}

export function deathJson({ code, signal, error }: ProcessEnd, delayMs: number | undefined): object {
  return { type: 'died', signal, exitStatus: code, error: error ?? null, delayMs: delayMs ?? null }
}

/**
 * Arguments of the command for the next process: the same ones, in the form that no value can be taken for a flag. A choice of what to
 * start from is not made again once it is durable: then a plain start continues it, before its first checkpoint and after.
 */
export function childArguments(file: string, flags: RunFlags, isChosen: boolean): string[] {
  const { fresh, from, ...others } = flags
  const kept = Object.entries(isChosen ? others : { ...others, fresh, from })
  return ['run', ...kept.flatMap(([name, value]) => flagTexts(name, value)), '--', file]
}

function flagTexts(name: string, value: boolean | string | readonly string[] | undefined): string[] {
  const flag = `--${name.replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
  if (value === undefined || value === false) return []
  if (value === true) return [flag]
  return [value].flat().map(text => `${flag}=${text}`)
}
