/** Values for property tests, and what it means that a decoded one is the same. Holds no tests; the name keeps it out of the build. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { anyString } from './key-samples.test.ts'

const anyNumber = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(
    0,
    -0,
    NaN,
    Infinity,
    -Infinity,
    127,
    128,
    -1,
    -128,
    2 ** 31 - 1,
    2 ** 31,
    -(2 ** 31),
    -(2 ** 31) - 1,
    2 ** 32,
  ),
  fc.constantFrom(
    2 ** 49 - 1,
    2 ** 49,
    -(2 ** 49) + 1,
    -(2 ** 49),
    2 ** 53,
    -(2 ** 53) + 1,
    Number.MIN_VALUE,
    Number.MAX_VALUE,
  ),
)
const anyText = fc.oneof(
  anyString,
  fc.string({ maxLength: 80 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc
    .tuple(fc.nat(100), fc.constantFrom('x', 'é', 'ā', '€', '東', '😀', '\ud83d', '\0'))
    .map(([size, odd]) => 'y'.repeat(size) + odd),
)
const anyBigint = fc.oneof(
  fc.bigInt(),
  fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }),
  fc.constantFrom(0n, 2n ** 63n - 1n, 2n ** 63n, -(2n ** 63n), -(2n ** 63n) - 1n),
)
const primitive = fc.oneof(anyNumber, anyText, anyBigint, fc.boolean(), fc.constantFrom(null, undefined))

const anyView: fc.Arbitrary<unknown> = fc.oneof(
  fc.uint8Array(),
  fc.int16Array(),
  fc.uint8ClampedArray(),
  fc.uint32Array(),
  fc.float32Array(),
  fc.float64Array(),
  fc.bigInt64Array(),
  fc.bigUint64Array(),
  fc.uint8Array().map(bytes => bytes.buffer),
  fc.uint8Array().map(bytes => new DataView(bytes.buffer)),
  fc.uint8Array({ minLength: 2 }).map(bytes => bytes.subarray(1, bytes.length - 1)),
  fc.uint8Array().map(bytes => Buffer.from(bytes)),
)
const anyError = fc
  .tuple(
    fc.constantFrom(Error, TypeError, RangeError, SyntaxError, URIError, EvalError, ReferenceError),
    anyText,
    fc.option(primitive, { nil: 'no cause' }),
  )
  .map(([type, message, cause]) => (cause === 'no cause' ? new type(message) : new type(message, { cause })))
const builtIn = fc.oneof(
  anyView,
  anyError,
  fc.date({ noInvalidDate: false }),
  fc.constantFrom(/a+b/giu, new RegExp(''), /[\/\]]\n/v, new Date(NaN)),
  fc.oneof(anyNumber, anyText, anyBigint, fc.boolean()).map(value => Object(value) as unknown),
)

const propertyName = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom('a', 'b', 'total', '0', '12', '', '__proto__', 'constructor', 'größe', '名'),
  },
  { weight: 1, arbitrary: anyString },
)

function objectOf(entries: readonly (readonly [string, unknown])[]): object {
  const object = {}
  for (const [name, value] of entries)
    Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true })
  return object
}

/** Numbers stand for as many holes. */
function arrayOf(parts: readonly ({ value: unknown } | number)[]): unknown[] {
  const array: unknown[] = []
  for (const part of parts) {
    if (typeof part === 'number') array.length += part
    else array.push(part.value)
  }
  return array
}

/** A tree of any values: no object in it twice. */
export const anyTree: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    { weight: 5, arbitrary: primitive },
    { weight: 1, arbitrary: builtIn },
    { weight: 2, arbitrary: fc.array(fc.tuple(propertyName, tie('value')), { maxLength: 6 }).map(objectOf) },
    {
      weight: 1,
      arbitrary: fc
        .array(
          fc.oneof(
            { weight: 5, arbitrary: fc.record({ value: tie('value') }, { noNullPrototype: true }) },
            { weight: 1, arbitrary: fc.constantFrom(1, 3, 2000) },
          ),
          { maxLength: 6 },
        )
        .map(arrayOf),
    },
    {
      weight: 1,
      arbitrary: fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 4 }).map(entries => new Map(entries)),
    },
    { weight: 1, arbitrary: fc.array(tie('value'), { maxLength: 4 }).map(values => new Set(values)) },
  ),
})).value

type Link = { from: number; to: number; how: number }

/** Up to 30 objects of many kinds that refer to each other and themselves in any way. */
export const anyGraph: fc.Arbitrary<object> = fc
  .integer({ min: 1, max: 30 })
  .chain(size =>
    fc.tuple(
      fc.array(fc.nat(5), { minLength: size, maxLength: size }),
      fc.array(
        fc.record<Link>({ from: fc.nat(size - 1), to: fc.nat(size - 1), how: fc.nat(9) }, { noNullPrototype: true }),
        { maxLength: 60 },
      ),
    ),
  )
  .map(([kinds, links]) => {
    const nodes = kinds.map(
      kind => [{}, [], new Map(), new Set(), new Error('in the graph'), new Uint8Array(3)][kind] as any,
    )
    for (const { from, to, how } of links) connect(nodes[from], nodes[to], how)
    return nodes
  })

function connect(from: any, to: unknown, how: number): void {
  if (Array.isArray(from)) from.push(to)
  else if (from instanceof Map) from.set(how < 5 ? to : how, how < 5 ? how : to)
  else if (from instanceof Set) from.add(to)
  else if (from instanceof Error)
    Object.defineProperty(from, 'cause', { value: to, writable: true, configurable: true, enumerable: false })
  else if (!ArrayBuffer.isView(from)) from[`link${how}`] = to
}

/** The same kind of value everywhere, in the same order, and one object in one place exactly where the other has one object. */
export function assertSame(actual: unknown, expected: unknown, partners: Map<object, object> = new Map()): void {
  if (typeof expected !== 'object' || expected === null) {
    assert.ok(Object.is(actual, expected), `${String(actual)} instead of ${String(expected)}`)
    return
  }
  assert.ok(typeof actual === 'object' && actual !== null)
  if (partners.has(expected) || partners.has(actual)) {
    assert.ok(partners.get(expected) === actual && partners.get(actual) === expected, 'another object')
    return
  }
  partners.set(expected, actual).set(actual, expected)
  assert.equal(Object.getPrototypeOf(actual), Object.getPrototypeOf(expected))
  assert.deepEqual(Object.keys(actual), Object.keys(expected))
  for (const name of Object.keys(expected)) assertSame((actual as any)[name], (expected as any)[name], partners)
  if (Array.isArray(expected)) assert.equal((actual as unknown[]).length, expected.length)
  if (expected instanceof Map) assertSame([...(actual as Map<unknown, unknown>)].flat(), [...expected].flat(), partners)
  if (expected instanceof Set) assertSame([...(actual as Set<unknown>)], [...expected], partners)
  if (expected instanceof Error) {
    for (const name of ['message', 'stack', 'cause']) {
      assert.equal(Object.hasOwn(actual, name), Object.hasOwn(expected, name), name)
      assertSame((actual as any)[name], (expected as any)[name], partners)
    }
  }
}
