/** Which changes of a schema are taken, what they do to values, and which are refused, in the words of zod, arktype, valibot and JSON Schema. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { toStandardJsonSchema } from '@valibot/to-json-schema'
import { type } from 'arktype'
import * as fc from 'fast-check'
import * as v from 'valibot'
import * as z from 'zod'
import type { Json } from '../base/json.ts'
import { schemaMisfit } from './schema-check.ts'
import { evolveSchema, type Evolution } from './schema-evolution.ts'
import { storableSchemaOf, type Schema } from './standard-schema.ts'

const evolve = (before: Schema<any>, after: Schema<any>): Evolution => evolveSchema(json(before), json(after))
const json = (schema: Schema<any>): Json => storableSchemaOf(schema)!

/** What becomes of the value. */
function taken(before: Schema<any>, after: Schema<any>, value: unknown): unknown {
  const { refusals, convert } = evolve(before, after)
  assert.deepEqual(refusals, [])
  assert.equal(schemaMisfit(json(before), value), undefined, 'a value of the old schema')
  const converted = convert === undefined ? value : convert(value)
  assert.equal(schemaMisfit(json(after), converted), undefined, 'a value of the new schema')
  return converted
}

function refused(before: Schema<any>, after: Schema<any>, reason: RegExp): void {
  const { refusals } = evolve(before, after)
  assert.equal(refusals.length, 1, refusals.join('\n'))
  assert.match(refusals[0], reason)
}

const vb = (schema: any): Schema<any> => toStandardJsonSchema(schema) as Schema<any>

/** The same changes in the words of each library. */
const LIBRARIES = {
  zod: {
    base: z.object({ n: z.int(), s: z.string() }),
    reordered: z.object({ s: z.string(), n: z.int() }),
    optional: z.object({ n: z.int(), s: z.string(), note: z.string().optional() }),
    defaulted: z.object({ n: z.int(), s: z.string(), size: z.number().default(7) }),
    required: z.object({ n: z.int(), s: z.string(), size: z.number() }),
    widened: z.object({ n: z.number(), s: z.string() }),
    nullable: z.object({ n: z.int(), s: z.string(), note: z.string().nullable() }),
    colors: z.object({ c: z.enum(['red', 'blue']) }),
    moreColors: z.object({ c: z.enum(['blue', 'green', 'red']) }),
    text: z.object({ n: z.string(), s: z.string() }),
  },
  arktype: {
    base: type({ n: 'number.integer', s: 'string' }),
    reordered: type({ s: 'string', n: 'number.integer' }),
    optional: type({ n: 'number.integer', s: 'string', 'note?': 'string' }),
    defaulted: type({ n: 'number.integer', s: 'string', size: 'number = 7' }),
    required: type({ n: 'number.integer', s: 'string', size: 'number' }),
    widened: type({ n: 'number', s: 'string' }),
    nullable: type({ n: 'number.integer', s: 'string', note: 'string | null' }),
    colors: type({ c: "'red' | 'blue'" }),
    moreColors: type({ c: "'red' | 'blue' | 'green'" }),
    text: type({ n: 'string', s: 'string' }),
  },
  valibot: {
    base: vb(v.object({ n: v.pipe(v.number(), v.integer()), s: v.string() })),
    reordered: vb(v.object({ s: v.string(), n: v.pipe(v.number(), v.integer()) })),
    optional: vb(v.object({ n: v.pipe(v.number(), v.integer()), s: v.string(), note: v.optional(v.string()) })),
    defaulted: vb(v.object({ n: v.pipe(v.number(), v.integer()), s: v.string(), size: v.optional(v.number(), 7) })),
    required: vb(v.object({ n: v.pipe(v.number(), v.integer()), s: v.string(), size: v.number() })),
    widened: vb(v.object({ n: v.number(), s: v.string() })),
    nullable: vb(v.object({ n: v.pipe(v.number(), v.integer()), s: v.string(), note: v.nullable(v.string()) })),
    colors: vb(v.object({ c: v.picklist(['red', 'blue']) })),
    moreColors: vb(v.object({ c: v.picklist(['blue', 'green', 'red']) })),
    text: vb(v.object({ n: v.string(), s: v.string() })),
  },
} satisfies { readonly [library: string]: { readonly [change: string]: Schema<any> } }

