/**
 * `npm run demo`: runs flights.ts as a user would, kills the process with SIGKILL twice on the way, starts it again each time, and
 * compares what it wrote with an independent computation. Exit status 1 when they differ.
 *
 * A kill comes at random, some milliseconds after a checkpoint, but always in the midst of the file: the manifests of checkpoints,
 * which are readable JSON, say how many records they stand for.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs, styleText } from 'node:util'
import { readOutput, verify } from './verify.ts'

const launcher = join(import.meta.dirname, '../../packages/millrace/bin/millrace.js')
const flightCount = 336_776
/** The first kill comes once so many records are in a checkpoint, the second once so many: chosen at random in these ranges. */
const killRanges = [
  [0.15, 0.35],
  [0.5, 0.65],
] as const
const checkpointInterval = '100ms'
/** Kills shall hit records that are in no checkpoint yet, too. */
const longestDelayMs = 60

const { values: options } = parseArgs({
  options: { folder: { type: 'string', default: join(import.meta.dirname, 'demo') } },
})
/** Where the job runs. What an earlier demo left there is removed: its storage and its output. */
const folder = resolve(options.folder)
const job = relative(folder, join(import.meta.dirname, 'flights.ts'))
const storage = join(folder, '.millrace')
const out = join(folder, 'out')
const manifests = join(storage, 'flights/manifests')

const startedMs = performance.now()
for (const old of [storage, out]) rmSync(old, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })

say(bold('Every flight that left New York in 2013, by event time; killed twice on the way'))
say(`in ${relative(process.cwd(), folder)}`)
for (const [from, to] of killRanges) {
  const child = startJob()
  await killAfter(child, flightCount * (from + Math.random() * (to - from)))
}
const [code] = (await once(startJob(), 'exit')) as [number | null]
if (code !== 0) fail(`the job ended with exit status ${code}`)

say()
showTable('daily', 'per airport and day; delays in minutes')
showTable('turnarounds', 'late in, late out again with the same aircraft')
const verdicts = verify(out)
for (const { result, difference } of verdicts) if (difference !== undefined) fail(`${result}: ${difference}`)
const rows = verdicts.reduce((sum, verdict) => sum + verdict.rows, 0)
say(styleText('green', `verified: ${count(rows)} rows identical to an independent computation`))
const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
say(`${count(flightCount)} flights, ${killRanges.length} kills, nothing lost, nothing twice; ${seconds} s in all`)

function startJob(): ChildProcess {
  say()
  say(bold(`$ millrace run ${job} --checkpoint-interval ${checkpointInterval}`))
  const args = ['run', job, '--checkpoint-interval', checkpointInterval]
  return spawn(process.execPath, [launcher, ...args], { cwd: folder, stdio: 'inherit' })
}

/** Kills the job, without a warning, soon after a checkpoint with at least so many records. */
async function killAfter(child: ChildProcess, records: number): Promise<void> {
  const exit = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  while (isRunning(child) && newestCheckpoint().records < records) await sleep(2)
  await sleep(Math.random() * longestDelayMs)
  child.kill('SIGKILL')
  const [, signal] = await exit
  // The progress line was left as it was.
  if (process.stderr.isTTY) process.stderr.write('\n')
  if (signal !== 'SIGKILL') fail('the job ended before it was killed')
  const last = newestCheckpoint()
  say(`${styleText('red', 'kill -9')} (its newest checkpoint: ${last.name}, ${count(last.records)} records)`)
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}

function newestCheckpoint(): { readonly name: string; readonly records: number } {
  const none = { name: 'none', records: 0 }
  try {
    const newest = readdirSync(manifests)
      .filter(name => name.startsWith('chk-'))
      .sort()
      .at(-1)
    if (newest === undefined) return none
    const { id, operators } = JSON.parse(readFileSync(join(manifests, newest), 'utf8')) as Manifest
    return { name: `chk-${id}`, records: operators.reduce((sum, { source }) => sum + (source?.records ?? 0), 0) }
  } catch (error) {
    // Not there yet, or superseded in this moment.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return none
    throw error
  }
}

interface Manifest {
  readonly id: number
  readonly operators: readonly { readonly source?: { readonly records: number } }[]
}

/** The first rows of an output. */
function showTable(result: string, caption: string): void {
  const lines = readOutput(join(out, result)).trimEnd().split('\n')
  const rows = lines.slice(0, 5).map(line => flat(JSON.parse(line) as Nested))
  say(`${bold(result)}  ${caption}`)
  const columns = Object.keys(rows[0]).map(name => {
    const cells = [name, ...rows.map(row => String(row[name]))]
    const width = Math.max(...cells.map(cell => cell.length))
    return typeof rows[0][name] === 'number'
      ? cells.map(cell => cell.padStart(width))
      : cells.map(cell => cell.padEnd(width))
  })
  for (const i of columns[0].keys()) say(`  ${columns.map(cells => cells[i]).join('  ')}`.trimEnd())
  say(`  … ${count(lines.length)} rows`)
  say()
}

type Cell = string | number | null
interface Nested {
  readonly [name: string]: Cell | Nested
}

/** `{ from: { flight } }` as `{ 'from.flight' }`. */
function flat(row: Nested, prefix = ''): { readonly [name: string]: Cell } {
  const parts = Object.entries(row).map(([name, value]) =>
    typeof value === 'object' && value !== null ? flat(value, `${prefix}${name}.`) : { [prefix + name]: value },
  )
  return Object.assign({}, ...parts) as { [name: string]: Cell }
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}

function bold(text: string): string {
  return styleText('bold', text)
}

function say(text = ''): void {
  console.log(text)
}

function fail(why: string): never {
  console.error(styleText('red', `FAILED: ${why}`))
  process.exit(1)
}
