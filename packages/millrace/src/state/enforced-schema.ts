/** Which schema a state's values are checked against. Every backend asks here, and so does whoever writes a manifest. */
import { fixedSchemaOf, type FixedSchema } from '../codec/index.ts'
import type { AnyDeclaration } from './declarations.ts'

/** Undefined: the state takes any value. */
export function enforcedSchema({ kind, options }: AnyDeclaration): FixedSchema | undefined {
  if ((kind !== 'value' && kind !== 'reducing') || options.schema === undefined) return undefined
  // Typed rows have no place for the time of the last touch.
  return options.ttl === undefined ? fixedSchemaOf(options.schema) : undefined
}
