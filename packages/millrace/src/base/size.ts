/** Sizes as users write them: a number of bytes, or a number and a unit. kB, MB, GB are powers of 1000; KiB, MiB, GiB of 1024. */
import { MillraceError } from './errors.ts'

export type Size = number | `${number}${'B' | 'kB' | 'KB' | 'MB' | 'GB' | 'KiB' | 'MiB' | 'GiB'}`

const UNIT_BYTES: { readonly [unit: string]: number } = {
  B: 1,
  kB: 1000,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
}
const PATTERN = /^(\d+(?:\.\d+)?) ?([kKMG]?B|[KMG]iB)$/

/**
 * The size in whole bytes, at least 1.
 * @param what what the size is for, as the error shall name it
 * @throws OPTION_INVALID
 */
export function parseSize(value: unknown, what: string): number {
  const bytes = typeof value === 'string' ? parseText(value) : value
  if (typeof bytes === 'number' && Number.isSafeInteger(bytes) && bytes >= 1) return bytes
  throw new MillraceError(
    'OPTION_INVALID',
    `${what} is ${typeof value === 'string' ? JSON.stringify(value.slice(0, 60)) : String(value)}; it must be a whole number of bytes from 1 up, or a text like '64MB' or '1GiB'`,
  )
}

function parseText(text: string): number | undefined {
  const match = PATTERN.exec(text)
  return match === null ? undefined : Math.round(Number(match[1]) * UNIT_BYTES[match[2]])
}
