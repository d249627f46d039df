/** Types as values: what `emits` takes. Anything that follows Standard Schema (zod, valibot, arktype) will do; `type<T>()` is one that checks nothing. */

import type { Typed } from '../codec/index.ts'

/** A Standard Schema that accepts every value as it is. */
export interface UncheckedType<T> extends Typed<T> {
  readonly '~standard': Typed<T>['~standard'] & { readonly validate: (value: unknown) => { readonly value: T } }
}

const unchecked: UncheckedType<never> = {
  '~standard': { version: 1, vendor: 'millrace', validate: value => ({ value: value as never }) },
}

/**
 * Says a type where the compiler cannot infer it: `emits: type<Alert>()`. Nothing is checked at run time.
 *
 * @example
 * stream.keyBy(e => e.user).process('alerts', {
 *   emits: type<{ user: string }>(),
 *   onRecord(event, ctx) { ctx.emit({ user: ctx.key }) },
 * })
 */
export function type<T>(): UncheckedType<T> {
  return unchecked
}
