/**
 * User functions are synchronous: they run once per record and nothing waits for them. An async one is refused three times: by its
 * type (here), when the graph is built (here), and when a promise turns up as a result (runtime).
 */
import { MillraceError } from '../base/errors.ts'

/** A type that no value has: what the compiler shows where a promise would be returned. */
export interface UseMapAsyncInstead {
  readonly '~compileError': 'an async function cannot be used here: use mapAsync for calls that wait'
}

/** `R`, unless it is a promise: then a type that nothing can be assigned to. */
export type NotPromise<R> = R extends PromiseLike<unknown> ? UseMapAsyncInstead : R

/** What a function may return whose result is not looked at, so that `() => total += 1` compiles. */
export type Ignored = void | undefined | null | boolean | number | string | bigint

/**
 * Checks that `fn` is a function that can be called per record.
 * @param where the operator and the function, as the error shall name them: "map 'parse'", "onRecord of 'sessions'"
 * @throws GRAPH_INVALID when it is not a function, ASYNC_FUNCTION when it is an async one
 */
export function assertSynchronous(fn: unknown, where: string): void {
  if (typeof fn !== 'function')
    throw new MillraceError('GRAPH_INVALID', `${where} needs a function, but got ${nameOf(fn)}`)
  const tag: unknown = Reflect.get(fn, Symbol.toStringTag)
  if (tag !== 'AsyncFunction' && tag !== 'AsyncGeneratorFunction') return
  throw new MillraceError(
    'ASYNC_FUNCTION',
    `${where} was given an async function; it runs once per record and cannot wait. Use mapAsync for calls that wait`,
  )
}

function nameOf(value: unknown): string {
  return value === undefined || value === null ? String(value) : `a ${typeof value}`
}
