/** The options that `defineJob` takes, and that the command line, the environment and millrace.config.ts may override. */
import type { Json } from '../base/json.ts'
import type { Size } from '../base/size.ts'
import type { Duration } from '../time/index.ts'

/** What the job reads as `flow.params`. Plain JSON, since it goes to every worker thread. */
export type Params = { readonly [name: string]: Json }

/** Everything has a default. */
export interface JobOptions<P extends Params = Params> {
  /** Subtasks of every operator. Default 1. */
  readonly parallelism?: number
  /** Key groups, 1 to 32768: the upper bound of `parallelism`. Default 128. May change on restore. */
  readonly maxParallelism?: number
  /**
   * Where working state lives: on the JavaScript heap, or in RocksDB, for more than fits into memory. Default `heap`. May change between
   * runs: every snapshot is for any backend.
   */
  readonly stateBackend?: 'heap' | 'rocksdb'
  /** Of the state backends. */
  readonly state?: { readonly rocksdb?: RocksDbOptions }
  readonly checkpointing?: CheckpointingOptions
  readonly restart?: RestartOptions
  /** Values of `flow.params`; a value given elsewhere as text is read as the type it has here. */
  readonly params?: P
}

/** What millrace.config.ts exports as default: options of every job run from that directory. */
export interface MillraceConfig extends JobOptions {
  /** Where snapshots live: a directory, relative to the working directory. Default `.millrace`. */
  readonly storage?: string
  /** Of the control API on 127.0.0.1. Default: any that is free. */
  readonly port?: number
  /** The address that the control API listens on. Default: '127.0.0.1'. Any beyond the loopback needs a token. */
  readonly host?: string
  /** What requests to the control API must know: 16 to 512 visible ASCII characters. Better in MILLRACE_TOKEN, or a file. */
  readonly token?: string
  /** A file with the token, that its owner alone may open. */
  readonly tokenFile?: string
}

/** Of the state backend `rocksdb`, for all slots of the process together. */
export interface RocksDbOptions {
  /** Of state in memory as JavaScript objects, an estimate; the slots have equal shares. At least '1kB'. Default '256MB'. */
  readonly cacheBytes?: Size
  /** Of native memory: block cache and write buffers. At least '16MB'. Default '256MB'. */
  readonly memoryBytes?: Size
  /**
   * Where working files go, relative to the working directory: on a local disk. They are never needed again. Default: where the operating
   * system keeps temporary files.
   */
  readonly directory?: string
}

export interface CheckpointingOptions {
  /** From the start of one checkpoint to the start of the next. Default '10s'. */
  readonly interval?: Duration
  /** A checkpoint that takes longer is aborted. Default '10m'. */
  readonly timeout?: Duration
  /** Least time from the end of one checkpoint to the start of the next. Default 0. */
  readonly minPause?: Duration
  /** Failed checkpoints in a row that the job survives. Default 10. */
  readonly tolerableFailures?: number
  /**
   * How many checkpoints are kept: the newest ones, and with a ladder also the newest of each of the last hours and days that have one.
   * Default 3.
   */
  readonly retain?: number | { readonly last?: number; readonly hourly?: number; readonly daily?: number }
  /** What becomes of the checkpoints when the job is cancelled. Default `retain`. */
  readonly onCancel?: 'retain' | 'delete'
  /** What becomes of them when a bounded job has finished. Default `delete`. */
  readonly onFinish?: 'retain' | 'delete'
  /** Write only what changed since the last checkpoint. Default true. */
  readonly incremental?: boolean
  /** Default `zstd`. */
  readonly compression?: 'zstd' | 'none'
  /** Make a savepoint of a checkpoint this often. Default: never. */
  readonly savepointEvery?: Duration
  /** How many of those are kept; savepoints that were asked for are never dropped. Default 7. */
  readonly keepSavepoints?: number
}

/** Restarts wait `initialDelay`, then `multiplier` times longer each time, up to `maxDelay`. */
export interface RestartOptions {
  /** `none`: the first failure fails the job. Default `exponential-delay`. */
  readonly strategy?: 'exponential-delay' | 'none'
  /** Default '1s'. */
  readonly initialDelay?: Duration
  /** Default '1m'. */
  readonly maxDelay?: Duration
  /** Default 2. */
  readonly multiplier?: number
  /** Each delay is varied at random by up to this fraction, 0 to 1. Default 0.1. */
  readonly jitter?: number
  /** After running this long without a failure the delay starts from `initialDelay` again. Default '1h'. */
  readonly resetAfter?: Duration
}
