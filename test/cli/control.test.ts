/** A running job under the control of another process: checkpoint, stop, cancel, rescale; and jobs that do not run, or not here. */
import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { test } from 'node:test'
import { WIPE } from '../../packages/millrace/src/cli/status-line.ts'
import { FakeJob } from '../../packages/millrace/src/control/fake-job.ts'
import { ControlServer } from '../../packages/millrace/src/control/server.ts'
import { acquireLock } from '../../packages/millrace/src/host/lock.ts'
import { currentProcess } from '../../packages/millrace/src/host/process-identity.ts'
import { localStorage } from '../../packages/millrace/src/store/local/index.ts'
import { ENDLESS, Sandbox, type Running } from './sandbox.ts'

async function runEndless(sandbox: Sandbox, flags = ''): Promise<Running> {
  const running = sandbox.start(`run ${sandbox.job('endless.ts', ENDLESS)} --checkpoint-interval 1h ${flags}`)
  await running.until(/fresh start\n/)
  return running
}

test('checkpoint takes one now and names it; stop ends the job with a final one', async () => {
  const sandbox = new Sandbox()
  const running = await runEndless(sandbox)
  const { job, snapshot, tookMs } = await sandbox.json('checkpoint endless')
  assert.deepEqual([job, snapshot, typeof tookMs], ['endless', 'chk-1', 'number'])
  assert.deepEqual(await sandbox.run('checkpoint endless.ts'), {
    code: 0,
    signal: null,
    stdout: 'endless: checkpoint chk-2 complete\n',
    stderr: '',
  })
  const { snapshots } = await sandbox.json('snapshots endless')
  assert.deepEqual(
    snapshots.map(({ name }: { name: string }) => name),
    ['chk-2', 'chk-1'],
  )

  const stopped = await sandbox.run('stop endless')
  assert.deepEqual([stopped.code, stopped.stdout], [0, 'endless: stopped at chk-3; run it again to go on\n'])
  const { code, stderr } = await running.result
  assert.equal(code, 0)
  assert.match(stderr, /^fresh start\nstopped at chk-3; run again to go on/)
  const again = sandbox.start('run endless.ts --checkpoint-interval 1h')
  await again.until(/resumed from checkpoint chk-3 /)
  assert.deepEqual(await sandbox.json('stop endless').then(({ outcome, snapshot: last }) => [outcome, last]), [
    'stopped',
    'chk-4',
  ])
  assert.equal((await again.result).code, 0)
})

/** Its sink takes some records, and is not ready for more until 20 ms later. */
const SLOW = `
const slow = {
  type: 'slow',
  retracts: true,
  async open(context) {
    let isResting = false
    const write = () => {
      if (isResting) return
      isResting = true
      setTimeout(() => { isResting = false; context.wake() }, 20)
    }
    const prepareCommit = async () => ({ committables: [] })
    return { write, writable: () => !isResting, prepareCommit, async commit() {}, async close() {} }
  },
}
export default defineJob('slow', flow => {
  flow.source('in', generator({ next: i => i, splits: 2 })).keyBy(i => i % 100).aggregate('counts', count()).sink('out', slow)
})`

test('the metrics of a running job say which operators a slow sink holds up', async () => {
  const sandbox = new Sandbox()
  const running = sandbox.start(`run ${sandbox.job('slow.ts', SLOW)} --parallelism 2`)
  await running.until(/fresh start\n/)
  await sandbox.json('checkpoint slow')
  const { control } = (await sandbox.json('jobs')).jobs[0].owner
  /** Seconds, by chain and state. */
  const timesOf = async (operator: string, subtask: number): Promise<{ readonly [state: string]: number }> => {
    const text = await (await fetch(`${control}/metrics`)).text()
    const series = new RegExp(
      `^millrace_operator_seconds_total\\{operator="${operator}",chain="(\\w+)",subtask="${subtask}",state="(\\w+)",.*\\} (.*)$`,
      'gm',
    )
    return Object.fromEntries([...text.matchAll(series)].map(([, chain, state, n]) => [`${chain} ${state}`, Number(n)]))
  }
  for (const subtask of [0, 1]) {
    let times: Awaited<ReturnType<typeof timesOf>>
    do times = await timesOf('in', subtask)
    while (!(times['in backpressured'] > 0.5))
    assert.deepEqual(Object.keys(times), ['in busy', 'in idle', 'in backpressured'])
    assert.ok(times['in backpressured'] > times['in busy'], JSON.stringify(times))
    const out = await timesOf('out', subtask)
    assert.deepEqual(Object.keys(out), ['counts busy', 'counts idle', 'counts backpressured'])
    assert.ok(out['counts backpressured'] > 0)
  }
  assert.equal((await sandbox.run('cancel slow')).code, 0)
  assert.equal((await running.result).code, 0)
})

