import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { anyGraph, anyTree, assertSame } from './value-samples.test.ts'
import { decodeNumber, decodeValue, encodeNumber, encodeNumberArrayHeader, encodeValue } from './value.ts'

function encoded(value: unknown): Uint8Array {
  const out = new ByteWriter(1)
  out.u8(0x55)
  encodeValue(value, out)
  return out.copy().subarray(1)
}

/** Encodes and decodes with bytes in front and behind. */
function through(value: unknown): any {
  const bytes = encoded(value)
  const reader = new ByteReader(Buffer.concat([Buffer.from([1, 2]), bytes, Buffer.from([3])]), 2)
  const decoded = decodeValue(reader)
  assert.equal(reader.remaining(), 1)
  return decoded
}

test('a value arrives as structured clone would have it', () => {
  fc.assert(
    fc.property(anyTree, value => {
      const clone = structuredClone(value)
      const decoded = through(value)
      assertSame(decoded, clone)
      assert.deepStrictEqual(decoded, clone)
    }),
    { numRuns: 1000 },
  )
})

test('objects that refer to each other do so when decoded, in cycles and in several places', () => {
  fc.assert(
    fc.property(anyGraph, graph => assertSame(through(graph), structuredClone(graph))),
    { numRuns: 500 },
  )
})

test('the same value has the same bytes, whatever was encoded and decoded before', () => {
  fc.assert(
    fc.property(anyTree, anyTree, (value, other) => {
      const bytes = encoded(value)
      through(other)
      assert.deepEqual(encoded(value), bytes)
      assert.deepEqual(encoded(structuredClone(value)), bytes)
    }),
  )
})

test('a number alone has the bytes of the value, and an array of numbers can be written one by one', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.double(), fc.integer(), fc.maxSafeInteger())), numbers => {
      const out = new ByteWriter()
      encodeNumberArrayHeader(numbers.length, out)
      for (const n of numbers) encodeNumber(n, out)
      assert.deepEqual(out.copy(), encoded(numbers))
      const reader = new ByteReader(out.copy())
      assert.deepStrictEqual(decodeValue(reader), numbers)
      for (const n of numbers) assert.ok(Object.is(decodeNumber(new ByteReader(encoded(n))), n))
    }),
  )
  assert.throws(() => decodeNumber(new ByteReader(encoded('1'))), { code: 'SNAPSHOT_DAMAGED' })
})

test('common values are small', () => {
  const order = { id: 7, price: 12.37, qty: 3, ts: 1_700_000_000_000, score: 0.25, name: 'customer-12', city: 'Berlin' }
  assert.equal(encoded(5).length, 1)
  assert.equal(encoded('user-1').length, 7)
  assert.ok(encoded(order).length < 90)
  const hundred = Array.from({ length: 100 }, (_, i) => ({ ...order, id: i }))
  assert.ok(encoded(hundred).length < 100 * 55, 'the names are written once')
})

test('class instances become plain objects of their own enumerable properties', () => {
  class Order {
    id = 1
    #secret = 2
    get total(): number {
      return this.#secret
    }
  }
  const bare = Object.assign(Object.create(null) as object, { a: 1 })
  const inheriting = Object.assign(Object.create({ inherited: 1 }) as object, { own: 2, [Symbol('s')]: 3 })
  through({ own: 1, inherited: 2 })
  const hidden = Object.defineProperty({ shown: 1 }, 'hidden', { value: 2, enumerable: false })
  assert.deepStrictEqual(through([new Order(), bare, inheriting, hidden]), [
    { id: 1 },
    { a: 1 },
    { own: 2 },
    { shown: 1 },
  ])
  class Scores extends Map<string, number> {}
  class Ids extends Array<number> {}
  assert.deepStrictEqual(through([new Scores([['a', 1]]), Ids.from([1, 2])]), [new Map([['a', 1]]), [1, 2]])
})

test('a property named __proto__ is data', () => {
  const value = JSON.parse('{"__proto__": {"polluted": true}, "a": 1}') as object
  const decoded = through(value)
  assert.deepEqual(Object.keys(decoded), ['__proto__', 'a'])
  assert.equal(Object.getPrototypeOf(decoded), Object.prototype)
  assert.equal(decoded.polluted, undefined)
  through(value)
  assert.equal(({} as { polluted?: unknown }).polluted, undefined)
})

test('an accessor is read like any property, and may encode a value itself', () => {
  const shared = { deep: 1 }
  const value = {
    before: shared,
    get inner() {
      return through({ before: 1, inner: [shared, shared] })
    },
    after: shared,
  }
  const decoded = through(value)
  assert.deepStrictEqual(decoded, {
    before: { deep: 1 },
    inner: { before: 1, inner: [{ deep: 1 }, { deep: 1 }] },
    after: { deep: 1 },
  })
  assert.equal(decoded.before, decoded.after)
})

test('many shapes, many names and objects used as dictionaries are carried', () => {
  for (let i = 0; i < 3000; i++) assert.deepStrictEqual(through({ id: i, [`name${i}`]: i }), { id: i, [`name${i}`]: i })
  const dictionary = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`user-${i}`, i]))
  assert.deepStrictEqual(through([dictionary, dictionary, {}, {}]), [dictionary, dictionary, {}, {}])
  const optional = Array.from({ length: 200 }, (_, i) =>
    Object.fromEntries([...'abcdefgh'].filter((_, bit) => i & (1 << bit)).map(name => [name, 1])),
  )
  assert.deepStrictEqual(through(optional), optional)
})

