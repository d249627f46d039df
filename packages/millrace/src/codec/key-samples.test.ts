/** Keys for property tests: every kind, nested, with the strings and numbers where encodings go wrong. Holds no tests; the name keeps it out of the build. */
import fc from 'fast-check'
import type { Key } from './key.ts'

/** Any UTF-16 units, lone surrogates and zeros among them. */
export const anyString: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.nat(0x7f),
      fc.integer({ min: 0xd7ff, max: 0xe000 }),
      fc.constantFrom(0, 1, 0xff, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xffff),
      fc.nat(0xffff),
    ),
    {
      maxLength: 12,
    },
  )
  .map(units => String.fromCharCode(...units))

const scalar = fc.oneof(
  anyString,
  fc.string(),
  fc.double({ noNaN: true }),
  fc.integer(),
  fc.constantFrom(0, -0, Infinity, -Infinity),
  fc.bigInt(),
  fc.bigInt({ min: -(2n ** 2100n), max: 2n ** 2100n }),
  fc.bigInt({ min: -3n, max: 3n }),
  fc.boolean(),
)

export const anyKey: fc.Arbitrary<Key> = fc.letrec<{ key: Key }>(tie => ({
  key: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    { weight: 4, arbitrary: scalar },
    { weight: 1, arbitrary: fc.array(tie('key'), { maxLength: 4 }) },
  ),
})).key

/** Pairs that are often equal, or differ only at their ends. */
export const keyPair: fc.Arbitrary<[Key, Key]> = fc.oneof(
  fc.tuple(anyKey, anyKey),
  anyKey.map((key): [Key, Key] => [key, key]),
  fc.tuple(anyString, anyString, anyString).map(([start, a, b]): [Key, Key] => [start + a, start + b]),
  fc.tuple(anyKey, anyKey, anyKey).map(([start, a, b]): [Key, Key] => [
    [start, a],
    [start, b],
  ]),
)
