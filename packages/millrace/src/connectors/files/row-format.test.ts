import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError } from '../../base/errors.ts'
import { CsvFormat, JsonFormat, LineFormat, type CsvFormatOptions } from './row-format.ts'

const unsupported = (part: string) => (error: unknown) =>
  isMillraceError(error, 'VALUE_UNSUPPORTED') && error.message.startsWith("sink 'x': ") && error.message.includes(part)

test('a line is a string as it is, or anything else as String gives it; a line break in it is refused', () => {
  const format = new LineFormat("sink 'x'")
  assert.equal(format.row('a "b"'), 'a "b"\n')
  assert.equal(format.row(5n), '5\n')
  assert.equal(format.row(''), '\n')
  assert.throws(() => format.row('a\nb'), unsupported('line break'))
})

test('a JSON row is what JSON.stringify gives, with bigints as strings of digits', () => {
  const format = new JsonFormat("sink 'x'")
  assert.equal(format.row({ a: [1, 'x\ny'], at: new Date(0) }), '{"a":[1,"x\\ny"],"at":"1970-01-01T00:00:00.000Z"}\n')
  assert.equal(format.row({ n: 2n ** 64n, deep: [{ n: -1n }] }), '{"n":"18446744073709551616","deep":[{"n":"-1"}]}\n')
  assert.equal(format.row(null), 'null\n')
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  assert.throws(() => format.row(cycle), unsupported('circular'))
  assert.throws(() => format.row(undefined), unsupported('undefined'))
  assert.throws(() => format.row(() => 1), unsupported('function'))
})

const csv = (options: Partial<CsvFormatOptions> = {}) =>
  new CsvFormat("sink 'x'", { columns: undefined, header: true, delimiter: ',', ...options })

test('CSV fields are quoted where they must be', () => {
  const format = csv()
  const record = { a: 'plain', b: 'x,y', c: 'say "hi"', d: 'two\nlines', e: 'cr\r', f: ' kept ' }
  assert.equal(format.begin(record), 'a,b,c,d,e,f\n')
  assert.equal(format.row(record), 'plain,"x,y","say ""hi""","two\nlines","cr\r", kept \n')
  const values = csv()
  values.begin({ a: 0 })
  assert.equal(values.row({ a: null }), '""\n', 'an empty line would be skipped by readers')
  assert.equal(values.row({ a: 1.5 }), '1.5\n')
  assert.equal(values.row({ a: new Date(0) }), '1970-01-01T00:00:00.000Z\n')
  assert.equal(values.row({ a: { n: 1n } }), '"{""n"":""1""}"\n')
})

test('any delimiter is quoted', () => {
  for (const delimiter of [';', '\t', '|', '^', '-', ']', '\\']) {
    const format = csv({ delimiter })
    format.begin({ a: 1, b: 2 })
    assert.equal(format.row({ a: `x${delimiter}y`, b: 'x,y' }), `"x${delimiter}y"${delimiter}x,y\n`)
  }
})

test('without columns the first record of a part decides them, and another property later is refused', () => {
  const format = csv()
  format.begin({ a: 1, b: 2 })
  assert.equal(format.row({ b: 2 }), ',2\n')
  assert.throws(() => format.row({ a: 1, c: 3 }), unsupported('"c"'))
  assert.equal(format.begin({ c: 1 }), 'c\n', 'the next part may have others')
})

test('with columns exactly those are written', () => {
  const format = csv({ columns: ['b', 'a'], header: false })
  assert.equal(format.begin({ a: 1, b: 2, c: 3 }), '')
  assert.equal(format.row({ a: 1, b: 2, c: 3 }), '2,1\n')
  assert.equal(format.row({}), ',\n')
})

test('a CSV record must be an object with properties', () => {
  assert.throws(() => csv().begin('text' as never), unsupported('a string'))
  assert.throws(() => csv().begin(null as never), unsupported('null'))
  assert.throws(() => csv().begin({}), unsupported('no properties'))
})

test('a format that resumes a part goes on with its columns', () => {
  const before = csv()
  before.begin({ a: 1, b: 2 })
  const format = csv()
  format.resume(before.state())
  assert.equal(format.row({ b: 2, a: 1 }), '1,2\n')
})
