/** `npm run bench -- codec`: nanoseconds to encode and decode a value, to hash a key, and to find a hash's key group. */
import {
  ByteReader,
  ByteWriter,
  decodeValue,
  encodeValue,
  hashKeyInt32,
  keyGroupOfHash,
} from '../packages/millrace/src/codec/index.ts'
import { random } from './arithmetic.ts'
import { median } from './meter.ts'

export interface CodecResult {
  readonly encodeNs: number
  readonly decodeNs: number
  readonly hashStringNs: number
  readonly hashNumberNs: number
  readonly keyGroupNs: number
}

const COUNT = 1024
const TIMES = 7

/** Medians of seven; each of about so many values of five numbers and two strings, and as many keys. */
export function benchCodec(count: number): CodecResult {
  const rounds = Math.ceil(count / COUNT)
  const numbers = Array.from({ length: COUNT }, (_, n) => random(n, 1))
  const strings = numbers.map(n => n.toString(16).padStart(8, '0'))
  const values = numbers.map((n, i) => ({
    count: n,
    sum: n / 3,
    min: -n,
    max: n * 2,
    last: i,
    name: strings[i],
    city: 'Boise',
  }))
  const writer = new ByteWriter(64)
  const encoded = values.map(value => {
    writer.reset()
    encodeValue(value, writer)
    return new Uint8Array(writer.bytes.subarray(0, writer.length))
  })
  let sink = 0
  const measure = (work: (i: number) => number): number => {
    const samples = Array.from({ length: TIMES }, () => {
      const startedMs = performance.now()
      for (let round = 0; round < rounds; round++) for (let i = 0; i < COUNT; i++) sink ^= work(i)
      return ((performance.now() - startedMs) * 1e6) / (rounds * COUNT)
    })
    return median(samples)
  }
  const result = {
    encodeNs: measure(i => {
      writer.reset()
      encodeValue(values[i], writer)
      return writer.length
    }),
    decodeNs: measure(i => (decodeValue(new ByteReader(encoded[i])) as (typeof values)[number]).last),
    hashStringNs: measure(i => hashKeyInt32(strings[i])),
    hashNumberNs: measure(i => hashKeyInt32(numbers[i])),
    keyGroupNs: measure(i => keyGroupOfHash(numbers[i], 100)),
  }
  if (sink === 0.5) throw new Error('never: it keeps the loops from being left out')
  return result
}
