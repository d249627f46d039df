import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isMillraceError } from '../base/errors.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'

const safeInteger = fc.oneof(
  fc.nat(300),
  fc.maxSafeNat(),
  fc.integer({ min: 0, max: 53 }).map(power => 2 ** power - 1),
  fc.integer({ min: 0, max: 52 }).map(power => 2 ** power),
)

/** Writes with a writer that must grow on the way, and reads back. */
function roundTrip<T>(write: (out: ByteWriter) => void, read: (reader: ByteReader) => T): T {
  const out = new ByteWriter(1)
  out.u8(0xaa)
  write(out)
  out.u8(0xbb)
  const reader = new ByteReader(out.copy())
  assert.equal(reader.u8(), 0xaa)
  const value = read(reader)
  assert.equal(reader.u8(), 0xbb)
  assert.equal(reader.remaining(), 0)
  return value
}

test('what is written is read back', () => {
  fc.assert(
    fc.property(
      fc.nat(0xffff),
      fc.nat(0xffff_ffff),
      safeInteger,
      fc.double(),
      fc.uint8Array(),
      (u16, u32, safe, double, bytes) => {
        const read = roundTrip(
          out => {
            out.u16be(u16)
            out.u32le(u32)
            out.u32be(u32)
            out.u64le(safe)
            out.uvarint(safe)
            out.f64le(double)
            out.orderedF64(double)
            out.raw(bytes)
          },
          r => [
            r.u16be(),
            r.u32le(),
            r.u32be(),
            r.u64le(),
            r.uvarint(),
            r.f64le(),
            r.orderedF64(),
            r.copy(bytes.length),
          ],
        )
        assert.deepStrictEqual(read, [u16, u32, u32, safe, safe, double, double, bytes])
      },
    ),
  )
})

test('fixed-width numbers have the bytes their names say', () => {
  const out = new ByteWriter()
  out.u16be(0x0102)
  out.u32le(0x01020304)
  out.u32be(0x01020304)
  out.u64le(0x1_0203_0405_0607)
  out.f64le(1)
  out.uvarint(300)
  assert.equal(
    Buffer.from(out.copy()).toString('hex'),
    ['0102', '04030201', '01020304', '0706050403020100', '000000000000f03f', 'ac02'].join(''),
  )
})

test('a varint has as many bytes as LEB128 needs', () => {
  fc.assert(
    fc.property(safeInteger, n => {
      const out = new ByteWriter()
      out.uvarint(n)
      assert.equal(out.length, Math.max(1, Math.ceil(n.toString(2).length / 7)))
    }),
  )
})

test('ordered numbers compare as bytes like the numbers', () => {
  const encoded = (n: number) => {
    const out = new ByteWriter()
    out.orderedF64(n)
    return out.copy()
  }
  const double = fc.double({ noNaN: true })
  fc.assert(
    fc.property(double, double, (a, b) => a === b || Buffer.compare(encoded(a), encoded(b)) === (a < b ? -1 : 1)),
  )
})

test('raw takes a part of the bytes', () => {
  const out = new ByteWriter(2)
  out.raw(new Uint8Array([1, 2, 3, 4, 5]), 1, 4)
  assert.deepEqual([...out.view()], [2, 3, 4])
})

test('a reset writer begins anew, and a copy does not follow it', () => {
  const out = new ByteWriter()
  out.u8(1)
  const copy = out.copy()
  out.reset()
  out.u8(2)
  assert.deepEqual([...copy], [1])
  assert.deepEqual([...out.view()], [2])
})

test('reading past the end is SNAPSHOT_DAMAGED, even when the array goes on', () => {
  const bytes = new Uint8Array(32).fill(0x80)
  const reads: ((reader: ByteReader) => unknown)[] = [
    r => r.u8(),
    r => r.u16be(),
    r => r.u32le(),
    r => r.u32be(),
    r => r.u64le(),
    r => r.uvarint(),
    r => r.f64le(),
    r => r.orderedF64(),
    r => r.raw(1),
    r => r.copy(1),
    r => r.skip(1),
    r => r.raw(2 ** 40),
  ]
  for (const read of reads) {
    const empty = new ByteReader(bytes, 16, 16)
    assert.throws(
      () => read(empty),
      error => isMillraceError(error, 'SNAPSHOT_DAMAGED') && /ends too early at byte 16/.test(error.message),
    )
  }
})

test('integers that are not safe are refused', () => {
  const tooLarge = new Uint8Array(16).fill(0xff)
  assert.throws(() => new ByteReader(tooLarge).uvarint(), { code: 'SNAPSHOT_DAMAGED' })
  assert.throws(() => new ByteReader(tooLarge).u64le(), { code: 'SNAPSHOT_DAMAGED' })
  const justTooLarge = new Uint8Array([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10])
  assert.throws(() => new ByteReader(justTooLarge).uvarint(), { code: 'SNAPSHOT_DAMAGED' })
})
