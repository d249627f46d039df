/** A second job from the state of a first one: fork, and a start from a snapshot of another folder. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { Sandbox } from './sandbox.ts'

/** Counts 6,000 numbers by their last digit into `params.out`; every row is written once. */
const COUNTING = `
export default defineJob('first', flow => {
  flow.source('numbers', generator({ next: i => i, rate: 4000, count: 6000 }))
    .keyBy(i => i % 10).aggregate('counts', count()).sink('out', files.writeJson(flow.params.out ?? 'out'))
}, { checkpointing: { interval: 100, retain: 5, onFinish: 'retain' } })`
const EVERY_ROW = Array.from({ length: 6000 }, (_, i) =>
  JSON.stringify({ key: i % 10, value: Math.floor(i / 10) + 1 }),
).toSorted()

const source = new Sandbox()
/** Of the stopped job; newest first. */
let names: string[] = []

before(async () => {
  const running = source.start(`run ${source.job('job.ts', COUNTING)} --verbose`)
  await running.until(/checkpoint chk-3 complete/)
  assert.equal((await running.end('SIGINT')).code, 0)
  names = (await source.json('snapshots first')).snapshots.map(({ name }: { name: string }) => name)
})

function copyOf(): Sandbox {
  const sandbox = new Sandbox()
  cpSync(source.path('.millrace'), sandbox.path('.millrace'), { recursive: true })
  cpSync(source.path('out'), sandbox.path('out'), { recursive: true })
  sandbox.job('job.ts', COUNTING)
  return sandbox
}

function filesOf(sandbox: Sandbox, folder: string): [string, number][] {
  return readdirSync(sandbox.path('.millrace', folder), { recursive: true, encoding: 'utf8' })
    .toSorted()
    .map(name => [name, statSync(sandbox.path('.millrace', folder, name)).ino])
}

