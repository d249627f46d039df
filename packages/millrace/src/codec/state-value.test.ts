import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { fixedSchemaOf, fixedSchemaOfJson } from './fixed-schema.ts'
import { decodeRow, decodeStateValue, encodeRow } from './state-value.ts'

const integer = (minimum: number, maximum: number) => ({ type: 'integer', minimum, maximum })

const PROPERTIES = {
  flag: { type: 'boolean' },
  i8: integer(-128, 127),
  u8: integer(0, 255),
  u16: integer(0, 65_535),
  i16: integer(-32_768, 32_767),
  u32: integer(0, 4_294_967_295),
  i32: integer(-2_147_483_648, 2_147_483_647),
  z: { type: 'number' },
  a: { type: 'integer' },
}
const VALUE = { flag: true, i8: -2, u8: 254, u16: 65_534, i16: -2, u32: 4_294_967_294, i32: -2, z: -1.5, a: 3 }
/** a and z; i32 and u32; i16 and u16; flag, i8 and u8. */
const ROW = ['0000000000000840', '000000000000f8bf', 'feffffff', 'feffffff', 'feff', 'feff', '01', 'fe', 'fe'].join('')

function schemaOf(names: readonly string[]) {
  const properties = Object.fromEntries(names.map(name => [name, PROPERTIES[name as keyof typeof PROPERTIES]]))
  return fixedSchemaOf({ type: 'object', properties, required: names })!
}

test('a row is laid out by size, then by name, little-endian, and read back in the order of the schema', () => {
  const names = Object.keys(PROPERTIES)
  for (const order of [names, names.toReversed()]) {
    const schema = schemaOf(order)
    assert.equal(schema.layout.sizeBytes, ROW.length / 2)
    const stored = fixedSchemaOfJson(JSON.parse(JSON.stringify(schema.json)))!
    assert.equal(stored.layout.signature, schema.layout.signature)
    const value = decodeStateValue(new ByteReader(Buffer.from(`ff1d${ROW}`, 'hex'), 1), stored)
    assert.deepEqual(value, VALUE)
    assert.deepEqual(Object.keys(value as object), order)
  }
})

test('a row of any size is copied out of memory and back, and nothing beside it', () => {
  const memory = new Uint8Array(160).map((_, i) => 255 - i)
  const words = new Int32Array(memory.buffer)
  for (let size = 1; size <= 120; size++) {
    const out = new ByteWriter(1)
    out.u8(7)
    encodeRow(words, memory, 8, size, out)
    assert.deepEqual([...out.view()], [7, 0x1d, ...memory.subarray(8, 8 + size)])
    const target = new Uint8Array(160).fill(9)
    const reader = new ByteReader(out.view(), 1)
    assert.equal(decodeRow(reader, size, new Int32Array(target.buffer), target), true)
    assert.equal(reader.remaining(), 0)
    assert.deepEqual([...target], [...memory.subarray(8, 8 + size), ...new Uint8Array(160 - size).fill(9)])
  }
})

test('whatever JSON stands in the place of a stored schema is no schema, or one of a fixed width', () => {
  for (const json of [
    null,
    1,
    'x',
    [],
    {},
    { '~standard': null },
    { type: 'object' },
    { type: 'object', properties: [] },
  ])
    assert.equal(fixedSchemaOfJson(json), undefined)
  assert.equal(fixedSchemaOfJson({ type: 'number' })?.layout.sizeBytes, 8)
})
