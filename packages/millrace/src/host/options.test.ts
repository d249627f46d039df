import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JobOptions } from '../api/index.ts'
import type { MillraceError } from '../base/errors.ts'
import { closest } from './closest.ts'
import { camelCase, upperSnake } from './option-table.ts'
import type { OptionProblem } from './option-problem.ts'
import { resolveOptions, type OptionSources } from './options.ts'

function problemsOf(sources: OptionSources): readonly OptionProblem[] {
  let problems: readonly OptionProblem[] = []
  assert.throws(
    () => resolveOptions(sources),
    (error: MillraceError) => {
      problems = error.context['problems'] as readonly OptionProblem[]
      return error.code === 'OPTION_INVALID'
    },
  )
  return problems
}
const problemPaths = (sources: OptionSources): string[] =>
  problemsOf(sources).map(({ path, source }) => `${path} (${source})`)

test('with nothing said, every option has its documented default', () => {
  assert.deepEqual(resolveOptions({}), {
    parallelism: 1,
    maxParallelism: 128,
    stateBackend: 'heap',
    state: { rocksdb: { cacheBytes: 256_000_000, memoryBytes: 256_000_000, directory: undefined } },
    storage: undefined,
    port: undefined,
    host: '127.0.0.1',
    token: undefined,
    tokenFile: undefined,
    checkpointing: {
      intervalMs: 10_000,
      timeoutMs: 600_000,
      minPauseMs: 0,
      tolerableFailures: 10,
      retain: { last: 3, hourly: 0, daily: 0 },
      onCancel: 'retain',
      onFinish: 'delete',
      incremental: true,
      compression: 'zstd',
      savepointEveryMs: undefined,
      keepSavepoints: 7,
    },
    restart: {
      strategy: 'exponential-delay',
      initialDelayMs: 1000,
      maxDelayMs: 60_000,
      multiplier: 2,
      jitter: 0.1,
      resetAfterMs: 3_600_000,
    },
    params: {},
    warnings: [],
  })
})

test('the strongest source wins: run, command line, --set, environment, config, defineJob', () => {
  const layers: [keyof OptionSources, unknown, number][] = [
    ['job', { checkpointing: { retain: 1 } }, 1],
    ['config', { checkpointing: { retain: 2 } }, 2],
    ['env', { MILLRACE_CHECKPOINTING_RETAIN: '3' }, 3],
    ['set', ['checkpointing.retain=4'], 4],
    ['cli', { 'checkpointing.retain': '5' }, 5],
    ['run', { checkpointing: { retain: 6 } }, 6],
  ]
  const sources: { -readonly [K in keyof OptionSources]: any } = {}
  for (const [name, value, expected] of layers) {
    sources[name] = value
    assert.equal(resolveOptions(sources).checkpointing.retain.last, expected, name)
  }
})

test('a source that says only one option of a group leaves the others to weaker ones', () => {
  const { checkpointing } = resolveOptions({
    job: { checkpointing: { interval: '1m', retain: 7 } },
    config: { checkpointing: { interval: '30s' } },
    cli: { checkpointing: { interval: undefined } },
  })
  assert.deepEqual([checkpointing.intervalMs, checkpointing.retain.last, checkpointing.timeoutMs], [30_000, 7, 600_000])
})

test('of several --set of one option the last one counts', () => {
  assert.equal(resolveOptions({ set: ['maxParallelism=16', 'maxParallelism=32'] }).maxParallelism, 32)
})

test('texts are read as the type of the option', () => {
  const options = resolveOptions({
    set: [
      'parallelism=1',
      'maxParallelism=32768',
      'stateBackend=rocksdb',
      'state.rocksdb.cacheBytes=64MB',
      'state.rocksdb.memoryBytes=16000000',
      'state.rocksdb.directory=./scratch',
      'storage=./a=b',
      'checkpointing.interval=250ms',
      'checkpointing.timeout=5000',
      'checkpointing.minPause=0',
      'checkpointing.tolerableFailures=0',
      'checkpointing.onCancel=delete',
      'checkpointing.onFinish=retain',
      'checkpointing.incremental=false',
      'checkpointing.compression=none',
      'checkpointing.savepointEvery=24h',
      'checkpointing.keepSavepoints=2',
      'restart.strategy=none',
      'restart.initialDelay=2s',
      'restart.maxDelay=1h',
      'restart.multiplier=1.5',
      'restart.jitter=0',
      'restart.resetAfter=7d',
    ],
  })
  assert.deepEqual([options.maxParallelism, options.storage, options.stateBackend], [32_768, './a=b', 'rocksdb'])
  assert.deepEqual(options.state.rocksdb, {
    cacheBytes: 64_000_000,
    memoryBytes: 16_000_000,
    directory: './scratch',
  })
  assert.deepEqual(options.checkpointing, {
    intervalMs: 250,
    timeoutMs: 5000,
    minPauseMs: 0,
    tolerableFailures: 0,
    retain: { last: 3, hourly: 0, daily: 0 },
    onCancel: 'delete',
    onFinish: 'retain',
    incremental: false,
    compression: 'none',
    savepointEveryMs: 86_400_000,
    keepSavepoints: 2,
  })
  assert.deepEqual(options.restart, {
    strategy: 'none',
    initialDelayMs: 2000,
    maxDelayMs: 3_600_000,
    multiplier: 1.5,
    jitter: 0,
    resetAfterMs: 604_800_000,
  })
})

