/** The commands that look at a storage, and what is wrong in one: jobs, snapshots, inspect, delete, fsck, and run over damage. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { before, describe, test } from 'node:test'
import { HEADER_BYTES } from '../../packages/millrace/src/snapshot/segment-format.ts'
import { sealJson, unsealJson } from '../../packages/millrace/src/snapshot/sealed-json.ts'
import { ENDLESS, Sandbox, WORDS } from './sandbox.ts'

const source = new Sandbox()
/** Newest first. */
let names: string[] = []

/** One stopped job with at least three checkpoints, made once; tests that change it work on a copy. */
before(async () => {
  const running = source.start(`run ${source.job('endless.ts', ENDLESS)} --verbose`)
  await running.until(/checkpoint chk-3 complete/)
  assert.equal((await running.end('SIGINT')).code, 0)
  const { snapshots } = await source.json('snapshots endless')
  names = snapshots.map(({ name }: { name: string }) => name)
  assert.equal(names.length, 3)
})

function copyOf(): Sandbox {
  const sandbox = new Sandbox()
  cpSync(source.path('.millrace'), sandbox.path('.millrace'), { recursive: true })
  cpSync(source.path('out'), sandbox.path('out'), { recursive: true })
  sandbox.job('endless.ts', ENDLESS)
  return sandbox
}

function manifestOf(sandbox: Sandbox, name: string): string {
  return sandbox.path('.millrace/endless/manifests', `chk-${name.slice(4).padStart(12, '0')}.json`)
}

/** Writes the manifest again with a valid checksum: the work of somebody who means harm. */
function forge(file: string, change: (manifest: any) => void): void {
  const manifest = structuredClone(unsealJson(readFileSync(file), file)) as any
  change(manifest)
  writeFileSync(file, sealJson(manifest))
}

function flip(file: string, at = Math.floor(statSync(file).size / 2)): void {
  const bytes = readFileSync(file)
  bytes[at] ^= 0x40
  writeFileSync(file, bytes)
}

describe('jobs and snapshots', () => {
  test('jobs tells of each job what it does, and its newest snapshot', async () => {
    const { stdout } = await source.run('jobs')
    assert.match(
      stdout,
      new RegExp(`^JOB +STATE +UPTIME +RECORDS/S +SNAPSHOTS +LATEST .*\nendless +stopped +3  ${names[0]} `),
    )
    const { storage, jobs } = await source.json('jobs')
    assert.equal(storage, source.path('.millrace'))
    const [{ latest, lastRun, ...job }] = jobs
    assert.deepEqual(job, { job: 'endless', state: 'stopped', snapshots: 3, owner: null, live: null })
    assert.equal(latest.name, names[0])
    assert.deepEqual([lastRun.run, lastRun.lineage, lastRun.end], [1, 1, 'stopped'])
  })

  test('a storage that is not there has no jobs', async () => {
    const sandbox = new Sandbox()
    const { code, stdout, stderr } = await sandbox.run('jobs')
    assert.deepEqual([code, stdout, stderr], [0, '', `no jobs in ${sandbox.path('.millrace')}\n`])
  })

  test('snapshots are listed newest first, of a job by name or by its file', async () => {
    const { stdout } = await source.run('snapshots endless')
    assert.match(stdout, /^SNAPSHOT +KIND +AGE +NEW +TOTAL +DURATION +PARALLELISM +STANDING +LABEL\n/)
    assert.deepEqual(
      stdout
        .trim()
        .split('\n')
        .slice(1)
        .map(line => line.split(' ')[0]),
      names,
    )
    const { job, snapshots } = await source.json('snapshots endless.ts')
    assert.equal(job, 'endless')
    const [{ details, damage, file }] = snapshots
    assert.deepEqual([details.standing, details.parallelism, damage], ['current', 1, null])
    assert.ok(existsSync(source.path('.millrace/endless', file)))
  })

  test('an unknown job is refused with the jobs there are', async () => {
    for (const command of ['snapshots', 'fsck']) {
      const { code, stderr } = await source.run(`${command} endles`)
      assert.equal(code, 3)
      assert.match(
        stderr,
        /^error JOB_NOT_FOUND: the storage .*\/\.millrace has no job 'endles'; it has endless; did you mean 'endless'\?/,
      )
    }
  })

  test('a storage path that is a file is refused by every command', async () => {
    const sandbox = new Sandbox()
    sandbox.write('file', 'x')
    sandbox.job('words.ts', WORDS)
    for (const command of [
      'run words.ts',
      'jobs',
      'snapshots words',
      'inspect words/latest',
      'delete words/chk-1',
      'fsck words',
    ]) {
      const { code, stderr } = await sandbox.run(`${command} --storage file`)
      assert.equal(code, 2, command)
      assert.match(
        stderr,
        /^error STORAGE_INVALID: .*\/file.*\n {2}Name a directory with --storage or MILLRACE_STORAGE\.\n/,
      )
    }
  })
})

