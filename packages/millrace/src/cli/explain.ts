/** `millrace explain CODE`: the page of an error. */
import { ERRORS, isErrorCode, MillraceError, type ErrorPage } from '../base/errors.ts'
import { closest } from '../host/closest.ts'
import type { Answer } from './answer.ts'
import { EXIT_CODES } from './exit-codes.ts'

const WHOSE: { readonly [Domain in ErrorPage['domain']]: string } = {
  user: 'the job, its input or the command',
  external: 'the world outside: disk, network, other processes',
  internal: 'Millrace itself',
}

export function explain(text: string): Answer {
  const code = text.trim().toUpperCase().replaceAll('-', '_')
  if (!isErrorCode(code)) throw unknownCode(text, code)
  const page: ErrorPage = ERRORS[code]
  const exitCode = EXIT_CODES[code]
  return {
    json: { code, ...page, exitCode },
    text: `${code}: ${page.title}

${page.meaning}

What to do:   ${page.fix}
It is about:  ${WHOSE[page.domain]}
Try again:    ${page.retry ? 'may help without a change' : 'does not help without a change'}
Exit status:  ${exitCode}
`,
  }
}

function unknownCode(text: string, code: string): MillraceError {
  const codes = Object.keys(ERRORS)
  const meant = closest(code, codes) ?? codes.find(each => code !== '' && each.includes(code))
  return new MillraceError(
    'USAGE',
    `there is no error code '${text}'${meant === undefined ? '' : `; did you mean ${meant}?`}`,
    {
      hint: `The codes: ${codes.join(' ')}`,
    },
  )
}
