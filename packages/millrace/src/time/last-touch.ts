/**
 * When an entry of state with a time to live was touched last, as it is kept with the entry: u48 milliseconds. The touch is kept and not
 * the end, so that a changed time to live applies to what was written before (DESIGN invariant 12).
 *
 * In processing time it counts from 1970. Event time may lie before that, so its touches count from 2^47 ms before 1970 (the years -2490
 * to 6429), and what is further away is taken for the nearest that there is.
 */

export type TouchTime = 'event' | 'processing'

/** In place of the touch of an entry that nobody knows it of. It is not stored: the entry is a put without one. */
export const NO_TOUCH = -1
const EVENT_ORIGIN_MS = 2 ** 47
const LAST_TOUCH_MS = 2 ** 48 - 1

/** A finite event time as a touch, or as the clock that touches are compared with. */
export function eventTouchMs(time: number): number {
  return Math.min(Math.max(Math.ceil(time) + EVENT_ORIGIN_MS, 0), LAST_TOUCH_MS)
}

/** The time that a touch says, in epoch milliseconds. */
export function timeOfTouch(touchMs: number, time: TouchTime): number {
  return time === 'event' ? touchMs - EVENT_ORIGIN_MS : touchMs
}
