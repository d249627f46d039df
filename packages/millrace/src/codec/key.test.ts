import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { hashKey, keyGroupOf } from './key-hash.ts'
import { anyKey, keyPair } from './key-samples.test.ts'
import { compareKeys, decodeKey, describeKey, encodeKey, keyIdentity, skipKey, type Key } from './key.ts'

function encoded(key: Key): Buffer {
  const out = new ByteWriter(1)
  encodeKey(key, out)
  return Buffer.from(out.copy())
}

/** The key as it comes back: -0 is 0. */
function normal(key: Key): Key {
  if (key === 0) return 0
  return Array.isArray(key) ? Array.from(key, normal) : key
}

function damagedKey(hex: string): void {
  const bytes = Buffer.from(hex, 'hex')
  assert.throws(() => decodeKey(new ByteReader(bytes)), { code: 'SNAPSHOT_DAMAGED' }, hex)
}

function nested(depth: number): Key {
  let key: Key = 1
  for (let i = 0; i < depth; i++) key = [key]
  return key
}

const vectors = readFileSync(new URL('../../../../docs/key-encoding.md', import.meta.url), 'utf8')
  .split('\n')
  .map(line => /^\| `(.*)` \| `([0-9a-f]+)` \| `([0-9a-f]{8})` \| (\d+) \|$/.exec(line))
  .filter(match => match !== null)

test('the test vectors of docs/key-encoding.md hold', () => {
  assert.ok(vectors.length >= 15)
  for (const [, text, hex, hash, group] of vectors) {
    const key = runInNewContext(text) as Key
    assert.equal(encoded(key).toString('hex'), hex, text)
    assert.deepEqual(decodeKey(new ByteReader(Buffer.from(hex, 'hex'))), normal(key), text)
    assert.equal(hashKey(key).toString(16).padStart(8, '0'), hash, text)
    assert.equal(keyGroupOf(key, 128), Number(group), text)
  }
})

test('invariant 11: a key is read back whatever bytes follow it, and can be skipped', () => {
  fc.assert(
    fc.property(anyKey, fc.uint8Array({ maxLength: 4 }), (key, more) => {
      const bytes = encoded(key)
      const followed = Buffer.concat([bytes, more])
      const reader = new ByteReader(followed)
      assert.deepStrictEqual(decodeKey(reader), normal(key))
      assert.equal(reader.offset, bytes.length)
      const skipping = new ByteReader(followed)
      skipKey(skipping)
      assert.equal(skipping.offset, bytes.length)
    }),
    { numRuns: 500 },
  )
})

test('a character above U+FFFF whose low bits look like a surrogate is no surrogate', () => {
  for (const points of [
    [0x3d800, 0xdfff],
    [0xd800, 0x1dc00],
    [0x10d800, 0xdc00],
  ]) {
    const key = String.fromCodePoint(...points)
    assert.equal(decodeKey(new ByteReader(encoded(key))), key)
  }
})

test('invariant 11: keys are ordered as their bytes are, whatever bytes follow', () => {
  fc.assert(
    fc.property(keyPair, fc.uint8Array({ maxLength: 3 }), fc.uint8Array({ maxLength: 3 }), ([a, b], afterA, afterB) => {
      const order = Math.sign(compareKeys(a, b))
      assert.equal(order, Buffer.compare(encoded(a), encoded(b)))
      assert.equal(Math.sign(compareKeys(b, a)), 0 - order)
      if (order !== 0)
        assert.equal(Buffer.compare(Buffer.concat([encoded(a), afterA]), Buffer.concat([encoded(b), afterB])), order)
    }),
    { numRuns: 2000 },
  )
})

test('identities are the same in a Map exactly when the keys are equal', () => {
  fc.assert(
    fc.property(keyPair, ([a, b]) => {
      const same = new Map([[keyIdentity(a), true]]).has(keyIdentity(b))
      assert.equal(same, encoded(a).equals(encoded(b)))
    }),
    { numRuns: 2000 },
  )
})

test('a string that looks like the identity of a tuple is not taken for it', () => {
  const identity = keyIdentity(['a'])
  assert.equal(typeof identity, 'string')
  assert.notEqual(keyIdentity(identity), identity)
  assert.equal(keyIdentity('plain'), 'plain')
})

