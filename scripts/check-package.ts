/**
 * Proves that the package works where users have it: builds `dist/`, packs it, lints the tarball, installs it into an empty project
 * outside the repository, type-checks a job against its declarations, and runs that job with `npx millrace`, without the export condition
 * that leads to the sources here. Then the same job on the disk backend: without @millrace/rocksdb it says what it does instead, with the
 * tarball of that package it runs on RocksDB, without a compiler.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync, type ExecFileSyncOptions } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'

const ROOT = join(import.meta.dirname, '..')
const PACKAGE = join(ROOT, 'packages', 'millrace')
const ROCKSDB = join(ROOT, 'packages', 'rocksdb')

const JOB = `import { collection, count, defineJob, files } from 'millrace'

export default defineJob('fruit', flow => {
  flow
    .source('names', collection(['apple', 'pear', 'apple']))
    .keyBy(name => name)
    .aggregate('counts', count())
    .sink('out', files.writeJson('out'))
})
`
const ROWS = ['{"key":"apple","value":1}', '{"key":"apple","value":2}', '{"key":"pear","value":1}']

/** Runs the job from a program, in a thread whose entry is in dist/. */
const PROGRAM = `import { run } from 'millrace'
import job from './job.ts'

const handle = await run(job, { module: new URL('job.ts', import.meta.url).href, storage: 'storage', as: 'vegetables' })
if ((await handle.finished) !== 'finished') process.exitCode = 1
`

/** Uses the other two doors, and must not compile: the record is a string. */
const WRONG_JOB = `import type { Source } from 'millrace/connector'
import { memoryStorage } from 'millrace/testing'
import { collection, defineJob } from 'millrace'

export const storage = memoryStorage
export default defineJob('wrong', flow => {
  const source: Source<string> = collection(['apple'])
  flow.source('names', source).map(name => name.toFixed(2))
})
`

/** As `tsc --init` writes it. No types of Node.js: a job may be written without them. */
const COMPILER_OPTIONS = {
  module: 'nodenext',
  target: 'es2024',
  strict: true,
  skipLibCheck: true,
  noEmit: true,
  types: [],
}

function npm(args: readonly string[], options: ExecFileSyncOptions): string {
  return String(execFileSync('npm', args, { stdio: ['ignore', 'pipe', 'inherit'], ...options }))
}

/** What a user's shell has: this Node.js first in the path, and nothing that npm sets for the scripts of this repository. */
function userEnvironment(): NodeJS.ProcessEnv {
  const ours = /^(NODE_OPTIONS|INIT_CWD|npm_(package|lifecycle)_.*|npm_config_(node_options|local_prefix|loglevel))$/i
  const kept = Object.entries(process.env).filter(([name]) => !ours.test(name))
  const path = (process.env['PATH'] ?? '').split(delimiter).filter(folder => !folder.startsWith(ROOT))
  return { ...Object.fromEntries(kept), PATH: [dirname(process.execPath), ...path].join(delimiter) }
}

function build(): void {
  // Output of a source that is gone must not be packed.
  rmSync(join(PACKAGE, 'dist'), { recursive: true, force: true })
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: 'inherit' })
}

async function lint(pkgDir: string): Promise<void> {
  const { messages, pkg } = await publint({ pkgDir, strict: true })
  assert.deepEqual(
    messages.map(message => formatMessage(message, pkg)),
    [],
    'publint has complaints',
  )
}

function pack(folder: string, directory: string, wanted: readonly string[]): string {
  const [{ filename, files }] = JSON.parse(npm(['pack', '--json', '--pack-destination', folder], { cwd: directory }))
  const paths: string[] = files.map((file: { path: string }) => file.path)
  for (const path of wanted) assert.ok(paths.includes(path), `${path} is not in the package`)
  const strays = paths.filter(path =>
    /\.test\.|-samples\.|broken|crash-runner|state-contract|tsbuildinfo|^src\//.test(path),
  )
  assert.deepEqual(strays, [], 'the package holds what only the repository needs')
  return join(folder, filename)
}

function typeCheck(folder: string, file: string): string {
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: COMPILER_OPTIONS, files: [file] }))
  try {
    execFileSync(join(ROOT, 'node_modules', '.bin', 'tsc'), { cwd: folder, env: userEnvironment() })
    return ''
  } catch (error) {
    return String((error as { stdout?: unknown }).stdout ?? error)
  }
}

