/** The integer arithmetic that all workloads are defined in: 32 bits, wrapping, so that every language gets the same records. */

/** murmur3's final mix. */
export function mix32(x: number): number {
  x ^= x >>> 16
  x = Math.imul(x, 0x85ebca6b)
  x ^= x >>> 13
  x = Math.imul(x, 0xc2b2ae35)
  return x ^ (x >>> 16)
}

/** Random number of event `n` for purpose `salt`, unsigned. */
export function random(n: number, salt: number): number {
  return mix32((Math.imul(n, 0x9e3779b1) + Math.imul(salt, 0x85ebca77) + 42) | 0) >>> 0
}

/** An integer in [1, 2^octaves), of two random ones: every power of two as likely as the next. */
export function logUniform(octave: number, within: number, octaves: number): number {
  const bits = octave % octaves
  return (1 << bits) + (within & ((1 << bits) - 1))
}

const FNV_OFFSET = 0x811c9dc5 | 0

/** FNV-1a over UTF-8 bytes. */
export function fnv(text: string): number {
  let h = FNV_OFFSET
  for (const byte of Buffer.from(text)) h = Math.imul(h ^ byte, 0x01000193)
  return h
}

/** Checksum of a multiset of rows: the order does not matter, and two sums can be added up. */
export class RowSum {
  private count = 0
  private a = 0
  private b = 0

  /** Fields as 32-bit integers; texts go in as `fnv`. */
  add(...fields: number[]): void {
    this.addRow(fields)
  }

  addRow(fields: readonly number[]): void {
    let h = FNV_OFFSET
    for (const field of fields) h = mix32((Math.imul(h, 31) + field) | 0)
    this.count++
    this.a = (this.a + h) | 0
    this.b ^= mix32((h + 0x9e3779b9) | 0)
  }

  toJson(): { count: number; a: number; b: number } {
    const { count, a, b } = this
    return { count, a, b }
  }

  /** Add up what `toJson` gave. */
  merge(sum: unknown): void {
    const { count, a, b } = sum as { count: number; a: number; b: number }
    this.count += count
    this.a = (this.a + a) | 0
    this.b ^= b
  }

  toString(): string {
    return `${hex8(this.a)}${hex8(this.b)}-${this.count}`
  }
}

function hex8(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0')
}
