import assert from 'node:assert/strict'
import { test } from 'node:test'
import { importsOf, tokensOf } from './tokens.ts'

const texts = (source: string) => tokensOf(source).map((token) => token.text)

test('comments are skipped, and marks of comments in strings and regular expressions are not comments', () => {
  assert.deepEqual(texts('a /* b // c */ d // e\nf'), ['a', 'd', 'f'])
  assert.deepEqual(texts('x(\'/* a\', "// b") + c'), ['x', '(', '/* a', ',', '// b', ')', '+', 'c'])
  assert.deepEqual(texts('y = /[/*]"\\//g.test(a)'), ['y', '=', '/ /', '.', 'test', '(', 'a', ')'])
})

test('a slash after a value divides', () => {
  assert.deepEqual(texts("(a) / b / 'c'"), ['(', 'a', ')', '/', 'b', '/', 'c'])
  assert.deepEqual(texts("return /'/"), ['return', '/ /'])
})

test('the text of a template is skipped, its expressions are not', () => {
  assert.deepEqual(texts('`a ${b + `c ${d} e`} f ${{ g: 1 }} \\` $ h` + i'), [
    ...['`', 'b', '+', '`', 'd'],
    ...['{', 'g', ':', '0', '}', '+', 'i'],
  ])
})

test('a token knows its line', () => {
  assert.deepEqual(
    tokensOf("a\n/*\n*/ b\n`\n${c}\n` + 'd'").map(({ text, line }) => [text, line]),
    [
      ['a', 1],
      ['b', 3],
      ['`', 4],
      ['c', 5],
      ['+', 6],
      ['d', 6],
    ],
  )
})

test('every form of import is found, and nothing that only looks like one', () => {
  const source = `
    import 'a'
    import b from 'b'
    import * as c from 'c'
    import type { D } from 'd'
    import { e,
      type F } from 'e'
    export * from 'f'
    export { g, } from 'g'
    export type { H } from 'h'
    const i = await import('i')
    type J = import('j').J
    const k = await import(name)
    export { l }
    import.meta.dirname
    // import 'm'
    const n = "import 'n'"
    object.import('o')
    export const p = 'p'
  `
  assert.deepEqual(
    importsOf(tokensOf(source)).map(({ specifier }) => specifier),
    ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', undefined],
  )
})
