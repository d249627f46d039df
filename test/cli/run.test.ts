/** `millrace run`: starts, ends, options, and everything that can be wrong with a job file and its input. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import { ENDLESS, Sandbox, WORDS } from './sandbox.ts'

test('a bounded job runs to its end, says so, and is not run again until --fresh', async () => {
  const sandbox = new Sandbox()
  const job = sandbox.job('words.ts', WORDS)
  const first = await sandbox.run(`run ${job}`)
  assert.match(first.stderr, /^fresh start\nfinished: 3 records in [\d.]+ m?s, 1 checkpoint\n$/)
  assert.deepEqual([first.code, first.stdout], [0, ''])
  const rows = ['{"key":"a","value":1}', '{"key":"b","value":1}', '{"key":"a","value":2}']
  assert.deepEqual(sandbox.lines('out'), rows)

  const second = await sandbox.run(`run ${job}`)
  assert.deepEqual([second.code, second.stderr], [0, "nothing to do: 'words' has finished; --fresh runs it again\n"])

  const third = await sandbox.run(`run ${job} --fresh --verbose`)
  assert.equal(third.code, 0)
  assert.match(third.stderr, /^fresh start, as asked;.*\n(.*\n)*checkpoint chk-2 complete in /)
  assert.deepEqual(sandbox.lines('out'), rows)
})

test('with --json a run is one line of JSON per event, and nothing on standard error', async () => {
  const sandbox = new Sandbox()
  const job = sandbox.job('words.ts', WORDS)
  const { code, stdout, stderr } = await sandbox.run(`run ${job} --json`)
  assert.deepEqual([code, stderr], [0, ''])
  const events = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  const [started, ended] = [events[0], events.at(-1)]
  const of = (type: string) => events.filter(event => event.type === type)
  assert.deepEqual(
    { ...started, plan: started.plan.length, tookMs: typeof started.tookMs },
    {
      type: 'started',
      job: 'words',
      run: 1,
      lineage: 1,
      start: 'fresh',
      reason: 'first',
      snapshot: null,
      ageMs: null,
      skipped: [],
      records: 0,
      plan: 3,
      tookMs: 'number',
    },
  )
  assert.equal(of('progress').at(-1).records, 3)
  assert.equal(of('progress').at(-1).fraction, 1)
  assert.deepEqual(
    of('checkpoint').map(({ snapshot, trigger, outcome, error }) => [snapshot, trigger, outcome, error]),
    [['chk-1', 'finish', 'complete', null]],
  )
  assert.deepEqual(
    { ...ended, elapsedMs: typeof ended.elapsedMs },
    {
      type: 'ended',
      outcome: 'finished',
      job: 'words',
      records: 3,
      newRecords: 3,
      elapsedMs: 'number',
      checkpoints: 1,
      snapshot: 'chk-1',
      discarded: null,
    },
  )
  const again = await sandbox.json(`run ${job}`)
  assert.equal(again.outcome, 'already-finished')
})

test('--as runs the job under another name, with state of its own', async () => {
  const sandbox = new Sandbox()
  const job = sandbox.job('words.ts', WORDS)
  await sandbox.run(`run ${job}`)
  const { code, stderr } = await sandbox.run(`run ${job} --as other`)
  assert.equal(code, 0)
  assert.match(stderr, /^fresh start\n/)
  const { jobs } = await sandbox.json('jobs')
  assert.deepEqual(
    jobs.map(({ job: name }: { job: string }) => name),
    ['other', 'words'],
  )
})

test('a flag wins over --set, the environment, millrace.config.ts and the job', async () => {
  const sandbox = new Sandbox()
  const job = sandbox.job(
    'params.ts',
    `export default defineJob('params', flow => {
      flow.source('in', collection([flow.params.a, flow.params.b, flow.params.c, flow.params.d])).sink('out', show())
    }, { params: { a: 'job', b: 'job', c: 'job', d: 'job' } })`,
  )
  sandbox.write(
    'millrace.config.ts',
    `export default { storage: 'configured', params: { b: 'config', c: 'config', d: 'config' } }`,
  )
  const env = { MILLRACE_PARAMS_C: 'env', MILLRACE_PARAMS_D: 'env' }
  const fromConfig = await sandbox.run(`run ${job} --set params.d=set`, env)
  assert.equal(fromConfig.stdout, 'job\nconfig\nenv\nset\n')

  const storageOf = async (flags: string, more: NodeJS.ProcessEnv) =>
    JSON.parse((await sandbox.run(`jobs --json ${flags}`, more)).stdout)
  assert.equal((await storageOf('', {})).storage, sandbox.path('configured'))
  assert.equal((await storageOf('', {})).jobs.length, 1)
  assert.equal((await storageOf('', { MILLRACE_STORAGE: 'e' })).storage, sandbox.path('e'))
  assert.equal((await storageOf('--storage f', { MILLRACE_STORAGE: 'e' })).storage, sandbox.path('f'))
  assert.equal((await sandbox.run(`run ${job} --storage f`, { MILLRACE_STORAGE: 'e' })).code, 0)
  assert.equal((await storageOf('--storage f', {})).jobs.length, 1)
})

test('every option that is wrong is named with where it came from, all at once', async () => {
  const sandbox = new Sandbox()
  const job = sandbox.job('words.ts', WORDS)
  const { code, stderr } = await sandbox.run(
    `run ${job} --checkpoint-interval soon --set checkpointing.retian=5 --set oops --parallelism 0`,
  )
  assert.equal(code, 2)
  for (const part of [
    /^error OPTION_INVALID: 4 options/,
    /checkpointing\.interval \(command line\) is "soon"/,
    /did you mean checkpointing\.retain/,
    /"oops" \(--set\)/,
    /parallelism \(command line\)/,
  ]) {
    assert.match(stderr, part)
  }
})

test('a job goes on with another state backend, from the snapshot that any has made', async () => {
  const sandbox = new Sandbox()
  const scratch = sandbox.path('scratch')
  sandbox.job('endless.ts', ENDLESS)
  const options = `--set state.rocksdb.cacheBytes=1kB --set state.rocksdb.directory=${scratch}`
  for (const [run, backend] of ['heap', 'rocksdb', 'rocksdb', 'heap'].entries()) {
    const running = sandbox.start(
      `run endless.ts --state-backend ${backend} ${options} --parallelism ${1 + (run % 2)} --verbose`,
    )
    await running.until(run === 0 ? /fresh start\n/ : /resumed from checkpoint/)
    await sandbox.json('checkpoint endless')
    assert.equal((await sandbox.json('jobs')).jobs[0].live.stateBackend, backend)
    assert.equal(existsSync(scratch) && readdirSync(scratch).length > 0, backend === 'rocksdb')
    assert.equal((await running.end('SIGINT')).code, 0)
  }
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

test('sizes that are none, or too small, are named', async () => {
  const sandbox = new Sandbox()
  const job = sandbox.job('words.ts', WORDS)
  const { code, stderr } = await sandbox.run(`run ${job} --state-backend disk --set state.rocksdb.memoryBytes=1MB`, {
    MILLRACE_STATE_ROCKSDB_CACHE_BYTES: 'much',
  })
  assert.equal(code, 2)
  assert.match(stderr, /stateBackend \(command line\) is "disk"; allowed: 'heap' or 'rocksdb'\n/)
  assert.match(
    stderr,
    /state\.rocksdb\.memoryBytes \(--set\) is "1MB"; allowed: a size of at least 16MB: a number of bytes, or /,
  )
  assert.match(stderr, /state\.rocksdb\.cacheBytes \(MILLRACE_STATE_ROCKSDB_CACHE_BYTES\) is "much"; /)
})

test('a variable that is no option is pointed out, and the job runs', async () => {
  const sandbox = new Sandbox()
  const { code, stderr } = await sandbox.run(`run ${sandbox.job('words.ts', WORDS)}`, { MILLRACE_STORAG: 'x' })
  assert.equal(code, 0)
  assert.match(stderr, /^warning: MILLRACE_STORAG is not an option and has no effect; did you mean MILLRACE_STORAGE\?/)
})

test('a job file that cannot be used is a clear error without a stack trace', async () => {
  const sandbox = new Sandbox()
  mkdirSync(sandbox.path('folder'))
  sandbox.job('words.ts', WORDS)
  const cases = [
    [
      'word.ts',
      undefined,
      /^error JOB_MODULE_INVALID: there is no job file .*\/word\.ts; did you mean .*\/words\.ts\?\n {2}Name the job file/,
    ],
    ['folder', undefined, /^error JOB_MODULE_INVALID: .*\/folder is a directory, not a job file/],
    [
      'throws.ts',
      `throw new Error('boom')`,
      /^error JOB_MODULE_INVALID: the job file \/.*\/throws\.ts could not be imported: boom\n/,
    ],
    ['syntax.ts', `export default {`, /^error JOB_MODULE_INVALID: the job file .* could not be imported: /],
    ['nothing.ts', `export const x = 1`, /^error JOB_MODULE_INVALID: .* has no default export made by defineJob/],
    [
      'name.ts',
      `export default defineJob('Big Name', () => {})`,
      /^error JOB_NAME_INVALID: the job name is "Big Name"/,
    ],
    [
      'builder.ts',
      `export default defineJob('b', () => { throw new Error('boom') })`,
      /^error GRAPH_INVALID: the build function of job 'b' threw: boom/,
    ],
    [
      'twice.ts',
      `export default defineJob('t', flow => { const s = flow.source('in', collection([1])); s.sink('out', blackhole()); s.sink('out', blackhole()) })`,
      /^error DUPLICATE_NAME: job 't' has two operators named 'out'/,
    ],
  ] as const
  for (const [name, text, message] of cases) {
    if (text !== undefined) sandbox.job(name, text)
    const { code, stdout, stderr } = await sandbox.run(`run ${name}`)
    assert.deepEqual([code, stdout], [2, ''], name)
    assert.match(stderr, message)
    assert.doesNotMatch(stderr, /^ +at /m)
  }
})

test('--verbose shows where an error came from, down to its cause', async () => {
  const sandbox = new Sandbox()
  sandbox.write('throws.ts', `throw new Error('boom')`)
  const { stderr } = await sandbox.run('run throws.ts --verbose')
  assert.match(stderr, /\ncaused by Error: boom\n +at .*\/throws\.ts:1:7\)?\n/)
})

test('a config file that cannot be used is a clear error', async () => {
  const sandbox = new Sandbox()
  const job = sandbox.job('words.ts', WORDS)
  sandbox.write('millrace.config.ts', `throw new Error('boom')`)
  assert.match(
    (await sandbox.run(`run ${job}`)).stderr,
    /^error OPTION_INVALID: .*\/millrace\.config\.ts could not be imported: boom/,
  )
  sandbox.write('millrace.config.ts', `export default { checkpointing: { interval: 'soon' } }`)
  assert.match(
    (await sandbox.run(`run ${job}`)).stderr,
    /^error OPTION_INVALID: checkpointing\.interval \(millrace\.config\.ts\) is "soon"/,
  )
})

test('a function that keeps throwing is tried again once, then the job fails with the operator and exit status 1', async () => {
  const sandbox = new Sandbox()
  const job = sandbox.job(
    'fails.ts',
    `export default defineJob('fails', flow => {
      flow.source('in', collection([1, 2])).keyBy(n => n).process('p', { state: {}, onRecord(n) { if (n === 2) throw new Error('two is bad') } }).sink('out', blackhole())
    }, { restart: { initialDelay: 20 } })`,
  )
  const { code, stdout, stderr } = await sandbox.run(`run ${job}`)
  assert.deepEqual([code, stdout], [1, ''])
  assert.match(
    stderr,
    /^fresh start\nwarning: USER_FUNCTION_FAILED: operator 'p' threw two is bad.*\n {2}restarting in \d+ ms\nrestarted from the beginning\nerror DETERMINISTIC_FAILURE: .*two is bad/,
  )
  assert.doesNotMatch(stderr, /^ +at /m)
  const { jobs } = await sandbox.json('jobs')
  assert.equal(jobs[0].state, 'failed')
})

test('a malformed line fails the job with file, place and reason', async () => {
  const sandbox = new Sandbox()
  sandbox.write('in.json', '{"a":1}\n{"a":\n')
  const job = sandbox.job(
    'lines.ts',
    `export default defineJob('lines', flow => { flow.source('in', files.json('in.json')).sink('out', blackhole()) }, { restart: { strategy: 'none' } })`,
  )
  const { code, stderr } = await sandbox.run(`run ${job}`)
  assert.equal(code, 1)
  assert.match(stderr, /error MALFORMED_RECORD: in\.json:8: the line is not JSON/)
})

test('input that is not there fails the job with the pattern', async () => {
  const sandbox = new Sandbox()
  const job = sandbox.job(
    'lines.ts',
    `export default defineJob('lines', flow => { flow.source('in', files.lines('nope/*.txt')).sink('out', blackhole()) }, { restart: { strategy: 'none' } })`,
  )
  const { code, stderr } = await sandbox.run(`run ${job}`)
  assert.equal(code, 1)
  assert.match(stderr, /error SOURCE_FILE_MISSING: .*nope\/\*\.txt/)
})

test('an error that a timer of the job file throws ends the command with exit status 1', async () => {
  const sandbox = new Sandbox()
  const job = sandbox.job(
    'stray.ts',
    `import { isMainThread } from 'node:worker_threads'
    if (isMainThread) setTimeout(() => { throw new Error('stray') }, 50)
    export default defineJob('stray', flow => { flow.source('in', generator({ next: i => i, rate: 10 })).sink('out', blackhole()) })`,
  )
  const { code, stderr } = await sandbox.run(`run ${job}`)
  assert.equal(code, 1)
  assert.match(stderr, /error INTERNAL: an error was thrown outside of the functions of the job: stray/)
})

test('a handle that the job file leaves open does not keep the process', async () => {
  const sandbox = new Sandbox()
  const job = sandbox.job('hung.ts', `setInterval(() => {}, 1000)\n${WORDS}`)
  const { code, signal } = await sandbox.run(`run ${job}`)
  assert.deepEqual([code, signal], [0, null])
})

test('a changed job says what becomes of its state, and drops some only when told to', async () => {
  const sandbox = new Sandbox()
  const jobOf = (operators: string) => `export default defineJob('changing', flow => {
    const keyed = flow.source('in', generator({ next: i => i, rate: 1000 })).keyBy(i => i % 3)
    ${operators}
  }, { checkpointing: { interval: 50 } })`
  const job = sandbox.job(
    'changing.ts',
    jobOf(`keyed.aggregate('a', count()).sink('x', blackhole()); keyed.aggregate('b', count()).sink('y', blackhole())`),
  )
  const running = sandbox.start(`run ${job} --verbose`)
  await running.until(/checkpoint chk-1 complete/)
  assert.equal((await running.end('SIGINT')).code, 0)

  sandbox.job(
    job,
    jobOf(
      `keyed.aggregate('c', count(), { renamedFrom: 'a' }).sink('x', blackhole()); keyed.aggregate('d', sum(i => i)).sink('z', blackhole())`,
    ),
  )
  const refused = await sandbox.run(`run ${job}`)
  assert.equal(refused.code, 3)
  assert.match(refused.stderr, /^error STATE_DROPPED: .*'b\.value'/)

  const allowed = sandbox.start(`run ${job} --allow-dropped-state`)
  await allowed.until(/ {2}renamed: state 'c\.value' \(renamed from 'a'\)\n/)
  await allowed.until(/ {2}new: state 'd\.value' \(not in the snapshot\)\n/)
  await allowed.until(/ {2}dropped: state 'b\.value' \(/)
  assert.equal((await allowed.end('SIGINT')).code, 0)
})