describe('fork', () => {
  test('the fork goes on from the snapshot, and writes what comes after it; the first job is as it was', async () => {
    const sandbox = copyOf()
    const before = filesOf(sandbox, 'first')
    const rowsBefore = sandbox.lines('out')
    const { stdout, stderr, code } = await sandbox.run('fork first/latest --as trial')
    assert.equal(code, 0)
    assert.match(
      stdout,
      new RegExp(`^forked first/${names[0]} as trial/chk-\\d+ \\(\\d+ segments?, [\\d.]+ \\w+\\)\n$`),
    )
    assert.equal(stderr, 'run it with millrace run JOB.ts --as trial\n')
    const ended = await sandbox.run('run job.ts --as trial --set params.out=trial')
    assert.equal(ended.code, 0)
    assert.match(ended.stderr, /^resumed from checkpoint chk-\d+ /)
    assert.deepEqual(filesOf(sandbox, 'first'), before)
    assert.deepEqual([...rowsBefore, ...sandbox.lines('trial')].toSorted(), EVERY_ROW)
    assert.equal((await sandbox.json('fsck trial')).intact, true)
  })

  test('a snapshot with a segment that is cut off is refused as plan and run refuse it, and no folder is made', async () => {
    const sandbox = copyOf()
    const segments = sandbox.path('.millrace/first/segments')
    for (const name of readdirSync(segments)) {
      const whole = readFileSync(join(segments, name))
      writeFileSync(join(segments, name), whole.subarray(0, whole.length - 7))
    }
    const refusal = /^error SNAPSHOT_DAMAGED: /
    for (const args of [
      'fork first/latest --as trial',
      'plan job.ts --as trial --from first/latest',
      'run job.ts --as trial --from first/latest',
    ]) {
      const { code, stderr, stdout } = await sandbox.run(args)
      assert.deepEqual([code, stdout], [3, ''], args)
      assert.match(stderr, refusal)
      if (args.startsWith('fork')) assert.ok(!existsSync(sandbox.path('.millrace/trial')))
    }
  })

  test('no bytes are moved: the segments of the fork are second names of the same files', async () => {
    const sandbox = copyOf()
    await sandbox.run('fork first/latest --as trial')
    const inodes = new Set(filesOf(sandbox, 'first').map(([, inode]) => inode))
    const segments = filesOf(sandbox, 'trial').filter(([name]) => name.endsWith('.seg'))
    assert.ok(segments.length > 0 && segments.every(([, inode]) => inodes.has(inode)))
  })

  test('either of the two may be deleted first, and the other goes on', async () => {
    for (const [gone, left, out] of [
      ['first', 'trial', 'trial'],
      ['trial', 'first', 'out'],
    ]) {
      const sandbox = copyOf()
      await sandbox.run('fork first/latest --as trial')
      rmSync(sandbox.path('.millrace', gone), { recursive: true })
      assert.equal((await sandbox.json(`fsck ${left}`)).intact, true)
      const ended = await sandbox.run(`run job.ts --as ${left} --set params.out=${out}`)
      assert.equal(ended.code, 0, ended.stderr)
      assert.match(ended.stderr, /^resumed from checkpoint/)
    }
  })

  test('a job is forked while it runs, from any snapshot it still has, and both come to the same end', async () => {
    const sandbox = new Sandbox()
    const running = sandbox.start(`run ${sandbox.job('job.ts', COUNTING)} --verbose`)
    await running.until(/checkpoint chk-3 complete/)
    const { forkedFrom } = await sandbox.json('fork first/latest --as trial')
    const forked = await sandbox.run('run job.ts --as trial --set params.out=trial')
    assert.equal(forked.code, 0)
    assert.equal((await running.result).code, 0)
    assert.deepEqual(sandbox.lines('out').toSorted(), EVERY_ROW)
    const last = sandbox.lines('trial').toSorted()
    const all = new Set(EVERY_ROW)
    assert.ok(
      last.length > 0 && last.length < 6000 && last.every(row => all.has(row)) && new Set(last).size === last.length,
    )
    assert.match(forkedFrom, /^first\/chk-\d+$/)
  })

  test('a fork writes beside the first one in the same directory, and neither takes the other’s files', async () => {
    const sandbox = copyOf()
    await sandbox.run('fork first/latest --as trial')
    const parts = readdirSync(sandbox.path('out'))
    assert.equal((await sandbox.run('run job.ts --as trial')).code, 0)
    assert.ok(parts.every(part => existsSync(sandbox.path('out', part))))
    assert.deepEqual(sandbox.lines('out').toSorted(), EVERY_ROW)
  })

  test('fork diff compares what the two have written since, in whatever order and parts', async () => {
    const sandbox = copyOf()
    await sandbox.run('fork first/latest --as trial')
    assert.equal((await sandbox.run('run job.ts')).code, 0)
    assert.equal((await sandbox.run('run job.ts --as trial --set params.out=trial --checkpoint-interval 30')).code, 0)
    const same = await sandbox.run('fork diff first trial out trial')
    assert.equal(same.code, 0, same.stderr)
    const { equal, sinks } = await sandbox.json('fork diff first trial out trial')
    assert.equal(equal, true)
    const since = 6000 - source.lines('out').length
    assert.deepEqual([sinks.length, sinks[0].rows, sinks[0].only], [1, [since, since], [0, 0]])
    // A row that the fork has not written.
    const [part] = readdirSync(sandbox.path('trial')).filter(name => !name.startsWith('.'))
    const [row, ...rest] = readFileSync(sandbox.path('trial', part), 'utf8').split('\n')
    writeFileSync(sandbox.path('trial', part), rest.join('\n'))
    const different = await sandbox.run('fork diff first trial out trial')
    assert.equal(different.code, 1)
    assert.ok(
      different.stdout.endsWith(`\nonly first, out: ${row}\nfirst and trial: DIFFERENT rows\n`),
      different.stdout,
    )
  })

  test('fork diff fails where there is nothing to compare, and names a directory that is not there', async () => {
    const sandbox = copyOf()
    await sandbox.run('fork first/latest --as trial')
    assert.equal((await sandbox.json('fork diff first trial out', 1)).equal, false)
    const { stdout } = await sandbox.run('fork diff first trial out')
    assert.equal(stdout, 'first and trial: neither has output of its own there\n')
    const missing = await sandbox.run('fork diff first trial out gone')
    assert.equal(missing.code, 2)
    assert.match(missing.stderr, /^error USAGE: the directory \S*gone cannot be read: ENOENT\n.*Name the directories/)
  })

  test('a dry run of the fork writes nothing, and says how much it would have written', async () => {
    const sandbox = copyOf()
    await sandbox.run('fork first/latest --as trial')
    const dry = await sandbox.run('run job.ts --as trial --sinks dry-run --set params.out=trial --parallelism 2')
    assert.equal(dry.code, 0)
    const since = (6000 - source.lines('out').length).toLocaleString('en')
    assert.match(dry.stderr, new RegExp(`; dry run: ${since} records for its sinks dropped\n$`))
    assert.ok(!existsSync(sandbox.path('trial')))
    // Its snapshots are no start for a run that writes.
    const wet = await sandbox.run('run job.ts --as trial --from latest')
    assert.equal(wet.code, 3)
    assert.match(wet.stderr, /^error STATE_INCOMPATIBLE: .*sink 'out' \(a dry run dropped its output up to here/)
  })

  test('the jobs of a storage list the fork before it has run', async () => {
    const sandbox = copyOf()
    await sandbox.run('fork first/latest --as trial')
    const { jobs } = await sandbox.json('jobs')
    assert.deepEqual(
      jobs.map(({ job, state, snapshots }: any) => [job, state, snapshots]),
      [
        ['first', 'stopped', names.length],
        ['trial', 'stopped', 1],
      ],
    )
  })

  test('a name that is taken, not allowed or missing, and a snapshot that is not there are refused, and nothing is made', async () => {
    const cases = [
      ['fork first/latest --as first', 3, /^error JOB_EXISTS: there is a job 'first' already, in /],
      ['fork first/latest --as Trial', 2, /^error JOB_NAME_INVALID: /],
      [
        'fork first/latest',
        2,
        /^error USAGE: the fork of first\/latest needs a name\n {2}Say millrace fork first\/latest --as NAME\./,
      ],
      ['fork first/chk-999 --as trial', 3, /^error SNAPSHOT_NOT_FOUND: job 'first' has no chk-999; it has /],
      ['fork nowhere/folder --as trial', 3, /^error SNAPSHOT_NOT_FOUND: there is no file or folder /],
      ['fork .millrace/first --as trial', 3, /^error SNAPSHOT_NOT_FOUND: the folder .* holds \d snapshots; name one/],
    ] as const
    for (const [args, status, message] of cases) {
      const { code, stderr } = await source.run(args)
      assert.equal(code, status, args)
      assert.match(stderr, message)
    }
    assert.deepEqual(readdirSync(source.path('.millrace')), ['first'])
  })
})

/** The newest snapshot of the stopped job as a folder of its own. */
function selfContained(sandbox: Sandbox, folder: string): string {
  cpSync(sandbox.path('.millrace/first/segments'), sandbox.path(folder, 'segments'), { recursive: true })
  const file = `manifests/chk-${names[0].slice(4).padStart(12, '0')}.json`
  cpSync(sandbox.path('.millrace/first', file), sandbox.path(folder, file))
  return folder
}

describe('a start from another folder', () => {
  test('a self-contained folder is taken over wherever it lies, and may go afterwards', async () => {
    const sandbox = copyOf()
    selfContained(sandbox, 'backup')
    renameSync(sandbox.path('backup'), sandbox.path('a moved backup'))
    renameSync(sandbox.path('a moved backup'), sandbox.path('moved'))
    rmSync(sandbox.path('.millrace'), { recursive: true })
    const ended = await sandbox.run('run job.ts --from moved')
    assert.equal(ended.code, 0, ended.stderr)
    assert.match(
      ended.stderr,
      new RegExp(
        `^took over first/${names[0]} of ${sandbox.path('moved')} as chk-\\d+\nstarted from checkpoint chk-\\d+ `,
      ),
    )
    rmSync(sandbox.path('moved'), { recursive: true })
    assert.equal((await sandbox.json('fsck first')).intact, true)
    // The same job: what it had written before is its own past.
    assert.deepEqual(sandbox.lines('out').toSorted(), EVERY_ROW)
  })

  test('the choice is durable: the next plain run goes on from what was taken over', async () => {
    const sandbox = copyOf()
    selfContained(sandbox, 'backup')
    const running = sandbox.start('run job.ts --as other --from backup --set params.out=other --checkpoint-interval 1h')
    await running.until(/started from checkpoint chk-(\d+)/)
    await running.end('SIGKILL')
    const ended = await sandbox.run('run job.ts --as other --set params.out=other')
    assert.equal(ended.code, 0)
    assert.match(ended.stderr, /resumed from checkpoint chk-\d+ /)
    assert.deepEqual([...source.lines('out'), ...sandbox.lines('other')].toSorted(), EVERY_ROW)
  })

  test('a process that dies while it takes a snapshot over costs the job nothing: the next plain run goes on', async () => {
    for (const point of ['manifest.after-link', 'run.before-publish', 'run.after-publish']) {
      const sandbox = copyOf()
      selfContained(sandbox, 'backup')
      const died = await sandbox.run('run job.ts --from backup', { MILLRACE_FAILPOINT: point })
      assert.notEqual(died.code, 0, point)
      const ended = await sandbox.run('run job.ts')
      assert.equal(ended.code, 0, ended.stderr)
      assert.match(ended.stderr, /^resumed from checkpoint /)
      assert.deepEqual(sandbox.lines('out').toSorted(), EVERY_ROW, point)
      assert.deepEqual((await sandbox.json('fsck first')).findings, [])
    }
  })

  test('a fork is promoted: the first job goes on from its state, and its own output since the fork is moved aside', async () => {
    const sandbox = copyOf()
    await sandbox.run('fork first/latest --as trial')
    // Both go on for a while, into the same directory.
    for (const as of ['first', 'trial']) {
      const running = sandbox.start(`run job.ts --as ${as} --verbose`)
      await running.until(/checkpoint chk-\d+ complete[^]*checkpoint chk-\d+ complete/)
      assert.equal((await running.end('SIGINT')).code, 0)
    }
    const ended = await sandbox.run('run job.ts --from trial/latest')
    assert.equal(ended.code, 0, ended.stderr)
    assert.match(ended.stderr, /^took over trial\/chk-\d+ as chk-\d+\n/)
    assert.deepEqual(sandbox.lines('out').toSorted(), EVERY_ROW)
    assert.ok(readdirSync(sandbox.path('out/.superseded')).every(name => name.startsWith('part-first-')))
  })

  test('state that the job has no place for is refused, and the job’s next run is as it would have been', async () => {
    const sandbox = copyOf()
    sandbox.job('job.ts', COUNTING.replaceAll("'counts'", "'totals'"))
    selfContained(sandbox, 'backup')
    const { code, stderr } = await sandbox.run('run job.ts --as other --from backup')
    assert.equal(code, 3)
    assert.match(stderr, /^error STATE_DROPPED: /)
    assert.equal((await sandbox.json('snapshots other')).snapshots.length, 0)
  })
})
