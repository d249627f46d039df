/**
 * What the documents show is true: every TypeScript block passes the type check and is run, every session is typed into a shell and
 * compared with what the document says it prints. Each document has a folder of its own below .tmp, where 'millrace' resolves.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { after, suite, test } from 'node:test'
import {
  type Block,
  blocksOf,
  fileNameOf,
  readDocument,
  relativeLinks,
  ROOT,
  stablePart,
  stepsOf,
} from './documents.ts'

const DOCUMENTS = ['README.md', 'packages/millrace/README.md', ...globSync('docs/*.md', { cwd: ROOT }).sort()]
const LAUNCHER = join(ROOT, 'packages/millrace/bin/millrace.js')
/** Links are checked in all of them. */
const LINKING = globSync(['*.md', 'docs/*.md', 'examples/*/*.md', 'packages/*/*.md'], { cwd: ROOT })

const env: NodeJS.ProcessEnv = { ...process.env, NODE_OPTIONS: '--conditions=millrace-source', NO_COLOR: '1' }
// A test file among the snippets is run as by hand, and reports to nobody.
delete env['NODE_TEST_CONTEXT']

mkdirSync(join(ROOT, '.tmp'), { recursive: true })
const scratch = mkdtempSync(join(ROOT, '.tmp/snippets-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

/** Each waits for the clock most of the time. */
suite('documents', { concurrency: 2 }, () => {
  for (const document of DOCUMENTS) {
    const blocks = blocksOf(readDocument(document))
    if (!blocks.some(isChecked)) continue
    test(`${document}: modules and commands do what it says`, () => new Reader(document).follow(blocks))
  }
})

test('every TypeScript block passes the type check', () => {
  const folder = join(scratch, 'types')
  mkdirSync(folder)
  for (const document of DOCUMENTS) {
    for (const block of blocksOf(readDocument(document)).filter(({ language }) => language === 'ts')) {
      writeFileSync(join(folder, `${document.replaceAll(/\W/g, '-')}-${block.line}.ts`), block.text)
    }
  }
  const settings = { extends: join(ROOT, 'tsconfig.json'), include: ['*.ts'], exclude: [] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(settings))
  const { status, stdout } = spawnSync(join(ROOT, 'node_modules/.bin/tsc'), ['-p', folder], { encoding: 'utf8' })
  assert.equal(status, 0, stdout)
})

test('links to files of the repository lead somewhere', () => {
  const broken = LINKING.flatMap(document =>
    relativeLinks(readDocument(document))
      .filter(target => !existsSync(resolve(ROOT, dirname(document), target)))
      .map(target => `${document}: ${target}`),
  )
  assert.deepEqual(broken, [])
})

test('the first screen of the README has a job of at most 15 lines', () => {
  const [job] = blocksOf(readDocument('README.md'))
  assert.match(job.text, /export default defineJob/)
  assert.ok(job.text.split('\n').length <= 15)
})

test('the job that Getting started shows is the one of the example', () => {
  const [shown] = blocksOf(readDocument('docs/getting-started.md')).filter(({ language }) => language === 'ts')
  assert.equal(`${shown.text}\n`, readFileSync(join(ROOT, 'examples/word-count/word-count.ts'), 'utf8'))
})

test('a block is left out only with a reason above it', () => {
  const [run, left] = blocksOf(
    '<!-- not run: too short -->\ntext\n```sh\na\n```\n<!-- not run: it needs a network -->\n\n```sh\nb\n```',
  )
  assert.deepEqual([run.notRun, left.notRun], [undefined, 'it needs a network'])
})

function isChecked({ language, notRun }: Block): boolean {
  return notRun === undefined && ['ts', 'sh', 'console'].includes(language)
}

/** Does what a reader of a document would do, from its first line to its last. */
class Reader {
  private readonly document: string
  private folder: string

  constructor(document: string) {
    this.document = document
    this.folder = mkdtempSync(join(scratch, 'reader-'))
    cpSync(join(ROOT, 'examples/word-count'), join(this.folder, 'examples/word-count'), {
      recursive: true,
      filter: path => !/[/\\](out|\.millrace)$/.test(path),
    })
    // What jobs that are shown by themselves read.
    cpSync(join(ROOT, 'examples/word-count/corpus'), join(this.folder, 'corpus'), { recursive: true })
    mkdirSync(join(this.folder, 'events'))
    writeFileSync(join(this.folder, 'events/one.jsonl'), '{"id":1}\n{"id":\n{"id":2}\n')
  }

  async follow(blocks: readonly Block[]): Promise<void> {
    const typed = blocks
      .filter(isChecked)
      .filter(({ language }) => language !== 'ts')
      .map(({ text }) => text)
    for (const block of blocks.filter(isChecked)) {
      if (block.language === 'ts') await this.module(block, typed.join('\n'))
      else if (block.language === 'console') await this.session(block)
      else for (const command of block.text.split('\n')) await this.command(command, block)
    }
  }

  /** Saves it, and runs it unless the document does so itself. */
  private async module(block: Block, typed: string): Promise<void> {
    const name = fileNameOf(block)
    const path = join(this.folder, name)
    writeFileSync(path, block.text)
    if (typed.includes(` ${name}`)) return
    const run = block.text.includes('export default defineJob') ? `"${LAUNCHER}" run` : ''
    const { output, code } = await this.shell(`"${process.execPath}" ${run} "${path}"`)
    assert.equal(code, 0, `${this.document}:${block.line}\n${output}`)
  }

  private async session(block: Block): Promise<void> {
    for (const { command, output: expected } of stepsOf(block)) {
      const output = await this.command(command, block)
      const place = `${this.document}:${block.line}: $ ${command}\n${output}`
      assert.deepEqual(
        output.split('\n').map(stablePart).filter(Boolean),
        expected.map(stablePart).filter(Boolean),
        place,
      )
    }
  }

  /** What it prints, on both streams. */
  private async command(command: string, block: Block): Promise<string> {
    const folder = /^cd (\S+)$/.exec(command)?.[1]
    if (folder !== undefined) {
      this.folder = resolve(this.folder, folder)
      return ''
    }
    const { output, code, signal } = await this.shell(command)
    // A shell that waited for it would say so.
    if (signal === 'SIGKILL') return `${output}Killed\n`
    const allowed = command.startsWith('timeout ') ? 124 : 0
    assert.equal(code, allowed, `${this.document}:${block.line}: $ ${command}\n${output}`)
    return output
  }

  private async shell(
    command: string,
  ): Promise<{ output: string; code: number | null; signal: NodeJS.Signals | null }> {
    const child = spawn('bash', ['-c', command], { cwd: this.folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
    return { output, code, signal }
  }
}
