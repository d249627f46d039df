/** What goes wrong with files, as errors that name the file and what the operating system said. */
import { MillraceError, messageOf, type ErrorCode } from '../../base/errors.ts'

/** SOURCE_FAILED, or SOURCE_FILE_MISSING when the file is gone. An error that is one of ours already stays as it is. */
export function sourceFailed(path: string, what: string, cause: unknown): MillraceError {
  if (cause instanceof MillraceError) return cause
  if (errnoOf(cause) === 'ENOENT') {
    return new MillraceError(
      'SOURCE_FILE_MISSING',
      `the input file ${path} is gone. Put it back, or start over with --fresh`,
      { cause, context: { path } },
    )
  }
  return failed('SOURCE_FAILED', `the input file ${path} ${what}`, path, cause)
}

/** SINK_FAILED. An error that is one of ours already stays as it is. */
export function sinkFailed(path: string, what: string, cause: unknown): MillraceError {
  if (cause instanceof MillraceError) return cause
  return failed('SINK_FAILED', `the output ${path} ${what}`, path, cause)
}

export function fileChanged(path: string, fact: string): MillraceError {
  return new MillraceError(
    'SOURCE_FILE_CHANGED',
    `the input file ${path} ${fact}. Put the original file back, or start over with --fresh`,
    { context: { path } },
  )
}

export function errnoOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' ? code : undefined
}

function failed(code: ErrorCode, fact: string, path: string, cause: unknown): MillraceError {
  return new MillraceError(code, `${fact}: ${messageOf(cause)}`, { cause, context: { path, errno: errnoOf(cause) } })
}
