/** `millrace run --supervise`: how the process of the job dies, ends and is stopped, and what the one that supervises it then does. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { ENDLESS, Sandbox, type Result, type Running } from './sandbox.ts'

const SUPERVISE = '--supervise --set restart.initialDelay=10 --set restart.maxDelay=10'
const RECORDS = 3000

/** `once(name)` is true in the first process that asks. */
const ONCE = `
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'
const once = name => !existsSync(name) && (writeFileSync(name, ''), true)
const manifests = '.millrace/counting/manifests'
const hasCheckpoint = () => existsSync(manifests) && readdirSync(manifests).some(name => name.startsWith('chk-'))`

/** Counts by key at 2000 records a second, a checkpoint every 100 ms; `at` is code that runs in the job's thread for every record. */
const counting = (at: string): string => `${ONCE}
export default defineJob('counting', flow => {
  flow.source('numbers', generator({ next: i => i, rate: 2000, count: ${RECORDS} })).map(i => { ${at}; return i })
    .keyBy(i => i % 10).aggregate('counts', count()).sink('out', files.writeJson('out'))
}, { checkpointing: { interval: 100 } })`

function assertCounted(sandbox: Sandbox): void {
  const rows = sandbox.lines('out').map(line => JSON.parse(line))
  const expected = Array.from({ length: RECORDS / 10 }, (_, i) => i + 1)
  for (let key = 0; key < 10; key++) {
    assert.deepEqual(
      rows.filter(row => row.key === key).map(row => row.value),
      expected,
    )
  }
  assert.equal(rows.length, RECORDS)
}

const countOf = (text: string, pattern: RegExp): number => [...text.matchAll(new RegExp(pattern, 'g'))].length

/** The pid of the job's process. */
async function childOf(sandbox: Sandbox): Promise<number> {
  const { jobs } = await sandbox.json('jobs')
  assert.equal(jobs[0].state, 'running')
  return jobs[0].owner.pid
}