for (const [library, s] of Object.entries(LIBRARIES) as [string, (typeof LIBRARIES)['zod']][]) {
  describe(library, () => {
    const old = { n: 1, s: 'a' }
    test('properties in another order are the same schema', () => {
      assert.deepEqual(evolve(s.base, s.reordered), { changes: [], refusals: [], convert: undefined })
    })
    test('an optional property is added, and nothing is converted', () => {
      assert.equal(taken(s.base, s.optional, old), old)
      assert.deepEqual(evolve(s.base, s.optional).changes, ['note is added, and optional'])
    })
    test('a property with a default is added, and the default is filled in', () => {
      // arktype's JSON Schema does not say what its defaults are.
      if (library === 'arktype') return refused(s.base, s.defaulted, /^size is added, is required now/)
      assert.deepEqual(taken(s.base, s.defaulted, old), { n: 1, s: 'a', size: 7 })
      assert.deepEqual(evolve(s.base, s.defaulted).changes, ['size is added, its default 7 is filled in'])
      assert.deepEqual(old, { n: 1, s: 'a' })
    })
    test('a required property without a default is refused, by its path', () => {
      refused(s.base, s.required, /^size is added, is required now and has no default$/)
    })
    test('a property is removed, and its values are dropped', () => {
      assert.deepEqual(taken(s.required, s.base, { n: 1, s: 'a', size: 2 }), old)
      assert.deepEqual(evolve(s.required, s.base).changes, ['size is removed'])
    })
    test('an integer becomes a number, and not the other way round', () => {
      assert.equal(taken(s.base, s.widened, old), old)
      assert.ok(evolve(s.base, s.widened).changes.includes('n was an integer and is a number now'))
      refused(s.widened, s.base, /^n was a number and is an integer now/)
    })
    test('an optional property becomes nullable: null stands for what was missing', () => {
      assert.deepEqual(taken(s.optional, s.nullable, old), { n: 1, s: 'a', note: null })
      assert.deepEqual(taken(s.optional, s.nullable, { ...old, note: 'x' }), { n: 1, s: 'a', note: 'x' })
      refused(s.nullable, s.optional, /^note was null and is a string now/)
    })
    test('an enum grows, and does not shrink', () => {
      assert.deepEqual(taken(s.colors, s.moreColors, { c: 'red' }), { c: 'red' })
      assert.deepEqual(evolve(s.colors, s.moreColors).changes, ['c may also be "green"'])
      refused(s.moreColors, s.colors, /^c was .* without "green"$/)
    })
    test('another type is refused', () => refused(s.base, s.text, /^n was an integer and is a string now$/))
  })
}

test('changes deep inside are converted, and refused with their path', () => {
  const shape = (item: z.ZodType) => z.object({ carts: z.record(z.string(), z.object({ items: z.array(item) })) })
  const before = shape(z.object({ id: z.string(), gone: z.boolean() }))
  const after = shape(z.object({ id: z.string(), count: z.int().default(1) }))
  assert.deepEqual(taken(before, after, { carts: { a: { items: [{ id: 'x', gone: true }] }, b: { items: [] } } }), {
    carts: { a: { items: [{ id: 'x', count: 1 }] }, b: { items: [] } },
  })
  refused(before, shape(z.object({ id: z.number() })), /^carts\.\*\.items\[\]\.id was a string and is a number now$/)
})

test('of a union each alternative is taken by one of the new ones', () => {
  const circle = z.object({ kind: z.literal('circle'), r: z.number() })
  const square = z.object({ kind: z.literal('square'), side: z.number() })
  const before = z.discriminatedUnion('kind', [circle, square])
  const after = z.discriminatedUnion('kind', [
    square.extend({ turned: z.number().default(0) }),
    circle,
    z.object({ kind: z.literal('dot') }),
  ])
  assert.deepEqual(taken(before, after, { kind: 'square', side: 2 }), { kind: 'square', side: 2, turned: 0 })
  assert.deepEqual(taken(before, after, { kind: 'circle', r: 2 }), { kind: 'circle', r: 2 })
  assert.notDeepEqual(
    evolve(before, z.discriminatedUnion('kind', [circle, z.object({ kind: z.literal('dot') })])).refusals,
    [],
  )
  assert.equal(taken(z.string(), z.union([z.string(), z.number()]), 'a'), 'a')
  assert.equal(taken(z.string(), z.string().nullable(), 'a'), 'a')
})

test('a schema that contains itself is compared, and its values are converted all the way down', () => {
  const node = (more: object): any => {
    const schema: any = z.object({
      n: z.number(),
      ...more,
      get next() {
        return schema.optional()
      },
    })
    return schema
  }
  assert.deepEqual(evolve(node({}), node({})).changes, [])
  assert.equal(evolve(node({}), node({})).convert, undefined)
  const value = { n: 1, next: { n: 2, next: { n: 3 } } }
  assert.deepEqual(taken(node({}), node({ d: z.number().default(0) }), value), {
    n: 1,
    d: 0,
    next: { n: 2, d: 0, next: { n: 3, d: 0 } },
  })
})

