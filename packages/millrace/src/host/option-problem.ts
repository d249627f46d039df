/** What is wrong with options: collected first, reported all at once. */
import { MillraceError } from '../base/errors.ts'

/** One option that is not allowed. */
export interface OptionProblem {
  readonly path: string
  readonly source: string
  readonly found: string
  readonly allowed: string
}

export function optionsInvalid(problems: readonly OptionProblem[]): MillraceError {
  const lines = problems.map(
    ({ path, source, found, allowed }) => `${path} (${source}) is ${found}; allowed: ${allowed}`,
  )
  const message =
    lines.length === 1
      ? lines[0]
      : `${lines.length} options are not allowed:\n${lines.map(line => `  ${line}`).join('\n')}`
  return new MillraceError('OPTION_INVALID', message, { context: { problems } })
}

/** A value as messages show it, cut to a line. */
export function shown(value: unknown): string {
  if (typeof value === 'function' || typeof value === 'symbol' || value === undefined) return `a ${typeof value}`
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  const text = JSON.stringify(value) ?? typeof value
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}
