/** What a manifest says of a state's time to live. */
import type { StoredTtl } from '../snapshot/manifest-types.ts'
import { resolveTtl, type AnyDeclaration } from '../state/index.ts'

/** `declaration` undefined: of a state of the engine's own, which has none. */
export function storedTtlOf(declaration: AnyDeclaration | undefined): StoredTtl {
  const ttl = declaration && resolveTtl(declaration.options)
  if (ttl === undefined) return {}
  return { ttlMs: ttl.ttlMs, ...(ttl.time === 'event' && { ttlTime: ttl.time }) }
}