test('cancel ends the job without a checkpoint; those it has stay, or go if that is wanted', async () => {
  const sandbox = new Sandbox()
  const kept = await runEndless(sandbox)
  await sandbox.json('checkpoint endless')
  const { code, stdout } = await sandbox.run('cancel endless')
  assert.deepEqual([code, stdout], [0, 'endless: cancelled; chk-1 is its newest checkpoint\n'])
  const ended = await kept.result
  assert.equal(ended.code, 0)
  assert.match(ended.stderr, /\ncancelled: [\d,]+ records/)
  assert.equal((await sandbox.json('jobs')).jobs[0].state, 'cancelled')

  const deleted = sandbox.start('run endless.ts --set checkpointing.onCancel=delete --checkpoint-interval 1h')
  await deleted.until(/resumed from checkpoint chk-1 /)
  assert.equal((await sandbox.json('checkpoint endless')).snapshot, 'chk-2')
  const { outcome, snapshot } = await sandbox.json('cancel endless')
  assert.deepEqual([outcome, snapshot], ['cancelled', null])
  assert.equal((await deleted.result).code, 0)
  assert.deepEqual((await sandbox.json('snapshots endless')).snapshots, [])
})

test('a supervised job that is stopped is not started again', async () => {
  const sandbox = new Sandbox()
  const running = await runEndless(sandbox, '--supervise')
  assert.equal((await sandbox.json('stop endless')).outcome, 'stopped')
  const { code, stderr } = await running.result
  assert.equal(code, 0)
  assert.doesNotMatch(stderr, /starting again/)
})

test('a job that was stopped, or killed, is not running, which is said with what to do', async () => {
  const sandbox = new Sandbox()
  await (await runEndless(sandbox)).end('SIGKILL')
  for (const command of ['checkpoint endless', 'stop endless', 'cancel endless', 'rescale endless 2']) {
    const { code, stdout, stderr } = await sandbox.run(command)
    assert.deepEqual([code, stdout], [3, ''], command)
    assert.match(
      stderr,
      /^error JOB_NOT_RUNNING: job 'endless' is not running in .*\n {2}Run the job with millrace run;/,
    )
  }
  assert.equal((await sandbox.json('stop endless', 3)).error.code, 'JOB_NOT_RUNNING')
})

test('a job of another name is not found, and near names are named', async () => {
  const sandbox = new Sandbox()
  await (await runEndless(sandbox)).end('SIGINT')
  const { code, stderr } = await sandbox.run('stop endles')
  assert.equal(code, 3)
  assert.match(stderr, /^error JOB_NOT_FOUND: .* has no job 'endles'; it has endless; did you mean 'endless'\?/)
})

test('--port says where the job is controlled; a port that is taken keeps it from starting', async () => {
  const sandbox = new Sandbox()
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const refused = await sandbox.run(`run ${sandbox.job('endless.ts', ENDLESS)} --port ${port}`)
  assert.equal(refused.code, 3)
  assert.match(refused.stderr, new RegExp(`^error PORT_TAKEN: the control API cannot listen on 127.0.0.1:${port}: `))
  assert.deepEqual((await sandbox.json('jobs')).jobs, [])

  await once(server.close(), 'close')
  const running = await runEndless(sandbox, `--port ${port}`)
  assert.equal((await sandbox.json('jobs')).jobs[0].owner.control, `http://127.0.0.1:${port}`)
  assert.equal((await sandbox.json('stop endless')).outcome, 'stopped')
  assert.equal((await running.result).code, 0)
})

test('a job that is rescaled up and down while it runs loses and doubles nothing', async () => {
  const sandbox = new Sandbox()
  const running = await runEndless(sandbox)
  for (const [n, parallelism] of [2, 3, 1].entries()) {
    const rescaled = await sandbox.json(`rescale endless ${parallelism}`)
    assert.deepEqual([rescaled.parallelism, rescaled.snapshot], [parallelism, `chk-${n + 1}`])
  }
  const refused = await sandbox.json('rescale endless 129', 2)
  assert.deepEqual(
    [refused.error.code, /maxParallelism, which is 128/.test(refused.error.message)],
    ['OPTION_INVALID', true],
  )
  const { snapshots } = await sandbox.json('snapshots endless')
  assert.deepEqual(
    snapshots.map(({ details }: { details: { parallelism: number } }) => details.parallelism),
    [3, 2, 1],
  )
  assert.equal((await sandbox.json('stop endless')).outcome, 'stopped')
  assert.equal((await running.result).code, 0)
  // Parts of several subtasks stand beside each other, so a key's counts are not in order.
  const counts = Map.groupBy(
    sandbox.lines('out').map(line => JSON.parse(line)),
    ({ key }) => key,
  )
  assert.equal(counts.size, 10)
  for (const rows of counts.values()) {
    const values = rows.map(({ value }) => value).toSorted((a, b) => a - b)
    assert.deepEqual(
      values,
      [...values.keys()].map(index => index + 1),
    )
  }
})

