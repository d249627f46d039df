import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as z from 'zod'
import { fits, fixedSchemaOf, misfitOf } from './fixed-schema.ts'
import type { Schema } from './standard-schema.ts'

const storages = (schema: Schema<unknown>) => fixedSchemaOf(schema)?.columns.map(column => column.storage)

test('an object of required numbers, integers and booleans is fixed, its integers as narrow as their bounds', () => {
  const schema = z.object({
    flag: z.boolean(),
    small: z.int().min(0).max(255),
    signed: z.int().min(-128).max(127),
    port: z.int().min(0).max(65_535),
    offset: z.int().min(-32_768).max(32_767),
    count: z.uint32(),
    delta: z.int32(),
    id: z.int(),
    positive: z.int().positive(),
    price: z.number(),
  })
  assert.deepEqual(storages(schema), ['bool', 'u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'f64', 'f64', 'f64'])
  assert.deepEqual(storages(z.int32()), ['i32'])
  assert.deepEqual(storages(z.boolean()), ['bool'])
  assert.deepEqual(storages({ type: 'number', title: 'Price', format: 'double' }), ['f64'])
})

test('columns come in the order in which the properties of a value are listed', () => {
  const schema = fixedSchemaOf(z.object({ b: z.number(), 10: z.number(), a: z.number(), 2: z.number() }))
  const names = schema?.columns.map(({ name }) => name)
  assert.deepEqual(names, ['2', '10', 'b', 'a'])
  assert.deepEqual(names, Object.keys({ b: 0, 10: 0, a: 0, 2: 0 }))
})

test('a schema that allows more, or asks for what is not checked, is not fixed', () => {
  const number = { type: 'number' }
  const object = (changes: object) => ({ type: 'object', properties: { a: number }, required: ['a'], ...changes })
  assert.notEqual(fixedSchemaOf(object({})), undefined)
  const others: object[] = [
    z.object({ a: z.number().optional() }),
    z.object({ a: z.string() }),
    z.object({ a: z.number().nullable() }),
    z.object({ a: z.number().multipleOf(3) }),
    z.object({ a: z.literal(3) }),
    z.object({ a: z.object({ b: z.number() }) }),
    z.looseObject({ a: z.number() }),
    z.object({}),
    z.object({ at: z.date() }),
    z.object({ text: z.string().transform(text => text.length) }),
    z.array(z.number()),
    z.string(),
    z.union([z.number(), z.boolean()]),
    { '~standard': { version: 1, vendor: 'a validator only', validate: (value: unknown) => ({ value }) } },
    {},
    object({ required: [] }),
    object({ required: ['a', 'b'] }),
    object({ required: ['b'] }),
    object({ required: 'a' }),
    object({ additionalProperties: true }),
    object({ minProperties: 1 }),
    object({ properties: { a: true } }),
    object({ properties: undefined }),
    object({ properties: { a: { type: ['number'] } } }),
    object({ properties: { a: { type: 'number', minimum: 0, exclusiveMinimum: true } } }),
    object({ properties: { a: { type: 'boolean', minimum: 0 } } }),
    { ...object({}), properties: JSON.parse('{ "__proto__": { "type": "number" } }'), required: ['__proto__'] },
  ]
  for (const schema of others) assert.equal(fixedSchemaOf(schema), undefined, JSON.stringify(schema))
})

test('what is recorded decides which values are allowed and has no descriptions', () => {
  const schema = z.object({ a: z.int32().describe('x'.repeat(10_000)), b: z.number().gt(0) }).meta({ title: 'T' })
  const recorded = {
    type: 'object',
    properties: {
      a: { type: 'integer', minimum: -2147483648, maximum: 2147483647 },
      b: { type: 'number', exclusiveMinimum: 0 },
    },
    required: ['a', 'b'],
    additionalProperties: false,
  }
  assert.deepEqual(fixedSchemaOf(schema)?.json, recorded)
  assert.deepEqual(fixedSchemaOf(recorded)?.json, recorded)
})

test('a schema is read for what passes it, not for what goes in, and in the target that its library has', () => {
  const withDefault = z.object({ a: z.number().default(1) })
  assert.deepEqual(storages(withDefault), ['f64'])
  const output = ({ target }: { readonly target: string }) => {
    if (target !== 'draft-07') throw new Error(`no ${target}`)
    return { type: 'boolean' }
  }
  const old = {
    '~standard': { version: 1 as const, vendor: 'old', jsonSchema: { output, input: () => ({ type: 'string' }) } },
  }
  assert.deepEqual(storages(old), ['bool'])
})

test('a value fits exactly when the validator of the schema says so', () => {
  const bound = fc.oneof(fc.integer({ min: -300, max: 300 }), fc.double({ noNaN: true, min: -1e6, max: 1e6 }))
  const bounds = fc.record(
    { min: bound, max: bound, gt: bound, lt: bound, isInteger: fc.boolean() },
    { requiredKeys: ['isInteger'] },
  )
  fc.assert(
    fc.property(bounds, fc.oneof(fc.anything(), fc.integer({ min: -400, max: 400 }), bound), (given, value) => {
      let schema = z.number()
      if (given.min !== undefined) schema = schema.gte(given.min)
      if (given.max !== undefined) schema = schema.lte(given.max)
      if (given.gt !== undefined) schema = schema.gt(given.gt)
      if (given.lt !== undefined) schema = schema.lt(given.lt)
      if (given.isInteger) schema = schema.int()
      const candidates = [value, ...Object.values(given)]
      const [column] = fixedSchemaOf(schema)!.columns
      for (const candidate of candidates) assert.equal(fits(column, candidate), schema.safeParse(candidate).success)
    }),
  )
})

test('what does not fit is named by its path, with what was found and what is wanted', () => {
  const schema = fixedSchemaOf(z.object({ row: z.int().min(0).max(255), price: z.number().gt(0), taken: z.boolean() }))!
  const good = { row: 1, price: 2.5, taken: true }
  const reasons = (value: unknown) => misfitOf(schema, value)
  assert.equal(reasons(good), undefined)
  assert.equal(reasons({ taken: false, price: 1, row: 0 }), undefined)
  assert.deepEqual(reasons({ ...good, row: 256 }), {
    path: 'row',
    reason: "property 'row' is 256, not an integer from 0 to 255",
  })
  assert.equal(reasons({ ...good, row: 1.5 })?.path, 'row')
  assert.equal(reasons({ ...good, row: '1' })?.reason, "property 'row' is '1', not an integer from 0 to 255")
  assert.equal(reasons({ ...good, price: NaN })?.reason, "property 'price' is NaN, not a number above 0")
  assert.equal(reasons({ ...good, price: 0 })?.path, 'price')
  assert.equal(reasons({ ...good, price: Infinity })?.path, 'price')
  assert.equal(reasons({ ...good, taken: 1 })?.reason, "property 'taken' is 1, not true or false")
  assert.equal(reasons({ row: 1, price: 1 })?.reason, "property 'taken' is missing")
  assert.equal(reasons({ ...good, seat: 3 })?.reason, "property 'seat' is not in the schema")
  assert.deepEqual(reasons([1, 2, true]), { path: '', reason: '[ 1, 2, true ] is not an object of row, price, taken' })
  assert.equal(misfitOf(fixedSchemaOf(z.int32())!, 0.5)?.reason, '0.5 is not an integer from -2147483648 to 2147483647')
})
