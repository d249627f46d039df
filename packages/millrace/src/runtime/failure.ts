/** Naming what user code threw: operator, key, record. */
import { inspect } from 'node:util'
import { isMillraceError, messageOf, MillraceError, type ErrorCode } from '../base/errors.ts'

export function describe(value: unknown): string {
  const text = inspect(value, { depth: 3, maxArrayLength: 10, maxStringLength: 100, breakLength: Infinity })
  return text.length > 300 ? `${text.slice(0, 300)}…` : text
}

/**
 * Errors are named where they happen: what passes through operators further up the chain is left alone. A MillraceError thrown
 * below user code (a bad key, a value that cannot be stored) gets operator and record too.
 */
export function failure(
  code: ErrorCode,
  operator: string,
  error: unknown,
  details: { key?: unknown; record?: unknown },
): MillraceError {
  if (isMillraceError(error) && 'operator' in error.context) return error
  const key = 'key' in details ? `, key ${describe(details.key)}` : ''
  const record = 'record' in details ? `, record ${describe(details.record)}` : ''
  const context = {
    operator,
    ...(key && { key: describe(details.key) }),
    ...(record && { record: describe(details.record) }),
  }
  if (isMillraceError(error)) {
    return new MillraceError(error.code, `operator '${operator}': ${error.message}${key}${record}`, {
      context: { ...error.context, ...context },
      cause: error,
      ...(error.hint !== undefined && { hint: error.hint }),
    })
  }
  const name = error instanceof Error && error.name !== 'Error' ? `${error.name}: ` : ''
  return new MillraceError(code, `operator '${operator}' threw ${name}${messageOf(error)}${key}${record}`, {
    context,
    cause: error,
  })
}

/** What a source or sink threw outside of its records. Errors that have been named pass through. */
export function connectorFailure(kind: 'source' | 'sink', operator: string, error: unknown): MillraceError {
  if (isMillraceError(error)) return error
  const code = kind === 'source' ? 'SOURCE_FAILED' : 'SINK_FAILED'
  return new MillraceError(code, `${kind} '${operator}' failed: ${messageOf(error)}`, {
    context: { operator },
    cause: error,
  })
}

export function promiseFailure(operator: string, what: string): MillraceError {
  return new MillraceError(
    'ASYNC_FUNCTION',
    `operator '${operator}': ${what} returned a promise; it must be synchronous. Use mapAsync for calls that wait.`,
    { context: { operator } },
  )
}

/** What tells one deterministic error from another: code, operator, top frame of user code. */
export function signatureOf(error: MillraceError): string {
  let cause: unknown = error
  while (cause instanceof Error && cause.cause !== undefined) cause = cause.cause
  const frame = cause instanceof Error ? (cause.stack ?? '').split('\n').find(line => /^\s+at /.test(line)) : undefined
  return [error.code, error.context['operator'] ?? '', frame?.trim() ?? messageOf(cause)].join(' | ')
}
