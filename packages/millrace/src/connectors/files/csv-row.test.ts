import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CsvRowParser } from './csv-row.ts'

function parse(text: string, delimiter = ','): (string[] | string)[] {
  const parser = new CsvRowParser(delimiter)
  const rows: (string[] | string)[] = []
  for (const line of text.split('\n')) {
    const fields = parser.feed(line)
    if (fields !== undefined) rows.push(fields)
    else if (parser.open) parser.append('\n')
    else rows.push(parser.problem!)
  }
  if (parser.open) rows.push('open')
  return rows
}

test('fields are cut at delimiters, and quotes protect delimiters, quotes and line breaks', () => {
  assert.deepEqual(parse('a,b,c'), [['a', 'b', 'c']])
  assert.deepEqual(parse('a,,'), [['a', '', '']])
  assert.deepEqual(parse('"a,b",c'), [['a,b', 'c']])
  assert.deepEqual(parse('"say ""hi""",x'), [['say "hi"', 'x']])
  assert.deepEqual(parse('"","",""'), [['', '', '']])
  assert.deepEqual(parse('x,"two\nlines","and ""\nmore"\nnext,y,z'), [
    ['x', 'two\nlines', 'and "\nmore'],
    ['next', 'y', 'z'],
  ])
  assert.deepEqual(parse('a;"b;c"', ';'), [['a', 'b;c']])
})

test('a row that is not RFC 4180 is a problem of that row only', () => {
  assert.deepEqual(parse('5" disk,x\nok,y'), ['a field that is not quoted has a quote in it', ['ok', 'y']])
  assert.deepEqual(parse('"a"b,x\nok,y'), [
    'a quoted field is followed by something else than a delimiter',
    ['ok', 'y'],
  ])
  assert.deepEqual(parse('"a\nb"c,x\nok,y'), [
    'a quoted field is followed by something else than a delimiter',
    ['ok', 'y'],
  ])
  assert.deepEqual(parse('a,"never closed\nb'), ['open'])
})

test('any fields written with quotes are parsed as they were', () => {
  const field = fc
    .array(fc.constantFrom('a', 'ü', ',', '"', '\n', ' ', ''), { maxLength: 6 })
    .map(parts => parts.join(''))
  fc.assert(
    fc.property(fc.array(fc.array(field, { minLength: 2, maxLength: 4 }), { maxLength: 5 }), rows => {
      const text = rows
        .map(fields =>
          fields.map(value => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value)).join(','),
        )
        .join('\n')
      assert.deepEqual(rows.length === 0 ? [] : parse(text), rows)
    }),
  )
})
