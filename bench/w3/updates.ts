/** The updates of W3 and W4: which key number `n` changes, and by what. A function of `n`. */
import { logUniform, random } from '../arithmetic.ts'

const VALUES = 1000
const OCTAVES = 24
/** Spreads the ranks over the keys; it has no factor in common with the number of keys. */
const SPREAD = 7_368_787

export function valueOf(n: number): number {
  return random(n, 2) % VALUES
}

/** Every key is as likely as any other. */
export function uniformKey(n: number, keys: number): number {
  return random(n, 1) % keys
}

/** The key of rank r has a share of about 1 / r. */
export function skewedKey(n: number, keys: number): number {
  const rank = logUniform(random(n, 1), random(n, 3), OCTAVES) % keys
  return (rank * SPREAD) % keys
}
