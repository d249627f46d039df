/**
 * The acceptance test of what this project was asked for: the mailing-list thread "difference between checkpoints & savepoints", each
 * of its statements, questions and wishes as one test, with the real command in processes of their own.
 * docs/checkpoints-and-savepoints.md answers the thread and names these tests.
 */
import assert from 'node:assert/strict'
import { readdirSync, renameSync, rmSync } from 'node:fs'
import { test } from 'node:test'
import { Sandbox, type Running } from '../../cli/sandbox.ts'
import { assertExactlyOnce, AT_ONCE, job, names, withCheckpoints, type Variant } from './job.ts'

const OFTEN = '--checkpoint-interval 50'

/** A job that is running and has made checkpoints. */
async function runningJob(variant?: Variant, flags = ''): Promise<{ sandbox: Sandbox; running: Running }> {
  const sandbox = new Sandbox()
  const running = sandbox.start(`run ${job(sandbox, variant)} ${OFTEN} ${flags}`)
  await withCheckpoints(sandbox, running)
  return { sandbox, running }
}

/** One that was cancelled on the way: its checkpoints are there. */
async function cancelledJob(variant?: Variant, flags = ''): Promise<{ sandbox: Sandbox; kept: string[] }> {
  const { sandbox, running } = await runningJob(variant, flags)
  assert.equal((await sandbox.run('cancel counts')).code, 0)
  assert.equal((await running.result).code, 0)
  return { sandbox, kept: await names(sandbox) }
}

async function finish(sandbox: Sandbox, args: string): Promise<string> {
  const { code, stdout, stderr } = await sandbox.run(`${args} ${AT_ONCE}`)
  assert.equal(code, 0, stdout + stderr)
  return stderr
}

// ------------------------------------------------------------------------------------------------------------- checkpoints

test('checkpoints are made periodically by the engine, and the job recovers from them by itself', async () => {
  const { sandbox, running } = await runningJob()
  await running.end('SIGKILL')
  const stderr = await finish(sandbox, `run counts.ts ${OFTEN}`)
  assert.match(stderr, /^resumed from checkpoint chk-\d+ /)
  assertExactlyOnce(sandbox)
})

test('checkpoints are dropped when the job finishes', async () => {
  const { sandbox, running } = await runningJob()
  await running.end('SIGKILL')
  assert.notDeepEqual(await names(sandbox), [])
  await finish(sandbox, 'run counts.ts')
  assert.deepEqual(await names(sandbox), [])
  assert.deepEqual(readdirSync(sandbox.path('.millrace/counts/segments')), [])
})

test('a checkpoint is externalized: it stays when the job is cancelled or fails, and as many are kept as are asked for', async () => {
  const { kept } = await cancelledJob({}, '--set checkpointing.retain=1')
  assert.equal(kept.length, 1)
  const { kept: dropped } = await cancelledJob({}, '--set checkpointing.onCancel=delete')
  assert.deepEqual(dropped, [])
})

test('a job is restarted from a retained checkpoint that is named', async () => {
  const { sandbox, kept } = await cancelledJob()
  const stderr = await finish(sandbox, `run counts.ts --from counts/${kept.at(-1)}`)
  assert.match(stderr, new RegExp(`^started from checkpoint ${kept.at(-1)} `))
  assertExactlyOnce(sandbox)
})

test('a job is rescaled from a retained checkpoint, down to one and up again', async () => {
  const { sandbox, running } = await runningJob({}, '--parallelism 2')
  assert.equal((await sandbox.run('cancel counts')).code, 0)
  await running.result
  const one = sandbox.start(`run counts.ts ${OFTEN} --parallelism 1`)
  await withCheckpoints(sandbox, one)
  assert.equal((await sandbox.run('cancel counts')).code, 0)
  await one.result
  await finish(sandbox, `run counts.ts --parallelism 4`)
  assertExactlyOnce(sandbox)
})

