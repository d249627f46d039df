/**
 * `node bench/state/index.ts [--keys N] [--records N] [--runs N]`: what checkpoints cost with a million keys (CPU with against
 * without), the longest step of a slot while one is written, and how long a restart takes after SIGKILL until the first row.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

const NEVER_MS = 3_600_000
/** Of a process that is to be killed: it must not end before. */
const ENDLESS = 2 ** 40

interface Run {
  readonly cpuSeconds: number
  readonly checkpoints: number
  readonly checkpointMs: number
  readonly longestStepMs: number
  readonly longestSnapshotStepMs: number
}

export interface StateResult {
  readonly keys: number
  readonly records: number
  readonly with: readonly Run[]
  readonly without: readonly Run[]
  /** From the start of the new process to the first row of the restored job, and that of loading the snapshot. */
  readonly restartToFirstRowMs: readonly number[]
  readonly restoreMs: readonly number[]
}

export async function benchState(
  keys: number,
  records: number,
  runs: number,
  intervalMs: number,
): Promise<StateResult> {
  const work = mkdtempSync(join(tmpdir(), 'millrace-state-'))
  const result = {
    keys,
    records,
    with: [] as Run[],
    without: [] as Run[],
    restartToFirstRowMs: [] as number[],
    restoreMs: [] as number[],
  }
  try {
    for (let run = 0; run < runs; run++) {
      const once = (name: string, interval: number) => finished(join(work, `${name}-${run}`), interval, keys, records)
      result.with.push(await once('with', intervalMs))
      result.without.push(await once('without', NEVER_MS))
      const restart = await killAndRestart(join(work, `kill-${run}`), intervalMs, keys)
      result.restartToFirstRowMs.push(restart.firstRowMs)
      result.restoreMs.push(restart.restoreMs)
    }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return result
}

function start(storage: string, intervalMs: number, keys: number, records: number, fresh: boolean) {
  const args = [
    join(import.meta.dirname, 'millrace.ts'),
    storage,
    intervalMs,
    keys,
    records,
    fresh ? 'fresh' : 'go-on',
  ].map(String)
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  return { child, lines: createInterface({ input: child.stdout }) }
}

async function finished(storage: string, intervalMs: number, keys: number, records: number): Promise<Run> {
  let last = ''
  for await (const line of start(storage, intervalMs, keys, records, true).lines) last = line
  return JSON.parse(last) as Run
}

/** Kills the process after its second complete checkpoint. */
async function killAndRestart(storage: string, intervalMs: number, keys: number) {
  const first = start(storage, intervalMs, keys, ENDLESS, true)
  let complete = 0
  for await (const line of first.lines) {
    if (!/^CHECKPOINT \d+ complete$/.test(line) || ++complete < 2) continue
    first.child.kill('SIGKILL')
    break
  }
  const startedMs = Date.now()
  const second = start(storage, intervalMs, keys, ENDLESS, false)
  let firstRowMs = NaN
  let restoreMs = NaN
  for await (const line of second.lines) {
    if (line.startsWith('STARTED restore')) restoreMs = Number(line.split(' ')[2])
    if (line.startsWith('FIRST')) firstRowMs = Number(line.split(' ')[1]) - startedMs
    if (!Number.isNaN(firstRowMs) && !Number.isNaN(restoreMs)) break
  }
  second.child.kill('SIGKILL')
  return { firstRowMs, restoreMs }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({
    options: { keys: { type: 'string' }, records: { type: 'string' }, runs: { type: 'string' } },
  })
  const result = await benchState(
    Number(values.keys ?? 1e6),
    Number(values.records ?? 5e6),
    Number(values.runs ?? 3),
    1000,
  )
  console.log(JSON.stringify({ bench: 'state', ...result }))
}
