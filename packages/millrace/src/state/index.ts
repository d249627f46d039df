/** Keyed state: declarations, the contract of backends, and the heap backend. */
export * from './contract.ts'
export * from './declarations.ts'
export { enforcedSchema } from './enforced-schema.ts'
export { KeyContext } from './key-context.ts'
export { HeapBackend } from './heap/heap-backend.ts'
export { resolveTtl } from './ttl.ts'
export type { ResolvedTtl } from './ttl.ts'