test('invariant 11: NaN and what is not a key are refused by name, and nothing is written', () => {
  for (const [bad, shown] of [
    [NaN, 'NaN'],
    [undefined, 'undefined'],
    [null, 'null'],
    [{}, 'an object'],
    [() => 1, 'a function'],
    [Symbol('s'), 'a symbol'],
    [['a', [NaN]], 'NaN'],
  ] as [any, string][]) {
    const expected = { code: 'KEY_INVALID', message: new RegExp(`^${shown} is not a key`) }
    const out = new ByteWriter()
    out.u8(1)
    assert.throws(() => encodeKey(bad, out), expected)
    assert.equal(out.length, 1)
    assert.throws(() => keyIdentity(bad), expected)
    assert.throws(() => hashKey(bad), expected)
  }
})

test('a tuple may be nested 16 deep and not deeper', () => {
  assert.deepEqual(decodeKey(new ByteReader(encoded(nested(16)))), nested(16))
  assert.throws(() => encoded(nested(17)), { code: 'KEY_INVALID' })
  damagedKey('09'.repeat(17) + '00'.repeat(17))
})

test('a key may take 64 KiB and not more', () => {
  const longest = 'x'.repeat(64 * 1024 - 3)
  assert.equal(encoded(longest).length, 64 * 1024)
  assert.equal(decodeKey(new ByteReader(encoded(longest))), longest)
  for (const large of [
    `${longest}x`,
    'é'.repeat(40_000),
    'x'.repeat(10_000_000),
    Array.from({ length: 70_000 }, () => true),
    1n << 600_000n,
  ]) {
    const out = new ByteWriter()
    assert.throws(() => encodeKey(large, out), { code: 'VALUE_TOO_LARGE' })
    assert.equal(out.length, 0)
    assert.throws(() => hashKey(large), { code: 'VALUE_TOO_LARGE' })
  }
})

test('invariant 11: only the canonical bytes are read as a key', () => {
  const cases = {
    'no key begins with this tag': ['00', '01', '04', '0a', 'ff'],
    'a number that is NaN or -0': ['05fff8000000000000', '057fffffffffffffff'],
    'a leading zero, a negative zero, a long size for a short magnitude': [
      '070100',
      '06ff',
      '07ff0000000101',
      '0600fffffffefe',
    ],
    'a size beyond the bytes': ['0705ff', '07ffffffffff'],
    'a string without an end, or with a zero that is not escaped': ['0861', '086100', '0861000201'],
    'overlong forms, surrogate pairs as two, code points beyond U+10FFFF, cut forms': [
      '08c1810001',
      '08e081810001',
      '08f08181810001',
      '08eda0bdedb8800001',
      '08f49080800001',
      '08e69d0001',
      '08800001',
      '08f8808080800001',
    ],
    'a tuple without an end': ['0902', '09'],
    nothing: [''],
  }
  for (const hexes of Object.values(cases)) hexes.forEach(damagedKey)
})

test('damaged bytes give SNAPSHOT_DAMAGED or a key that has exactly these bytes', () => {
  const damage = fc.tuple(anyKey, fc.nat(), fc.nat(255), fc.boolean()).map(([key, at, flip, cut]) => {
    const bytes = encoded(key)
    bytes[at % bytes.length] ^= flip
    return cut ? bytes.subarray(0, at % bytes.length) : bytes
  })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), damage), bytes => {
      const reader = new ByteReader(bytes)
      let key: Key
      try {
        key = decodeKey(reader)
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'SNAPSHOT_DAMAGED')
        return
      }
      assert.deepEqual(encoded(key), Buffer.from(bytes.subarray(0, reader.offset)))
    }),
    { numRuns: 2000 },
  )
})

test('a key is described briefly', () => {
  assert.equal(describeKey(['a', 1, [2n, false]]), '["a", 1, [2n, false]]')
  assert.equal(describeKey('line\nbreak'), '"line\\nbreak"')
  assert.ok(describeKey('x'.repeat(1000)).length < 100)
  assert.ok(describeKey(Array.from({ length: 1000 }, (_, i) => i)).length < 100)
})
