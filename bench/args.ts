/** The options of a benchmark, as `npm run bench -- NAME [options]` takes them. A workload reads those that concern it. */
import { parseArgs } from 'node:util'
import type { JobOptions } from 'millrace'

export interface Options {
  readonly parallelism: number
  /** Of the generator, which then are read interleaved. Default: one a subtask. */
  readonly splits: number | undefined
  /** Between checkpoints; undefined: what the workload says. */
  readonly intervalMs: number | undefined
  /** No checkpoint but the last. */
  readonly noCheckpoints: boolean
  /** Undefined: full size. */
  readonly events: number | undefined
  readonly bytes: number | undefined
  readonly keys: number | undefined
  /** W3: keys by a skewed law. */
  readonly zipf: boolean
  /** W3: the checksum over all fields of the aggregate, too. */
  readonly b: boolean
  /** Where working state lives. Default: the heap. */
  readonly backend: 'heap' | 'rocksdb'
  /** Of the RocksDB backend in all, in MB: three quarters for state in memory, one for the store. */
  readonly memoryMb: number
  /** The same by a plain loop, without the engine. */
  readonly plain: boolean
}

export const DEFAULTS: Options = {
  parallelism: 1,
  splits: undefined,
  intervalMs: undefined,
  noCheckpoints: false,
  events: undefined,
  bytes: undefined,
  keys: undefined,
  zipf: false,
  b: false,
  backend: 'heap',
  memoryMb: 1024,
  plain: false,
}

export const USAGE =
  '[--parallelism N] [--splits N] [--interval MS | --no-checkpoints] [--events N] [--bytes N] [--keys N] [--zipf] [--b] [--backend heap|rocksdb] [--memory MB] [--plain]'

const NEVER_MS = 24 * 3_600_000

/** Names in lower case, and options. @throws when an option is unknown or its value is no whole number from 1 up */
export function parseOptions(args: readonly string[]): { names: readonly string[]; options: Options } {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      parallelism: { type: 'string' },
      splits: { type: 'string' },
      interval: { type: 'string' },
      'no-checkpoints': { type: 'boolean' },
      events: { type: 'string' },
      bytes: { type: 'string' },
      keys: { type: 'string' },
      zipf: { type: 'boolean' },
      b: { type: 'boolean' },
      backend: { type: 'string' },
      memory: { type: 'string' },
      plain: { type: 'boolean' },
    },
  })
  return {
    names: positionals.map(name => name.toLowerCase()),
    options: {
      parallelism: wholeNumber('parallelism', values.parallelism) ?? DEFAULTS.parallelism,
      splits: wholeNumber('splits', values.splits),
      intervalMs: wholeNumber('interval', values.interval),
      noCheckpoints: values['no-checkpoints'] ?? false,
      events: wholeNumber('events', values.events),
      bytes: wholeNumber('bytes', values.bytes),
      keys: wholeNumber('keys', values.keys),
      zipf: values.zipf ?? false,
      b: values.b ?? false,
      backend: backendOf(values.backend),
      memoryMb: wholeNumber('memory', values.memory) ?? DEFAULTS.memoryMb,
      plain: values.plain ?? false,
    },
  }
}

/** @throws when it is none from 1 up; `2e6` is one */
export function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (text !== '' && Number.isSafeInteger(value) && value >= 1) return value
  throw new Error(`--${name} is '${text}'; it must be a whole number from 1 up`)
}

function backendOf(text: string | undefined): Options['backend'] {
  if (text === undefined || text === 'heap' || text === 'rocksdb') return text ?? DEFAULTS.backend
  throw new Error(`--backend is '${text}'; it must be heap or rocksdb`)
}

/** What the job is given to keep its state in. */
export function stateOf({ backend, memoryMb }: Options): Pick<JobOptions, 'state' | 'stateBackend'> {
  const bytes = memoryMb * 1024 * 1024
  return { stateBackend: backend, state: { rocksdb: { cacheBytes: (bytes * 3) / 4, memoryBytes: bytes / 4 } } }
}

export function splitsOf({ splits, parallelism }: Options): number {
  return splits ?? parallelism
}

export function intervalOf({ intervalMs, noCheckpoints }: Options, ownMs: number): number {
  return noCheckpoints ? NEVER_MS : (intervalMs ?? ownMs)
}

/** What is special about the run, for its line. */
export function variantOf({ zipf, noCheckpoints }: Options): string | undefined {
  const words = [...(zipf ? ['zipf'] : []), ...(noCheckpoints ? ['no-checkpoints'] : [])]
  return words.length === 0 ? undefined : words.join(' ')
}
