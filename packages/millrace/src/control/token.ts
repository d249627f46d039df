/**
 * The secret that whoever controls a job must know, where there is one. It comes from the options, so that the process that runs the job
 * and the commands that control it find it in the same places: MILLRACE_TOKEN, MILLRACE_TOKEN_FILE, millrace.config.ts. It is in no
 * message, no lock and no answer.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { messageOf, MillraceError } from '../base/errors.ts'

export interface TokenOptions {
  readonly token?: string | undefined
  readonly tokenFile?: string | undefined
}

/** Whoever may send requests could try all shorter ones. The characters are those of an HTTP header. */
const ALLOWED = /^[\x21-\x7e]{16,512}$/
const FILE_SIZE_LIMIT = 4096
const READABLE_BY_OTHERS = 0o077

/** Undefined: there is none. @throws OPTION_INVALID */
export function readToken({ token, tokenFile }: TokenOptions): string | undefined {
  if (token !== undefined && tokenFile !== undefined) {
    throw new MillraceError('OPTION_INVALID', 'token and tokenFile exclude each other; give one of them')
  }
  const secret = tokenFile === undefined ? token : readTokenFile(tokenFile)
  if (secret === undefined || ALLOWED.test(secret)) return secret
  const where = tokenFile === undefined ? 'token' : `what is in the tokenFile ${tokenFile}`
  throw new MillraceError(
    'OPTION_INVALID',
    `${where} is not 16 to 512 visible ASCII characters; openssl rand -hex 32 makes a good one`,
  )
}

function readTokenFile(file: string): string {
  try {
    const { mode, size } = statSync(file)
    // Windows has no such bits.
    if (process.platform !== 'win32' && (mode & READABLE_BY_OTHERS) !== 0) {
      throw invalidFile(`others than its owner may open it (mode ${(mode & 0o777).toString(8)}); chmod 600 ${file}`)
    }
    if (size > FILE_SIZE_LIMIT) throw invalidFile(`it has more than ${FILE_SIZE_LIMIT} bytes, so it is no token`)
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw error instanceof MillraceError ? error : invalidFile(messageOf(error), error)
  }

  function invalidFile(problem: string, cause?: unknown): MillraceError {
    return new MillraceError('OPTION_INVALID', `the tokenFile ${file} cannot be used: ${problem}`, { cause })
  }
}

/** Takes as long whatever the texts are: what is compared are hashes, which nobody can choose. */
export function isSameToken(given: string, expected: string): boolean {
  return timingSafeEqual(hashOf(given), hashOf(expected))
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
