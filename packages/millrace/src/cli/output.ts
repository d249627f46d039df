/**
 * What the command writes: data on standard output, all else on standard error, both in one form. With --json the only thing written
 * is JSON on standard output.
 */
import { styleText } from 'node:util'
import { namedError, type MillraceError } from '../base/errors.ts'
import type { Answer } from './answer.ts'
import { EXIT_CODES } from './exit-codes.ts'

export interface OutputOptions {
  readonly json: boolean
  readonly verbose: boolean
}

let onReaderGone: () => void = () => process.exit()

/** Whoever read the output may go away at any time (`| head`): then there is nobody to tell, and the process ends quietly. */
export function guardOutput(): void {
  process.stdout.on('error', () => onReaderGone())
  process.stderr.on('error', () => undefined)
}

/** Do this instead of leaving at once. */
export function whenReaderGone(act: () => void): void {
  onReaderGone = act
}

/** Prints it and sets the exit status. */
export function printAnswer({ json, text, notes = [], exitCode = 0 }: Answer, options: OutputOptions): void {
  process.stdout.write(options.json ? `${JSON.stringify(json, null, 2)}\n` : text)
  if (!options.json) for (const note of notes) process.stderr.write(`${note}\n`)
  process.exitCode = exitCode
}

/** Prints it and sets the exit status. */
export function printError(error: unknown, { json, verbose }: OutputOptions): void {
  const named = namedError(error)
  if (json) process.stdout.write(`${JSON.stringify({ error: errorAsJson(named) })}\n`)
  else process.stderr.write(errorText(named, verbose))
  process.exitCode = EXIT_CODES[named.code]
}

export function errorAsJson({ code, message, context, hint, page }: MillraceError): object {
  return { code, message, context, hint: hint ?? null, fix: page.fix }
}

export function warningText(message: string): string {
  return `${paint('yellow', 'warning')}: ${message}`
}

export function paint(color: 'red' | 'yellow' | 'green' | 'dim', text: string): string {
  return styleText(color, text, { stream: process.stderr })
}

/** `error CODE: what happened`, what to do, where to read more; where it happened only when asked for. */
function errorText(error: MillraceError, verbose: boolean): string {
  const { code, message, hint, page } = error
  const lines = [
    `${paint('red', `error ${code}`)}: ${message}`,
    `  ${hint ?? page.fix}`,
    paint('dim', `  millrace explain ${code}`),
  ]
  return `${[...lines, ...(verbose ? [stackOf(error)] : [])].join('\n')}\n`
}

/** With the stacks of what caused it. */
function stackOf(error: Error): string {
  const own = error.stack ?? error.message
  return error.cause instanceof Error ? `${own}\ncaused by ${stackOf(error.cause)}` : own
}