test('a sparse array costs its elements, not its length', () => {
  const sparse: unknown[] = []
  sparse[5] = 'five'
  sparse[4_000_000_000] = { last: true }
  sparse.length = 4_294_967_295
  assert.ok(encoded(sparse).length < 50)
  const decoded = through(sparse) as unknown[]
  assert.equal(decoded.length, 4_294_967_295)
  assert.deepEqual(Object.entries(decoded), [
    ['5', 'five'],
    ['4000000000', { last: true }],
  ])
  const empty: unknown[] = []
  empty.length = 2_000_000
  assert.equal(through(empty).length, 2_000_000)
  assert.deepEqual(Object.keys(through(Object.assign(empty, { 7: 1, named: 2 }))), ['7'])
})

test('views of a whole buffer share it, and a view of a part carries that part alone', () => {
  const buffer = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]).buffer
  const decoded = through({
    bytes: new Uint8Array(buffer),
    words: new Uint32Array(buffer),
    buffer,
    data: new DataView(buffer),
  })
  assert.equal(decoded.bytes.buffer, decoded.buffer)
  assert.equal(decoded.words.buffer, decoded.buffer)
  assert.equal(decoded.data.buffer, decoded.buffer)
  assert.deepEqual([...decoded.bytes], [1, 2, 3, 4, 5, 6, 7, 8])
  const [part, after] = through([new Uint16Array(buffer, 2, 2), decoded])
  assert.deepEqual([...new Uint8Array(part.buffer)], [3, 4, 5, 6])
  assert.equal(after.bytes.buffer, after.buffer)
  assert.ok(encoded(Buffer.from('small')).length < 12)
})

test('objects of another realm are taken for what they are', () => {
  const value = runInNewContext(
    `({ map: new Map([[1, { a: new Date(5) }]]), list: [1, , /x/g], boxed: [Object(1n), Object('s'), Object(true), Object(1.5)] })`,
  ) as unknown
  assert.deepStrictEqual(through(value), {
    map: new Map([[1, { a: new Date(5) }]]),
    // oxlint-disable-next-line no-sparse-arrays
    list: [1, , /x/g],
    boxed: [Object(1n), Object('s'), Object(true), Object(1.5)],
  })
})

test('what cannot be stored is refused with its path, and nothing is written', () => {
  const cases: [unknown, string][] = [
    [() => 1, 'value is a function'],
    [{ orders: [1, { 'on sale': Symbol('s') }] }, 'value.orders[1]["on sale"] is a symbol'],
    [{ done: { a: 1 }, wait: Promise.resolve() }, 'value.wait is a Promise'],
    [[[new WeakMap()]], 'value[0][0] is a WeakMap'],
    [new Map([['k', new WeakSet()]]), 'value[0] is a WeakSet'],
    [new Set([1, new WeakRef({})]), 'value[1] is a WeakRef'],
    [new Error('e', { cause: { fn() {} } }), 'value.cause.fn is a function'],
    [{ shared: new SharedArrayBuffer(1) }, 'value.shared is a SharedArrayBuffer'],
    [{ view: new Uint8Array(new SharedArrayBuffer(1)) }, 'value.view is a Uint8Array'],
    [{ iterator: [].values() }, 'value.iterator is a'],
    [{ boxed: Object(Symbol('s')) }, 'value.boxed is a Symbol'],
    [(function* () {})(), 'value is a'],
    [(async function* () {})(), 'value is a'],
  ]
  for (const [value, message] of cases) {
    const out = new ByteWriter()
    out.u8(1)
    assert.throws(
      () => encodeValue(value, out),
      (error: any) => error.code === 'VALUE_UNSUPPORTED' && error.message.startsWith(message),
      message,
    )
    assert.equal(out.length, 1)
  }
})

test('a value may be 1000 objects deep and not deeper', () => {
  const nest = (depth: number) => {
    let value: unknown = 1
    for (let i = 0; i < depth; i++) value = i % 2 === 0 ? { in: value } : [value]
    return value
  }
  let inner = through(nest(1000))
  for (let i = 0; i < 1000; i++) inner = Array.isArray(inner) ? inner[0] : inner.in
  assert.equal(inner, 1)
  assert.throws(() => encoded(nest(1001)), {
    code: 'VALUE_UNSUPPORTED',
    message: /^value.* is more than 1000 objects inside each other/,
  })
  let list: unknown = null
  for (let i = 0; i < 1_000_000; i++) list = { next: list }
  assert.throws(() => encoded(list), { code: 'VALUE_UNSUPPORTED' })
})

test('a value above 256 MiB is refused', () => {
  const out = new ByteWriter()
  const half = 129 * 2 ** 20
  assert.throws(() => encodeValue([new ArrayBuffer(half), new ArrayBuffer(half)], out), { code: 'VALUE_TOO_LARGE' })
  assert.equal(out.length, 0)
  assert.throws(() => encodeValue('€'.repeat(300 * 2 ** 20), out), { code: 'VALUE_TOO_LARGE' })
})

test('encoding a value does not keep it alive afterwards, nor fail after an error', () => {
  const shared = { a: 1 }
  const wide = Array.from({ length: 100 }, () => [shared])
  assert.throws(() => encoded([shared, wide, () => 1]), { code: 'VALUE_UNSUPPORTED' })
  assert.deepStrictEqual(through([shared, shared]), [shared, shared])
  const decoded = through(wide)
  assert.equal(decoded[0][0], decoded[99][0])
})
