/** What is different about the time to live of a state that a job takes over, in words. It never is a reason to refuse. */
import { writtenDuration } from '../time/index.ts'
import type { StoredTtl } from './manifest-types.ts'

/** Empty: nothing. */
export function ttlChange(before: StoredTtl, after: StoredTtl): string[] {
  const [was, is] = [described(before), described(after)]
  if (was === is) return []
  const countsAnew = after.ttlMs !== undefined && (before.ttlMs === undefined || before.ttlTime !== after.ttlTime)
  return [`ttl ${was} -> ${is}${countsAnew ? ', counted from the start of the job' : ''}`]
}

function described({ ttlMs, ttlTime }: StoredTtl): string {
  if (ttlMs === undefined) return 'none'
  return ttlTime === 'event' ? `${writtenDuration(ttlMs)} in event time` : writtenDuration(ttlMs)
}
