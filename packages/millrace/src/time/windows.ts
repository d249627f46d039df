/** Window assigners, as data, and the arithmetic of tumbling windows. */
import { parseDuration, type Duration } from './duration.ts'
import { MillraceError } from '../base/errors.ts'

/** A window covers the event times `start <= t < end`. A global window has start -Infinity and end Infinity. */
export interface Window {
  readonly start: number
  readonly end: number
}

export interface TumblingAssigner {
  readonly kind: 'tumbling'
  readonly sizeMs: number
  readonly offsetMs: number
}
/** One window per key, which fires at the end of input. */
export interface GlobalAssigner {
  readonly kind: 'global'
}
export type WindowAssigner = TumblingAssigner | GlobalAssigner

/**
 * Windows of a fixed size that follow each other without overlap, aligned to the epoch plus `offset`.
 * Flink: TumblingEventTimeWindows.
 */
export function tumbling(size: Duration, options: { readonly offset?: Duration } = {}): TumblingAssigner {
  const sizeMs = parseDuration(size, 'the size of a tumbling window')
  if (sizeMs <= 0)
    throw new MillraceError('OPTION_INVALID', `the size of a tumbling window is ${sizeMs} ms; it must be positive`)
  const offset = options.offset ?? 0
  const offsetMs =
    typeof offset === 'number' && offset < 0 ? offset : parseDuration(offset, 'the offset of a tumbling window')
  return { kind: 'tumbling', sizeMs, offsetMs: ((offsetMs % sizeMs) + sizeMs) % sizeMs }
}

/** A single window per key over the whole input; it fires at the end of input. Flink: GlobalWindows.createWithEndOfStreamTrigger. */
export function global(): GlobalAssigner {
  return { kind: 'global' }
}

/** Start of the tumbling window that holds `time`; right for negative times too. */
export function tumblingStart(time: number, sizeMs: number, offsetMs: number): number {
  const remainder = (time - offsetMs) % sizeMs
  return time - (remainder < 0 ? remainder + sizeMs : remainder)
}
