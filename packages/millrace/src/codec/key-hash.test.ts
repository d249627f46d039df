import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteWriter } from './byte-writer.ts'
import { hashKey, hashKeyInt32, keyGroupOf, keyGroupOfHash, keyGroupRange, subtaskOfKeyGroup } from './key-hash.ts'
import { anyKey } from './key-samples.test.ts'
import { encodeKey, type Key } from './key.ts'
import { murmur3 } from './murmur3.ts'

function hashOfEncoding(key: Key): number {
  const out = new ByteWriter()
  encodeKey(key, out)
  return murmur3(out.copy()) >>> 0
}

test('murmur3 gives the published values', () => {
  for (const [text, hash] of [
    ['', 0],
    ['test', 0xba6bd213],
    ['Hello, world!', 0xc0363e43],
    ['The quick brown fox jumps over the lazy dog', 0x2e4ff723],
  ] as const) {
    assert.equal(murmur3(Buffer.from(text)) >>> 0, hash, text)
    assert.equal(murmur3(Buffer.from(`__${text}_`), 2, 2 + text.length) >>> 0, hash, text)
  }
})

test('invariant 11: the hash of a key is the hash of its encoding', () => {
  fc.assert(
    fc.property(anyKey, key => hashKey(key) === hashOfEncoding(key)),
    { numRuns: 2000 },
  )
})

test('strings of every length are hashed like their encoding, with a zero or a letter beyond ASCII at every place', () => {
  for (let size = 0; size <= 20; size++) {
    const text = 'abcdefghijklmnopqrstuvwxyz'.slice(0, size)
    assert.equal(hashKey(text), hashOfEncoding(text))
    for (let at = 0; at < size; at++) {
      for (const odd of ['\0', 'é', '€', '\ud83d', '😀', '\x7f', '\x80']) {
        const key = text.slice(0, at) + odd + text.slice(at + 1)
        assert.equal(hashKey(key), hashOfEncoding(key), JSON.stringify(key))
      }
    }
  }
  const long = 'x'.repeat(40_000)
  assert.equal(hashKey(long), hashOfEncoding(long))
})

test('invariant 11: -0 hashes like 0', () => {
  assert.equal(hashKey(-0), hashKey(0))
})

test('key groups are the hash modulo the max parallelism, and are used evenly', () => {
  const counts = new Uint32Array(128)
  for (let i = 0; i < 12_800; i++) {
    const key = `user-${i}`
    const group = keyGroupOf(key, 128)
    assert.equal(group, hashKey(key) % 128)
    counts[group]++
  }
  assert.ok(Math.min(...counts) > 50 && Math.max(...counts) < 150)
})

test('the key group of a hash is its unsigned remainder, whatever the maximum parallelism', () => {
  const maxParallelism = fc.oneof(
    fc.integer({ min: 1, max: 32768 }),
    fc.nat(15).map(power => 2 ** power),
  )
  fc.assert(
    fc.property(fc.integer(), maxParallelism, (hash, max) => {
      assert.equal(keyGroupOfHash(hash, max), (hash >>> 0) % max)
      assert.equal(keyGroupOfHash(hash >>> 0, max), (hash >>> 0) % max)
    }),
    {
      examples: [
        [-1, 3],
        [-1, 32767],
        [-(2 ** 31), 100],
        [2 ** 31 - 1, 7],
      ],
    },
  )
  fc.assert(fc.property(fc.string(), key => assert.equal(hashKeyInt32(key) >>> 0, hashKey(key))))
})

test('every key group is in the range of the one subtask that has it, and the ranges follow each other', () => {
  const scale = fc
    .integer({ min: 1, max: 32_768 })
    .chain(max =>
      fc.tuple(fc.oneof(fc.integer({ min: 1, max }), fc.integer({ min: 1, max: Math.min(max, 8) })), fc.constant(max)),
    )
  fc.assert(
    fc.property(scale, ([parallelism, max]) => {
      let next = 0
      let smallest = Infinity
      let largest = 0
      for (let subtask = 0; subtask < parallelism; subtask++) {
        const [start, end] = keyGroupRange(subtask, parallelism, max)
        assert.equal(start, next)
        for (let group = start; group < end; group++) assert.equal(subtaskOfKeyGroup(group, parallelism, max), subtask)
        smallest = Math.min(smallest, end - start)
        largest = Math.max(largest, end - start)
        next = end
      }
      assert.equal(next, max)
      assert.ok(smallest >= 1 && largest - smallest <= 1, `${smallest} to ${largest} key groups`)
    }),
    { numRuns: 50, examples: [[[32_767, 32_768]], [[3, 128]], [[128, 128]], [[1, 1]]] },
  )
})
