import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { breaches, MAY_IMPORT } from './layers.ts'
import { readSources } from './source-reader.ts'

const SRC = join(import.meta.dirname, '..', '..', 'packages', 'millrace', 'src')

function breachesIn(files: { readonly [file: string]: string }): string[] {
  const named = Object.fromEntries(Object.entries(files).map(([file, text]) => [`/${file}`, text]))
  return breaches(new Map([...readSources(named)].map(([name, references]) => [name.slice(1), references])))
}

/** A file in a package where nothing else is wrong. */
function plant(file: string, text: string): string[] {
  return breachesIn({
    'base/errors.ts': 'export const errors = 1',
    'codec/index.ts': "export * from './key.ts'",
    'codec/key.ts': 'export const key = 1',
    'state/index.ts': "export * from './heap/heap-backend.ts'",
    'state/heap/heap-backend.ts': 'export const heap = 1',
    'store/local/index.ts': "import { open } from 'node:fs/promises'\nexport const local = () => [open, Date.now()]",
    'store/index.ts': "export { local } from './local/index.ts'",
    'host/run.ts': 'export const run = 1\nsetTimeout(() => process.exit(), 1)',
    'host/index.ts': "export { run } from './run.ts'",
    'api/index.ts': 'export const defineJob = 1',
    [file]: text,
  })
}

test('imports go down the layers, through the doors, and only the edge touches the world outside', () => {
  const files = globSync('**/*.ts', { cwd: SRC }).filter(file => !file.endsWith('.test.ts'))
  assert.ok(files.length > 100)
  assert.deepEqual(breachesIn(Object.fromEntries(files.map(file => [file, readFileSync(join(SRC, file), 'utf8')]))), [])
})

test('no folder may import a folder that may import it, and nothing may import testing', () => {
  for (const [folder, below] of Object.entries(MAY_IMPORT)) {
    for (const other of below)
      assert.ok(!MAY_IMPORT[other]?.includes(folder), `${folder} and ${other} may import each other`)
    assert.ok(!below.includes('testing'), folder)
  }
})

const PLANTED: readonly (readonly [what: string, file: string, text: string, breach: RegExp])[] = [
  [
    'an import upwards',
    'runtime/slot.ts',
    "import { defineJob } from '../api/index.ts'\ndefineJob",
    /^runtime\/slot.ts:1 imports api\/index.ts; runtime stands/,
  ],
  [
    'an import of types upwards',
    'codec/x.ts',
    "\nexport type { heap } from '../state/index.ts'",
    /^codec\/x.ts:2 imports state/,
  ],
  [
    'an import upwards inside a type',
    'codec/x.ts',
    "export type X = import('../state/index.ts').X",
    /imports state\/index.ts/,
  ],
  [
    'an import upwards when called',
    'runtime/slot.ts',
    "export const f = () => import('../api/index.ts')",
    /imports api\/index.ts/,
  ],
  [
    'an import past a door',
    'runtime/slot.ts',
    "import { heap } from '../state/heap/heap-backend.ts'\nheap",
    /past state\/index.ts/,
  ],
  [
    'an import of a neighbour',
    'state/rocksdb/x.ts',
    "import { heap } from '../heap/heap-backend.ts'\nheap",
    /stands beside it/,
  ],
  ['an import of testing', 'host/x.ts', "import '../testing/index.ts'", /imports testing\/index.ts/],
  [
    'files',
    'snapshot/sweep.ts',
    "import { readFile } from 'node:fs/promises'\nreadFile",
    /imports readFile of node:fs\/promises/,
  ],
  ['threads', 'runtime/slot.ts', "import * as threads from 'node:worker_threads'\nthreads", /of node:worker_threads/],
  [
    'randomness of a module that is pure otherwise',
    'snapshot/x.ts',
    "import { hash, randomBytes } from 'node:crypto'\n",
    /randomBytes of node:crypto/,
  ],
  [
    'a package that is for others',
    'host/x.ts',
    "import { Command } from 'commander'\nCommand",
    /commander, which is for cli/,
  ],
  [
    'a part of a package that is for others',
    'host/x.ts',
    "import 'hono/body-limit'",
    /hono\/body-limit, which is for control/,
  ],
  [
    'the edge by way of a pure door',
    'snapshot/x.ts',
    "import { local } from '../store/index.ts'\nlocal",
    /snapshot\/x.ts -> store\/index.ts -> store\/local\/index.ts/,
  ],
  ['the clock', 'runtime/slot.ts', 'const t = Date.now()\n', /^runtime\/slot.ts:1 uses Date.now/],
  ['the clock in a template', 'state/ttl.ts', 'const t = `a ${performance.now()}`\n', /uses performance.now/],
  ['the clock as a date', 'api/x.ts', 'const t = new Date()\n', /uses new Date\(\)/],
  ['the clock by its index', 'api/x.ts', "const t = Date['now']()\n", /uses Date.now/],
  ['a timer', 'runtime/slot.ts', 'setImmediate(() => undefined)\n', /uses setImmediate/],
  ['a timer in short hand', 'runtime/slot.ts', 'export const platform = { setTimeout }\n', /uses setTimeout/],
  [
    'a timer of the global object',
    'runtime/slot.ts',
    'globalThis.setTimeout(() => undefined)\n',
    /uses globalThis.setTimeout/,
  ],
  ['randomness', 'connectors/memory/x.ts', 'Math.random()\n', /uses Math.random/],
  ['the process', 'api/x.ts', 'process.env.HOME\n', /uses process.env/],
]
for (const [what, file, text, breach] of PLANTED) {
  test(`a breach is found: ${what}`, () => {
    const found = plant(file, text)
    assert.equal(found.length, 1, found.join('\n'))
    assert.match(found[0], breach)
  })
}

test('what only looks like a breach is not one', () => {
  const innocent = [
    "/** Date.now() */ // import '../host/run.ts'",
    "const text = 'Math.random()' + `setTimeout` + String(/new Date()/)",
    'export const at = new Date(0)',
    'export function f(process: { env: string }) { return process.env }',
    'export const g = (timers: { setTimeout(): void }) => timers.setTimeout()',
    "import { key } from '../codec/index.ts'\nexport const k = { performance: key }",
    "import type { local } from '../store/index.ts'\nexport type L = typeof local",
    "import { join } from 'node:path'\nexport const path = join('a', 'b')",
  ]
  for (const text of innocent) assert.deepEqual(plant('runtime/slot.ts', text), [], text)
  assert.deepEqual(plant('cli/x.ts', "import { run } from '../host/run.ts'\nrun; Date.now()"), [])
})
