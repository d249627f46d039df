/** Savepoints of a running job by the command line, and stops that make one, drain, or fail. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, renameSync } from 'node:fs'
import { test } from 'node:test'
import { ENDLESS, Sandbox, type Running } from './sandbox.ts'

async function runEndless(sandbox: Sandbox, flags = ''): Promise<Running> {
  const running = sandbox.start(`run ${sandbox.job('endless.ts', ENDLESS)} --checkpoint-interval 1h ${flags}`)
  await running.until(/fresh start\n/)
  return running
}

interface Listed {
  readonly name: string
  readonly kind: string
  readonly details: { readonly label: string | null; readonly trigger: string }
}

async function listed(sandbox: Sandbox, job = 'endless'): Promise<Listed[]> {
  return (await sandbox.json(`snapshots ${job}`)).snapshots
}

test('savepoint pins a checkpoint under a label; snapshots shows it, and checkpoints that come later do not drop it', async () => {
  const sandbox = new Sandbox()
  const running = await runEndless(sandbox, '--set checkpointing.retain=1')
  assert.deepEqual(await sandbox.run('savepoint endless --label before-the-upgrade'), {
    code: 0,
    signal: null,
    stdout: 'endless: savepoint sp-2\n',
    stderr: '',
  })
  const { savepoint, checkpoint, path } = await sandbox.json('savepoint endless.ts')
  assert.deepEqual([savepoint, checkpoint, path], ['sp-4', 'chk-3', null])
  assert.equal((await sandbox.json('stop endless')).snapshot, 'chk-5')
  assert.deepEqual(
    (await listed(sandbox)).map(({ name, kind, details: { label, trigger } }) => [name, kind, label, trigger]),
    [
      ['chk-5', 'checkpoint', null, 'stop'],
      ['sp-4', 'savepoint', null, 'user'],
      ['sp-2', 'savepoint', 'before-the-upgrade', 'user'],
    ],
  )
  assert.match(
    (await running.result).stderr,
    /\nsavepoint sp-2 of chk-1: before-the-upgrade\nsavepoint sp-4 of chk-3\n/,
  )
  const { stdout } = await sandbox.run('snapshots endless')
  assert.match(stdout, /^SNAPSHOT +KIND .* LABEL\n/)
  assert.match(stdout, /\nsp-2 +savepoint .* before-the-upgrade\n/)

  for (const args of ['run endless.ts --from', 'plan endless.ts --from', 'inspect']) {
    const { code, stderr } = await sandbox.run(`${args} before-the-upgrade`)
    assert.equal(code, 3, args)
    assert.match(
      stderr,
      /^error SNAPSHOT_NOT_FOUND: 'before-the-upgrade' is the label of endless\/sp-2, .*\n +Say endless\/sp-2\./,
    )
  }

  const again = sandbox.start('run endless.ts --checkpoint-interval 1h --from sp-2')
  await again.until(/started from savepoint sp-2 /)
  assert.equal((await again.end('SIGINT')).code, 0)
})

test('savepoint --to writes a folder of the command’s own directory, which restores when it is moved into another storage', async () => {
  const sandbox = new Sandbox()
  const running = await runEndless(sandbox, '--parallelism 2')
  await running.until(/fresh start/)
  const made = await sandbox.run('savepoint endless --to backup/a')
  assert.deepEqual([made.code, made.stdout], [0, `endless: savepoint sp-2, also in ${sandbox.path('backup/a')}\n`])
  const refused = await sandbox.run('savepoint endless --to backup/a')
  assert.equal(refused.code, 2)
  assert.match(
    refused.stderr,
    /^error SAVEPOINT_FOLDER: a savepoint cannot be written to .*backup\/a: it is not empty\n/,
  )
  assert.equal((await running.end('SIGKILL')).code, null)

  assert.deepEqual(readdirSync(sandbox.path('backup/a/manifests')), ['sp-000000000002.json'])
  assert.equal(readdirSync(sandbox.path('backup/a/segments')).length, 1)
  renameSync(sandbox.path('backup/a'), sandbox.path('backup/endless'))
  const again = sandbox.start('run endless.ts --storage backup --from sp-2 --parallelism 3 --checkpoint-interval 1h')
  await again.until(/started from savepoint sp-2 /)
  assert.deepEqual((await sandbox.json('stop endless --storage backup')).outcome, 'stopped')
  assert.equal((await again.result).code, 0)
  assert.equal((await sandbox.json('fsck endless --storage backup')).findings.length, 0)
})

test('stop --savepoint makes the final snapshot a savepoint too, in a folder of its own if one is named', async () => {
  const sandbox = new Sandbox()
  const running = await runEndless(sandbox)
  const stopped = await sandbox.json('stop endless --savepoint --label done')
  assert.deepEqual(
    [stopped.outcome, stopped.snapshot, stopped.savepoint, stopped.path],
    ['stopped', 'chk-1', 'sp-2', null],
  )
  assert.equal((await running.result).code, 0)
  const again = sandbox.start('run endless.ts --checkpoint-interval 1h')
  await again.until(/resumed from savepoint sp-2 /)
  const { code, stdout } = await sandbox.run('stop endless --savepoint final')
  const folder = sandbox.path('final')
  assert.deepEqual(
    [code, stdout],
    [0, `endless: stopped at chk-3; run it again to go on; savepoint sp-4, also in ${folder}\n`],
  )
  assert.equal((await again.result).code, 0)
  assert.ok(existsSync(sandbox.path('final/manifests/sp-000000000004.json')))
  assert.deepEqual(
    (await listed(sandbox)).map(({ name }) => name),
    ['sp-4', 'chk-3', 'sp-2', 'chk-1'],
  )
})

test('stop --drain fires windows and event-time timers of every subtask, and commits what they emit', async () => {
  const sandbox = new Sandbox()
  const job = sandbox.job(
    'windowed.ts',
    `import { tumbling } from 'millrace'
    export default defineJob('windowed', flow => {
      flow.source('in', generator({ next: i => i, rate: 2000 })).eventTime(i => i)
        .keyBy(i => i % 10).window(tumbling('7d')).aggregate('counts', count()).sink('out', files.writeJson('out'))
    }, { checkpointing: { interval: '1h' } })`,
  )
  const running = sandbox.start(`run ${job} --parallelism 2 --json`)
  await running.until(/"records":[1-9]\d\d/)
  assert.equal((await sandbox.json('checkpoint windowed')).snapshot, 'chk-1')
  const { outcome } = await sandbox.json('stop windowed --drain')
  assert.equal(outcome, 'stopped')
  const { stdout } = await running.result
  const ended = JSON.parse(stdout.trimEnd().split('\n').at(-1)!)
  const counts: { value: number }[] = sandbox.lines('out').map(line => JSON.parse(line))
  assert.equal(counts.length, 10)
  assert.equal(
    counts.reduce((total, { value }) => total + value, 0),
    ended.records,
  )
})

test('a stop whose final checkpoint fails exits with 1 and the job goes on; SIGINT then ends it, with 1', async () => {
  const sandbox = new Sandbox()
  const job = sandbox.job(
    'failing.ts',
    `const failing = { type: 'failing', retracts: true, open: async () => ({
      write() {}, writable: () => true, commit: async () => {}, close: async () => {},
      prepareCommit: async () => { throw new Error('no room') },
    }) }
    export default defineJob('failing', flow => { flow.source('in', generator({ next: i => i, rate: 1000 })).sink('out', failing) },
      { checkpointing: { interval: '1h' }, restart: { initialDelay: 1 } })`,
  )
  const running = sandbox.start(`run ${job}`)
  await running.until(/fresh start/)
  const { code, stderr } = await sandbox.run('stop failing')
  assert.equal(code, 1)
  assert.match(stderr, /^error STOP_FAILED: job 'failing' was not stopped, and goes on: .*no room/)
  await running.until(/fresh start again: the last run ended before its first checkpoint|restarted from/)
  const ended = await running.end('SIGINT')
  assert.equal(ended.code, 1)
  assert.match(ended.stderr, /error SINK_FAILED: .*no room/)
})

test('periodic savepoints are made as the options say, from the command line and the environment, and shown as such', async () => {
  const sandbox = new Sandbox()
  const job = sandbox.job('endless.ts', ENDLESS)
  const running = sandbox.start(`run ${job} --set checkpointing.savepointEvery=50ms`, {
    MILLRACE_CHECKPOINTING_KEEP_SAVEPOINTS: '2',
  })
  for (const _ of [1, 2, 3, 4]) {
    await running.until(/savepoint sp-\d+ of chk-\d+\n/)
    running.stderr = ''
  }
  assert.equal((await running.end('SIGINT')).code, 0)
  const savepoints = (await listed(sandbox)).filter(({ kind }) => kind === 'savepoint')
  assert.deepEqual(
    savepoints.map(({ details: { trigger } }) => trigger),
    ['interval', 'interval'],
  )
  assert.match((await sandbox.run('snapshots endless')).stdout, /\(periodic\)/)
})
