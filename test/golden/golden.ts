/**
 * Golden jobs: each is run undisturbed at parallelism 1, where its output must be what a plain computation says, and then by a
 * schedule: attempts at changing parallelisms, each interrupted after some checkpoints, the last one to the end of its input. The
 * output of a job is a multiset of lines, and is the same however it ran.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { JobDefinition } from 'millrace'
import { assertClean, makeFixture, readOutput, type CrashJob } from '../crash/fixture.ts'
import type { Golden, PARAMS } from './golden-job.ts'

/** What jobs run at, one after the other. */
export const PARALLELISMS: readonly number[] = [2, 4, 3]

export interface GoldenJob extends CrashJob {
  readonly file: string
  readonly definition: JobDefinition<typeof PARAMS>
  readonly expected: Golden['expected']
}

/** A start of the job, and what becomes of it. */
export interface GoldenAttempt {
  readonly parallelism: number
  readonly maxParallelism?: number
  /** Default: the heap. On disk next to nothing of it is in memory. */
  readonly stateBackend?: 'heap' | 'rocksdb'
  /** Between two blocks of a source; 0: as fast as it goes. */
  readonly everyMs: number
  /** From one checkpoint to the next. */
  readonly intervalMs: number
  /** `kill`: SIGKILL. `cancel`: no last checkpoint, as after a kill. `stop`: one more checkpoint, and out. */
  readonly end: 'kill' | 'cancel' | 'stop' | 'complete'
  /** The end comes once so many of its own checkpoints are complete … */
  readonly afterCheckpoints: number
  /** … and so much later. */
  readonly delayMs: number
}

export interface AttemptReport {
  /** `finished`: also when it came to the end of its input before its own end. */
  readonly outcome: 'killed' | 'cancelled' | 'stopped' | 'finished'
  /** It began with the state of a checkpoint; undefined: it ended before it had begun. */
  readonly restored: boolean | undefined
}

/** Runs one attempt in a directory made by `makeFixture`. Rejects when the job fails, or restarts by itself. */
export type RunAttempt = (job: GoldenJob, dir: string, attempt: GoldenAttempt) => Promise<AttemptReport>

export async function goldenJobs(): Promise<readonly GoldenJob[]> {
  const folder = join(import.meta.dirname, 'jobs')
  return Promise.all(
    readdirSync(folder)
      .sort()
      .map(async (name): Promise<GoldenJob> => {
        const file = join(folder, name)
        const module = (await import(pathToFileURL(file).href)) as {
          readonly default: JobDefinition<typeof PARAMS>
          readonly golden: Golden
        }
        assert.equal(module.default.name, basename(name, '.ts'), 'a golden job is called as its file')
        return {
          name: module.default.name,
          file,
          definition: module.default,
          outputs: Object.keys(module.golden.expected()),
          retained: 0,
          makeInput: dir => module.golden.makeInput?.(dir),
          expected: () => module.golden.expected(),
        }
      }),
  )
}

/**
 * Runs the job by the schedule, in order, until an attempt finishes; checks its output and that nothing is left over.
 * @throws an error that tells the whole story
 */
export async function runGolden(
  job: GoldenJob,
  schedule: readonly GoldenAttempt[],
  runAttempt: RunAttempt,
): Promise<readonly AttemptReport[]> {
  const dir = makeFixture(job)
  const reports: AttemptReport[] = []
  const story: string[] = []
  try {
    for (const attempt of schedule) {
      story.push(JSON.stringify(attempt))
      const report = await runAttempt(job, dir, attempt)
      story.push(`  ${report.outcome}${report.restored === true ? ', restored' : ''}`)
      reports.push(report)
      if (report.outcome === 'finished') break
    }
    assert.equal(reports.at(-1)?.outcome, 'finished', 'the last attempt of a schedule is complete')
    assertExpected(job, dir)
    await assertClean(job, dir)
    return reports
  } catch (error) {
    const message = `${job.name} in ${dir}:\n${story.join('\n')}\n`
    throw new Error(message + (error instanceof Error ? error.message : String(error)), { cause: error })
  }
}

/** Every output holds the expected lines, each as often as expected, in any order. */
export function assertExpected(job: GoldenJob, dir: string): void {
  const found = readOutput(job, dir)
  for (const [output, rows] of Object.entries(job.expected())) {
    const lines = found[output].split('\n')
    assert.equal(lines.pop(), '', `${job.name}, output ${output}: the last line is complete`)
    const differences = differencesOf(lines, rows.map(textOf))
    assert.ok(differences.length === 0, `${job.name}, output ${output}: ${differences.join('\n')}`)
  }
}

function textOf(row: unknown): string {
  return typeof row === 'string' ? row : JSON.stringify(row)
}

const SHOWN = 5

/** Sentences, none if the lists are equal but for their order. */
function differencesOf(found: readonly string[], expected: readonly string[]): string[] {
  const surplus = new Map<string, number>()
  for (const line of found) surplus.set(line, (surplus.get(line) ?? 0) + 1)
  for (const line of expected) surplus.set(line, (surplus.get(line) ?? 0) - 1)
  const excerpt = (line: string) => (line.length > 200 ? `${line.slice(0, 200)}…` : line)
  const sentences = (sign: 1 | -1, what: string) =>
    [...surplus]
      .filter(([, times]) => times * sign > 0)
      .slice(0, SHOWN)
      .map(([line, times]) => `  ${Math.abs(times)} ${what}: ${excerpt(line)}`)
  const differences = [...sentences(1, 'too many'), ...sentences(-1, 'missing')]
  return differences.length === 0 ? [] : [`${found.length} lines, expected ${expected.length}`, ...differences]
}
