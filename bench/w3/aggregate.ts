/**
 * The state of W3 and W4: per key a record of 100 bytes, all numbers. This file alone knows how it is kept.
 *
 *   count u32 @0 · sum i64 @4 · min i32 @12 · max i32 @16 · last u32 @20 · 76 bytes @24 as pad0 … pad18, i32, little-endian
 *
 * Fields of one flat object: with the pad as an array or a Uint8Array 4 M updates of 1 M keys took 10.6 s of CPU instead of 8.9, and more memory.
 */
import { value } from 'millrace'

const WORDS = 19

type Pad = `pad${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15 | 16 | 17 | 18}`
const PAD = Array.from({ length: WORDS }, (_, word) => `pad${word}` as Pad)

export type Aggregate = { count: number; sum: number; min: number; max: number; last: number } & { [P in Pad]: number }

const I32 = { type: 'integer', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 }
const U32 = { type: 'integer', minimum: 0, maximum: 2 ** 32 - 1 }

/** The state's declaration: a row of 104 bytes per key, since a sum of 64 bits is kept as a float64. */
export function aggregate() {
  const pad = Object.fromEntries(PAD.map(name => [name, I32]))
  const properties = { count: U32, sum: { type: 'number' }, min: I32, max: I32, last: U32, ...pad }
  return value<Aggregate>({ schema: { type: 'object', properties, required: Object.keys(properties) } })
}

export function emptyAggregate(): Aggregate {
  // One literal, so that every object has room for all fields in itself.
  // oxfmt-ignore
  return {
    count: 0, sum: 0, min: 2 ** 31 - 1, max: -(2 ** 31), last: 0,
    pad0: 0, pad1: 0, pad2: 0, pad3: 0, pad4: 0, pad5: 0, pad6: 0, pad7: 0, pad8: 0, pad9: 0,
    pad10: 0, pad11: 0, pad12: 0, pad13: 0, pad14: 0, pad15: 0, pad16: 0, pad17: 0, pad18: 0,
  }
}

/** Update `n`, of value `v`. In place: state may change what it has just got, as long as it is set again. */
export function update(aggregate: Aggregate, n: number, v: number): void {
  aggregate.count++
  aggregate.sum += v
  if (v < aggregate.min) aggregate.min = v
  if (v > aggregate.max) aggregate.max = v
  aggregate.last = n
  const byte = n % (WORDS * 4)
  const bit = (byte & 3) * 8
  const pad = PAD[byte >> 2]
  aggregate[pad] = (aggregate[pad] & ~(255 << bit)) | ((v & 255) << bit)
}
