/** Starting a job: for the command line, and for `run(job, options)` of a program (control/run.ts). */
import { pathToFileURL } from 'node:url'
import { resolve } from 'node:path'
import { buildGraph, assertJobName, type JobDefinition, type JobOptions, type Params } from '../api/index.ts'
import { MillraceError } from '../base/errors.ts'
import { planJob } from '../graph/index.ts'
import { chooseDiskStore } from '../state/rocksdb/open-disk-store.ts'
import { localStorage } from '../store/local/index.ts'
import { memoryStorage } from '../store/memory/index.ts'
import type { Storage } from '../store/contract.ts'
import { withDrySinks } from './dry-run.ts'
import type { JobOutcome, OnJobEvent } from './events.ts'
import { inPlaceSlots } from './in-place-slot.ts'
import type { Rescaled, Savepoint, SavepointOptions, StopOptions, Stopped } from './job-requests.ts'
import { JobRunner } from './job-runner.ts'
import type { JobStatus } from './job-status.ts'
import { resolveOptions, type ResolvedOptions } from './options.ts'
import type { SlotFactory } from './slot-port.ts'
import { findStartPoint } from './start-point.ts'
import { threadedSlots } from './threaded-slot.ts'
import { systemWorld } from './world.ts'

export interface RunOptions<P extends Params = Params> extends JobOptions<P> {
  /** A directory, or a Storage (`millrace/testing` has `memoryStorage()`). Default: in memory, gone with the process. */
  readonly storage?: string | Storage
  /** Run under this name instead of the job's own. */
  readonly as?: string
  /** Start clean. Older checkpoints stay for `from`. */
  readonly fresh?: boolean
  /**
   * Start from this snapshot: 'chk-42', 'latest', another job's 'JOB/chk-42', or the path of a manifest or of a self-contained folder.
   * One that is not the job's own is taken over first: the job then has files of its own.
   */
  readonly from?: string
  /** State of the snapshot that the job has no place for may go. */
  readonly allowDroppedState?: boolean
  /**
   * `import.meta.url` of the module that exports the job as default: its slots then run in threads of their own, which import it.
   * Needed above parallelism 1.
   */
  readonly module?: string
  /** `dry-run`: sinks count what they would write, and drop it. What is counted stands in the progress of `status()`. */
  readonly sinks?: 'commit' | 'dry-run'
  /** Port of the control API on 127.0.0.1. Default: the job is controlled by this handle alone. */
  readonly port?: number
  /** The address that it listens on. Default: 127.0.0.1. Any beyond the loopback needs a token. */
  readonly host?: string
  /** What requests to it must know: 16 to 512 visible ASCII characters. */
  readonly token?: string
  /** A file with the token, that its owner alone may open. */
  readonly tokenFile?: string
  readonly onEvent?: OnJobEvent
}

export interface JobHandle {
  readonly job: string
  /** Resolves when the job has ended as it should; rejects with a MillraceError when it failed. */
  readonly finished: Promise<JobOutcome>
  /** A checkpoint now. Resolves with its name once it is complete. */
  checkpoint(): Promise<{ readonly id: string }>
  /**
   * A checkpoint now, pinned: it holds everything before the call, and stays until its owner deletes it. With `to` it is also written to
   * a folder that needs nothing else, while the job goes on.
   */
  savepoint(options?: SavepointOptions): Promise<Savepoint>
  /**
   * A final checkpoint, sinks committed, and out. Rejects with STOP_FAILED when the checkpoint fails; the job then goes on from its latest
   * one, unless it must end.
   */
  stop(options?: StopOptions): Promise<Stopped>
  /** Ends without a checkpoint. */
  cancel(): Promise<void>
  /**
   * Goes on at another parallelism, from 1 to `maxParallelism`: a checkpoint, then new slots that start from it. On an error the job goes
   * on as it was.
   */
  rescale(parallelism: number): Promise<Rescaled>
  status(): JobStatus
  /** Rows that a `memory()` sink has committed so far. */
  rows(sink: string): readonly any[]
}

