import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { DOCUMENTS, ENDPOINTS } from '../../packages/millrace/src/control/endpoints.ts'
import { errorPages } from '../../scripts/error-pages.ts'
import { repositoryFiles, ROOT } from './files.ts'

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const files = repositoryFiles()
const markdown = files.filter(file => file.endsWith('.md'))

test('docs/errors holds the page of every error code and no other file', () => {
  assert.deepEqual(readdirSync(join(ROOT, 'docs/errors')).sort(), [...errorPages().keys()].sort())
})

test('every page in docs/errors says what the table of errors says', () => {
  for (const [name, text] of errorPages()) {
    assert.equal(read(`docs/errors/${name}`), text, `docs/errors/${name} is old; run npm run docs:errors`)
  }
})

test('docs/control.md has every endpoint of the control API, as its table says it', () => {
  const rows = [...read('docs/control.md').matchAll(/^\| `((?:GET|POST) [^`]+)` \| (.+) \|$/gm)].map(
    ([, request, summary]) => [request, summary],
  )
  assert.deepEqual(rows, [
    ...Object.values(ENDPOINTS).map(({ method, path, summary }) => [`${method} ${path}`, summary]),
    ...Object.values(DOCUMENTS).map(({ path, summary }) => [`GET ${path}`, summary]),
  ])
})

test('docs/checkpoints-and-savepoints.md lists the tests of the thread', () => {
  const page = read('docs/checkpoints-and-savepoints.md')
  const listed = [...page.slice(page.indexOf('## Each statement')).matchAll(/^- (.+)$/gm)].map(([, name]) => name)
  const tests = [...read('test/e2e/thread/thread.test.ts').matchAll(/^test\('(.+)', async/gm)].map(([, name]) => name)
  assert.deepEqual(listed, tests)
})

test('every relative link in a Markdown file leads to a file or folder, and its fragment to a heading', () => {
  assert.ok(markdown.includes('README.md') && markdown.includes('docs/glossary.md'))
  const broken = markdown.flatMap(file =>
    linksOf(read(file))
      .filter(link => isBroken(file, link))
      .map(link => `${file}: ${link}`),
  )
  assert.deepEqual(broken, [])
})

test('a link to a missing file and one to a missing heading are broken', () => {
  assert.equal(isBroken('README.md', 'docs/no-such-page.md'), true)
  assert.equal(isBroken('README.md', 'docs/glossary.md#no-such-heading'), true)
  assert.equal(isBroken('docs/glossary.md', '../ARCHITECTURE.md#where-things-are'), false)
  assert.deepEqual(linksOf('a [b](c.md) and\n```\n[not](this)\n```\n[d]: e.md\n`[nor](that)`'), ['c.md', 'e.md'])
})

test('no file names a folder of one machine', () => {
  const machine = /\.\.\/shared\b|\/(?:work|root|Users)\/|\/home\/\w/
  assert.match(['cat ', 'work', 'main'].join('/'), machine)
  assert.deepEqual(
    files.filter(file => isText(file) && machine.test(read(file))),
    [],
  )
})

test('the glossary says what each word means, once, and the words it leaves out are used nowhere', () => {
  const rows = [...read('docs/glossary.md').matchAll(/^\| ([^|]+) \| ([^|]+) \|$/gm)].slice(1)
  const words = rows.flatMap(([, cell]) => cell.split(', '))
  assert.ok(words.length > 40)
  assert.deepEqual(
    words.filter((word, index) => words.indexOf(word) !== index),
    [],
  )
  // Said with other words: stream graph, job graph, watermark. The brackets keep this line from finding itself.
  const leftOut = /\b(?:t[o]pology|D[A]G|fr[o]ntier)\b/
  assert.deepEqual(
    files.filter(file => /\.(ts|md)$/.test(file) && leftOut.test(read(file))),
    [],
  )
})

/** Targets of the links outside of code, without those that name a site. */
function linksOf(text: string): string[] {
  const prose = text.replaceAll(/^```.*?^```/gms, '').replaceAll(/`[^`\n]*`/g, '')
  const links = [...prose.matchAll(/\]\(([^)\s]+)[^)]*\)|^\[[^\]]+\]: *(\S+)/gm)].map(match => match[1] ?? match[2])
  return links.filter(link => !/^[a-z]+:/.test(link))
}

function isBroken(file: string, link: string): boolean {
  const [path = '', fragment] = link.split('#')
  const target = path === '' ? file : join(dirname(file), path)
  if (!existsSync(join(ROOT, target))) return true
  return fragment !== undefined && !headingsOf(read(target)).includes(fragment)
}

/** The fragments that GitHub gives to headings. */
function headingsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(match =>
    match[1]
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

function isText(file: string): boolean {
  return !readFileSync(join(ROOT, file)).subarray(0, 8192).includes(0)
}
