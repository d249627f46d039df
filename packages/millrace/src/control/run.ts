/**
 * Starting a job together with its control API. The address is published in the job's lock, where other processes find it; the server
 * lives as long as the job.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { JobDefinition, Params } from '../api/index.ts'
import { messageOf } from '../base/errors.ts'
import {
  start,
  startOptionsOf,
  type JobHandle,
  type RunOptions,
  type StartedJob,
  type StartOptions,
} from '../host/run.ts'
import type { JobRunner } from '../host/job-runner.ts'
import type { ControlServer } from './server.ts'
import { readToken } from './token.ts'

/** Loading the server takes some 40 ms: not while the first rows are on their way, and not for a job that is done by then. */
const OPEN_AFTER_MS = 250

/**
 * Starts a job and resolves once its records flow. It goes on from its newest snapshot in `storage` unless told otherwise.
 * Options given here win over all other sources, in this order: these, MILLRACE_ variables, those of defineJob, defaults.
 * @throws OPTION_INVALID, PORT_TAKEN, JOB_LOCKED, STATE_INCOMPATIBLE, STATE_DROPPED, NO_USABLE_SNAPSHOT, … and whatever keeps it from starting
 */
export async function run<P extends Params>(job: JobDefinition<P>, options: RunOptions<P> = {}): Promise<JobHandle> {
  const startOptions = startOptionsOf(job, options)
  const { port } = startOptions.options
  return port === undefined ? (await start(startOptions)).handle : startOnPort(startOptions, port)
}

/** With a control API in any case: on the port that the options say, else, once records flow, on any that is free. */
export async function startControlled(options: StartOptions): Promise<JobHandle> {
  const { port } = options.options
  // A token that cannot be used is to be known before anything happens.
  readToken(options.options)
  if (port !== undefined) return startOnPort(options, port)
  const early = new EarlyServer(options)
  try {
    const started = await start(early.options)
    early.attach(started).catch((error: unknown) => warn(options, error))
    return started.handle
  } catch (error) {
    await early.close()
    throw error
  }
}

/** The port is taken before the job starts: one that is not free is to be known before anything happens. */
async function startOnPort(options: StartOptions, port: number): Promise<JobHandle> {
  const server = await listen(options, port)
  try {
    const started = await start({ ...options, onStarting: runner => server.watch(runner) })
    await serve(started, server).catch((error: unknown) => warn(options, error))
    return started.handle
  } catch (error) {
    await server.close()
    throw error
  }
}

/** On any port, once records flow; sooner when loading the snapshot takes long, so that others can see how far that is. */
class EarlyServer {
  /** To start the job with. */
  readonly options: StartOptions
  private runner: JobRunner | undefined
  /** Undefined: none was needed yet. */
  private opened: Promise<ControlServer> | undefined

  constructor(options: StartOptions) {
    this.options = {
      ...options,
      onStarting: runner => {
        this.runner = runner
      },
      onEvent: event => {
        if (event.type === 'restoring') this.open()
        options.onEvent?.(event)
      },
    }
  }

  private open(): void {
    if (this.opened !== undefined) return
    this.opened = listen(this.options, 0)
    this.opened.then(server => this.publish(server)).catch((error: unknown) => warn(this.options, error))
  }

  private async publish(server: ControlServer): Promise<void> {
    server.watch(this.runner!)
    await this.runner!.publishControl(server.address)
  }

  async attach(started: StartedJob): Promise<void> {
    const ended = started.handle.finished.then(
      () => true,
      () => true,
    )
    if (this.opened === undefined && (await Promise.race([ended, pause(OPEN_AFTER_MS, false, { ref: false })]))) return
    this.opened ??= listen(this.options, 0)
    await serve(started, await this.opened)
  }

  async close(): Promise<void> {
    await (await this.opened?.catch(() => undefined))?.close()
  }
}

/** The server's code is loaded here, so that a job which nobody controls starts without it. */
async function listen({ as, job, options }: StartOptions, port: number): Promise<ControlServer> {
  const token = readToken(options)
  const { ControlServer } = await import('./server.ts')
  return ControlServer.listen(as ?? job.name, port, { host: options.host, token })
}

/** Resolves once others can find it. */
async function serve({ handle, runner }: StartedJob, server: ControlServer): Promise<void> {
  const close = (): Promise<void> => server.close()
  handle.finished.then(close, close)
  server.attach(runner)
  await runner.publishControl(server.address)
}

/** The job itself is well. */
function warn({ onEvent }: StartOptions, error: unknown): void {
  onEvent?.({ type: 'log', level: 'warn', message: `other processes cannot control this job: ${messageOf(error)}` })
}
