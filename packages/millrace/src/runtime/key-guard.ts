/**
 * Refuses keys of another type than those of the snapshot. A job without key schemas does not say what its keys are; but where the function
 * that makes them is another one than when the snapshot was made, and none of the restored keys has the type of a new one, the state
 * under the old keys would never be found again.
 */
import { MillraceError } from '../base/errors.ts'
import { crc32 } from '../codec/index.ts'
import type { StreamNode } from '../graph/index.ts'
import type { Key } from '../state/index.ts'

/** A changed function shows at once; jobs may have keys of several types, some of which are rare. */
const LOOKS = 10_000

export class KeyGuard {
  private readonly operator: string
  private readonly types = new Set<string>()
  private left = LOOKS

  constructor(operator: string) {
    this.operator = operator
  }

  /** A restored key. */
  admit(key: Key): void {
    this.types.add(typeOf(key))
  }

  /** @throws STATE_INCOMPATIBLE */
  check(key: Key): void {
    if (this.left === 0 || this.types.size === 0) return
    this.left--
    const type = typeOf(key)
    if (this.types.has(type)) return
    const message = `operator '${this.operator}': its keys were ${[...this.types].join(', ')} in the snapshot, and one is ${type} now; state under the old keys would never be found again`
    throw new MillraceError('STATE_INCOMPATIBLE', message, {
      context: { operator: this.operator },
      hint: 'Make keys of the old type, or say with keyBy(key, { schema }) that both are meant, or start over with --fresh.',
    })
  }
}

/** Changes with the function that makes an operator's keys; undefined: it has none. */
export function keyCodeOf({ inputs }: StreamNode): string | undefined {
  const keyBy = inputs.find(input => input.keyBy !== undefined)?.keyBy
  return (
    keyBy &&
    crc32(Buffer.from(String(keyBy)))
      .toString(16)
      .padStart(8, '0')
  )
}

function typeOf(key: Key): string {
  return Array.isArray(key) ? `[${key.map(typeOf).join(', ')}]` : typeof key
}
