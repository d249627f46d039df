/** A fact the code relies on. A failure is a bug of Millrace, never of its user; the check stays in production. */
export function assert(condition: unknown, fact: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${fact}`)
}

export function unreachable(value: never, what: string): never {
  throw new Error(`assertion failed: unexpected ${what}: ${String(value)}`)
}
