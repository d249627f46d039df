/** Asking before something is deleted. */
import { createInterface } from 'node:readline/promises'
import { MillraceError } from '../base/errors.ts'

/** `what`: as in 'deleting word-count/chk-42'. @throws CONFIRMATION_NEEDED where there is nobody to ask */
export async function confirm(question: string, what: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new MillraceError('CONFIRMATION_NEEDED', `${what} needs a confirmation, and there is no terminal to ask on`, {
      hint: 'Pass --yes to delete without being asked.',
    })
  }
  const questions = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await questions.question(`${question} [y/N] `)
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    questions.close()
  }
}
