import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { anyGraph, anyTree } from './value-samples.test.ts'
import { decodeValue, encodeValue } from './value.ts'

/** Decodes; the only error allowed is SNAPSHOT_DAMAGED, and the reader must stay inside its bytes. */
function survives(bytes: Uint8Array): void {
  const reader = new ByteReader(bytes)
  try {
    decodeValue(reader)
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'SNAPSHOT_DAMAGED', String(error))
  }
  assert.ok(reader.offset <= bytes.length)
}

function encoded(value: unknown): Uint8Array {
  const out = new ByteWriter()
  encodeValue(value, out)
  return out.copy()
}

const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  // Tags of containers and small numbers, so that most of it is understood.
  fc
    .array(fc.oneof(fc.nat(0x1d), fc.integer({ min: 0x80, max: 0x88 }), fc.integer({ min: 0x40, max: 0x44 })), {
      maxLength: 200,
    })
    .map(bytes => Uint8Array.from(bytes)),
)

test('any bytes give a value or SNAPSHOT_DAMAGED', () => {
  fc.assert(fc.property(anyBytes, survives), { numRuns: 5000 })
})

test('a value with flipped bytes gives a value or SNAPSHOT_DAMAGED', () => {
  const flips = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(fc.oneof(anyTree, anyGraph), flips, (value, changes) => {
      const bytes = encoded(value)
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte
      survives(bytes)
    }),
    { numRuns: 2000 },
  )
})

test('a value that was cut short is SNAPSHOT_DAMAGED wherever it was cut', () => {
  fc.assert(
    fc.property(anyTree, value => {
      const bytes = encoded(value)
      const step = Math.max(1, Math.floor(bytes.length / 50))
      for (let end = 0; end < bytes.length; end += step)
        assert.throws(() => decodeValue(new ByteReader(bytes, 0, end)), { code: 'SNAPSHOT_DAMAGED' })
    }),
    { numRuns: 300 },
  )
})

test('sizes that the bytes cannot hold allocate nothing', () => {
  const huge = 'ffffffff0f' // the varint of 2^32 - 1
  const cases = [
    `19${huge}`, // ArrayBuffer
    `0a${huge}`, // strings
    `0b${huge}`,
    `0c${huge}`,
    `0900${huge}`, // bigint
    `12${huge}`, // array
    `14${huge}`, // Map
    `15${huge}`, // Set
    `10${huge}`, // shape
    `1005${huge}`, // names of a shape
    `1a02${'19' + huge}`, // typed array
    `12${huge}13feffffff0f`, // holes, and an element that is missing
    '12ffffff0f'.repeat(900), // arrays of 32 million inside each other
    '14ff7f'.repeat(400),
  ]
  const before = process.memoryUsage()
  for (const hex of cases)
    assert.throws(
      () => decodeValue(new ByteReader(Buffer.from(hex, 'hex'))),
      { code: 'SNAPSHOT_DAMAGED' },
      hex.slice(0, 20),
    )
  const holes = decodeValue(new ByteReader(Buffer.from(`12${huge}13${huge}`, 'hex'))) as unknown[]
  assert.equal(holes.length, 2 ** 32 - 1)
  assert.equal(
    (decodeValue(new ByteReader(Buffer.from('128087a70e138087a70e', 'hex'))) as unknown[]).length,
    30_000_000,
  )
  const after = process.memoryUsage()
  assert.ok(after.heapTotal + after.external - before.heapTotal - before.external < 32 * 2 ** 20)
})

test('bytes that make no sense are SNAPSHOT_DAMAGED, and the message says where', () => {
  const cases: [string, RegExp][] = [
    ['12021303', /3 holes in an array of 2 before byte 4/],
    ['1201130080', /0 holes in an array of 1/],
    ['12021c011200', /a reference to object 1 of 1/],
    ['171c0040', /something else than a string/],
    ['1100', /shape 0 of 0/],
    ['1002018181', /a property name before byte 4 is not a string/],
    ['10040141616181', /end too early, at byte 5/],
    ['17412840', /a RegExp that is not one/],
    ['174161417a', /a RegExp that is not one/],
    ['181200', /a boxed value that is no primitive/],
    ['1a021200', /a view of something else than its bytes/],
    ['1a061903616263', /a view of something else than its bytes/],
    ['1aff1900', /a view of the unknown kind 255/],
    ['1bff00', /an error of the unknown kind 255/],
    ['3f', /the unknown tag 63 before byte 1/],
    ['0c03610061', /an odd number/],
    ['090000', /a bigint of 0 bytes/],
    ['1381', /the unknown tag 19/],
  ]
  for (const [hex, message] of cases) {
    assert.throws(
      () => decodeValue(new ByteReader(Buffer.from(hex, 'hex'))),
      { code: 'SNAPSHOT_DAMAGED', message },
      hex,
    )
  }
})

test('bytes nested deeper than a value can be are SNAPSHOT_DAMAGED, not a stack overflow', () => {
  for (const hex of ['1281', '158181', '18', '1a02', '1b0004']) {
    const bytes = Buffer.from(hex.repeat(200_000), 'hex')
    assert.throws(() => decodeValue(new ByteReader(bytes)), { code: 'SNAPSHOT_DAMAGED' }, hex)
  }
})
