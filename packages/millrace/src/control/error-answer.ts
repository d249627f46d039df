/** Errors on their way between server and client: `{ code, message, hint?, context }`, under an HTTP status that says whose turn it is. */
import type { InferOutput } from 'valibot'
import { ERRORS, isErrorCode, MillraceError, type ErrorCode } from '../base/errors.ts'
import type { ErrorAnswer } from './endpoints.ts'

export type ErrorAnswer = InferOutput<typeof ErrorAnswer>
export type ErrorStatus = 400 | 401 | 403 | 404 | 409 | 413 | 415 | 429 | 500 | 503

const STATUS_OF_CODE: { readonly [Code in ErrorCode]?: ErrorStatus } = {
  UNAUTHORIZED: 401,
  OPERATION_NOT_FOUND: 404,
  JOB_NOT_RUNNING: 409,
}
const STATUS_OF_DOMAIN = { user: 400, external: 503, internal: 500 } as const

export function statusOf(code: ErrorCode): ErrorStatus {
  return STATUS_OF_CODE[code] ?? STATUS_OF_DOMAIN[ERRORS[code].domain]
}

export function answerOfError({ code, message, hint, context }: MillraceError): ErrorAnswer {
  return { code, message, ...(hint !== undefined && { hint }), context }
}

/** The error as it was on the other side. A code that only a newer version knows is INTERNAL here; the message has it. */
export function errorOfAnswer({ code, message, hint, context }: ErrorAnswer): MillraceError {
  const details = { context, ...(hint !== undefined && { hint }) }
  if (isErrorCode(code)) return new MillraceError(code, message, details)
  return new MillraceError('INTERNAL', `${code}: ${message}`, details)
}
