/** Time to live: what a declaration says, resolved. */
import { parseDuration } from '../time/index.ts'
import type { StateOptions } from './declarations.ts'

export interface ResolvedTtl {
  readonly ttlMs: number
  readonly updateOnRead: boolean
}

/** Undefined: entries live until they are cleared. @throws OPTION_INVALID */
export function resolveTtl({ ttl }: StateOptions): ResolvedTtl | undefined {
  if (ttl === undefined) return undefined
  const { ttl: duration, updateOn } = typeof ttl === 'object' ? ttl : { ttl, updateOn: 'write' }
  return { ttlMs: parseDuration(duration, 'the ttl of a state'), updateOnRead: updateOn === 'read-and-write' }
}