test('an incremental checkpoint is rescaled, too', async () => {
  const { sandbox, running } = await runningJob()
  const incremental = await until(async () => {
    const { code, stdout } = await sandbox.run('inspect counts/latest --json')
    if (code !== 0) return undefined
    const { snapshot, manifest } = JSON.parse(stdout)
    return manifest.segments.length > 1 ? (snapshot as string) : undefined
  })
  assert.match(incremental, /chk-/)
  await running.end('SIGKILL')
  await finish(sandbox, `run counts.ts --parallelism 3 --set maxParallelism=50`)
  assertExactlyOnce(sandbox)
})

// -------------------------------------------------------------------------------------------------------------- savepoints

test('a savepoint is made by the user while the job goes on, and outlives it', async () => {
  const { sandbox, running } = await runningJob()
  const { savepoint } = await sandbox.json('savepoint counts --label mine')
  await running.end('SIGTERM')
  await finish(sandbox, 'run counts.ts')
  assert.deepEqual(await names(sandbox), [savepoint])
  await finish(sandbox, `run counts.ts --from counts/${savepoint}`)
  assertExactlyOnce(sandbox)
})

test('a savepoint allows a changed graph: operators are added, renamed and removed', async () => {
  const { sandbox, running } = await runningJob()
  assert.equal((await sandbox.run('stop counts --savepoint')).code, 0)
  await running.result

  const counts = `'tallies', count(), { renamedFrom: 'counts' }`
  const added = `.keyBy(row => row.key % 7).process('passed', {
      emits: { parse: x => x }, state: { rows: value({ default: 0 }) },
      onRecord(row, ctx) { ctx.state.rows.set(ctx.state.rows.get() + 1); ctx.emit(row) },
    })`
  job(sandbox, { counts, before: '.map(i => i).filter(() => true)', after: added })
  const planned = await sandbox.run('plan counts.ts')
  assert.match(planned.stdout, /^renamed +state +tallies\.value +renamed from 'counts'\n/m)
  assert.match(planned.stdout, /^new +state +passed\.rows /m)
  const changed = sandbox.start(`run counts.ts ${OFTEN}`)
  await withCheckpoints(sandbox, changed)
  assert.equal((await sandbox.run('stop counts')).code, 0)
  await changed.result

  job(sandbox, { counts: `'tallies', count()` })
  assert.equal((await sandbox.run('plan counts.ts')).code, 3)
  assert.match((await sandbox.run('run counts.ts')).stderr, /passed\.rows/)
  await finish(sandbox, `run counts.ts --allow-dropped-state`)
  assertExactlyOnce(sandbox)
})

test('a savepoint allows another parallelism, and another maximum of it', async () => {
  const { sandbox, running } = await runningJob()
  const { savepoint } = await sandbox.json('savepoint counts')
  await running.end('SIGKILL')
  await finish(sandbox, `run counts.ts --from counts/${savepoint} --parallelism 3 --set maxParallelism=64`)
  assertExactlyOnce(sandbox)
})

test('a savepoint is one folder, which may be moved to another place and storage', async () => {
  const { sandbox, running } = await runningJob()
  assert.equal((await sandbox.run('savepoint counts --to saved')).code, 0)
  // What is written from here on is lost with the storage, and written again.
  await withCheckpoints(sandbox, running)
  await running.end('SIGKILL')
  rmSync(sandbox.path('.millrace'), { recursive: true })
  renameSync(sandbox.path('saved'), sandbox.path('moved'))
  await finish(sandbox, `run counts.ts --storage elsewhere --from moved`)
  assertExactlyOnce(sandbox)
})

test('a second job is forked from a snapshot, and both go on', async () => {
  const { sandbox, running } = await runningJob()
  assert.equal((await sandbox.run('fork counts/latest --as second')).code, 0)
  await finish(sandbox, 'run counts.ts --as second --set params.out=second')
  assert.equal(running.child.exitCode, null)
  await running.end('SIGKILL')
  await finish(sandbox, 'run counts.ts')
  assertExactlyOnce(sandbox)
  const { code, stdout } = await sandbox.run('fork diff counts second out second')
  assert.equal(code, 0, stdout)
})

// ---------------------------------------------------------------------------------------------------- where things are set

