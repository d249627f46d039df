/** Errors on their way from a slot to the coordinator, which may be in another thread. */
import { isErrorCode, MillraceError, namedError } from '../base/errors.ts'
import { signatureOf } from './failure.ts'
import type { CarriedError } from '../checkpoint/mail.ts'

export function carry(error: unknown): CarriedError {
  const named = namedError(error)
  return {
    code: named.code,
    message: named.message,
    hint: named.hint,
    stack: stackOf(named),
    signature: signatureOf(named),
    context: Object.fromEntries(Object.entries(named.context).map(([name, value]) => [name, String(value)])),
  }
}

export function uncarry(error: CarriedError): MillraceError {
  const code = isErrorCode(error.code) ? error.code : 'INTERNAL'
  const named = new MillraceError(code, error.message, {
    context: error.context,
    ...(error.hint !== undefined && { hint: error.hint }),
  })
  named.stack = error.stack
  return named
}

function stackOf(error: Error): string {
  const own = error.stack ?? error.message
  return error.cause instanceof Error ? `${own}\ncaused by ${stackOf(error.cause)}` : own
}
