/**
 * The jobs that the crash tests run, their input, and what must hold once one of them has finished: the same output as an undisturbed
 * run, byte for byte, and nothing left over.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { Failpoint } from '../../packages/millrace/src/base/failpoint.ts'
import { loadRocksDb } from '../../packages/millrace/src/state/rocksdb/load-rocksdb.ts'
import { localStorage } from '../../packages/millrace/src/store/local/index.ts'
import { MAX_LAYERS } from '../../packages/millrace/src/snapshot/merge-policy.ts'
import { fsck } from '../../packages/millrace/src/snapshot/fsck.ts'
import {
  runUntilFinished,
  type CrashCommand,
  type CrashLimits,
  type CrashReport,
  type Doom,
} from '../../packages/millrace/src/testing/crash-runner.ts'
import { seededRandom } from '../../packages/millrace/src/testing/seeded-random.ts'
import type { ChildOptions } from './child.ts'

export interface CrashJob {
  readonly name: string
  /** Its module. Default: the file of that name in jobs/. */
  readonly file?: string
  /** Directories below `out`, one for each sink. */
  readonly outputs: readonly string[]
  /** Checkpoints that stay when it has finished. */
  readonly retained: number
  makeInput(dir: string): void
}

const WORDS = ['mill', 'race', 'río', 'weir', 'sluice', 'häuser', 'tail', 'water', 'wheel', 'naïve', 'grain', 'stone']

function text(seed: number, lines: number, lineBreak: string): string {
  const random = seededRandom(seed)
  const word = () =>
    `${WORDS[Math.floor(random() * WORDS.length)]}${random() < 0.3 ? 'abcdef'[Math.floor(random() * 6)] : ''}`
  const line = () => Array.from({ length: 1 + Math.floor(random() * 12) }, word).join(' ')
  return Array.from({ length: lines }, line).join(lineBreak)
}

function readings(seed: number, count: number): { bus: string; at: number; delay: number }[] {
  const random = seededRandom(seed)
  return Array.from({ length: count }, (_, i) => ({
    bus: `${'ABC'[Math.floor(random() * 3)]}${Math.floor(random() * 2)}-${Math.floor(random() * 9)}`,
    // Mostly within the 3 s that the job allows, now and then too late for the windows.
    at: 1_700_000_000_000 + i * 150 - Math.floor(random() * (random() < 0.02 ? 60_000 : 2900)),
    delay: Math.floor(random() * 100),
  }))
}

function csvOf(seed: number, count: number): string {
  return `bus,at,delay\n${readings(seed, count)
    .map(({ bus, at, delay }) => `"${bus}",${at},${delay}`)
    .join('\n')}\n`
}

function linesOf(rows: readonly object[]): string {
  return rows.map(row => `${JSON.stringify(row)}\n`).join('')
}

function eventLines(seed: number, count: number): string {
  const random = seededRandom(seed)
  return linesOf(
    Array.from({ length: count }, (_, i) => ({
      user: `user ${Math.floor(random() * 400)}`,
      n: i % 10,
      text: 'ABCDEFGH'[Math.floor(random() * 8)].repeat(Math.floor(random() * 60)),
    })),
  )
}

/** That come once: what most words come to between two checkpoints is little beside them, and so is merged, not written anew. */
const RARE_WORDS = Array.from(
  { length: 600 },
  (_, i) => `rare${'abcdefghij'[i % 10].repeat(1 + Math.floor(i / 10))}`,
).join(' ')

/** Its checkpoints have deltas that are merged; those of other jobs are mostly written anew. */
export const WORD_COUNTS: CrashJob = {
  name: 'word-counts',
  outputs: ['counts'],
  retained: 0,
  makeInput(dir) {
    writeFileSync(join(dir, 'text-1.txt'), `${RARE_WORDS}\n${text(1, 700, '\n')}`)
    writeFileSync(join(dir, 'text-2.txt'), text(2, 500, '\r\n'))
  },
}

export const TRIPS: CrashJob = {
  name: 'trips',
  outputs: ['legs', 'alarms', 'windows'],
  retained: 0,
  makeInput(dir) {
    writeFileSync(join(dir, 'trips-a.csv'), csvOf(3, 2500))
    writeFileSync(join(dir, 'trips-b.csv'), csvOf(4, 1500))
    writeFileSync(join(dir, 'trips-c.ndjson'), linesOf(readings(5, 2000)))
  },
}

