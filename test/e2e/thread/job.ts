/** The job of the thread's tests: counts per key, every row of which is there exactly once, however often it was interrupted. */
import assert from 'node:assert/strict'
import type { Running, Sandbox } from '../../cli/sandbox.ts'

export const RECORDS = 30_000
const KEYS = 100

/** What is left is read at once. */
export const AT_ONCE = '--set params.rate=1000000'

export interface Variant {
  /** Records a second. Default: so few that the job is still running when it is asked for something. */
  readonly rate?: number
  /** How the counts are made. */
  readonly counts?: string
  /** Steps between the source and `keyBy`. */
  readonly before?: string
  /** Steps between the counts and the sink. */
  readonly after?: string
  /** The folder of its output. */
  readonly out?: string
  /** Of `defineJob`, besides its parameters. */
  readonly options?: string
}

/** Writes a job file. */
export function job(
  sandbox: Sandbox,
  {
    rate = RECORDS / 30,
    counts = `'counts', count()`,
    before = '',
    after = '',
    out = 'out',
    options = '',
  }: Variant = {},
): string {
  return sandbox.job(
    'counts.ts',
    `export default defineJob('counts', flow => {
      flow.source('numbers', generator({ count: ${RECORDS}, rate: flow.params.rate, splits: 4, next: i => i }))${before}
        .keyBy(i => i % ${KEYS})
        .aggregate(${counts})${after}
        .sink('out', files.writeJson(flow.params.out))
    }, { params: { out: '${out}', rate: ${rate} }, ${options} })`,
  )
}

/** Every key has counted from one up, once each, as far as it came; `complete`: to the end. */
export function assertExactlyOnce(sandbox: Sandbox, { out = 'out', complete = true } = {}): void {
  const rows = sandbox.lines(out).map(line => JSON.parse(line) as { key: number; value: number })
  const counts = new Map<number, Set<number>>()
  for (const { key, value } of rows) {
    const seen = counts.get(key) ?? new Set()
    assert.ok(!seen.has(value), `key ${key} has counted to ${value} twice`)
    counts.set(key, seen.add(value))
  }
  for (const [key, seen] of counts) assert.equal(Math.max(...seen), seen.size, `key ${key} has left one out`)
  if (complete) assert.equal(rows.length, RECORDS)
}

interface Snapshot {
  readonly name: string
  readonly kind: 'checkpoint' | 'savepoint'
  readonly details: { readonly parallelism: number; readonly newBytes: number; readonly totalBytes: number }
}

/** Newest first. */
async function snapshots(sandbox: Sandbox, name = 'counts'): Promise<Snapshot[]> {
  return (await sandbox.json(`snapshots ${name}`)).snapshots
}

export async function names(sandbox: Sandbox, name = 'counts'): Promise<string[]> {
  return (await snapshots(sandbox, name)).map(snapshot => snapshot.name)
}

/** Once it has made two checkpoints since it was started. */
export async function withCheckpoints(sandbox: Sandbox, running: Running, name = 'counts'): Promise<void> {
  await running.until(/fresh start|resumed from/)
  const before = (await names(sandbox, name)).length > 0 ? numberOf((await names(sandbox, name))[0]) : 0
  for (;;) {
    const [newest] = await names(sandbox, name)
    if (newest !== undefined && numberOf(newest) >= before + 2) return
    assert.equal(running.child.exitCode, null, `it ended before two checkpoints\n${running.stdout}${running.stderr}`)
  }
}

function numberOf(snapshot: string): number {
  return Number(snapshot.slice(snapshot.indexOf('-') + 1))
}
