/**
 * The options a job runs with, resolved once, at the edge: command line > --set > environment > millrace.config.ts > defineJob >
 * default. Every problem is collected, also those of a value that another source overrides, and all are reported at once.
 */
import type { JobOptions, Params } from '../api/index.ts'
import type { RetentionLadder } from '../snapshot/retention-ladder.ts'
import { closest } from './closest.ts'
import { isLoopback } from './loopback.ts'
import { setParam, type ParamValues } from './job-params.ts'
import { optionsInvalid, shown, type OptionProblem } from './option-problem.ts'
import { ENV_PREFIX, paramOf, settingsOf, settingsOfEnv, settingsOfSet, type Setting } from './option-settings.ts'
import { isOptionPath, OPTIONS, upperSnake, type OptionPath, type OptionValue } from './option-table.ts'

export interface OptionSources {
  /** The options given to `run()`: nested. Stronger than all else. */
  readonly run?: object | undefined
  /** Flags of the command line: nested or by dotted path; texts or values. */
  readonly cli?: object | undefined
  /** `PATH=VALUE`, one for each --set. */
  readonly set?: readonly string[] | undefined
  readonly env?: { readonly [name: string]: string | undefined } | undefined
  /** The default export of millrace.config.ts. */
  readonly config?: unknown
  /** The options of defineJob. */
  readonly job?: JobOptions<any> | undefined
}

export interface ResolvedOptions {
  readonly parallelism: number
  readonly maxParallelism: number
  readonly stateBackend: 'heap' | 'rocksdb'
  readonly state: { readonly rocksdb: ResolvedRocksDb }
  /** Undefined when nothing says where: the command then takes `.millrace`, `run()` memory. */
  readonly storage: string | undefined
  /** Of the control API. Undefined: the command takes any that is free, `run()` has none. */
  readonly port: number | undefined
  /** The address that the control API listens on. Beyond the loopback it wants a token. */
  readonly host: string
  readonly token: string | undefined
  readonly tokenFile: string | undefined
  readonly checkpointing: ResolvedCheckpointing
  readonly restart: ResolvedRestart
  readonly params: Params
  /** What is odd but does no harm: MILLRACE_ variables that are no option. One sentence each. */
  readonly warnings: readonly string[]
}

export interface ResolvedRocksDb {
  readonly cacheBytes: number
  readonly memoryBytes: number
  readonly directory: string | undefined
}

export interface ResolvedCheckpointing {
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly minPauseMs: number
  readonly tolerableFailures: number
  readonly retain: RetentionLadder
  readonly onCancel: 'retain' | 'delete'
  readonly onFinish: 'retain' | 'delete'
  readonly incremental: boolean
  readonly compression: 'zstd' | 'none'
  /** Undefined: no periodic savepoints. */
  readonly savepointEveryMs: number | undefined
  readonly keepSavepoints: number
}

export interface ResolvedRestart {
  readonly strategy: 'exponential-delay' | 'none'
  readonly initialDelayMs: number
  readonly maxDelayMs: number
  readonly multiplier: number
  readonly jitter: number
  readonly resetAfterMs: number
}

/**
 * @throws OPTION_INVALID with every problem in `context.problems`
 */
export function resolveOptions(sources: OptionSources): ResolvedOptions {
  const problems: OptionProblem[] = []
  const { settings, warnings } = gather(sources, problems)
  const values = new Map<OptionPath, OptionValue>()
  const params: ParamValues = Object.create(null)
  // From the weakest source to the strongest, so that the last one stays.
  for (const setting of settings) {
    const param = paramOf(setting.path)
    if (param !== undefined) setParam(params, param, setting, problems)
    else setOption(values, setting, problems)
  }
  checkTogether(values, problems)
  if (problems.length > 0) throw optionsInvalid(problems)
  return fill(values, { ...params }, warnings)
}

function gather(sources: OptionSources, problems: OptionProblem[]): { settings: Setting[]; warnings: string[] } {
  const job = settingsOf(sources.job ?? {}, 'defineJob')
  const config = settingsOf(configObject(sources.config, problems), 'millrace.config.ts')
  const set = settingsOfSet(sources.set ?? [])
  const cli = settingsOf(sources.cli ?? {}, 'command line', true)
  const run = settingsOf(sources.run ?? {}, 'run()')
  for (const text of set.malformed) {
    problems.push({
      path: shown(text),
      source: '--set',
      found: 'no =',
      allowed: 'OPTION=VALUE, such as checkpointing.retain=5',
    })
  }
  const known = [...job, ...config, ...set.settings, ...cli, ...run].flatMap(setting => paramOf(setting.path) ?? [])
  const env = settingsOfEnv(sources.env ?? {}, known)
  const names = Object.keys(OPTIONS).map(upperSnake)
  const warnings = env.unknown.map(name => {
    const meant = closest(name.slice(ENV_PREFIX.length), names)
    return `${name} is not an option and has no effect${meant === undefined ? '' : `; did you mean ${ENV_PREFIX}${meant}?`}`
  })
  return { settings: [...job, ...config, ...env.settings, ...set.settings, ...cli, ...run], warnings }
}