function packMillrace(folder: string): string {
  return pack(folder, PACKAGE, ['LICENSE', 'README.md', 'bin/millrace.js', 'dist/index.js', 'dist/index.d.ts'])
}

function checkInstalled(folder: string, tarball: string): void {
  const user: ExecFileSyncOptions = { cwd: folder, env: userEnvironment() }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'elsewhere', private: true, type: 'module' }))
  npm(['install', '--no-audit', '--no-fund', '--prefer-offline', tarball], user)

  writeFileSync(join(folder, 'job.ts'), JOB)
  assert.equal(typeCheck(folder, 'job.ts'), '', 'a job does not compile against the declarations of the package')
  writeFileSync(join(folder, 'wrong.ts'), WRONG_JOB)
  assert.match(typeCheck(folder, 'wrong.ts'), /^wrong\.ts\(8,\d+\): error TS2551: Property 'toFixed'[^\n]*\n$/)

  const doors = "await import('millrace/connector'); await import('millrace/testing')"
  execFileSync(process.execPath, ['--input-type=module', '--eval', doors], { ...user, stdio: 'inherit' })
  execFileSync('npx', ['--no-install', 'millrace', 'run', 'job.ts'], { ...user, stdio: 'inherit' })
  assert.deepEqual(rowsOf(folder, 'fruit'), ROWS)

  writeFileSync(join(folder, 'program.ts'), PROGRAM)
  execFileSync(process.execPath, ['program.ts'], { ...user, stdio: 'inherit' })
  assert.deepEqual(rowsOf(folder, 'vegetables'), ROWS)
}

/** What users on other systems get, who have no binary. */
function checkWithoutRocksDb(folder: string): void {
  assert.match(runOnDisk(folder, 'without'), /SQLite.*@millrace\/rocksdb is not installed/)
}

function checkRocksDb(folder: string): void {
  const platforms = globSync('prebuilds/*', { cwd: ROCKSDB })
  if (!platforms.includes(`prebuilds/${process.platform}-${process.arch}`)) {
    assert.notEqual(process.env['MILLRACE_REQUIRE_ROCKSDB'], '1', 'RocksDB must have been built')
    console.log('@millrace/rocksdb is not checked: it was not built (npm run build -w packages/rocksdb)')
    return
  }
  const binaries = platforms.flatMap(platform => [
    `${platform}/binding.node`,
    `${platform}/librocksdb.so.7.8`,
    `${platform}/licenses/librocksdb.so.7.8.txt`,
  ])
  const tarball = pack(folder, ROCKSDB, ['LICENSE', 'NOTICE', 'README.md', 'index.js', 'index.d.ts', ...binaries])
  npm(['install', '--no-audit', '--no-fund', '--prefer-offline', tarball], { cwd: folder, env: userEnvironment() })
  assert.ok(existsSync(join(folder, 'node_modules', '@millrace', 'rocksdb', 'index.js')))
  assert.doesNotMatch(runOnDisk(folder, 'with'), /SQLite/)
}

/** What it says. */
function runOnDisk(folder: string, name: string): string {
  const args = ['--no-install', 'millrace', 'run', 'job.ts', '--as', name, '--state-backend', 'rocksdb']
  const { status, stderr } = spawnSync('npx', args, { cwd: folder, env: userEnvironment(), encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  assert.deepEqual(rowsOf(folder, name), ROWS)
  return stderr
}

function rowsOf(folder: string, job: string): string[] {
  const parts = globSync(`out/part-${job}-out-*`, { cwd: folder }).map(part => readFileSync(join(folder, part), 'utf8'))
  return parts.join('').trimEnd().split('\n').sort()
}

const folder = mkdtempSync(join(tmpdir(), 'millrace-package-'))
try {
  build()
  await lint(PACKAGE)
  await lint(ROCKSDB)
  checkInstalled(folder, packMillrace(folder))
  checkWithoutRocksDb(folder)
  checkRocksDb(folder)
  console.log('the packages build, install and run elsewhere')
} finally {
  rmSync(folder, { recursive: true, force: true })
}
