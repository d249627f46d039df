/**
 * The part of Standard Schema v1 (https://standardschema.dev) that the sources use: zod, valibot, arktype and others implement it.
 * Only synchronous validation, since a source hands out records one by one.
 */
import { MillraceError } from '../../base/errors.ts'
import type { Typed } from '../../codec/index.ts'

export interface StandardSchema<T> extends Typed<T> {
  readonly '~standard': Typed<T>['~standard'] & {
    readonly validate: (value: unknown) => StandardResult<T> | Promise<StandardResult<T>>
  }
}

export type StandardResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] }

export interface StandardIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** @throws ASYNC_FUNCTION when the schema validates asynchronously */
export function validate<T>(schema: StandardSchema<T>, value: unknown): StandardResult<T> {
  const result = schema['~standard'].validate(value)
  if (result instanceof Promise) {
    result.catch(() => {})
    throw new MillraceError(
      'ASYNC_FUNCTION',
      `a schema of ${schema['~standard'].vendor} validates asynchronously; a source reads synchronously. Use a schema without asynchronous checks`,
    )
  }
  return result
}

export function describeIssues(issues: readonly StandardIssue[]): string {
  const shown = issues.slice(0, 3).map(issue => {
    const path = (issue.path ?? []).map(step => String(typeof step === 'object' ? step.key : step)).join('.')
    return path === '' ? issue.message : `${path}: ${issue.message}`
  })
  return shown.join('; ') + (issues.length > 3 ? `; and ${issues.length - 3} more` : '')
}

export function isStandardSchema(value: unknown): value is StandardSchema<unknown> {
  return typeof (value as Partial<StandardSchema<unknown>> | null | undefined)?.['~standard']?.validate === 'function'
}