test('interval, backend and the place of snapshots are set in the job, on the command line and in the environment', async () => {
  const made = async (interval: string, flags: string, env: NodeJS.ProcessEnv, storage: string): Promise<void> => {
    const sandbox = new Sandbox()
    const file = job(sandbox, { options: `checkpointing: { interval: '${interval}' }` })
    const running = sandbox.start(`run ${file} ${flags}`, env)
    await running.until(/fresh start/)
    await until(async () => {
      const { code, stdout } = await sandbox.run(`snapshots counts --storage ${storage} --json`)
      return code === 0 && JSON.parse(stdout).snapshots.length > 0 ? true : undefined
    })
    await running.end('SIGKILL')
  }
  await made('60ms', '', {}, '.millrace')
  const environment = {
    MILLRACE_STORAGE: 'there',
    MILLRACE_STATE_BACKEND: 'heap',
    MILLRACE_CHECKPOINTING_INTERVAL: '60ms',
  }
  await made('1h', '', environment, 'there')
  const flags = '--storage here --state-backend heap --checkpoint-interval 60ms'
  await made('1h', flags, { ...environment, MILLRACE_CHECKPOINTING_INTERVAL: '1h' }, 'here')
})

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
  }
}

// ------------------------------------------------------------------------------------------------------------------ wishes

test('a snapshot is taken on exit without being asked for, and the job starts from its latest one without naming it', async () => {
  const sandbox = new Sandbox()
  const running = sandbox.start(`run ${job(sandbox)} --checkpoint-interval 1h`)
  await running.until(/fresh start/)
  await sandbox.json('checkpoint counts')
  assert.equal((await running.end('SIGTERM')).code, 0)
  const [newest] = await names(sandbox)
  assert.equal(newest, 'chk-2')
  assert.match(await finish(sandbox, 'run counts.ts'), /^resumed from checkpoint chk-2 /)
  assertExactlyOnce(sandbox)
})

test('a savepoint is made on a schedule, and as many are kept as are asked for', async () => {
  const { sandbox, running } = await runningJob(
    {},
    '--set checkpointing.savepointEvery=100ms --set checkpointing.keepSavepoints=2',
  )
  await until(async () => ((await names(sandbox)).some(name => name.startsWith('sp-')) ? true : undefined))
  await running.end('SIGKILL')
  await finish(
    sandbox,
    `run counts.ts ${OFTEN} --set checkpointing.savepointEvery=1ms --set checkpointing.keepSavepoints=2`,
  )
  const kept = await names(sandbox)
  assert.deepEqual(
    kept.map(name => name.slice(0, 3)),
    ['sp-', 'sp-'],
  )
})

test('a clean run is made when it is asked for, and what was before it is still there', async () => {
  const { sandbox, kept } = await cancelledJob()
  job(sandbox, { out: 'clean' })
  assert.match(await finish(sandbox, `run counts.ts --fresh --set checkpointing.onFinish=retain`), /^fresh start/)
  assertExactlyOnce(sandbox, { out: 'clean' })
  assert.ok((await names(sandbox)).includes(kept[0]))
  const { code } = await sandbox.run(`inspect counts/${kept[0]}`)
  assert.equal(code, 0)
})

test('nothing piles up over repeated runs', async () => {
  const sandbox = new Sandbox()
  job(sandbox, { rate: 1000 })
  const sizes: number[] = []
  for (let run = 0; run < 12; run++) {
    const running = sandbox.start(`run counts.ts --checkpoint-interval 20`)
    await running.until(/fresh start|resumed from/)
    await sandbox.run('checkpoint counts')
    await running.end(run % 2 === 0 ? 'SIGKILL' : 'SIGTERM')
    const files = readdirSync(sandbox.path('.millrace/counts'), { recursive: true, withFileTypes: true })
    sizes.push(files.filter(entry => entry.isFile() && !/\/(runs|locks)$/.test(entry.parentPath)).length)
  }
  // Three checkpoints, each in at most eight layers of one segment, the log, and what a crash left until the next start.
  assert.ok(Math.max(...sizes) <= 3 + 3 * 8 + 8, String(sizes))
  const { code, stdout } = await sandbox.run('fsck counts')
  assert.equal(code, 0, stdout)
  const runs = readdirSync(sandbox.path('.millrace/counts/runs')).length
  assert.ok(runs <= 16, `${runs} files of runs`)
})
