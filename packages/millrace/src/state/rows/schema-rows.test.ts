import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  ByteReader,
  ByteWriter,
  decodeValue,
  encodeValue,
  fixedSchemaOf,
  misfitOf,
  type FixedSchema,
} from '../../codec/index.ts'
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

function rowOf(format: SchemaRows, value: unknown): Uint8Array {
  const target = rows(format, 2)
  assert.equal(format.parse(value), undefined)
  format.copyTo(target, format.width)
  const out = new ByteWriter(1)
  format.encode(target, format.width, out)
  return out.copy()
}

/** The value that was taken in last. */
function taken(format: SchemaRows): unknown {
  const target = rows(format, 1)
  format.copyTo(target, 0)
  return format.load(target, 0)
}

type Described = { readonly [keyword: string]: unknown }

function withProperties(
  { json, isObject }: FixedSchema,
  change: (json: Described, name?: string) => object,
): FixedSchema {
  if (!isObject) return fixedSchemaOf(change(json))!
  const properties = Object.entries(json['properties'] as { readonly [name: string]: Described })
  return fixedSchemaOf({
    ...json,
    properties: Object.fromEntries(properties.map(([key, each]) => [key, change(each, key)])),
  })!
}

/** All that fits the schema fits it, mostly in other storages. */
function loosened(schema: FixedSchema): FixedSchema {
  return withProperties(schema, ({ type }) => ({ type }))
}

/** In the same storages, so that rows are copied: only the value's own sign fits. */
function tightened(schema: FixedSchema, value: unknown): FixedSchema | undefined {
  const changed = withProperties(schema, (json, name) => {
    const own = name === undefined ? value : (value as { readonly [name: string]: unknown })[name]
    return typeof own === 'number' && own > 0 ? { ...json, minimum: own / 2 } : json
  })
  return changed.layout.signature === schema.layout.signature ? changed : undefined
}

for (const [how, codeGeneration] of [
  ['generated code', true],
  ['where code generation is forbidden', false],
] as const) {
  test(`a value comes back from its row, and beside it nothing changes (${how})`, () => {
    fc.assert(
      fc.property(sample, ({ schema, value, other }) => {
        const format = new SchemaRows(schema, { codeGeneration })
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

  test(`encoded rows are read back under their schema, and self-describing values too (${how})`, () => {
    fc.assert(
      fc.property(sample, fc.boolean(), ({ schema, value, other }, littleEndian) => {
        const format = new SchemaRows(schema, { codeGeneration, littleEndian })
        const bytes = rowOf(new SchemaRows(schema, { littleEndian: true }), value)
        assert.equal(bytes.length, 1 + schema.layout.sizeBytes)
        const reordered = typeof value === 'object' ? Object.fromEntries(Object.entries(value!).reverse()) : value
        for (const given of [bytes, rowOf(format, value), encoded(value), encoded(reordered)]) {
          for (const writer of given[0] === bytes[0] ? [schema] : [schema, undefined]) {
            format.decodeFrom(writer)
            const reader = new ByteReader(given)
            assert.equal(format.decode(reader), undefined)
            assert.equal(reader.remaining(), 0)
            assert.deepEqual(taken(format), value)
          }
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

  test(`a row of another schema is taken as its value would be, and refused for the same reason (${how})`, () => {
    fc.assert(
      fc.property(sample, sample, fc.boolean(), ({ schema, value }, { schema: another }, isWider) => {
        // Of the same columns with other bounds, or of anything else.
        const now = isWider ? loosened(schema) : (tightened(schema, value) ?? another)
        const format = new SchemaRows(now, { codeGeneration })
        format.decodeFrom(schema)
        const reader = new ByteReader(rowOf(new SchemaRows(schema), value))
        const misfit = format.decode(reader)
        assert.equal(reader.remaining(), 0)
        assert.deepEqual(misfit, format.parse(value))
        if (isWider) assert.equal(misfit, undefined)
        if (misfit === undefined) assert.deepEqual(taken(format), value)
      }),
      { numRuns: 500 },
    )
  })

  test(`damage in a row is SNAPSHOT_DAMAGED or a value that fits, never one that does not (${how})`, () => {
    fc.assert(
      fc.property(
        sample,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        fc.boolean(),
        ({ schema, value }, flips, littleEndian) => {
          const format = new SchemaRows(schema, { codeGeneration, littleEndian })
          format.decodeFrom(schema)
          const bytes = rowOf(new SchemaRows(schema), value)
          for (const [at, byte] of flips) bytes[1 + (at % schema.layout.sizeBytes)] = byte
          try {
            assert.equal(format.decode(new ByteReader(bytes)), undefined)
          } catch (error) {
            assert.equal((error as { code?: string }).code, 'SNAPSHOT_DAMAGED', String(error))
            return
          }
          assert.equal(misfitOf(schema, taken(format)), undefined)
        },
      ),
      { numRuns: 500 },
    )
  })
}

test('a row that is cut, too long, without a schema or of another one is SNAPSHOT_DAMAGED', () => {
  const schema = fixedSchemaOf({
    type: 'object',
    properties: { a: { type: 'number' }, b: { type: 'boolean' } },
    required: ['a', 'b'],
  })!
  const narrower = fixedSchemaOf({ type: 'boolean' })!
  const bytes = rowOf(new SchemaRows(schema), { a: 1, b: true })
  assert.deepEqual([...bytes], [0x1d, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 1])
  const longer = Uint8Array.from([...bytes, 0])
  for (const littleEndian of [true, false]) {
    const format = new SchemaRows(schema, { littleEndian })
    const refuses = (writer: FixedSchema | undefined, given: Uint8Array, message: RegExp) => {
      format.decodeFrom(writer)
      assert.throws(() => format.decode(new ByteReader(given)), { code: 'SNAPSHOT_DAMAGED', message })
    }
    for (let end = 1; end < bytes.length; end++)
      refuses(schema, bytes.subarray(0, end), /the row at byte 1 has \d bytes; its schema takes 9/)
    refuses(schema, longer, /has 10 bytes/)
    refuses(schema, new Uint8Array(0), /ends too early/)
    refuses(undefined, bytes, /no schema/)
    refuses(narrower, bytes, /its schema takes 1/)
    refuses(
      schema,
      Uint8Array.from([...bytes.subarray(0, 9), 2]),
      /undefined in the row at byte 1 is not true or false/,
    )
    refuses(
      schema,
      Uint8Array.from([0x1d, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f, 1]),
      /Infinity in the row at byte 1 is not a number/,
    )
  }
})

test('generated code and loops agree on what fits', () => {
  fc.assert(
    fc.property(sample, ({ schema, other }) => {
      const [fast, slow] = [new SchemaRows(schema), new SchemaRows(schema, { codeGeneration: false })]
      assert.deepEqual(fast.parse(other), slow.parse(other))
    }),
    { numRuns: 1000 },
  )
})

test('an integer has no negative zero, a number keeps it', () => {
  for (const codeGeneration of [true, false]) {
    for (const bounds of [{}, { minimum: -128, maximum: 127 }]) {
      const format = new SchemaRows(fixedSchemaOf({ type: 'integer', ...bounds })!, { codeGeneration })
      const target = rows(format, 1)
      format.parse(-0)
      format.copyTo(target, 0)
      assert.ok(Object.is(format.load(target, 0), 0))
    }
    const number = new SchemaRows(fixedSchemaOf({ type: 'number' })!, { codeGeneration })
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
    const format = new SchemaRows(schema, { codeGeneration })
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
