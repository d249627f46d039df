/**
 * Event time as one operator's state goes by it. A touch is the timestamp of the record, or of the timer, that is being processed. Expiry
 * is measured against the watermark, never against a single record, so that it is the same whenever the records are replayed.
 *
 * While event-time timers fire the clock is at the timer: between two watermarks it goes through all the times at which something
 * happens, and a timer finds what was alive at its time. The end of bounded input is no time: nothing expires by it.
 */
import { MillraceError } from '../base/errors.ts'
import { eventTouchMs, NO_TOUCH } from '../time/index.ts'
import type { TtlClock } from './ttl.ts'

/** From here on a watermark says that input has ended, of all splits or altogether. */
const END = Number.MAX_VALUE

export class EventClock implements TtlClock {
  /** The highest watermark, or time of a timer, so far; -Infinity: none. Finite otherwise. */
  time = -Infinity
  /** A processing-time timer is firing, which has no timestamp: what it touches counts from the watermark. */
  isUntimed = false
  private since = -Infinity
  private readonly operator: string
  private readonly record: { readonly timestamp: number }

  /** `record`: what is being processed; its timestamp is NaN where there is no event time. */
  constructor(operator: string, record: { readonly timestamp: number } = { timestamp: NaN }) {
    this.operator = operator
    this.record = record
  }

  advance(time: number): void {
    if (time <= this.time || time >= END) return
    if (this.time === -Infinity) this.since = time
    this.time = time
  }

  get nowMs(): number {
    return touchAt(this.time)
  }

  get sinceMs(): number {
    return touchAt(this.since)
  }

  /** A late record does not shorten the time of an entry. @throws NO_EVENT_TIME */
  touched(beforeMs: number): number {
    const { timestamp } = this.record
    if (timestamp !== timestamp && !this.isUntimed) {
      throw new MillraceError(
        'NO_EVENT_TIME',
        `operator '${this.operator}' has state with a ttl in event time, but its record has no timestamp; call .eventTime(record => milliseconds) upstream`,
      )
    }
    return Math.max(beforeMs, timestamp < END ? eventTouchMs(timestamp) : this.nowMs)
  }
}

function touchAt(time: number): number {
  return time === -Infinity ? NO_TOUCH : eventTouchMs(time)
}
