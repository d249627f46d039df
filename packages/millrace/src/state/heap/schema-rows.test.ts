import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteReader, ByteWriter, decodeValue, encodeValue, fixedSchemaOf, type FixedSchema } from '../../codec/index.ts'
import { SchemaRows } from './schema-rows.ts'

const INTEGERS: { readonly [name: string]: readonly [number, number] } = {
  u8: [0, 255],
  i8: [-128, 127],
  u16: [0, 65_535],
  i16: [-32_768, 32_767],
  u32: [0, 4_294_967_295],
  i32: [-2_147_483_648, 2_147_483_647],
  odd: [-3, 300],
}

interface Sample {
  readonly schema: FixedSchema
  readonly value: unknown
  /** A value that likely does not fit. */
  readonly other: unknown
}

/** A property's schema with a value of it. */
const field: fc.Arbitrary<{ schema: object; value: unknown }> = fc.oneof(
  fc.boolean().map(value => ({ schema: { type: 'boolean' }, value })),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(value => ({ schema: { type: 'number' }, value })),
  fc.maxSafeInteger().map(value => ({ schema: { type: 'integer' }, value })),
  fc
    .constantFrom(...Object.values(INTEGERS))
    .chain(([minimum, maximum]) =>
      fc
        .oneof(fc.integer({ min: minimum, max: maximum }), fc.constantFrom(minimum, maximum))
        .map(value => ({ schema: { type: 'integer', minimum, maximum }, value })),
    ),
)

const name = fc.oneof(fc.string(), fc.constantFrom('a', '7', "it's", 'constructor', '\u2028', '${x}', '"]', 'ключ'))

const sample: fc.Arbitrary<Sample> = fc.oneof(
  fc
    .tuple(field, fc.anything())
    .map(([{ schema, value }, other]) => ({ schema: fixedSchemaOf(schema)!, value, other })),
  fc
    .tuple(fc.dictionary(name, field, { minKeys: 1, maxKeys: 9, noNullPrototype: true }), fc.anything(), fc.anything())
    .map(([fields, any, odd]) => {
      const names = Object.keys(fields).filter(each => each !== '__proto__')
      if (names.length === 0) return { schema: fixedSchemaOf({ type: 'number' })!, value: 1, other: any }
      const pick = (part: 'schema' | 'value') => Object.fromEntries(names.map(each => [each, fields[each][part]]))
      const value = pick('value')
      const other = typeof any === 'object' ? { ...value, [names[0]]: odd } : any
      const schema = fixedSchemaOf({ type: 'object', properties: pick('schema'), required: names })!
      return { schema, value, other }
    }),
)

function rows(format: SchemaRows, count: number) {
  const buffer = new ArrayBuffer(format.width * 8 * count)
  return { f64: new Float64Array(buffer), i32: new Int32Array(buffer), u8: new Uint8Array(buffer) }
}

function encoded(value: unknown): Uint8Array {
  const out = new ByteWriter()
  encodeValue(value, out)
  return out.copy()
}

