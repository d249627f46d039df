/** Time to live: what a declaration says, resolved, and how tables of every backend go by it. */
import { NO_TOUCH, parseDuration, type TouchTime } from '../time/index.ts'
import type { StateOptions } from './declarations.ts'
import type { EventClock } from './event-clock.ts'

export interface ResolvedTtl {
  readonly ttlMs: number
  readonly updateOnRead: boolean
  readonly time: TouchTime
}

/** Undefined: entries live until they are cleared. @throws OPTION_INVALID */
export function resolveTtl({ ttl }: StateOptions): ResolvedTtl | undefined {
  if (ttl === undefined) return undefined
  const { ttl: duration, updateOn, time = 'processing' } = typeof ttl === 'object' ? ttl : { ttl, updateOn: 'write' }
  return { ttlMs: parseDuration(duration, 'the ttl of a state'), updateOnRead: updateOn === 'read-and-write', time }
}

/** The clock of one time domain, in the milliseconds of its touches. It stands still within a record, and never goes back in event time. */
export interface TtlClock {
  /** Expiry is measured against it. 0: event time has not begun. */
  readonly nowMs: number
  /** Entries without a touch count from here. */
  readonly sinceMs: number
  /** The last touch of an entry that is touched now and was touched then before. */
  touched(beforeMs: number): number
}

/** Of one state. */
export class Ttl {
  readonly ttlMs: number
  readonly updateOnRead: boolean
  private readonly clock: TtlClock

  constructor({ ttlMs, updateOnRead }: Omit<ResolvedTtl, 'time'>, clock: TtlClock) {
    this.ttlMs = ttlMs
    this.updateOnRead = updateOnRead
    this.clock = clock
  }

  isExpired(touchedMs: number): boolean {
    const { nowMs, sinceMs } = this.clock
    return nowMs - (touchedMs === NO_TOUCH ? sinceMs : touchedMs) >= this.ttlMs
  }

  /** The last touch of an entry that is touched now; `beforeMs`: the one before, NO_TOUCH for a new entry. */
  touched(beforeMs: number): number {
    return this.clock.touched(beforeMs)
  }

  /**
   * The last touch of an entry that is restored. What was written without a time to live does not say when it was touched: it counts
   * from the restore.
   */
  restored(lastTouchMs: number): number {
    return lastTouchMs === NO_TOUCH ? this.clock.nowMs : lastTouchMs
  }
}

/** The clock that the slot advances with every step. */
class ProcessingClock implements TtlClock {
  readonly sinceMs = 0
  private readonly clock: { readonly nowMs: number }

  constructor(clock: { readonly nowMs: number }) {
    this.clock = clock
  }

  get nowMs(): number {
    return this.clock.nowMs
  }

  touched(): number {
    return this.clock.nowMs
  }
}

/** Undefined: the state has none. `eventClock`: of its operator. */
export function ttlOf(
  options: StateOptions,
  clock: { readonly nowMs: number },
  eventClock: EventClock,
): Ttl | undefined {
  const resolved = resolveTtl(options)
  return resolved && new Ttl(resolved, resolved.time === 'event' ? eventClock : new ProcessingClock(clock))
}
