/**
 * `npm run bench:all -- [NAME…] [--samples N] [--out FILE] [--smoke]`: every benchmark, each run in a process of its own and in turn, so
 * that what changes on the machine meanwhile meets all of them. Writes FILE.md and FILE.json (default .tmp/bench). Progress on stderr.
 */
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { wholeNumber } from './args.ts'
import { MICRO, WORKLOADS } from './benchmarks.ts'
import { QUERIES } from './full-size.ts'
import { markdown, type Group, type Report, type Sample } from './report.ts'

interface Run {
  readonly name: string
  readonly args: readonly string[]
}

const QUERY_NAMES = Object.keys(QUERIES)
/** Small enough for all of it to take half a minute; the numbers say nothing then. */
const SMOKE: { readonly [name: string]: readonly string[] } = {
  w1: ['--bytes', '300000'],
  ...Object.fromEntries(QUERY_NAMES.map(name => [name, ['--events', '100000']])),
  w3: ['--keys', '20000', '--events', '400000', '--interval', '100'],
  w4: ['--keys', '2000', '--events', '2000000', '--interval', '50'],
  chain: ['--events', '20480'],
  codec: ['--events', '20480'],
  rows: ['--events', '20480'],
}

/** What is run of a workload, on the engine; each also as a plain loop, where that is the same work. */
const RUNS: readonly Run[] = [
  { name: 'w1', args: [] },
  { name: 'w1', args: ['--no-checkpoints'] },
  { name: 'w1', args: ['--parallelism', '2'] },
  { name: 'w1', args: ['--plain'] },
  ...QUERY_NAMES.flatMap(name => [
    { name, args: [] },
    { name, args: ['--plain'] },
  ]),
  { name: 'w3', args: [] },
  { name: 'w3', args: ['--zipf'] },
  { name: 'w3', args: ['--plain'] },
  { name: 'w3', args: ['--zipf', '--plain'] },
  { name: 'w4', args: [] },
  ...Object.keys(MICRO).map(name => ({ name, args: [] })),
]

async function benchAll(runs: readonly Run[], samples: number, smoke: boolean): Promise<Report> {
  const groups: (Group & { readonly samples: Sample[] })[] = runs.map(({ name, args }) => ({
    command: ['npm run bench --', name, ...args].join(' '),
    samples: [],
    failures: [],
  }))
  for (let sample = 1; sample <= samples; sample++) {
    for (const [i, { name, args }] of runs.entries()) {
      const { command, samples, failures } = groups[i]
      console.error(`${command}: ${sample}`)
      try {
        samples.push(await once(name, smoke ? [...args, ...(SMOKE[name] ?? [])] : args))
      } catch (error) {
        const { stderr, message } = error as { stderr?: string; message: string }
        failures.push((stderr || message).trim())
        console.error(stderr || message)
      }
    }
  }
  return { ...machine(), smoke, samplesWanted: samples, groups }
}

async function once(name: string, args: readonly string[]): Promise<Sample> {
  const script = [...process.execArgv, join(import.meta.dirname, 'index.ts'), name, ...args]
  const { stdout } = await promisify(execFile)(process.execPath, script, { encoding: 'utf8' })
  return JSON.parse(stdout) as Sample
}

function machine() {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' }).trim()
  const changed = git('status', '--porcelain') === '' ? '' : ', with changes that are not committed'
  return {
    cpu: cpus()[0].model,
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    commit: git('rev-parse', '--short', 'HEAD') + changed,
    date: new Date().toISOString().slice(0, 10),
  }
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { samples: { type: 'string' }, out: { type: 'string' }, smoke: { type: 'boolean' } },
  })
  const names = positionals.map(name => name.toLowerCase())
  const unknown = names.filter(name => !(name in WORKLOADS) && !(name in MICRO))
  if (unknown.length > 0) throw new Error(`there is no benchmark ${unknown.join(', ')}`)
  const runs = RUNS.filter(({ name }) => names.length === 0 || names.includes(name))
  const out = (values.out ?? join(import.meta.dirname, '../.tmp/bench')).replace(/\.(md|json)$/, '')
  const samples = wholeNumber('samples', values.samples) ?? 3
  const report = await benchAll(runs, samples, values.smoke ?? false)
  mkdirSync(dirname(out), { recursive: true })
  writeFileSync(`${out}.md`, markdown(report))
  writeFileSync(`${out}.json`, `${JSON.stringify(report, null, 2)}\n`)
  console.error(`${out}.md and ${out}.json`)
  if (report.groups.some(({ samples }) => samples.length === 0)) process.exitCode = 1
}
