/** Durations as users write them: a number of milliseconds, or a number and a unit, '250ms' '5s' '1m' '2h' '7d'. */
import { MillraceError } from '../base/errors.ts'

export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const UNIT_MS: { readonly [unit: string]: number } = { ms: 1, s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS }
const PATTERN = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/

/**
 * The duration in milliseconds, finite and not negative.
 * @param what what the duration is for, as the error shall name it: 'the size of a tumbling window'
 * @throws OPTION_INVALID
 */
export function parseDuration(value: unknown, what: string): number {
  const ms = typeof value === 'string' ? parseText(value) : value
  if (typeof ms === 'number' && ms >= 0 && ms < Infinity) return ms
  throw new MillraceError(
    'OPTION_INVALID',
    `${what} is ${describe(value)}; it must be a number of milliseconds from 0 up, or a text like '250ms', '5s', '1m', '2h' or '7d'`,
  )
}

function parseText(text: string): number | undefined {
  const match = PATTERN.exec(text)
  // '1.1s' times 1000 is not exact in binary. Nobody means a duration finer than a microsecond.
  return match === null ? undefined : Math.round(Number(match[1]) * UNIT_MS[match[2]] * 1000) / 1000
}

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
  if (typeof value === 'number' || typeof value === 'boolean' || value === null || value === undefined)
    return String(value)
  return `a ${typeof value}`
}

/** A finite duration for people, in at most two units: '850 ms', '12 s', '3 min 20 s', '2 h 5 min', '4 d'. */
export function formatDuration(ms: number): string {
  if (ms < 0) return `-${formatDuration(-ms)}`
  if (Math.round(ms) < SECOND_MS) return `${Math.round(ms)} ms`
  const seconds = Math.round(ms / SECOND_MS)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return twoUnits(seconds, 60, 'min', 's')
  const minutes = Math.round(ms / MINUTE_MS)
  if (minutes < 24 * 60) return twoUnits(minutes, 60, 'h', 'min')
  return twoUnits(Math.round(ms / HOUR_MS), 24, 'd', 'h')
}

/** A duration exactly, as one may write it: '7d', '90s', '1500ms'. */
export function writtenDuration(ms: number): string {
  const unit = ['d', 'h', 'm', 's'].find(each => ms !== 0 && ms % UNIT_MS[each] === 0) ?? 'ms'
  return `${ms / UNIT_MS[unit]}${unit}`
}

function twoUnits(count: number, base: number, large: string, small: string): string {
  const rest = count % base
  return `${Math.floor(count / base)} ${large}${rest === 0 ? '' : ` ${rest} ${small}`}`
}
