/** Tags of side outputs. */
import { MillraceError } from '../base/errors.ts'
import { assertOutputName } from '../graph/index.ts'

/** Names a side output and carries the type of its records. Two tags of the same name are the same output. */
export interface OutputTag<T> {
  readonly name: string
  /** Only for the type; never set. */
  readonly _record?: (record: T) => T
}

/**
 * Makes the tag of a side output: an operator writes with `ctx.output(tag, value)`, `stream.sideOutput(tag)` reads.
 * @throws GRAPH_INVALID when the name is empty, longer than 100 characters or has control characters
 *
 * @example
 * const late = outputTag<Order>('late')
 */
export function outputTag<T>(name: string): OutputTag<T> {
  assertOutputName(name)
  return Object.freeze({ name })
}

/** The name of a tag that a user passed. */
export function tagName(tag: OutputTag<any>, where: string): string {
  const name: unknown = tag?.name
  if (typeof name === 'string') return name
  throw new MillraceError('GRAPH_INVALID', `${where} needs a tag made by outputTag<T>('name')`)
}