function configObject(config: unknown, problems: OptionProblem[]): object {
  if (config === undefined) return {}
  if (typeof config === 'object' && config !== null && !Array.isArray(config)) return config
  problems.push({
    path: 'the default export',
    source: 'millrace.config.ts',
    found: shown(config),
    allowed: 'an object of options',
  })
  return {}
}

function setOption(values: Map<OptionPath, OptionValue>, setting: Setting, problems: OptionProblem[]): void {
  const { path, source, value } = setting
  if (!isOptionPath(path)) {
    const meant = closestOption(path)
    problems.push({
      path,
      source,
      found: 'no such option',
      allowed: meant === undefined ? `${Object.keys(OPTIONS).join(', ')}, params.NAME` : `did you mean ${meant}?`,
    })
    return
  }
  const parsed = OPTIONS[path].type.parse(value)
  if (parsed === undefined) problems.push({ path, source, found: shown(value), allowed: OPTIONS[path].type.allowed })
  else if (path === 'checkpointing.retain') retainLast(values, parsed)
  else values.set(path, parsed)
}

/** A number is a whole ladder, so it takes the place of one that a weaker source describes. */
function retainLast(values: Map<OptionPath, OptionValue>, last: OptionValue): void {
  values.set('checkpointing.retain.last', last)
  values.delete('checkpointing.retain.hourly')
  values.delete('checkpointing.retain.daily')
}

/** `retian` and `checkpointing.retian` both mean `checkpointing.retain`. */
function closestOption(path: string): string | undefined {
  const paths = Object.keys(OPTIONS)
  const meant = closest(path, paths)
  if (meant !== undefined) return meant
  const last = closest(path.slice(path.lastIndexOf('.') + 1), paths.map(lastPart))
  return paths.find(each => lastPart(each) === last)
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1)
}

/** Rules about two options, when each is fine by itself. */
function checkTogether(values: ReadonlyMap<OptionPath, OptionValue>, problems: OptionProblem[]): void {
  const atMost = (path: OptionPath, limit: OptionPath): void => {
    const [value, most] = [values.get(path), values.get(limit) ?? OPTIONS[limit].default]
    if (typeof value !== 'number' || typeof most !== 'number' || value <= most) return
    problems.push({ path, source: `${limit} is ${most}`, found: String(value), allowed: `at most ${limit}` })
  }
  atMost('parallelism', 'maxParallelism')
  atMost('restart.initialDelay', 'restart.maxDelay')
  const host = values.get('host')
  if (typeof host !== 'string' || isLoopback(host) || values.has('token') || values.has('tokenFile')) return
  problems.push({
    path: 'host',
    source: 'without a token',
    found: host,
    allowed: '127.0.0.1, localhost, ::1; any other with a token (MILLRACE_TOKEN, or tokenFile)',
  })
}

function fill(
  values: ReadonlyMap<OptionPath, OptionValue>,
  params: Params,
  warnings: readonly string[],
): ResolvedOptions {
  // Sound because OPTIONS has let through only values of the option's own type.
  const get = (path: OptionPath): any => values.get(path) ?? OPTIONS[path].default
  return {
    parallelism: get('parallelism'),
    maxParallelism: get('maxParallelism'),
    stateBackend: get('stateBackend'),
    state: {
      rocksdb: {
        cacheBytes: get('state.rocksdb.cacheBytes'),
        memoryBytes: get('state.rocksdb.memoryBytes'),
        directory: get('state.rocksdb.directory'),
      },
    },
    storage: get('storage'),
    port: get('port'),
    host: get('host'),
    token: get('token'),
    tokenFile: get('tokenFile'),
    checkpointing: {
      intervalMs: get('checkpointing.interval'),
      timeoutMs: get('checkpointing.timeout'),
      minPauseMs: get('checkpointing.minPause'),
      tolerableFailures: get('checkpointing.tolerableFailures'),
      retain: {
        last: get('checkpointing.retain.last'),
        hourly: get('checkpointing.retain.hourly'),
        daily: get('checkpointing.retain.daily'),
      },
      onCancel: get('checkpointing.onCancel'),
      onFinish: get('checkpointing.onFinish'),
      incremental: get('checkpointing.incremental'),
      compression: get('checkpointing.compression'),
      savepointEveryMs: get('checkpointing.savepointEvery'),
      keepSavepoints: get('checkpointing.keepSavepoints'),
    },
    restart: {
      strategy: get('restart.strategy'),
      // A lower maxDelay lowers the default too.
      initialDelayMs: Math.min(get('restart.initialDelay'), get('restart.maxDelay')),
      maxDelayMs: get('restart.maxDelay'),
      multiplier: get('restart.multiplier'),
      jitter: get('restart.jitter'),
      resetAfterMs: get('restart.resetAfter'),
    },
    params,
    warnings,
  }
}