export const GZIP_EVENTS: CrashJob = {
  name: 'gzip-events',
  outputs: ['latest'],
  retained: 0,
  makeInput(dir) {
    writeFileSync(join(dir, 'events-1.ndjson.gz'), gzipSync(eventLines(6, 4000)))
    // Several members in one file, as appending to a compressed log makes them.
    writeFileSync(join(dir, 'events-2.ndjson.gz'), Buffer.concat([7, 8].map(seed => gzipSync(eventLines(seed, 1000)))))
  },
}

export const JOINED_SOURCES: CrashJob = {
  name: 'joined-sources',
  outputs: ['lengths'],
  retained: 0,
  makeInput: dir => writeFileSync(join(dir, 'text-1.txt'), text(9, 900, '\n')),
}

export const SHORT_LIVES: CrashJob = {
  name: 'short-lives',
  outputs: ['lives'],
  retained: 2,
  makeInput: () => undefined,
}

export const CRASH_JOBS: readonly CrashJob[] = [WORD_COUNTS, TRIPS, GZIP_EVENTS, JOINED_SOURCES, SHORT_LIVES]

/** One of them, that surely passes the failpoint. */
export function jobThatPasses(at: Failpoint, index: number): CrashJob {
  return at.startsWith('merge.') ? WORD_COUNTS : CRASH_JOBS[index % CRASH_JOBS.length]
}

const made: string[] = []
after(() => {
  for (const dir of made) rmSync(dir, { recursive: true, force: true })
})

/** A new directory with the job's input, removed when the test file ends, unless CRASH_KEEP is set. */
export function makeFixture(job: CrashJob): string {
  const dir = mkdtempSync(join(tmpdir(), `millrace-crash-${job.name}-`))
  if (process.env['CRASH_KEEP'] === undefined) made.push(dir)
  mkdirSync(join(dir, 'input'))
  job.makeInput(join(dir, 'input'))
  return dir
}

export function jobFile(job: CrashJob): string {
  return job.file ?? join(import.meta.dirname, 'jobs', `${job.name}.ts`)
}

/** The command that runs the job in a directory. */
/** Where there is no RocksDB, SQLite is asked for: a job that has to fall back on it says so, and these say nothing. */
const DISK_STORE: { readonly [name: string]: string } =
  'missing' in loadRocksDb() ? { MILLRACE_DISK_STORE: 'sqlite' } : {}

export function commandOf(job: CrashJob, dir: string, options: ChildOptions = {}): CrashCommand {
  const all: ChildOptions = { everyMs: 2, ...options }
  return {
    script: join(import.meta.dirname, 'child.ts'),
    args: [jobFile(job), JSON.stringify(all)],
    cwd: dir,
    // Hundreds of processes that load the same modules: each starts in a quarter of the time.
    env: { NODE_COMPILE_CACHE: join(tmpdir(), 'millrace-crash-compile-cache'), ...DISK_STORE },
  }
}

export function crash(
  job: CrashJob,
  dir: string,
  dooms: readonly Doom[],
  options: ChildOptions = {},
  limits: CrashLimits = {},
): Promise<CrashReport> {
  return runUntilFinished(commandOf(job, dir, options), dooms, limits)
}

/** What readers see: the parts of each sink, in order of their names, put together. */
export function readOutput(job: CrashJob, dir: string): { [output: string]: string } {
  return Object.fromEntries(
    job.outputs.map(output => {
      const folder = join(dir, 'out', output)
      const parts = existsSync(folder)
        ? readdirSync(folder)
            .filter(name => !name.startsWith('.'))
            .sort()
        : []
      return [output, parts.map(part => readFileSync(join(folder, part), 'utf8')).join('')]
    }),
  )
}

interface Undisturbed {
  readonly output: { readonly [output: string]: string }
  readonly storedBytes: number
}

const undisturbed = new Map<string, Promise<Undisturbed>>()