test('environment names are the paths in upper snake case; empty ones say nothing', () => {
  assert.equal(upperSnake('checkpointing.minPause'), 'CHECKPOINTING_MIN_PAUSE')
  assert.equal(camelCase('MIN_PAUSE_2'), 'minPause2')
  const options = resolveOptions({
    env: {
      MILLRACE_CHECKPOINTING_MIN_PAUSE: '3s',
      MILLRACE_STORAGE: '/data',
      MILLRACE_MAX_PARALLELISM: '',
      MILLRACE_RESTART_RESET_AFTER: undefined,
      STORAGE: '/other',
    },
  })
  assert.deepEqual([options.checkpointing.minPauseMs, options.storage, options.maxParallelism], [3000, '/data', 128])
  assert.deepEqual(options.warnings, [])
})

test('a MILLRACE_ variable that is no option is a warning with a guess, not an error', () => {
  const { warnings } = resolveOptions({
    env: {
      MILLRACE_CHECKPOINTING_INTERVALL: '1s',
      MILLRACE_HOME: '/opt',
      MILLRACE_DISK_STORE: 'sqlite',
      HOME: '/root',
    },
  })
  assert.deepEqual(warnings, [
    'MILLRACE_CHECKPOINTING_INTERVALL is not an option and has no effect; did you mean MILLRACE_CHECKPOINTING_INTERVAL?',
    'MILLRACE_HOME is not an option and has no effect',
  ])
})

test('every problem of every source is reported at once, with what was found and what is allowed', () => {
  const sources: OptionSources = {
    cli: { parallelism: 'many' },
    set: ['checkpointing.interval=soon', 'checkpointing.retian=5', 'nonsense'],
    env: { MILLRACE_RESTART_JITTER: '2' },
    config: { checkpointing: { retain: { last: 0 } }, stateBackend: 'redis' },
    job: { checkpointing: { incremental: 'yes' }, restart: { multiplier: 0.5 } } as unknown as JobOptions,
  }
  assert.deepEqual(problemPaths(sources).toSorted(), [
    '"nonsense" (--set)',
    'checkpointing.incremental (defineJob)',
    'checkpointing.interval (--set)',
    'checkpointing.retain.last (millrace.config.ts)',
    'checkpointing.retian (--set)',
    'parallelism (command line)',
    'restart.jitter (MILLRACE_RESTART_JITTER)',
    'restart.multiplier (defineJob)',
    'stateBackend (millrace.config.ts)',
  ])
  assert.throws(() => resolveOptions(sources), {
    message: /^9 options are not allowed:\n(?: {2}.* is .*; allowed: .*\n?){9}$/,
  })
  assert.throws(() => resolveOptions({ set: ['checkpointing.interval=soon'] }), {
    message: `checkpointing.interval (--set) is "soon"; allowed: a duration of at least 1 ms: milliseconds, or a text like '250ms', '5s', '1m', '2h'`,
  })
})

test('a wrong value is a problem even where a stronger source overrides it', () => {
  assert.deepEqual(problemPaths({ set: ['checkpointing.retain=5'], config: { checkpointing: { retain: 0 } } }), [
    'checkpointing.retain (millrace.config.ts)',
  ])
})