async function assertStopped(sandbox: Sandbox, { code, stderr }: Result): Promise<void> {
  assert.equal(code, 0, stderr)
  const match = /\nstopping: final checkpoint…\n(?:.*\n)*stopped at (chk-\d+); run again to go on \(.*\n$/.exec(stderr)
  assert.ok(match, JSON.stringify(stderr))
  const { jobs } = await sandbox.json('jobs')
  assert.deepEqual([jobs[0].state, jobs[0].latest.name], ['stopped', match[1]])
}

async function superviseEndless(sandbox: Sandbox): Promise<Running> {
  const running = sandbox.start(`run ${sandbox.job('endless.ts', ENDLESS)} --verbose ${SUPERVISE}`)
  await running.until(/checkpoint chk-1 complete/)
  return running
}

describe('run --supervise', { concurrency: 2 }, () => {
  test('a process that is killed is started again, as often as it takes, and the output is exact', async () => {
    const sandbox = new Sandbox()
    const die = `if (i % 100 === 0 && i >= 500 && hasCheckpoint() && (once('a') || i >= 1500 && once('b'))) process.kill(process.pid, 'SIGKILL')`
    const { code, stdout, stderr } = await sandbox.run(`run ${sandbox.job('counting.ts', counting(die))} ${SUPERVISE}`)
    assert.deepEqual([code, stdout], [0, ''], stderr)
    const died = `warning: the job's process was killed by SIGKILL; starting again in \\d+ ms\n`
    assert.match(
      stderr,
      new RegExp(`^fresh start\n${died}resumed from .*\n${died}resumed from .*\nfinished: 3,000 records, .*\n$`),
    )
    assertCounted(sandbox)
  })

  test('a process that runs out of memory is started again', async () => {
    const sandbox = new Sandbox()
    const exhaust = `
    if (isMainThread) setTimeout(() => {
      for (const hoard = []; once('exhausted') || hoard.length > 0;) hoard.push(Array.from({ length: 1000 }, Math.random))
    }, 1)`
    const job = sandbox.job('counting.ts', counting('') + exhaust)
    const options = `${process.env['NODE_OPTIONS'] ?? ''} --max-old-space-size=64`
    const { code, stderr } = await sandbox.run(`run ${job} ${SUPERVISE}`, { NODE_OPTIONS: options })
    assert.equal(code, 0, stderr)
    assert.match(stderr, /heap out of memory/)
    assert.equal(countOf(stderr, /warning: the job's process (was killed by SIG|died with exit status )/), 1, stderr)
    assert.match(stderr, /\nfinished: 3,000 records/)
    assertCounted(sandbox)
  })

  test('--fresh is repeated until the start is durable, and not after that', async () => {
    const sandbox = new Sandbox()
    const die = `
    if (isMainThread && existsSync('die') && once('died')) process.exit(42)`
    const job = sandbox.job('endless.ts', ONCE + die + ENDLESS)
    const first = sandbox.start(`run ${job} --verbose`)
    await first.until(/checkpoint chk-1 complete/)
    assert.equal((await first.end('SIGTERM')).code, 0)

    sandbox.write('die', '')
    const second = sandbox.start(`run ${job} --json --fresh --checkpoint-interval 1h ${SUPERVISE}`)
    await second.until(/"type":"started"/)
    process.kill(await childOf(sandbox), 'SIGKILL')
    await second.until(/"type":"started"(.*\n)+.*"type":"started"/)
    const { code, stdout, stderr } = await second.end('SIGTERM')
    assert.deepEqual([code, stderr], [0, ''])
    const events = stdout
      .split('\n')
      .filter(Boolean)
      .map(line => JSON.parse(line))
    const told = events.filter(({ type }) => type === 'started' || type === 'died')
    assert.deepEqual(
      told.map(({ type, reason, signal, exitStatus }) => [type, reason ?? signal ?? exitStatus]),
      [
        ['died', 42],
        ['started', 'asked'],
        ['died', 'SIGKILL'],
        ['started', 'continued'],
      ],
    )
    assert.equal(typeof told[0].delayMs, 'number')
  })

  test('a usage error, a refusal and a job that fails are passed through, and said once', async () => {
    const sandbox = new Sandbox()
    const job = sandbox.job('counting.ts', counting(`if (i === 10) throw new Error('no')`))
    for (const [args, status, error] of [
      [`${job} --parallelism none`, 2, 'OPTION_INVALID'],
      [`${job} --from chk-7`, 3, 'SNAPSHOT_NOT_FOUND'],
      [`${job} --set restart.strategy=none`, 1, 'USER_FUNCTION_FAILED'],
    ] as const) {
      const { code, stderr } = await sandbox.run(`run ${args} ${SUPERVISE}`)
      assert.equal(code, status, stderr)
      assert.equal(countOf(stderr, /error [A-Z_]+: /), 1, stderr)
      assert.match(stderr, new RegExp(`error ${error}: `))
      assert.doesNotMatch(stderr, /warning/)
    }
  })

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`${signal} to the supervisor stops the job with a final checkpoint`, async () => {
      const sandbox = new Sandbox()
      await assertStopped(sandbox, await (await superviseEndless(sandbox)).end(signal))
    })
  }

  test('a second signal, more than a second later, leaves at once', async () => {
    const sandbox = new Sandbox()
    const stuck = `
    const stuck = { type: 'stuck', retracts: true, open: async () => ({
      write() {}, writable: () => true, prepareCommit: () => new Promise(() => {}), commit: async () => {}, close: async () => {},
    }) }
    export default defineJob('stuck', flow => { flow.source('in', generator({ next: i => i, rate: 100 })).sink('out', stuck) })`
    const running = sandbox.start(`run ${sandbox.job('stuck.ts', stuck)} ${SUPERVISE}`)
    await running.until(/fresh start/)
    running.signal('SIGTERM')
    await running.until(/stopping: final checkpoint…/)
    // What is tested is the second between the two.
    await pause(1050)
    const { code, stderr } = await running.end('SIGTERM')
    assert.deepEqual([code, countOf(stderr, /warning|error/)], [143, 0], stderr)
  })

  test('a signal while the next start is waited for ends the command with 0', async () => {
    const sandbox = new Sandbox()
    const job = sandbox.job('counting.ts', counting(`process.kill(process.pid, 'SIGKILL')`))
    const running = sandbox.start(`run ${job} --supervise --set restart.initialDelay=1h --set restart.maxDelay=1h`)
    await running.until(/killed by SIGKILL; starting again in \d+ /)
    const { code, stderr } = await running.end('SIGTERM')
    assert.equal(code, 0)
    assert.match(stderr, /\nstopped before the next start; run again to go on\n$/)
  })

  test('when the supervisor is killed, the job stops with a final checkpoint and gives its lock back', async () => {
    const sandbox = new Sandbox()
    const running = await superviseEndless(sandbox)
    // Ends when the output is closed, which the job's process holds too.
    const { signal, stderr } = await running.end('SIGKILL')
    assert.equal(signal, 'SIGKILL')
    await assertStopped(sandbox, { ...(await running.result), code: 0 })
    assert.doesNotMatch(stderr, /warning|error/)
  })

  const skip = spawnSync('script', ['--version']).status === 0 ? false : 'script of util-linux is not here'
  test('Ctrl-C on a terminal, which both processes get, stops the job with a final checkpoint', { skip }, async () => {
    const sandbox = new Sandbox()
    const running = sandbox.startOnTerminal(`run ${sandbox.job('endless.ts', ENDLESS)} --verbose ${SUPERVISE}`)
    await running.until(/checkpoint chk-1 complete/)
    running.child.stdin!.write('\u0003')
    const { stdout, ...result } = await running.result
    // Without what the terminal echoes and what the progress line draws.
    const parts = stdout.replaceAll('\r\n', '\n').replaceAll('^C', '').split('\r\u001b[K')
    const text = parts.filter(part => part.endsWith('\n')).join('')
    await assertStopped(sandbox, { ...result, stdout, stderr: text })
  })
})
