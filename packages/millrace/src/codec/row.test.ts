import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { beforeEach, describe, test } from 'node:test'
import fc from 'fast-check'
import { useGeneratedRows } from './row-code.ts'
import { anyRecords, Edge } from './row-samples.test.ts'
import { anyGraph, assertSame } from './value-samples.test.ts'

/** Eight of a kind teach the writer their layout; the rest of these are rows of it. */
const many = <T>(recordOf: (n: number) => T, count = 20): T[] => Array.from({ length: count }, (_, n) => recordOf(n))

function assertArrive(records: readonly unknown[], edge = new Edge()): void {
  const arrived = edge.through(records)
  const expected = structuredClone(records)
  assert.deepStrictEqual(arrived, expected)
  for (const [i, record] of arrived.entries()) assertSame(record, structuredClone(records[i]))
}

/** Bytes of the page that a further record takes. */
function bytesOf(edge: Edge, record: unknown): number {
  const before = edge.writer.sizeBytes
  edge.writer.add(record, 0, 0)
  return edge.writer.sizeBytes - before
}

for (const way of ['generated code', 'a walk through the type'] as const) {
  describe(`rows written and read by ${way}`, () => {
    beforeEach(() => useGeneratedRows(way === 'generated code'))

    test('any records arrive as structured clone would have them, in order, with hash and timestamp, over any pages', () => {
      fc.assert(
        fc.property(
          anyRecords,
          fc.record({ hash: fc.boolean(), timestamp: fc.boolean() }),
          fc.array(fc.record({ records: fc.nat(30), partBytes: fc.integer({ min: 1, max: 5000 }) })),
          (records, options, pages) => {
            const edge = new Edge(options)
            let next = 0
            for (const page of [...pages, { records: records.length, partBytes: 50_000 }]) {
              for (let i = 0; i < page.records && next < records.length; i++, next++)
                edge.writer.add(records[next], -next, next / 3)
              edge.flush(page.partBytes)
            }
            assert.equal(edge.arrived.length, records.length)
            for (const [n, { record, hash, timestamp }] of edge.arrived.entries()) {
              const clone = structuredClone(records[n])
              assertSame(record, clone)
              assert.deepStrictEqual(record, clone)
              assert.ok(Object.is(hash, options.hash ? -n | 0 : 0))
              assert.ok(Object.is(timestamp, options.timestamp ? n / 3 : NaN))
            }
          },
        ),
        { numRuns: 150 },
      )
    })

    test('a shape that is met often takes a row of fixed width instead of a value with names', () => {
      const edge = new Edge()
      const order = { id: 1, amount: 2.5, paid: true, customer: 'c-17', lines: { count: 3, sums: [1, 2.5] } }
      edge.through(many(() => order))
      edge.writer.add(order, 0, 0)
      // tag, hash, timestamp; 5 words, 2 doubles; the string at two bytes a character until it has been looked at.
      assert.equal(bytesOf(edge, order), 4 + 4 + 8 + 5 * 4 + 4 + 2 * 8 + 2 * 4)
      assert.equal(bytesOf(edge, 1.5), 24)
      assert.deepStrictEqual(edge.through([order]), [order, order, 1.5, order])
    })

    test('a layout is widened when records do not fit it any more', () => {
      const edge = new Edge()
      const shape = (id: unknown, name: unknown) => ({ id, name })
      const sizeOf = (record: unknown) => {
        edge.through([record])
        edge.writer.add(record, 0, 0)
        const size = bytesOf(edge, record)
        edge.flush()
        return size
      }
      assertArrive(
        many(n => shape(n, 'abc')),
        edge,
      )
      assert.equal(sizeOf(shape(1, 'abc')), 24 + 6)
      assertArrive(
        many(n => shape(n + 0.5, 'abc')),
        edge,
      )
      assert.equal(sizeOf(shape(1, 'abc')), 32 + 6)
      assertArrive(
        many(n => shape(n, n % 2 === 0 ? null : 'abc')),
        edge,
      )
      assert.equal(sizeOf(shape(1, null)), 24 + 1)
      assertArrive(
        many(n => shape(n, { first: 'a' })),
        edge,
      )
      assertArrive(
        many(n => ({ name: 'abc', id: n })),
        edge,
      )
    })

    test('numbers keep the sign of zero, NaN, and what is beyond 32 bits, whatever the layout was learned from', () => {
      const odd = [-0, NaN, 2 ** 31, -(2 ** 31) - 1, Infinity, 0.5, 0]
      for (const n of odd) assertArrive([...many(n => ({ n })), { n }, ...many(i => ({ n: i / 2 })), { n }, n])
    })

    test('an object of nearly the learned shape arrives as it is', () => {
      class Point {
        a = 1
        b = 'x'
      }
      const nearly: unknown[] = [
        { b: 'x', a: 1 },
        { a: 1, b: 'x', c: 1 },
        { a: 1 },
        { a: 1, c: 'x' },
        { a: undefined, b: 'x' },
        { a: 1n, b: 'x' },
        { a: { valueOf: 1 }, b: 'x' },
        { a: 1, b: Object('x') as unknown },
        new Point(),
        Object.assign(Object.create(null) as object, { a: 1, b: 'x' }),
        Object.assign(Object.create({ inherited: 1, a: 1 }) as object, { b: 'x' }),
        Object.assign(Object.create({ b: 'x' }) as object, { a: 1 }),
        Object.assign(new Map([[1, 2]]), { a: 1, b: 'x' }),
        Object.defineProperty({ a: 1 }, 'b', { value: 'x', enumerable: false }),
        Object.defineProperty({ b: 'x' }, 'a', { get: () => 1, enumerable: true }),
        { a: 1, b: 'x', [Symbol('s')]: 1 },
        JSON.parse('{"a":1,"b":"x","__proto__":{"a":2}}') as object,
        [1, 'x'],
        null,
        'x',
      ]
      for (const record of nearly) {
        const edge = new Edge()
        edge.through(many(n => ({ a: n, b: 'x' })))
        const clone: unknown = structuredClone(record)
        for (const arrived of edge.through(many(() => record))) {
          assert.deepStrictEqual(arrived, clone)
          assert.deepEqual(Object.keys(Object(arrived)), Object.keys(Object(clone)))
        }
      }
    })

    test('arrays of one length are rows, and holes, other lengths and named properties are carried as values carry them', () => {
      // oxlint-disable-next-line no-sparse-arrays
      const sparse: unknown[] = [1, , 3]
      assertArrive([...many(n => [n, 'x', n / 2]), ...many(() => sparse), [], [1], ...many(n => Array(n).fill(n))])
      assertArrive([...many(n => ({ list: [n, null, n] })), ...many(() => ({ list: sparse }))])
      const named = Object.assign([1, 'x', 0.5], { name: 1 })
      assert.deepStrictEqual(new Edge().through([...many(n => [n, 'x', n / 2]), named]).at(-1), [1, 'x', 0.5])
    })

    test('what a record refers to twice, and itself, it refers to when it arrives', () => {
      fc.assert(
        fc.property(fc.array(fc.record({ graph: anyGraph, n: fc.nat() }), { minLength: 9 }), records => {
          for (const [i, record] of records.entries()) (record.graph as unknown[]).push(record, { record }, records[i])
          for (const [i, arrived] of new Edge().through(records).entries())
            assertSame(arrived, structuredClone(records[i]))
        }),
        { numRuns: 30 },
      )
      const shared = { x: 1 }
      assertArrive([...many(n => ({ a: { x: n }, b: { x: n } })), ...many(() => ({ a: shared, b: shared }))])
      const cycle = (n: number) => {
        const record: { [name: string]: unknown } = { n, when: new Date(n), inner: { n, up: null } }
        record.self = record
        record.list = [record.inner, record.when, record]
        ;(record.inner as { up: unknown }).up = record
        return record
      }
      assertArrive(many(cycle))
      const edge = new Edge()
      const twice = { once: shared, again: shared }
      edge.through(many(() => twice))
      edge.writer.add(twice, 0, 0)
      assert.equal(bytesOf(edge, twice), 16 + 8 + 2, 'a row, and a reference among the values')
    })

    test('strings of every kind and size arrive, mixed in one page', () => {
      const texts = ['', 'a', 'é', '€', '東京', '😀', '\ud83d', '\ude00', '\0', 'x'.repeat(3000), '€'.repeat(70_000)]
      const records = many(n => ({ first: texts[n % texts.length], n, second: texts[(n * 7 + 3) % texts.length] }), 200)
      assertArrive(records)
      assertArrive(texts.concat(texts, texts))
      const edge = new Edge()
      assert.deepStrictEqual(edge.through(records, 1e9), records, 'in one page')
      assert.deepStrictEqual(edge.through(many(() => ({ first: '', n: 1, second: '' }), 5000)).length, 5000)
    })

    test('records above any page size arrive, and the memory they took is given back', () => {
      const edge = new Edge()
      const big = { bytes: new Uint8Array(2_000_000).fill(7), text: 'y'.repeat(1_000_000) }
      const records = [...many(n => ({ n })), big, ...many(n => ({ n })), 'z'.repeat(1_000_000)]
      assert.deepStrictEqual(edge.through(records), records)
      const small = many(n => ({ n, half: n / 2, name: 'a name' }), 20_000)
      assert.deepStrictEqual(edge.through(small, 1e9), small, 'in one page')
      const heldBytes = (holder: any): number =>
        Object.values(holder)
          .map((field: any) => (ArrayBuffer.isView(field?.bytes ?? field) ? (field.bytes ?? field).byteLength : 0))
          .reduce((a, b) => a + b, 0)
      edge.through([big])
      edge.through([1])
      assert.ok(heldBytes((edge.writer as any).page) < 1_000_000)
      assert.ok(heldBytes((edge.reader as any).page) < 1_000_000)
    })

    test('a record that cannot be sent is refused with its path, and the page is as before', () => {
      const edge = new Edge()
      const good = many(n => ({ n, extra: n % 2 === 0 ? null : [n], deep: { at: new Date(n) } }))
      const bad: [unknown, RegExp][] = [
        [{ n: 1, extra: () => 1, deep: { at: null } }, /^value\.extra is a function/],
        [{ n: 1, extra: null, deep: { at: Symbol('s') } }, /^value\.deep\.at is a symbol/],
        [{ n: Symbol('s'), extra: null, deep: { at: null } }, /^value\.n is a symbol/],
        [Symbol('s'), /^value is a symbol/],
        [() => 1, /^value is a function/],
        [[1, [Promise.resolve()]], /^value\[1\]\[0\] is a Promise/],
      ]
      for (const record of good) {
        edge.writer.add(record, 1, 2)
        const { count, sizeBytes } = edge.writer
        for (const [value, message] of bad) {
          assert.throws(() => edge.writer.add(value, 1, 2), { code: 'VALUE_UNSUPPORTED', message })
          assert.deepEqual([edge.writer.count, edge.writer.sizeBytes], [count, sizeBytes])
        }
      }
      assert.throws(() => edge.writer.add('x'.repeat(300 * 2 ** 20), 1, 2), { code: 'VALUE_TOO_LARGE' })
      assert.throws(() => edge.writer.add({ n: 1, extra: new ArrayBuffer(300 * 2 ** 20), deep: 1 }, 1, 2), {
        code: 'VALUE_TOO_LARGE',
      })
      edge.flush()
      assert.deepStrictEqual(
        edge.arrived.map(({ record }) => record as unknown),
        good,
      )
    })

    test('more shapes than a writer learns are carried, and those it has learned stay rows', () => {
      const edge = new Edge()
      const known = { id: 1, size: 2 }
      edge.through(many(() => known))
      const strange = many(n => ({ id: n, [`name${n % 300}`]: n }), 6000)
      assert.deepStrictEqual(edge.through(strange), strange)
      const lengths = many(n => Object.fromEntries(many(i => [`p${i}`, i], n % 100)), 2000)
      assert.deepStrictEqual(edge.through(lengths), lengths)
      edge.writer.add(known, 0, 0)
      assert.equal(bytesOf(edge, known), 24)
      assert.deepStrictEqual(edge.through([]), [known, known])
    })

    test('records that no layout can fit do not keep others from being learned', () => {
      class Instance {
        a = 1
        b = 2
      }
      const edge = new Edge()
      edge.through(many(() => new Instance()))
      edge.through(many(n => ({ text: n < 10 ? 'short' : 'z'.repeat(70_000) }), 700))
      const plain = { a: 1, b: 2 }
      edge.through(many(() => plain))
      edge.writer.add(plain, 0, 0)
      assert.equal(bytesOf(edge, plain), 24)
    })

    test('an empty page is no page', () => {
      const edge = new Edge()
      assert.equal(edge.writer.sizeBytes, 0)
      edge.flush()
      assert.throws(() => edge.writer.add({ f() {} }, 0, 0))
      assert.deepEqual([edge.writer.count, edge.writer.sizeBytes, edge.reader.open()], [0, 0, 0])
      assert.deepStrictEqual(edge.through([1]), [1])
    })

    test('two edges with the same type of records do not mix', () => {
      const [a, b] = [new Edge(), new Edge({ hash: false, timestamp: false })]
      for (let n = 0; n < 50; n++) {
        for (const edge of [a, b]) edge.writer.add({ key: 'k', n, extra: [n, 'x'.repeat(n)] }, n, n)
        if (n % 7 === 0) a.flush()
        if (n % 11 === 0) b.flush()
      }
      assert.deepStrictEqual(a.through([]).length + a.arrived.length, 50)
      b.flush()
      const expected = many(n => ({ key: 'k', n, extra: [n, 'x'.repeat(n)] }), 50)
      for (const edge of [a, b]) {
        const records = edge.arrived.map(({ record }) => record as unknown)
        assert.deepStrictEqual(records, expected)
      }
    })
  })
}