test('values just outside of what is allowed are refused, those just inside are not', () => {
  const cases: [string, string[], string[]][] = [
    ['maxParallelism', ['1', '32768'], ['0', '32769', '1.5', '', ' ', '1e999', 'NaN', '0x']],
    ['checkpointing.interval', ['1', '1ms', '1d'], ['0', '0s', '-1', '1 s', '1w', '']],
    ['checkpointing.timeout', ['1ms'], ['0ms']],
    ['checkpointing.minPause', ['0', '0s'], ['-1ms']],
    ['checkpointing.tolerableFailures', ['0'], ['-1', '0.5', 'Infinity']],
    ['checkpointing.retain', ['1'], ['0']],
    ['checkpointing.onCancel', ['retain', 'delete'], ['keep', 'Retain', '']],
    ['checkpointing.incremental', ['true', 'false'], ['1', 'yes', '']],
    ['checkpointing.compression', ['zstd', 'none'], ['gzip']],
    ['restart.strategy', ['exponential-delay', 'none'], ['fixed-delay']],
    ['restart.multiplier', ['1'], ['0.9', 'Infinity']],
    ['restart.jitter', ['0', '1'], ['-0.1', '1.1']],
    ['storage', ['x'], ['']],
  ]
  for (const [path, good, bad] of cases) {
    for (const text of good) resolveOptions({ set: [`${path}=${text}`] })
    for (const text of bad)
      assert.deepEqual(problemPaths({ set: [`${path}=${text}`] }), [`${path} (--set)`], `${path}=${text}`)
  }
  const wrongTypes: unknown[] = [null, [], {}.toString, NaN, Infinity, true, Symbol('x')]
  for (const value of wrongTypes)
    assert.equal(problemsOf({ config: { maxParallelism: value } }).length, 1, String(value))
})

test('unknown options name the one that was likely meant', () => {
  const guess = (path: string) => problemsOf({ set: [`${path}=1`] })[0].allowed
  assert.equal(guess('checkpointing.intervall'), 'did you mean checkpointing.interval?')
  assert.equal(guess('interval'), 'did you mean checkpointing.interval?')
  assert.equal(guess('Parallelism'), 'did you mean parallelism?')
  assert.equal(guess('checkpoint.retain'), 'did you mean checkpointing.retain?')
  assert.match(guess('zzzzzzzz'), /^parallelism, maxParallelism, .*, params\.NAME$/)
  for (const path of ['__proto__', 'constructor', 'params', 'params.', 'checkpointing']) {
    assert.equal(problemsOf({ set: [`${path}=1`] })[0].found, 'no such option', path)
  }
  assert.deepEqual(problemPaths({ config: { checkpointing: 5, retention: { last: 1 } } }), [
    'checkpointing (millrace.config.ts)',
    'retention.last (millrace.config.ts)',
  ])
})

test('closest finds slips of the finger, and nothing where nothing is near', () => {
  assert.equal(closest('soruce', ['source', 'sink']), 'source')
  assert.equal(closest('sin', ['source', 'sink']), 'sink')
  assert.equal(closest('operator', ['source', 'sink']), undefined)
  assert.equal(closest('x', []), undefined)
})

test('a config file that exports no object is a problem', () => {
  for (const config of [null, 5, 'x', [], () => ({})]) {
    assert.deepEqual(problemPaths({ config }), ['the default export (millrace.config.ts)'])
  }
})

test('params given as text take the type they have in defineJob', () => {
  const params = { limit: 5, ratio: 0.5, on: false, name: 'x', shops: [1], any: null, withDots: 'a' }
  const resolved = resolveOptions({
    job: { params },
    set: [
      'params.limit=7',
      'params.on=true',
      'params.shops=[2,3]',
      'params.any={"a":1}',
      'params.extra=8',
      'params.name=9',
    ],
    env: { MILLRACE_PARAMS_RATIO: '0.25', MILLRACE_PARAMS_WITH_DOTS: 'b', MILLRACE_PARAMS_BRAND_NEW: 'c' },
  })
  assert.deepEqual(resolved.params, {
    limit: 7,
    ratio: 0.25,
    on: true,
    name: '9',
    shops: [2, 3],
    any: { a: 1 },
    withDots: 'b',
    extra: '8',
    brandNew: 'c',
  })
  assert.deepEqual(params.limit, 5, 'the job’s own object is left alone')
})

test('an environment variable finds a parameter by its own spelling', () => {
  const { params } = resolveOptions({
    job: { params: { input_dir: 'a', maxURLs: 1 } },
    env: { MILLRACE_PARAMS_INPUT_DIR: 'b', MILLRACE_PARAMS_MAX_URLS: '2' },
  })
  assert.deepEqual(params, { input_dir: 'b', maxURLs: 2 })
})

