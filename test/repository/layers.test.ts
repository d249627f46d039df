/** The layers of ARCHITECTURE.md, read out of the imports; and who may touch the world outside. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'

const SRC = join(import.meta.dirname, '..', '..', 'packages', 'millrace', 'src')

/** What each folder may import beside itself. */
const MAY_IMPORT: { readonly [folder: string]: readonly string[] } = {
  base: [],
  codec: ['base', 'time'],
  time: ['base'],
  store: ['base'],
  connectors: ['base', 'codec', 'store', 'time'],
  state: ['base', 'codec', 'time'],
  graph: ['base', 'codec', 'time', 'state/declarations', 'connectors/contract'],
  snapshot: ['base', 'codec', 'time', 'store'],
  checkpoint: ['base', 'graph', 'snapshot', 'store/contract'],
  runtime: ['base', 'codec', 'time', 'graph', 'store', 'state', 'snapshot', 'checkpoint', 'connectors/contract'],
  api: ['base', 'codec', 'time', 'graph', 'state/declarations', 'connectors/contract', 'connectors/index'],
  host: ['base', 'codec', 'time', 'graph', 'store', 'state', 'snapshot', 'checkpoint', 'runtime', 'connectors', 'api'],
  control: ['base', 'codec', 'time', 'graph', 'store', 'state', 'snapshot', 'checkpoint', 'runtime', 'api', 'host'],
  cli: ['base', 'codec', 'time', 'graph', 'store', 'state', 'snapshot', 'checkpoint', 'runtime', 'api', 'host', 'control'],
  testing: ['base', 'codec', 'time', 'graph', 'store', 'state', 'snapshot', 'checkpoint', 'runtime', 'connectors', 'api', 'host'],
  '.': ['base', 'codec', 'time', 'graph', 'state', 'connectors', 'api', 'host'],
}

/** Folders at the edge: the clock, threads, files and the process appear only there. */
const EDGE = ['store/local', 'connectors/files', 'connectors/console', 'host', 'control', 'cli', 'testing/crash-runner.ts']
const OUTSIDE_MODULES = /^node:(fs|fs\/promises|worker_threads|http|https|net|child_process|timers|timers\/promises|os|process)$/
const OUTSIDE_NAMES = /\b(Date\.now|new Date\(\)|Math\.random|performance\.now|setTimeout|setInterval|setImmediate|process\.[a-z])/

interface Source {
  readonly file: string
  readonly text: string
}

function importsOf(text: string): string[] {
  return [...text.matchAll(/(?:^|\n)\s*(?:import|export)\b[^'"\n]*(?:\{[^}]*\})?[^'"\n]*from\s*'([^']+)'|\bimport\('([^']+)'\)|(?:^|\n)import\s+'([^']+)'/g)].map(
    match => match[1] ?? match[2] ?? match[3],
  )
}

/** Source text without comments and string contents: what is left is code. */
function codeOf(text: string): string {
  return text
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/(^|[^:'"`\\])\/\/[^\n]*/g, '$1')
    .replaceAll(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, "''")
    .replaceAll(/`(?:[^`\\]|\\.)*`/g, text_ => (text_.includes('${') ? text_ : '``'))
}

function folderOf(file: string): string {
  const folder = file.split('/')[0]
  return file.includes('/') ? folder : '.'
}

function breaches({ file, text }: Source): string[] {
  const found: string[] = []
  const folder = folderOf(file)
  const atEdge = EDGE.some(edge => file === edge || file.startsWith(`${edge}/`))
  for (const name of importsOf(text)) {
    if (name.startsWith('node:')) {
      if (!atEdge && OUTSIDE_MODULES.test(name)) found.push(`${file} imports ${name}`)
      continue
    }
    if (!name.startsWith('.')) continue
    const target = relative('.', join(dirname(file), name)).replace(/\.ts$/, '')
    const targetFolder = folderOf(`${target}.ts`)
    if (targetFolder === folder) continue
    const allowed = MAY_IMPORT[folder].some(entry => target === entry || (entry === targetFolder && !entry.includes('/')))
    if (!allowed) found.push(`${file} imports ${target}`)
    if (/^state\/(heap|rocksdb)\//.test(target)) found.push(`${file} reaches past state/index.ts: ${target}`)
  }
  const outside = OUTSIDE_NAMES.exec(codeOf(text))
  if (outside !== null && !atEdge) found.push(`${file} uses ${outside[1]}`)
  return found
}

const SOURCES: Source[] = globSync('**/*.ts', { cwd: SRC })
  .filter(file => !/\.test\.ts$/.test(file))
  .map(file => ({ file, text: readFileSync(join(SRC, file), 'utf8') }))

test('imports go down the layers, and only the edge touches the world outside', () => {
  assert.ok(SOURCES.length > 100)
  assert.deepEqual(SOURCES.flatMap(breaches), [])
})

test('nothing imports testing, and the backends of state do not import each other', () => {
  for (const { file, text } of SOURCES) {
    for (const name of importsOf(text)) {
      if (!name.startsWith('.')) continue
      const target = relative('.', join(dirname(file), name))
      if (target.startsWith('testing/')) assert.equal(folderOf(file), 'testing', file)
      if (file.startsWith('state/heap/')) assert.ok(!target.startsWith('state/rocksdb/'), file)
    }
  }
})

test('the checker finds a planted breach of each kind, and does not mind comments and strings', () => {
  const plant = (file: string, text: string) => breaches({ file, text }).length
  assert.equal(plant('runtime/slot.ts', "import { defineJob } from '../api/index.ts'\n"), 1)
  assert.equal(plant('codec/key.ts', "export type { X } from '../state/declarations.ts'\n"), 1)
  assert.equal(plant('runtime/slot.ts', "import {\n  a,\n  b,\n} from '../host/run.ts'\n"), 1)
  assert.equal(plant('runtime/slot.ts', "const later = () => import('../host/run.ts')\n"), 1)
  assert.equal(plant('runtime/slot.ts', "import { HeapBackend } from '../state/heap/heap-backend.ts'\n"), 1)
  assert.equal(plant('snapshot/sweep.ts', "import { readFile } from 'node:fs/promises'\n"), 1)
  assert.equal(plant('runtime/slot.ts', 'const t = Date.now()\n'), 1)
  assert.equal(plant('state/ttl.ts', 'const t = `${performance.now()}`\n'), 1)
  assert.equal(plant('host/run.ts', "import { readFile } from 'node:fs/promises'\nDate.now()\n"), 0)
  assert.equal(plant('runtime/slot.ts', "/** Date.now() */ // Math.random()\nconst s = 'setTimeout'\n"), 0)
})
