/** The options of a job, by path, each with what it may be and its default: the one place that knows them all. */
import { parseSize, type Size } from '../base/size.ts'
import { parseDuration } from '../time/index.ts'

/** How one option is read. */
export interface OptionType {
  /** For messages: what is allowed. */
  readonly allowed: string
  /** The value, from a text (command line, environment) or as code gave it; undefined when it is not allowed. */
  parse(value: unknown): OptionValue | undefined
}

export type OptionValue = string | number | boolean

interface Option {
  readonly type: OptionType
  /** Durations in milliseconds, sizes in bytes. */
  readonly default: OptionValue | undefined
}

const duration = (least: number): OptionType => ({
  allowed: `a duration${least > 0 ? ' of at least 1 ms' : ''}: milliseconds, or a text like '250ms', '5s', '1m', '2h'`,
  parse(value) {
    try {
      // On a command line, 5000 is text too.
      const ms = parseDuration(typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value, 'it')
      return ms >= least ? ms : undefined
    } catch {
      return undefined
    }
  },
})

const number = (allowed: string, isAllowed: (value: number) => boolean): OptionType => ({
  allowed,
  parse(value) {
    const n = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
    return typeof n === 'number' && isAllowed(n) ? n : undefined
  },
})

const whole = (least: number, most: number): OptionType =>
  number(
    most === Infinity ? `a whole number from ${least} up` : `a whole number from ${least} to ${most}`,
    n => Number.isSafeInteger(n) && n >= least && n <= most,
  )

const oneOf = (...values: readonly string[]): OptionType => ({
  allowed: values.map(value => `'${value}'`).join(' or '),
  parse: value => values.find(each => each === value),
})

const boolean: OptionType = {
  allowed: 'true or false',
  parse: value =>
    value === true || value === 'true' ? true : value === false || value === 'false' ? false : undefined,
}

const text: OptionType = {
  allowed: 'a text',
  parse: value => (typeof value === 'string' && value !== '' ? value : undefined),
}

const location: OptionType = {
  allowed: 'a directory',
  parse: value => (typeof value === 'string' && value !== '' ? value : undefined),
}

const size = (least: Size): OptionType => ({
  allowed: `a size of at least ${least}: a number of bytes, or a text like '512MB', '2GiB'`,
  parse(value) {
    try {
      const bytes = parseSize(typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value, 'it')
      return bytes >= parseSize(least, 'it') ? bytes : undefined
    } catch {
      return undefined
    }
  },
})

/** Key groups are numbered in 16 bits in snapshots. */
export const MAX_PARALLELISM = 32_768

export const OPTIONS = {
  parallelism: { type: whole(1, MAX_PARALLELISM), default: 1 },
  maxParallelism: { type: whole(1, MAX_PARALLELISM), default: 128 },
  stateBackend: { type: oneOf('heap', 'rocksdb'), default: 'heap' },
  'state.rocksdb.cacheBytes': { type: size('1kB'), default: 256_000_000 },
  'state.rocksdb.memoryBytes': { type: size('16MB'), default: 256_000_000 },
  'state.rocksdb.directory': { type: location, default: undefined },
  storage: { type: location, default: undefined },
  port: { type: whole(1, 65_535), default: undefined },
  host: { type: text, default: '127.0.0.1' },
  token: { type: text, default: undefined },
  tokenFile: { type: { ...location, allowed: 'a file' }, default: undefined },
  'checkpointing.interval': { type: duration(1), default: 10_000 },
  'checkpointing.timeout': { type: duration(1), default: 600_000 },
  'checkpointing.minPause': { type: duration(0), default: 0 },
  'checkpointing.tolerableFailures': { type: whole(0, Infinity), default: 10 },
  /** Short for `retain.last` alone. */
  'checkpointing.retain': { type: whole(1, Infinity), default: undefined },
  'checkpointing.retain.last': { type: whole(1, Infinity), default: 3 },
  'checkpointing.retain.hourly': { type: whole(0, Infinity), default: 0 },
  'checkpointing.retain.daily': { type: whole(0, Infinity), default: 0 },
  'checkpointing.onCancel': { type: oneOf('retain', 'delete'), default: 'retain' },
  'checkpointing.onFinish': { type: oneOf('retain', 'delete'), default: 'delete' },
  'checkpointing.incremental': { type: boolean, default: true },
  'checkpointing.savepointEvery': { type: duration(1), default: undefined },
  'checkpointing.keepSavepoints': { type: whole(1, Infinity), default: 7 },
  'checkpointing.compression': { type: oneOf('zstd', 'none'), default: 'zstd' },
  'restart.strategy': { type: oneOf('exponential-delay', 'none'), default: 'exponential-delay' },
  'restart.initialDelay': { type: duration(0), default: 1000 },
  'restart.maxDelay': { type: duration(0), default: 60_000 },
  'restart.multiplier': { type: number('a number from 1 up', n => n >= 1 && n < Infinity), default: 2 },
  'restart.jitter': { type: number('a number from 0 to 1', n => n >= 0 && n <= 1), default: 0.1 },
  'restart.resetAfter': { type: duration(0), default: 3_600_000 },
} as const satisfies { readonly [path: string]: Option }

export type OptionPath = keyof typeof OPTIONS

export function isOptionPath(path: string): path is OptionPath {
  return Object.hasOwn(OPTIONS, path)
}

/** `checkpointing.minPause` -> `CHECKPOINTING_MIN_PAUSE`. */
export function upperSnake(path: string): string {
  return path
    .replaceAll('.', '_')
    .replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, '_')
    .toUpperCase()
}

/** `MAX_DELAY` -> `maxDelay`. */
export function camelCase(upperSnakeName: string): string {
  return upperSnakeName.toLowerCase().replaceAll(/_+([a-z0-9])/g, (_, first: string) => first.toUpperCase())
}
