/** How a running job is left, by signals, by kill -9, by a reader that goes away; and how the next start, or a second process, finds it. */
import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { test } from 'node:test'
import { ENDLESS, Sandbox, type Running } from './sandbox.ts'

async function runEndless(sandbox: Sandbox, flags = ''): Promise<Running> {
  const running = sandbox.start(`run ${sandbox.job('endless.ts', ENDLESS)} --verbose ${flags}`)
  await running.until(/checkpoint chk-2 complete/)
  return running
}

/** The last value of every key in the output is the number of its rows, if none is missing or doubled. */
function assertExactlyOnce(sandbox: Sandbox): void {
  const counts = new Map<number, number>()
  for (const line of sandbox.lines('out')) {
    const { key, value } = JSON.parse(line)
    counts.set(key, (counts.get(key) ?? 0) + 1)
    assert.equal(value, counts.get(key), `rows of key ${key} follow each other`)
  }
  assert.ok(counts.size > 0, 'there is output')
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} takes a final checkpoint and exits with 0; the next run goes on from it`, async () => {
    const sandbox = new Sandbox()
    const first = await (await runEndless(sandbox)).end(signal)
    assert.deepEqual([first.code, first.stdout], [0, ''])
    const stopped =
      /\nstopping: final checkpoint…\n(?:.*\n)*stopped at (chk-\d+); run again to go on \(([\d,]+) records in [\d.]+ m?s, \d+ checkpoints\)\n$/.exec(
        first.stderr,
      )
    assert.ok(stopped, first.stderr)
    const { jobs } = await sandbox.json('jobs')
    assert.deepEqual([jobs[0].state, jobs[0].latest.name], ['stopped', stopped[1]])

    const second = sandbox.start('run endless.ts')
    const resumed = await second.until(/^resumed from checkpoint (chk-\d+) \(\d+ m?s old\), ([\d,]+) records so far\n/)
    assert.deepEqual([resumed[1], resumed[2]], [stopped[1], stopped[2]])
    assert.equal((await second.end(signal)).code, 0)
    assertExactlyOnce(sandbox)
  })
}

test('without --verbose and without a terminal a run says how it starts and how it ends, and no more', async () => {
  const sandbox = new Sandbox()
  const running = sandbox.start(`run ${sandbox.job('endless.ts', ENDLESS)}`)
  await running.until(/fresh start\n/)
  while ((await sandbox.json('snapshots endless')).snapshots.length < 2);
  const { stderr } = await running.end('SIGINT')
  assert.match(stderr, /^fresh start\nstopping: final checkpoint…\nstopped at chk-\d+; run again .*\n$/)
})

/** Its final checkpoint never completes. */
const STUCK = `
const stuck = { type: 'stuck', retracts: true, open: async () => ({
  write() {}, writable: () => true, prepareCommit: () => new Promise(() => {}), commit: async () => {}, close: async () => {},
}) }
export default defineJob('stuck', flow => { flow.source('in', generator({ next: i => i, rate: 100 })).sink('out', stuck) })`

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`a second ${signal} right after the first is the same one; one more than a second later leaves at once with ${code}`, async () => {
    const sandbox = new Sandbox()
    const running = sandbox.start(`run ${sandbox.job('stuck.ts', STUCK)}`)
    await running.until(/fresh start/)
    running.signal(signal)
    await running.until(/stopping: final checkpoint…/)
    running.signal(signal)
    // What is tested is the second between the two.
    await pause(1050)
    assert.equal(running.child.exitCode, null)
    assert.deepEqual(await running.end(signal).then(({ code: exit }) => exit), code)
  })
}

test('a final checkpoint that fails is exit status 1, and the next run goes on from the one before', async () => {
  const sandbox = new Sandbox()
  const job = sandbox.job(
    'failing.ts',
    `const failing = { type: 'failing', retracts: true, open: async () => ({
      write() {}, writable: () => true, commit: async () => {}, close: async () => {},
      prepareCommit: async (id, last) => { if (id > 1) throw new Error('no room'); return { committables: [] } },
    }) }
    export default defineJob('failing', flow => { flow.source('in', generator({ next: i => i, rate: 1000 })).sink('out', failing) }, { checkpointing: { interval: 200 } })`,
  )
  const running = sandbox.start(`run ${job} --verbose`)
  await running.until(/checkpoint chk-1 complete/)
  const { code, stderr } = await running.end('SIGINT')
  assert.equal(code, 1)
  assert.match(stderr, /error SINK_FAILED: .*no room/)
  const again = sandbox.start(`run ${job}`)
  await again.until(/resumed from checkpoint chk-1 /)
})

test('a second process for the same job is refused, naming process and host; another name or storage is not', async () => {
  const sandbox = new Sandbox()
  const running = await runEndless(sandbox, '--set checkpointing.retain=1000')
  const second = await sandbox.run('run endless.ts')
  assert.equal(second.code, 3)
  assert.match(
    second.stderr,
    new RegExp(`^error JOB_LOCKED: 'endless' is run by process ${running.child.pid} on ${hostname()}, since `),
  )
  assert.equal(second.stderr.match(/--as/g)!.length, 1, second.stderr)
  const { jobs } = await sandbox.json('jobs')
  assert.equal(jobs[0].state, 'running')
  assert.equal(jobs[0].owner.pid, running.child.pid)

  const deletion = await sandbox.json('delete chk-1 --yes', 3)
  assert.deepEqual([deletion.error.code, deletion.error.hint], ['JOB_LOCKED', 'Stop that process first.'])

  const other = sandbox.start('run endless.ts --as other')
  await other.until(/fresh start/)
  assert.equal((await other.end('SIGINT')).code, 0)
  assert.equal((await running.end('SIGINT')).code, 0)
})

test('after kill -9 the lock is taken over at once, and nothing is lost or doubled', async () => {
  const sandbox = new Sandbox()
  let running = await runEndless(sandbox)
  for (let kills = 0; kills < 2; kills++) {
    await running.end('SIGKILL')
    const { jobs } = await sandbox.json('jobs')
    assert.equal(jobs[0].state, 'crashed')
    running = sandbox.start('run endless.ts --verbose')
    const [, id] = await running.until(/^resumed from checkpoint chk-(\d+) /)
    await running.until(new RegExp(`checkpoint chk-${Number(id) + 1} complete`))
    assert.doesNotMatch(running.stderr, /waiting/)
  }
  assert.equal((await running.end('SIGINT')).code, 0)
  assertExactlyOnce(sandbox)
})

test('a kill -9 before the first checkpoint repeats the fresh start', async () => {
  const sandbox = new Sandbox()
  const job = sandbox.job('endless.ts', ENDLESS)
  const first = sandbox.start(`run ${job} --checkpoint-interval 1h`)
  await first.until(/fresh start\n/)
  await first.end('SIGKILL')
  const second = sandbox.start(`run ${job}`)
  await second.until(/^fresh start again: the last run ended before its first checkpoint\n/)
  assert.equal((await second.end('SIGINT')).code, 0)
  assertExactlyOnce(sandbox)
})

test('--from starts from an older snapshot of the job, by name or by path', async () => {
  const sandbox = new Sandbox()
  await (await runEndless(sandbox)).end('SIGINT')
  const { snapshots } = await sandbox.json('snapshots endless')
  const { name, file } = snapshots.at(-1)
  for (const from of [name, `endless/${name}`, `.millrace/endless/${file}`]) {
    const running = sandbox.start(`run endless.ts --checkpoint-interval 1h --from ${from}`)
    await running.until(new RegExp(`^started from checkpoint ${name} `))
    await running.end('SIGKILL')
  }
})

test('when the reader of its events goes away, a run stops with a final checkpoint', async () => {
  const sandbox = new Sandbox()
  const running = sandbox.start(`run ${sandbox.job('endless.ts', ENDLESS)} --json`)
  await running.until(/"type":"started"/)
  running.child.stdout!.destroy()
  const { code, stderr } = await running.result
  assert.deepEqual([code, stderr], [0, ''])
  const { jobs } = await sandbox.json('jobs')
  assert.equal(jobs[0].state, 'stopped')
})