test('bounds and lengths may widen, and not narrow', () => {
  const within = (minimum: number, maximum: number) => ({ type: 'integer', minimum, maximum })
  assert.equal(taken(within(0, 255), within(-1, 65535), 7), 7)
  refused(within(0, 255), within(0, 254), /^the value its most was 255 and is 254 now$/)
  refused({ type: 'number' }, { type: 'number', exclusiveMinimum: 0 }, /least was unlimited and is beyond 0/)
  refused({ type: 'string' }, { type: 'string', maxLength: 3 }, /maxLength was Infinity and is 3/)
  refused({ type: 'string' }, { type: 'string', pattern: 'a' }, /pattern is new or changed/)
  assert.equal(taken({ type: 'string', pattern: 'a' }, { type: 'string' }, 'a'), 'a')
})

test('what JSON Schema can say and this cannot compare may stay as it is, and nothing else', () => {
  const schema = { type: 'object', not: { required: ['x'] } }
  assert.deepEqual(evolve(schema, { ...schema, description: 'new' }).refusals, [])
  assert.equal(evolve(schema, { type: 'object', not: { required: ['y'] } }).refusals.length, 1)
  assert.equal(evolve({ $ref: '#/nowhere' }, { type: 'string' }).refusals.length, 1)
})

test('a schema that is too deep is refused instead of exhausting the stack', () => {
  const deep = (leaf: Json): Json =>
    Array.from({ length: 5000 }).reduce<Json>(items => ({ type: 'array', items }), leaf)
  assert.equal(evolveSchema(deep({ type: 'string' }), deep({ type: 'string', minLength: 1 })).refusals.length, 1)
})

const leaf: fc.Arbitrary<Json> = fc.oneof(
  fc.record({
    type: fc.constantFrom('integer', 'number'),
    minimum: fc.integer({ min: -3, max: 0 }),
    maximum: fc.integer({ min: 0, max: 3 }),
  }),
  fc.constant({ type: 'string' }),
  fc.record({ enum: fc.uniqueArray(fc.constantFrom<Json>('a', 'b', 1, null), { minLength: 1 }) }),
  fc.constant({ type: 'boolean' }),
)
const { schema: anySchema } = fc.letrec<{ schema: Json }>(tie => ({
  schema: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.record({ anyOf: fc.array(tie('schema'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ type: fc.constant('array'), items: tie('schema') }),
    fc
      .tuple(
        fc.dictionary(fc.constantFrom('p', 'q', 'r'), tie('schema'), { maxKeys: 3 }),
        fc.subarray(['p', 'q', 'r']),
        fc.boolean(),
      )
      .map(([properties, required, isClosed]) => ({
        type: 'object',
        properties,
        required: required.filter(name => Object.hasOwn(properties, name)),
        ...(isClosed && { additionalProperties: false }),
      })),
  ),
}))

/** A random value of the schema, if there is one; of an object nothing that is not named. */
function sample(schema: any, pick: (n: number) => number): unknown {
  if (schema.anyOf) return sample(schema.anyOf[pick(schema.anyOf.length)], pick)
  if (schema.enum) return schema.enum[pick(schema.enum.length)]
  if (schema.type === 'integer' || schema.type === 'number')
    return schema.minimum + pick(schema.maximum - schema.minimum + 1)
  if (schema.type === 'array') return Array.from({ length: pick(3) }, () => sample(schema.items, pick))
  if (schema.type === 'string') return ['a', 'x', ''][pick(3)]
  if (schema.type === 'boolean') return pick(2) === 1
  const names = Object.keys(schema.properties).filter(name => schema.required.includes(name) || pick(2) === 1)
  return Object.fromEntries(names.map(name => [name, sample(schema.properties[name], pick)]))
}

test('whatever is not refused, every value of the old schema becomes one of the new', () => {
  let accepted = 0
  fc.assert(
    fc.property(anySchema, anySchema, fc.infiniteStream(fc.nat(59)), (before, after, draws) => {
      const { refusals, convert } = evolveSchema(before, after)
      if (refusals.length > 0) return
      accepted++
      const pick = (n: number): number => (draws.next().value as number) % n
      for (let i = 0; i < 5; i++) {
        const value = sample(before, pick)
        assert.equal(schemaMisfit(before, value), undefined)
        assert.equal(schemaMisfit(after, convert === undefined ? value : convert(value)), undefined)
      }
    }),
    { numRuns: 5000 },
  )
  assert.ok(accepted > 100, `${accepted} pairs were accepted`)
})

test('a schema takes itself over, whatever it is', () => {
  fc.assert(
    fc.property(anySchema, schema => {
      const { refusals, changes, convert } = evolveSchema(schema, structuredClone(schema))
      assert.deepEqual({ refusals, changes, convert }, { refusals: [], changes: [], convert: undefined })
    }),
  )
})
