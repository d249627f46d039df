/**
 * Which entries of a snapshot have outlived their state's time to live: in processing time by the clock, in event time by the watermark that
 * the snapshot says of their operator. Where it says none, nothing expires in event time.
 */
import { eventTouchMs, timeOfTouch } from '../time/index.ts'
import type { KeyedStateInfo, Manifest, StoredTtl } from './manifest-types.ts'

/** Of an entry with a last touch. */
export type IsExpired = (stateId: number, lastTouchMs: number) => boolean

/** `states`: what they say of their time to live counts, even if it was another one when the snapshot was made. `now`: of the clock. */
export function expiryOf(
  states: readonly KeyedStateInfo[],
  { operators }: Pick<Manifest, 'operators'>,
  now: () => number,
): IsExpired {
  const living = new Map(
    states.flatMap(({ id, ttlMs, ttlTime }) => (ttlMs === undefined ? [] : [[id, { ttlMs, ttlTime }]])),
  )
  const watermarks = watermarksOf(operators)
  return (stateId, lastTouchMs) => {
    const ttl = living.get(stateId)
    if (ttl === undefined) return false
    const nowMs = ttl.ttlTime === 'event' ? watermarks.get(stateId) : now()
    return nowMs !== undefined && nowMs - lastTouchMs >= ttl.ttlMs
  }
}

/** By state id, as touches. */
function watermarksOf(operators: Manifest['operators']): Map<number, number> {
  return new Map(
    operators.flatMap(({ watermark, states }) =>
      watermark === undefined ? [] : states.map(({ id }) => [id, eventTouchMs(watermark)] as const),
    ),
  )
}

/** The last touch of an entry that is put into a snapshot by hand, at `nowMs` of the clock; undefined: it has none. */
export function touchNow(
  { id, ttlMs, ttlTime }: KeyedStateInfo,
  { operators }: Pick<Manifest, 'operators'>,
  nowMs: number,
): number | undefined {
  if (ttlMs === undefined) return undefined
  return ttlTime === 'event' ? watermarksOf(operators).get(id) : nowMs
}

/** When an entry was last touched, in epoch milliseconds of the time by which it expires. */
export function lastTouchOf({ ttlTime = 'processing' }: StoredTtl, lastTouchMs: number): number {
  return timeOfTouch(lastTouchMs, ttlTime)
}