test('an accessor that adds a record to the page it is read for is a bug that is seen', () => {
  const edge = new Edge()
  const record = {
    a: 1,
    get b() {
      edge.writer.add({ inner: 1 }, 0, 0)
      return 2
    },
  }
  assert.throws(() => edge.writer.add(record, 0, 0), /assertion failed: no accessor/)
})

test('rows need no code generation', () => {
  const script = `
    const { RowReader, RowWriter } = await import(${JSON.stringify(new URL('./index.ts', import.meta.url))})
    try { new Function('return 1'); process.exit(3) } catch {}
    const options = { hash: true, timestamp: true }
    const [writer, reader] = [new RowWriter(options), new RowReader(options)]
    for (let n = 0; n < 20; n++) writer.add({ n, text: 'x' + n }, n, n)
    const page = new Uint8Array(writer.sizeBytes)
    writer.moveTo(page, 0)
    reader.receive(page, 0, page.length)
    const records = Array.from({ length: reader.open() }, () => reader.next())
    console.log(JSON.stringify(records.at(-1)), records.length, reader.hash)`
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--disallow-code-generation-from-strings', '--input-type=module', '--eval', script],
    { encoding: 'utf8' },
  )
  assert.equal(stdout, '{"n":19,"text":"x19"} 20 19\n', stderr)
})