describe('inspect', () => {
  test('a snapshot shows its operators, states, splits, committables and segments', async () => {
    const { stdout } = await source.run('inspect endless/latest')
    assert.match(
      stdout,
      new RegExp(`^endless/${names[0]}: made .* trigger stop\nrun 1, lineage 1, .*parallelism 1, 128 key groups\n`),
    )
    assert.match(stdout, /\nnumbers +source +1 +[\d,]+ +1\n/)
    assert.match(stdout, /\ncounts +\w+ +numbers +1 +value#1 aggregating \(count\)\n/)
    assert.match(stdout, /\nout +sink \(files\.writeJson\) +counts +1 +1\n/)
    assert.match(stdout, /\nsegments\/1-\d+\.seg +chk-\d+ .* 0-127 +base\n/)
    const { snapshot, manifest, entries } = await source.json('inspect latest')
    assert.equal(snapshot, `endless/${names[0]}`)
    assert.equal(manifest.operators.length, 3)
    assert.ok(entries >= 10)
  })

  test('an operator shows the live entries of its states, the positions of its splits, what waits for its commit', async () => {
    const { operator } = await source.json('inspect latest counts')
    const [{ keyGroups, keyBytes, valueBytes, ...state }] = operator.states
    assert.deepEqual(state, { id: 1, name: 'value', kind: 'aggregating (count)', schema: null, entries: 10 })
    assert.ok(keyGroups > 1 && keyBytes > 0 && valueBytes > 0)
    const numbers = (await source.json('inspect latest numbers')).operator.source
    assert.deepEqual([numbers.splits.length, numbers.splits[0].position], [1, numbers.records])
    assert.match(
      (await source.run('inspect latest numbers')).stdout,
      /\nSPLIT +SUBTASK +POSITION +DETAIL\nsplit-0 +0 +\d+ /,
    )
    assert.match((await source.run('inspect latest out')).stdout, /\nPREPARED FOR +COMMITTABLE\nchk-\d+ +\{/)
  })

  test('a state shows the entries of each key group, which add up', async () => {
    const { state } = await source.json('inspect latest counts value')
    assert.equal(state.entries, 10)
    assert.equal(
      state.keyGroups.reduce((sum: number, group: { entries: number }) => sum + group.entries, 0),
      10,
    )
    assert.match((await source.run('inspect latest counts value')).stdout, /\nKEY GROUP +ENTRIES +SIZE\n/)
  })

  test('a key that was cleared is not counted, though its tombstone is in a segment', async () => {
    const sandbox = new Sandbox()
    const job = sandbox.job(
      'clearing.ts',
      `export default defineJob('clearing', flow => {
        flow.source('in', generator({ next: i => i, rate: 1000, count: 300 })).keyBy(i => i < 100 ? i : i % 2).process('p', {
          state: { last: value() },
          onRecord(i, ctx) { if (ctx.key !== 0 || i < 200) ctx.state.last.set(i); else ctx.state.last.clear() },
        }).sink('out', blackhole())
      }, { checkpointing: { interval: 50, onFinish: 'retain' } })`,
    )
    assert.equal((await sandbox.run(`run ${job}`)).code, 0)
    assert.ok((await sandbox.json('inspect latest')).tombstones > 0)
    assert.equal((await sandbox.json('inspect latest p')).operator.states[0].entries, 99)
  })

  test('the older of two snapshots has its own state', async () => {
    const records = async (name: string) => (await source.json(`inspect ${name} numbers`)).operator.source.records
    assert.ok((await records(names[2])) < (await records(names[0])))
  })

  test('a manifest is found by its path, wherever the storage lies', async () => {
    const { snapshot } = await new Sandbox().json(`inspect ${manifestOf(source, names[1])}`)
    assert.equal(snapshot, `endless/${names[1]}`)
  })

  test('what is not there is refused with what is', async () => {
    const cases = [
      ['inspect chk-999', 3, /^error SNAPSHOT_NOT_FOUND: job 'endless' has no chk-999; it has chk-\d+, chk-\d+/],
      [
        'inspect endless',
        3,
        /^error SNAPSHOT_NOT_FOUND: 'endless' is not the name of a snapshot: expected JOB\/latest/,
      ],
      ['inspect other/latest', 3, /^error JOB_NOT_FOUND: .* has no job 'other'; it has endless/],
      ['inspect nope/chk-000000000001.json', 3, /^error SNAPSHOT_NOT_FOUND: there is no file /],
      [
        'inspect latest count',
        2,
        /^error USAGE: endless\/chk-\d+ has no operator 'count'; it has numbers, counts, out; did you mean 'counts'\?/,
      ],
      ['inspect latest counts x', 2, /^error USAGE: operator 'counts' has no state 'x'; it has value/],
    ] as const
    for (const [args, status, message] of cases) {
      const { code, stderr } = await source.run(args)
      assert.equal(code, status, args)
      assert.match(stderr, message)
    }
  })

  test('JOB/ may be left out only when the storage has one job', async () => {
    const sandbox = copyOf()
    await sandbox.run(`run ${sandbox.job('words.ts', WORDS)}`)
    const { code, stderr } = await sandbox.run('inspect latest')
    assert.equal(code, 3)
    assert.match(
      stderr,
      /^error SNAPSHOT_NOT_FOUND: 'latest' does not say of which job; .* has endless, words\n {2}Say endless\/latest/,
    )
  })
})

describe('delete', () => {
  test('without a terminal it needs --yes, and deletes nothing', async () => {
    const { code, stderr } = await source.run(`delete ${names[2]}`)
    assert.equal(code, 2)
    assert.match(stderr, new RegExp(`^error CONFIRMATION_NEEDED: deleting endless/${names[2]} needs a confirmation`))
    assert.ok(existsSync(manifestOf(source, names[2])))
  })

  test('a snapshot goes with the segments that no other one names; the job goes on from the newest', async () => {
    const sandbox = copyOf()
    const { stdout, code } = await sandbox.run(`delete endless/${names[1]} --yes`)
    assert.equal(code, 0)
    assert.match(stdout, new RegExp(`^deleted endless/${names[1]} and \\d+ segments? \\(`))
    assert.ok(!existsSync(manifestOf(sandbox, names[1])))
    const { intact, findings } = await sandbox.json('fsck endless')
    assert.deepEqual([intact, findings], [true, []])
    const running = sandbox.start('run endless.ts')
    await running.until(new RegExp(`^resumed from checkpoint ${names[0]} `))
    assert.equal((await running.end('SIGINT')).code, 0)
  })

  test('deleting the newest snapshot says what that means for the next run', async () => {
    const sandbox = copyOf()
    const { stderr } = await sandbox.run(`delete ${names[0]} --yes`)
    assert.equal(
      stderr,
      'it was the newest snapshot: the next run goes on from an older one, or is refused if there is none\n',
    )
    const running = sandbox.start('run endless.ts')
    await running.until(new RegExp(`resumed from checkpoint ${names[1]} `))
    assert.match(running.stderr, /^warning: .*its manifest is gone/)
    await running.end('SIGINT')
  })

  test('a damaged snapshot can be deleted; while it is there, segments stay', async () => {
    const sandbox = copyOf()
    flip(manifestOf(sandbox, names[1]))
    const blocked = await sandbox.json(`delete ${names[2]} --yes`)
    assert.deepEqual(blocked.removedSegments, [])
    assert.match(blocked.stopped.file, /^manifests\/chk-/)
    const { stopped } = await sandbox.json(`delete ${names[1]} --yes`)
    assert.equal(stopped, null)
  })

  test('one snapshot is named in full: neither latest nor a path is taken', async () => {
    for (const name of ['endless/latest', manifestOf(source, names[0])]) {
      const { code, stderr } = await source.run(`delete ${name} --yes`)
      assert.equal(code, 2)
      assert.match(stderr, /^error USAGE: .* is not the name of one snapshot/)
    }
    assert.equal((await source.run('delete chk-999 --yes')).code, 3)
  })
})

describe('damage', () => {
  test('fsck of an intact job reports what it checked and exits with 0', async () => {
    const { code, stdout } = await source.run('fsck endless')
    assert.equal(code, 0)
    assert.match(stdout, /^endless: intact; checked 3 manifests, \d+ segments, 1 run, [\d.]+ \w+\n$/)
  })

  test('fsck names the damaged file and the snapshots that need it, reports orphans, and exits with 1', async () => {
    const sandbox = copyOf()
    const [segment] = readdirSync(sandbox.path('.millrace/endless/segments'))
    flip(sandbox.path('.millrace/endless/segments', segment))
    writeFileSync(sandbox.path('.millrace/endless/segments/1-999.seg'), 'x')
    const { code, stdout } = await sandbox.run('fsck endless')
    assert.equal(code, 1)
    assert.match(stdout, new RegExp(`\ndamage +segments/${segment} +chk-.* SNAPSHOT_DAMAGED: `))
    assert.match(stdout, /\norphan +segments\/1-999\.seg +- +no snapshot names it/)
    assert.match(stdout, /\nendless: DAMAGED in 1 place; /)
    const { intact, findings } = await sandbox.json('fsck endless', 1)
    assert.equal(intact, false)
    assert.deepEqual(
      findings.map(({ severity, file }: any) => [severity, file]),
      [
        ['damage', `segments/${segment}`],
        ['orphan', 'segments/1-999.seg'],
      ],
    )
  })

  test('run goes on from the newest intact snapshot, and says loudly which one it skips', async () => {
    const sandbox = copyOf()
    flip(manifestOf(sandbox, names[0]))
    const listing = await sandbox.run('snapshots endless')
    assert.match(listing.stdout, new RegExp(`\n${names[0]} +checkpoint .*damaged\n`))
    assert.match(listing.stderr, new RegExp(`^${names[0]} cannot be read: `))
    const running = sandbox.start('run endless.ts')
    await running.until(
      new RegExp(
        `^warning: checkpoint ${names[0].slice(4)} cannot be used and is skipped: .*\n(warning: .*\n)*resumed from checkpoint ${names[1]} `,
      ),
    )
    await running.end('SIGINT')
  })

  test('when no snapshot is intact the run is refused, and --fresh starts over', async () => {
    const sandbox = copyOf()
    for (const name of names) flip(manifestOf(sandbox, name))
    const refused = await sandbox.run('run endless.ts')
    assert.equal(refused.code, 3)
    assert.match(refused.stderr, /^error NO_USABLE_SNAPSHOT: /)
    const fresh = sandbox.start('run endless.ts --fresh')
    await fresh.until(/fresh start, as asked/)
    assert.equal((await fresh.end('SIGINT')).code, 0)
  })

  test('a reference that leads out of the folder is never followed', async () => {
    for (const file of ['../../../etc/passwd', '/etc/passwd', 'segments/../../x.seg']) {
      const sandbox = copyOf()
      forge(manifestOf(sandbox, names[0]), manifest => (manifest.segments[0].file = file))
      const inspected = await sandbox.run(`inspect ${names[0]}`)
      assert.equal(inspected.code, 3)
      assert.match(inspected.stderr, /^error BAD_REFERENCE: .*which is not inside the job's folder/)
      const running = sandbox.start('run endless.ts')
      await running.until(new RegExp(`resumed from checkpoint ${names[1]} `))
      await running.end('SIGKILL')
    }
  })

  test('lengths of 10 GB in a manifest or a segment are damage, not an allocation', async () => {
    const sandbox = copyOf()
    forge(manifestOf(sandbox, names[0]), manifest => (manifest.segments[0].sizeBytes = 10_000_000_000))
    const { findings } = await sandbox.json('fsck endless', 1)
    assert.equal(findings[0].code, 'SNAPSHOT_DAMAGED')

    const other = copyOf()
    const { manifest } = await other.json('inspect latest')
    const file = other.path('.millrace/endless', manifest.segments[0].file)
    const bytes = readFileSync(file)
    bytes.writeUInt32LE(0xffff_fff0, HEADER_BYTES)
    writeFileSync(file, bytes)
    const { code, stderr } = await other.run('inspect latest counts')
    assert.equal(code, 3)
    assert.match(stderr, /^error SNAPSHOT_DAMAGED: .*4294967280/)
  })

  test('a snapshot of another job is refused where the job has no place for its state, and when it lies in the wrong folder', async () => {
    const sandbox = copyOf()
    sandbox.job('words.ts', WORDS)
    for (const from of ['endless/latest', manifestOf(sandbox, names[0])]) {
      const { code, stderr } = await sandbox.run(`run words.ts --from ${from}`)
      assert.equal(code, 3)
      assert.match(stderr, /^error STATE_DROPPED: /)
    }
    rmSync(sandbox.path('.millrace/words'), { recursive: true })
    cpSync(sandbox.path('.millrace/endless'), sandbox.path('.millrace/words'), { recursive: true })
    const moved = await sandbox.run('inspect words/latest')
    assert.equal(moved.code, 3)
    const { snapshots } = await sandbox.json('snapshots words')
    assert.match(snapshots[0].damage, /is a snapshot of job 'endless', not of 'words'/)
  })

  test('a missing segment is reported as missing', async () => {
    const sandbox = copyOf()
    const { manifest } = await sandbox.json('inspect latest')
    rmSync(sandbox.path('.millrace/endless', manifest.segments[0].file))
    const { findings } = await sandbox.json('fsck endless', 1)
    assert.deepEqual([findings[0].code, findings[0].snapshots], ['OBJECT_MISSING', [names[0]]])
  })
})