for (const [how, codeGeneration] of [
  ['generated code', true],
  ['where code generation is forbidden', false],
] as const) {
  test(`a value comes back from its row, and beside it nothing changes (${how})`, () => {
    fc.assert(
      fc.property(sample, ({ schema, value, other }) => {
        const format = new SchemaRows(schema, codeGeneration)
        const target = rows(format, 3)
        target.u8.fill(0xaa)
        const at = format.width
        const hasMisfit = format.parse(other) !== undefined
        assert.equal(format.parse(value), undefined)
        format.copyTo(target, at)
        const loaded = format.load(target, at)
        assert.deepEqual(loaded, value)
        if (typeof value === 'object') {
          assert.notEqual(loaded, value)
          assert.deepEqual(Object.keys(loaded as object), Object.keys(value!))
        }
        if (hasMisfit) assert.notEqual(format.parse(other), undefined)
        format.copyTo(target, at)
        assert.deepEqual(format.load(target, at), value, 'a value that does not fit leaves what was taken in before')
        assert.ok(target.u8.subarray(0, at * 8).every(byte => byte === 0xaa))
        assert.ok(target.u8.subarray(2 * at * 8).every(byte => byte === 0xaa))
      }),
      { numRuns: 300 },
    )
  })

  test(`rows are encoded as their values are, and read back from any encoding of the value (${how})`, () => {
    fc.assert(
      fc.property(sample, ({ schema, value, other }) => {
        const format = new SchemaRows(schema, codeGeneration)
        const target = rows(format, 1)
        assert.equal(format.parse(value), undefined)
        format.copyTo(target, 0)
        const out = new ByteWriter()
        format.encode(target, 0, out)
        const bytes = out.copy()
        assert.deepEqual(bytes, encoded(format.load(target, 0)))
        assert.deepEqual(decodeValue(new ByteReader(bytes)), format.load(target, 0))
        const reordered = typeof value === 'object' ? Object.fromEntries(Object.entries(value!).reverse()) : value
        for (const given of [value, reordered]) {
          const reader = new ByteReader(encoded(given))
          target.u8.fill(0)
          assert.equal(format.decode(reader), undefined)
          assert.equal(reader.remaining(), 0)
          format.copyTo(target, 0)
          assert.deepEqual(format.load(target, 0), value)
        }
        const bytesOfOther = encoded(other)
        assert.deepEqual(
          format.decode(new ByteReader(bytesOfOther)),
          format.parse(decodeValue(new ByteReader(bytesOfOther))),
        )
      }),
      { numRuns: 300 },
    )
  })
}

test('generated code and loops agree on what fits', () => {
  fc.assert(
    fc.property(sample, ({ schema, other }) => {
      const [fast, slow] = [new SchemaRows(schema), new SchemaRows(schema, false)]
      assert.deepEqual(fast.parse(other), slow.parse(other))
    }),
    { numRuns: 1000 },
  )
})

test('an integer has no negative zero, a number keeps it', () => {
  for (const codeGeneration of [true, false]) {
    for (const bounds of [{}, { minimum: -128, maximum: 127 }]) {
      const format = new SchemaRows(fixedSchemaOf({ type: 'integer', ...bounds })!, codeGeneration)
      const target = rows(format, 1)
      format.parse(-0)
      format.copyTo(target, 0)
      assert.ok(Object.is(format.load(target, 0), 0))
    }
    const number = new SchemaRows(fixedSchemaOf({ type: 'number' })!, codeGeneration)
    const target = rows(number, 1)
    number.parse(-0)
    number.copyTo(target, 0)
    assert.ok(Object.is(number.load(target, 0), -0))
  }
})

test('an object of a class and accessors are taken by their own enumerable properties', () => {
  const schema = fixedSchemaOf({ type: 'object', properties: { a: { type: 'number' } }, required: ['a'] })!
  class Point {
    a = 3
  }
  for (const codeGeneration of [true, false]) {
    const format = new SchemaRows(schema, codeGeneration)
    assert.equal(format.parse(new Point()), undefined)
    assert.equal(
      format.parse({
        get a() {
          return 5
        },
      }),
      undefined,
    )
    assert.equal(
      format.parse(Object.assign(Object.create({ a: 4 }) as object, { b: 1 }))?.reason,
      "property 'a' is missing",
    )
    assert.equal(format.parse(new Map([['a', 1]]))?.path, 'a')
  }
})

test('a row takes its columns and the padding to eight bytes', () => {
  const width = (schema: object) => new SchemaRows(fixedSchemaOf(schema)!).width * 8
  const object = (properties: object) => ({ type: 'object', properties, required: Object.keys(properties) })
  const int32 = { type: 'integer', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 }
  const flag = { type: 'boolean' }
  assert.equal(width(flag), 8)
  assert.equal(width(object({ a: int32, b: { type: 'number' } })), 16)
  assert.equal(width(object({ a: flag, b: int32, c: flag, d: flag, e: flag })), 8)
  assert.equal(width(object({ a: flag, b: { type: 'number' }, c: flag })), 16)
})

test('an inherited property is no property of the value', () => {
  class Sneaky {
    x = 1
    get a() {
      return 2
    }
  }
  const schema = (name: string) =>
    fixedSchemaOf({ type: 'object', properties: { [name]: { type: 'number' } }, required: [name] })!
  assert.equal(new SchemaRows(schema('constructor')).parse({})?.path, 'constructor')
  assert.equal(new SchemaRows(schema('a')).parse(new Sneaky())?.reason, "property 'a' is missing")
})
