/**
 * A job is killed again and again, at random times and failpoints, started in changing ways, and its torn files are made worse, as a
 * power failure would. Whatever happens, it finishes with the output of an undisturbed run and leaves nothing over.
 */
import assert from 'node:assert/strict'
import { appendFileSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FAILPOINTS } from '../../packages/millrace/src/base/failpoint.ts'
import {
  describeAttempt,
  runOnce,
  type CrashAttempt,
  type Doom,
} from '../../packages/millrace/src/testing/crash-runner.ts'
import { seededRandom } from '../../packages/millrace/src/testing/seeded-random.ts'
import type { ChildOptions } from './child.ts'
import { assertFinished, commandOf, crash, filesIn, makeFixture, readOutput, type CrashJob } from './fixture.ts'

export interface KillCounts {
  deaths: number
  starts: number
  fresh: number
  tornFiles: number
}

/** The seed of CRASH_SEED, or one from the clock. */
export function startingSeed(): number {
  return Number(process.env['CRASH_SEED'] ?? Date.now() % 1_000_000)
}

/** Kills the job until it has died `kills` times, then lets it finish. A failure says the seed that repeats the choices. */
export async function killRepeatedly(job: CrashJob, seed: number, kills: number, counts: KillCounts): Promise<void> {
  const random = seededRandom(seed)
  const story: string[] = []
  const dir = makeFixture(job)
  let fresh = 0
  try {
    let deaths = 0
    let finished = false
    // A doom that comes too late lets the job finish: then there is nothing left to kill but a fresh start.
    while (deaths < kills) {
      const options = randomOptions(random, finished)
      const doom = randomDoom(random, options)
      const attempt = await runOnce(commandOf(job, dir, options), doom)
      counts.starts++
      story.push(
        `${JSON.stringify(options)} ${describeAttempt(attempt)}: ${attempt.lines.find(line => line.startsWith('started')) ?? ''}`,
      )
      assertEnd(attempt)
      if (options.fresh === true) fresh++
      finished = !attempt.died
      if (!attempt.died) continue
      deaths++
      counts.deaths++
      if (random() < 0.5) counts.tornFiles += damageLooseFiles(job, dir, random)
    }
    await crash(job, dir, [], random() < 0.5 ? { everyMs: 0 } : {})
    counts.starts++
    counts.fresh += fresh
    await assertFinished(job, dir, fresh === 0 ? {} : { superseded: true, retained: 4 })
    if (random() < 0.2) await assertDoesNothing(job, dir)
  } catch (error) {
    const message = `seed ${seed} (CRASH_SEED=${seed} repeats the choices), ${job.name} in ${dir}:\n${story.join('\n')}\n`
    throw new Error(message + (error instanceof Error ? error.message : String(error)), { cause: error })
  }
}

function assertEnd(attempt: CrashAttempt): void {
  assert.ok(attempt.died || attempt.code === 0, [...attempt.lines.slice(-20), attempt.stderr].join('\n'))
  const warnings = attempt.lines.filter(line => line.startsWith('warn') || line.startsWith('restarting'))
  assert.deepEqual(warnings, [], 'nothing is damaged, so nothing is warned of')
}

function randomOptions(random: () => number, finished: boolean): ChildOptions {
  return {
    stateBackend: random() < 0.5 ? 'heap' : 'rocksdb',
    everyMs: random() < 0.25 ? 0 : 2,
    intervalMs: [5, 25, 25, 60][Math.floor(random() * 4)],
    ...(random() < 0.15 && { maxParallelism: [7, 64, 200][Math.floor(random() * 3)] }),
    ...((finished || random() < 0.07) && { fresh: true }),
  }
}

function randomDoom(random: () => number, { everyMs }: ChildOptions): Doom {
  const within = (ms: number) => Math.floor(random() * ms)
  const kind = random()
  // Taking the lock, reading what there is, loading state.
  if (kind < 0.15) return { after: 'starting', delayMs: within(120) }
  // The first checkpoint.
  if (kind < 0.35) return { after: 'started', delayMs: within(60) }
  if (kind < 0.5) return { after: 'checkpoint', delayMs: within(40) }
  // The final checkpoint and its commit.
  if (kind < 0.6) return { after: ' finish', delayMs: within(12) }
  if (kind < 0.8) return { at: FAILPOINTS[within(FAILPOINTS.length)], pass: 1 + within(5) }
  return { after: 'started', delayMs: within(everyMs === 0 ? 150 : 600) }
}

async function assertDoesNothing(job: CrashJob, dir: string): Promise<void> {
  const before = readOutput(job, dir)
  const { attempts } = await crash(job, dir, [])
  assert.ok(attempts[0].lines.includes('outcome already-finished'), attempts[0].lines.join('\n'))
  assert.deepEqual(readOutput(job, dir), before)
}

/** Cuts or garbles what no manifest names, as it may be after a power failure. Returns how many files. */
function damageLooseFiles(job: CrashJob, dir: string, random: () => number): number {
  const folder = join(dir, 'store', job.name)
  const manifests = filesIn(join(folder, 'manifests'))
    .filter(path => path.endsWith('.json'))
    .map(path => readFileSync(path, 'utf8'))
    .join('\n')
  const isNamed = (path: string) => manifests.includes(path.slice(path.lastIndexOf('/') + 1))
  const isTemporary = (path: string) => path.includes('/.tmp-')
  const loose = [
    ...['locks', 'runs', 'manifests'].flatMap(name => filesIn(join(folder, name)).filter(isTemporary)),
    // A segment that was finished, but whose checkpoint never was.
    ...filesIn(join(folder, 'segments')).filter(path => isTemporary(path) || !isNamed(path)),
    ...job.outputs.flatMap(output =>
      filesIn(join(dir, 'out', output)).filter(path => path.includes('/.pending-') && !isNamed(path)),
    ),
  ]
  for (const path of loose) damage(path, random)
  const log = join(folder, 'log.jsonl')
  if (existsSync(log)) truncateSync(log, Math.max(0, statSync(log).size - Math.floor(random() * 30)))
  // Behind the bytes of an open part that a snapshot counts on there may be anything.
  const open = job.outputs.flatMap(output =>
    filesIn(join(dir, 'out', output)).filter(path => path.includes('/.pending-') && isOpen(path, manifests)),
  )
  for (const path of open) appendFileSync(path, 'torn\0'.repeat(3000))
  return loose.length + open.length
}

function damage(path: string, random: () => number): void {
  const bytes = readFileSync(path)
  // Two names of one file, of which a manifest or a reader may use the other: the file is whole.
  if (statSync(path).nlink > 1) return
  if (random() < 0.5) return truncateSync(path, Math.floor(bytes.length * random()))
  for (let i = 0; i < bytes.length; i += 1 + Math.floor(random() * 64)) bytes[i] = Math.floor(random() * 256)
  writeFileSync(path, bytes)
}

/** Named as an open part, and nowhere as one that is sealed. */
function isOpen(path: string, manifests: string): boolean {
  const mentions = manifests.split(`"pending": "${path.slice(path.lastIndexOf('/') + 1)}"`).slice(1)
  return mentions.length > 0 && mentions.every(rest => /^,\s*"length"/.test(rest))
}
