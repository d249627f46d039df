/** Values of state as JSON and back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Json } from '../base/json.ts'
import { valueFromJson, valueToJson } from './json-value.ts'

function through(value: unknown): unknown {
  return valueFromJson(JSON.parse(JSON.stringify(valueToJson(value))) as Json, 'the value')
}

test('any value comes back equal through the text of its JSON', () => {
  const arbitrary = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withTypedArray: true,
    withSparseArray: false,
    withNullPrototype: false,
    withUnicodeString: true,
    key: fc.oneof(fc.string(), fc.constantFrom('$date', '$', '__proto__', 'a/b', '~')),
  })
  fc.assert(
    fc.property(arbitrary, value => assert.deepStrictEqual(through(value), value)),
    {
      numRuns: 500,
      examples: [[JSON.parse('{"__proto__":[]}')], [-0], [new Date(NaN)], [{ $set: 1, b: [{ $x: undefined }] }]] as any,
    },
  )
})

const WRITTEN: readonly (readonly [what: string, value: unknown, json: Json])[] = [
  ['JSON itself', { a: [1, 'x', true, null] }, { a: [1, 'x', true, null] }],
  ['undefined', [undefined], [{ $undefined: true }]],
  ['a bigint', -12n, { $bigint: '-12' }],
  ['numbers that JSON lacks', [NaN, -Infinity, -0], [{ $number: 'NaN' }, { $number: '-Infinity' }, { $number: '-0' }]],
  ['a date', new Date(0), { $date: '1970-01-01T00:00:00.000Z' }],
  ['a map', new Map([['a', 1n]]), { $map: [['a', { $bigint: '1' }]] }],
  ['a set', new Set([1]), { $set: [1] }],
  ['bytes', new Uint8Array([1, 2]), { $bytes: 'AQI=' }],
  ['a typed array', new Uint16Array([258]), { $view: ['Uint16Array', 'AgE='] }],
  ['a regular expression', /a+/giu, { $regexp: ['a+', 'giu'] }],
  ['a boxed value', Object(1n), { $boxed: { $bigint: '1' } }],
  ['an object with a name like ours', { $date: 1 }, { $object: { $date: 1 } }],
]

for (const [what, value, json] of WRITTEN) {
  test(`${what} is written as documented`, () => {
    assert.deepEqual(valueToJson(value), json)
    assert.deepStrictEqual(through(value), value)
  })
}

test('an error keeps its name, message and stack', () => {
  const error = through(new RangeError('too far')) as Error
  assert.ok(error instanceof Error)
  assert.deepEqual([error.name, error.message], ['RangeError', 'too far'])
  assert.match(error.stack!, /json-value\.test/)
})

test('cycles and shared parts stay what they are', () => {
  const shared = { 'x/y': [1] }
  const value: Record<string, unknown> = { a: shared, b: new Map([[shared, 'key']]) }
  value['self'] = value
  value['deep'] = shared['x/y']
  assert.deepEqual(valueToJson(value), {
    a: { 'x/y': [1] },
    b: { $map: [[{ $ref: '/a' }, 'key']] },
    self: { $ref: '' },
    deep: { $ref: '/a/x~1y' },
  })
  const back = through(value) as typeof value
  assert.equal(back['self'], back)
  assert.equal([...(back['b'] as Map<unknown, unknown>).keys()][0], back['a'])
  assert.equal(back['deep'], (back['a'] as typeof shared)['x/y'])
})

const REFUSED: readonly (readonly [json: Json, problem: RegExp])[] = [
  [{ $bigint: '1.5' }, /\$bigint takes digits/],
  [{ $number: '1' }, /\$number takes NaN/],
  [{ $date: 'yesterday' }, /\$date takes an ISO 8601 time/],
  [{ a: { $map: [[1]] } }, /the value is no value at \/a.*\$map takes a list of/],
  [{ $set: 1 }, /\$set takes a list/],
  [{ $bytes: '!' }, /base64/],
  [{ $view: ['Float64Array', 'AQI='] }, /the bytes are no Float64Array/],
  [{ $view: ['constructor', ''] }, /\$view takes the name/],
  [{ $regexp: ['(', ''] }, /\$regexp takes/],
  [{ $ref: '/nowhere' }, /\$ref names no object/],
  [{ $what: 1 }, /'\$what' is not known/],
  [{ $bigint: '1', b: 1 }, /stands beside other properties/],
]

for (const [json, problem] of REFUSED) {
  test(`${JSON.stringify(json)} is refused`, () => {
    assert.throws(() => valueFromJson(json, 'the value'), { code: 'USAGE', message: problem })
  })
}
