/**
 * Writes docs/errors/: a page for every code of the table in base/errors.ts, and an index. `npm run docs:errors` after a change of the
 * table; test/repository/docs.test.ts fails while page and table differ.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ERRORS, type ErrorPage } from '../packages/millrace/src/base/errors.ts'
import { EXIT_CODES } from '../packages/millrace/src/cli/exit-codes.ts'

const DOMAINS: { readonly [Domain in ErrorPage['domain']]: string } = {
  user: 'the job, its input or the command (`user`)',
  external: 'the world outside: disk, network, other processes (`external`)',
  internal: 'Millrace itself (`internal`)',
}

const WRITTEN_BY = '<!-- Written by `npm run docs:errors` from packages/millrace/src/base/errors.ts. -->'

/** File name in docs/errors -> its text. */
export function errorPages(): Map<string, string> {
  const codes = Object.keys(ERRORS) as (keyof typeof ERRORS)[]
  return new Map([
    ...codes.map(code => [`${code}.md`, errorPage(code, ERRORS[code])] as const),
    ['README.md', index(codes)],
  ])
}

function errorPage(code: keyof typeof ERRORS, page: ErrorPage): string {
  return `${WRITTEN_BY}

# ${code}

**${page.title}**

${page.meaning}

| | |
|---|---|
| What to do | ${inCell(page.fix)} |
| It is about | ${DOMAINS[page.domain]} |
| Trying again | ${page.retry ? 'may help without a change' : 'does not help without a change'} |
| Exit status | ${EXIT_CODES[code]} |

[All errors](README.md)
`
}

function index(codes: readonly (keyof typeof ERRORS)[]): string {
  return `${WRITTEN_BY}

# Errors

Every error that Millrace expects has a code. \`millrace explain CODE\` prints its page. In a program it is \`error.code\` of a
\`MillraceError\`; \`isMillraceError(error, code)\` asks for one.

| code | |
|---|---|
${codes.map(code => `| [${code}](${code}.md) | ${inCell(ERRORS[code].title)} |`).join('\n')}
`
}

function inCell(text: string): string {
  return text.replaceAll('|', '\\|')
}

if (import.meta.main) {
  const folder = join(import.meta.dirname, '../docs/errors')
  const pages = errorPages()
  mkdirSync(folder, { recursive: true })
  for (const name of readdirSync(folder)) if (!pages.has(name)) rmSync(join(folder, name))
  for (const [name, text] of pages) writeFileSync(join(folder, name), text)
  console.log(`docs/errors: ${pages.size - 1} pages and the index`)
}