test('beyond the loopback a token is wanted: of the job before it starts, and of the commands', async () => {
  const sandbox = new Sandbox()
  const job = sandbox.job('endless.ts', ENDLESS)
  const refused = await sandbox.run(`run ${job} --host 0.0.0.0`)
  assert.equal(refused.code, 2)
  assert.match(refused.stderr, /^error OPTION_INVALID: host \(without a token\) is 0\.0\.0\.0; allowed: 127\.0\.0\.1/)
  writeFileSync(sandbox.path('token'), 'a-token-of-32-characters-in-all!\n', { mode: 0o644 })
  const open = await sandbox.run(`run ${job} --host 0.0.0.0 --token-file token`)
  assert.equal(open.code, 2)
  assert.match(open.stderr, /^error OPTION_INVALID: the tokenFile token cannot be used: .*mode 644\); chmod 600 token/)
  assert.deepEqual((await sandbox.json('jobs')).jobs, [])

  chmodSync(sandbox.path('token'), 0o600)
  const running = await runEndless(sandbox, '--host 0.0.0.0 --token-file token')
  const { code, stderr } = await sandbox.run('checkpoint endless')
  assert.equal(code, 3)
  assert.match(stderr, /^error UNAUTHORIZED: the request has no token\n {2}Set MILLRACE_TOKEN, or MILLRACE_TOKEN_FILE/)
  writeFileSync(sandbox.path('millrace.config.ts'), "export default { tokenFile: 'token' }")
  assert.equal((await sandbox.json('checkpoint endless')).snapshot, 'chk-1')
  assert.equal((await sandbox.json('stop endless')).outcome, 'stopped')
  assert.equal((await running.result).code, 0)
})

test('jobs shows what a running job is doing; one that does not answer is listed all the same', async () => {
  const sandbox = new Sandbox()
  const running = await runEndless(sandbox)
  await sandbox.json('checkpoint endless')
  const [{ live }] = (await sandbox.json('jobs')).jobs
  assert.deepEqual([live.state, live.parallelism, live.restarts], ['running', 1, 0])
  assert.ok(live.recordsPerSecond > 0 && live.startedAtMs <= live.restorableAtMs)
  const { stdout } = await sandbox.run('jobs')
  assert.match(stdout, /^JOB +STATE +UPTIME +RECORDS\/S +SNAPSHOTS /)
  assert.match(stdout, /\nendless +running +\S.* +[\d,]+ +1 +chk-1 /)
  running.child.kill('SIGSTOP')
  const [silent] = (await sandbox.json('jobs')).jobs
  assert.deepEqual([silent.state, silent.live], ['running', null])
  running.child.kill('SIGCONT')
  assert.equal((await sandbox.json('stop endless')).outcome, 'stopped')
  assert.deepEqual((await sandbox.json('jobs')).jobs[0].live, null)
  await running.result
})

/** A job of this process, of which the test knows what is asked. */
async function runFake(sandbox: Sandbox): Promise<{ readonly job: FakeJob; end(): Promise<void> }> {
  const store = localStorage(sandbox.path('.millrace')).job('fake')
  const clock = { now: () => Date.now(), sleep: async () => undefined }
  const lock = await acquireLock(store, currentProcess(), clock, { job: 'fake' })
  const server = await ControlServer.listen('fake', 0)
  const job = new FakeJob('fake')
  server.attach(job)
  await lock.setControl(server.address)
  const end = async (): Promise<void> => {
    job.complete()
    await server.close()
    await lock.release()
  }
  return { job, end }
}

test('rescale says at which parallelism the job runs, from which checkpoint on, and how long it paused', async () => {
  const sandbox = new Sandbox()
  const { job, end } = await runFake(sandbox)
  const text = sandbox.run('rescale fake 4')
  await job.whenAsked(1)
  job.complete(8)
  assert.deepEqual(await text, {
    code: 0,
    signal: null,
    stdout: 'fake: runs at parallelism 4, from checkpoint chk-8 on; it paused for 140 ms\n',
    stderr: '',
  })
  const json = sandbox.json('rescale fake 1')
  await job.whenAsked(2)
  job.complete(9)
  const { parallelism, snapshot, pauseMs } = await json
  assert.deepEqual([parallelism, snapshot, pauseMs], [1, 'chk-9', 140])
  assert.deepEqual(job.calls, ['rescale 4', 'rescale 1'])

  for (const wrong of ['0', '1.5', 'x', '-1', '32769', '1e3']) {
    const { code, stderr } = await sandbox.run(`rescale fake -- ${wrong}`)
    assert.equal(code, 2, wrong)
    assert.match(stderr, /^error USAGE: '.*' is not a parallelism: a whole number from 1 to 32768/)
  }
  assert.equal(job.calls.length, 2)
  await end()
})

test('leaving the command does not take back what it asked for', async () => {
  const sandbox = new Sandbox()
  const { job, end } = await runFake(sandbox)
  const command = sandbox.start('stop fake')
  await job.whenAsked(1)
  await command.end('SIGINT')
  assert.deepEqual(job.calls, ['stop'])
  await end()
})

test('on a terminal it is shown what is waited for, and nothing of that stays', async () => {
  const sandbox = new Sandbox()
  const { job, end } = await runFake(sandbox)
  const command = sandbox.startOnTerminal('checkpoint fake')
  await command.until(/fake: taking a checkpoint… \d+ ms/)
  job.complete(7)
  const { stdout } = await command.result
  assert.equal(stdout.split(WIPE).at(-1), 'fake: checkpoint chk-7 complete\r\n')
  await end()
})
