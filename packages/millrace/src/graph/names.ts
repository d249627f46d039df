/** Names are identity: state, output parts and metrics are found by them, so they are checked before anything is built on them. */
import { MillraceError } from '../base/errors.ts'

const NAME_LENGTH = 100
// A lone surrogate would not survive the way through a file in UTF-8, and two names could become one.
const FORBIDDEN = /[\p{Cc}\p{Cs}]/u

/** @throws GRAPH_INVALID for an operator without a name, or one that is no name */
export function assertOperatorName(name: unknown, kind: string): asserts name is string {
  assertName(name, `the name of a ${kind}`, `${kind === 'source' ? 'flow' : 'stream'}.${kind}('name', …)`)
}

export function assertOutputName(name: unknown): asserts name is string {
  assertName(name, 'the name of a side output', `outputTag('name')`)
}

/** Names that begin with ~ are the engine's own (timers, window contents). */
export function assertStateName(name: unknown, operator: string): asserts name is string {
  assertName(name, `the name of a state of '${operator}'`, 'state: { name: value() }')
  if (name.startsWith('~')) {
    throw new MillraceError(
      'GRAPH_INVALID',
      `state '${name}' of '${operator}': names that begin with ~ are taken by the engine`,
    )
  }
}

function assertName(name: unknown, what: string, example: string): asserts name is string {
  if (typeof name === 'string' && name.length >= 1 && name.length <= NAME_LENGTH && !FORBIDDEN.test(name)) return
  const found = typeof name === 'string' ? JSON.stringify(name.slice(0, NAME_LENGTH + 1)) : typeof name
  throw new MillraceError(
    'GRAPH_INVALID',
    `${what} is ${found}; it must be a text of 1 to ${NAME_LENGTH} characters without control characters, as in ${example}`,
  )
}