/** What a run leaves that nothing disturbs, with as many checkpoints as the others have. */
function undisturbedRun(job: CrashJob): Promise<Undisturbed> {
  const made = undisturbed.get(job.name)
  if (made !== undefined) return made
  const run = async () => {
    const dir = makeFixture(job)
    await crash(job, dir, [])
    const output = readOutput(job, dir)
    for (const name of job.outputs) assert.ok(output[name].length > 1000, `${job.name} writes ${name}`)
    return { output, storedBytes: storedBytes(job, dir) }
  }
  const result = run()
  undisturbed.set(job.name, result)
  return result
}

export async function undisturbedOutput(job: CrashJob): Promise<{ readonly [output: string]: string }> {
  return (await undisturbedRun(job)).output
}

/** Of manifests and segments. */
function storedBytes(job: CrashJob, dir: string): number {
  const paths = ['manifests', 'segments'].flatMap(folder => filesIn(join(dir, 'store', job.name, folder)))
  return paths.reduce((sum, path) => sum + statSync(path).size, 0)
}

/** Paths; none when there is no such directory. */
export function filesIn(path: string): string[] {
  return existsSync(path) ? readdirSync(path).map(name => join(path, name)) : []
}

export interface Leftovers {
  /** Parts that were moved aside are no mistake: an earlier run was given up. */
  readonly superseded?: boolean
  /** Checkpoints that stay; default: what the job retains. */
  readonly retained?: number
}

/** The output is that of an undisturbed run, and neither the job's folder nor the output directories hold anything else. */
export async function assertFinished(job: CrashJob, dir: string, leftovers: Leftovers = {}): Promise<void> {
  const expected = await undisturbedOutput(job)
  const found = readOutput(job, dir)
  for (const output of job.outputs) assertSameText(found[output], expected[output], `${job.name}, output ${output}`)
  await assertClean(job, dir, leftovers)
}

export async function assertClean(job: CrashJob, dir: string, leftovers: Leftovers = {}): Promise<void> {
  for (const output of job.outputs) {
    const extra = readdirSync(join(dir, 'out', output)).filter(name => !name.startsWith('part-'))
    const allowed = leftovers.superseded === true ? ['.superseded'] : []
    assert.deepEqual(
      extra.filter(name => !allowed.includes(name)),
      [],
      `${job.name}: files in out/${output} besides parts`,
    )
  }
  const store = localStorage(join(dir, 'store')).job(job.name)
  const report = await fsck(store, job.name)
  assert.deepEqual(report.findings, [], `${job.name}: fsck of the storage`)
  const folder = join(dir, 'store', job.name)
  const namesIn = (name: string) => filesIn(join(folder, name))
  assert.deepEqual(
    readdirSync(folder).filter(name => !['locks', 'runs', 'manifests', 'segments', 'log.jsonl'].includes(name)),
    [],
    `${job.name}: files in the job's folder`,
  )
  assert.equal(namesIn('locks').length, 1, `${job.name}: one lock`)
  const manifests = namesIn('manifests')
  // Savepoints stay, whatever becomes of the job.
  const savepoints = manifests.filter(path => basename(path).startsWith('sp-')).length
  const retained = (leftovers.retained ?? job.retained) + savepoints
  assert.ok(manifests.length <= retained, `${job.name}: at most ${retained} manifests, not ${manifests.join(' ')}`)
  const segments = namesIn('segments').length
  assert.ok(segments <= retained * MAX_LAYERS, `${job.name}: ${segments} segments for ${retained} snapshots`)
  if (job.retained === 0 || retained > job.retained) return
  const [bytes, usual] = [storedBytes(job, dir), (await undisturbedRun(job)).storedBytes]
  assert.ok(bytes < 2 * usual + MERGED_LATE_BYTES, `${job.name}: ${bytes} bytes are stored, usually ${usual}`)
}

/** Deltas of so many bytes are not worth a merge (snapshot/merge-policy.ts). */
const MERGED_LATE_BYTES = 256 * 1024

/** Says where two long texts part, instead of printing both. */
export function assertSameText(found: string, expected: string, what: string): void {
  if (found === expected) return
  let at = 0
  while (at < found.length && found[at] === expected[at]) at++
  const around = (text: string) => JSON.stringify(text.slice(Math.max(0, at - 80), at + 80))
  assert.fail(
    `${what}: ${found.length} characters instead of ${expected.length}, first other at ${at}:\n  found    ${around(found)}\n  expected ${around(expected)}`,
  )
}