/** What `start` is given when a program runs the job: `run()` in control/run.ts. @throws OPTION_INVALID */
export function startOptionsOf<P extends Params>(job: JobDefinition<P>, options: RunOptions<P>): StartOptions {
  const { storage, as, fresh, from, allowDroppedState, module, sinks, onEvent, ...jobOptions } = options
  const resolved = resolveOptions({ run: jobOptions, env: process.env, job: job.options })
  return { job, options: resolved, storage, as, fresh, from, allowDroppedState, module, sinks, onEvent }
}

export interface StartOptions {
  readonly job: JobDefinition<any>
  readonly options: ResolvedOptions
  readonly storage: string | Storage | undefined
  readonly as: string | undefined
  readonly fresh: boolean | undefined
  readonly from: string | undefined
  readonly allowDroppedState: boolean | undefined
  readonly module: string | undefined
  readonly sinks: 'commit' | 'dry-run' | undefined
  readonly onEvent: OnJobEvent | undefined
  /** Before the job takes its lock: from now on it can say what it is doing. */
  readonly onStarting?: (runner: JobRunner) => void
}

/** A job that has started: what its user holds, and what the control API works on. */
export interface StartedJob {
  readonly handle: JobHandle
  readonly runner: JobRunner
}

/**
 * Resolves once records flow.
 * @throws OPTION_INVALID, JOB_LOCKED, STATE_INCOMPATIBLE, STATE_DROPPED, NO_USABLE_SNAPSHOT, … and whatever keeps it from starting
 */
export async function start(options: StartOptions): Promise<StartedJob> {
  const resolved = options.options
  if (options.fresh === true && options.from !== undefined) {
    throw new MillraceError('OPTION_INVALID', 'fresh and from exclude each other: start clean, or from a snapshot')
  }
  if (resolved.parallelism > 1 && options.module === undefined) {
    throw new MillraceError(
      'OPTION_INVALID',
      `parallelism is ${resolved.parallelism}: above 1 the job runs in threads, which have to import it; pass { module: import.meta.url } from the module that exports it as default`,
    )
  }
  const name = options.as ?? options.job.name
  assertJobName(name)
  const job = { ...options.job, name }
  const isDryRun = options.sinks === 'dry-run'
  const described = buildGraph(job, resolved.params)
  const graph = planJob(isDryRun ? withDrySinks(described) : described)
  const storage = storageOf(options.storage ?? resolved.storage)
  const store = storage.job(name)
  const onEvent: OnJobEvent = options.onEvent ?? (() => undefined)
  for (const message of resolved.warnings) onEvent({ type: 'log', level: 'warn', message })
  if (resolved.stateBackend === 'rocksdb') {
    const { notice } = chooseDiskStore()
    if (notice !== undefined) onEvent({ type: 'log', level: 'warn', message: notice })
  }
  const point = options.from === undefined ? undefined : await findStartPoint(options.from, storage, name)
  const runner = new JobRunner({
    job: name,
    graph,
    options: resolved,
    request: {
      ...(options.fresh === true && { fresh: true }),
      ...(point?.kind === 'own' && { from: point.ref }),
    },
    adopt: point?.kind === 'other' ? point.find : undefined,
    allowDroppedState: options.allowDroppedState ?? false,
    store,
    slots: slotsOf(),
    world: systemWorld,
    onEvent,
  })
  options.onStarting?.(runner)
  await runner.start()
  const handle: JobHandle = {
    job: name,
    finished: runner.finished,
    checkpoint: async () => ({ id: `chk-${await runner.checkpoint()}` }),
    savepoint: savepointOptions => runner.savepoint(savepointOptions),
    stop: stopOptions => runner.stop(stopOptions),
    cancel: () => runner.cancel(),
    rescale: parallelism => runner.rescale(parallelism),
    status: () => runner.status(),
    rows: sink => runner.rowsOf(sink),
  }
  return { handle, runner }

  function slotsOf(): SlotFactory {
    if (options.module === undefined) return inPlaceSlots(graph, store)
    return threadedSlots({
      module: moduleUrl(options.module),
      job: name,
      params: resolved.params,
      fingerprint: graph.fingerprint,
      isDryRun,
      storage,
    })
  }
}

function storageOf(storage: string | Storage | undefined): Storage {
  if (storage === undefined) return memoryStorage()
  return typeof storage === 'string' ? localStorage(resolve(storage)) : storage
}

function moduleUrl(module: string): string {
  return module.startsWith('file:') ? module : pathToFileURL(resolve(module)).href
}