test('a param of another type than its default is a problem, from any source', () => {
  const job = { params: { limit: 5, on: true, shops: [1] } }
  const sources: OptionSources = {
    job,
    set: ['params.limit=many', 'params.on="true"'],
    config: { params: { shops: { a: 1 } } },
  }
  assert.deepEqual(problemsOf(sources), [
    { path: 'params.shops', source: 'millrace.config.ts', found: '{"a":1}', allowed: 'an array, as its default [1]' },
    { path: 'params.limit', source: '--set', found: '"many"', allowed: 'a number, as its default 5' },
    { path: 'params.on', source: '--set', found: '"\\"true\\""', allowed: 'a boolean, as its default true' },
  ])
  const notJson = { job: { params: { fn: (() => 1) as never, date: new Date(0) as never, nan: NaN } } }
  assert.deepEqual(problemPaths(notJson), [
    'params.fn (defineJob)',
    'params.date (defineJob)',
    'params.nan (defineJob)',
  ])
})

test('a param may have any name, even one of Object’s own', () => {
  const { params } = resolveOptions({ set: ['params.__proto__=x', 'params.toString=y'] })
  assert.deepEqual(Object.entries(params), [
    ['__proto__', 'x'],
    ['toString', 'y'],
  ])
  assert.equal(Object.getPrototypeOf(params), Object.prototype)
})

test('two options that do not go together are a problem; a lower maxDelay lowers the default initialDelay', () => {
  assert.deepEqual(problemPaths({ cli: { parallelism: 200 } }), ['parallelism (maxParallelism is 128)'])
  assert.deepEqual(problemPaths({ set: ['restart.initialDelay=2s', 'restart.maxDelay=1s'] }), [
    'restart.initialDelay (restart.maxDelay is 1000)',
  ])
  assert.equal(resolveOptions({ set: ['restart.maxDelay=50ms'] }).restart.initialDelayMs, 50)
})

test('sizes are bytes, or a text with a unit, as they are everywhere', () => {
  const cacheBytesOf = (cacheBytes: string | number) =>
    resolveOptions({ set: [`state.rocksdb.cacheBytes=${cacheBytes}`] }).state.rocksdb.cacheBytes
  assert.equal(cacheBytesOf(2_000_000), 2_000_000)
  assert.equal(cacheBytesOf('1GiB'), 1024 ** 3)
  assert.equal(cacheBytesOf('1.5 GB'), 1_500_000_000)
  for (const wrong of ['999', '0', '-2GB', '5TB', 'much', '9999999999999GB']) {
    assert.deepEqual(problemPaths({ set: [`state.rocksdb.cacheBytes=${wrong}`] }), ['state.rocksdb.cacheBytes (--set)'])
  }
})

test('beyond the loopback the control API wants a token, wherever that comes from', () => {
  for (const host of ['0.0.0.0', '::', '192.168.1.7', 'example.com', '127.example.com', '1270.0.0.1']) {
    assert.deepEqual(problemPaths({ cli: { host } }), ['host (without a token)'], host)
    assert.equal(resolveOptions({ cli: { host }, env: { MILLRACE_TOKEN: 'secret' } }).token, 'secret')
    assert.equal(resolveOptions({ cli: { host, tokenFile: 'token' } }).tokenFile, 'token')
  }
  for (const host of ['127.0.0.1', '127.1.2.3', 'localhost', '::1']) {
    assert.equal(resolveOptions({ env: { MILLRACE_HOST: host } }).host, host)
  }
})

test('retain is a number or a ladder; a number takes the place of a weaker ladder, and a stronger ladder adds to a number', () => {
  const ladder = { checkpointing: { retain: { last: 2, hourly: 24, daily: 7 } } }
  const retainOf = (sources: OptionSources) => resolveOptions(sources).checkpointing.retain
  assert.deepEqual(retainOf({ job: ladder }), { last: 2, hourly: 24, daily: 7 })
  assert.deepEqual(retainOf({ job: { checkpointing: { retain: { hourly: 24 } } } }), { last: 3, hourly: 24, daily: 0 })
  assert.deepEqual(retainOf({ job: ladder, set: ['checkpointing.retain=5'] }), { last: 5, hourly: 0, daily: 0 })
  const env = { MILLRACE_CHECKPOINTING_RETAIN_DAILY: '30' }
  assert.deepEqual(retainOf({ job: { checkpointing: { retain: 4 } }, env }), { last: 4, hourly: 0, daily: 30 })
  assert.deepEqual(
    problemPaths({ job: { checkpointing: { retain: { last: 0, weekly: 4 } } } as unknown as JobOptions }),
    ['checkpointing.retain.last (defineJob)', 'checkpointing.retain.weekly (defineJob)'],
  )
})
