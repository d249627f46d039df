import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatTable } from './table.ts'

test('columns are as wide as they must be, numbers to the right, without blanks at the end of a line', () => {
  const text = formatTable(
    [{ title: 'NAME' }, { title: 'SIZE', right: true }, { title: 'X' }],
    [
      ['a', '12345', ''],
      ['longer', '7', 'y'],
    ],
  )
  assert.equal(text, 'NAME     SIZE  X\na       12345\nlonger      7  y\n')
})

test('control characters of a name do not reach the terminal', () => {
  assert.equal(formatTable([{ title: 'N' }], [['a\u001b[31m\nb\u202e']]), 'N\na\\u{1b}[31m\\u{a}b\\u{202e}\n')
})
