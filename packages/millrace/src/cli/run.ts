/** `millrace run JOB.ts`: runs a job in the foreground until it has finished, is stopped by a signal, or fails. */
import { existsSync, readdirSync } from 'node:fs'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { MillraceError } from '../base/errors.ts'
import { startControlled } from '../control/run.ts'
import { closest } from '../host/closest.ts'
import { installFailpoints } from '../host/crash.ts'
import { importJob } from '../host/job-module.ts'
import { resolveOptions, type OptionSources } from '../host/options.ts'
import type { JobHandle } from '../host/run.ts'
import { loadConfig } from './config.ts'
import { FAILED } from './exit-codes.ts'
import { whenReaderGone, type OutputOptions } from './output.ts'
import { RunDisplay } from './run-display.ts'
import { onStopSignals } from './signals.ts'
import { DEFAULT_STORAGE, isFile } from './storage.ts'
import { findSupervisor, type Supervisor } from './supervised.ts'

export interface RunFlags extends OutputOptions {
  readonly parallelism?: string
  readonly storage?: string
  readonly stateBackend?: string
  readonly checkpointInterval?: string
  readonly port?: string
  readonly host?: string
  readonly tokenFile?: string
  readonly set?: readonly string[]
  readonly fresh?: boolean
  readonly from?: string
  readonly as?: string
  readonly allowDroppedState?: boolean
  readonly sinks?: 'commit' | 'dry-run'
}

/** Resolves, with exit status 0 set, when the job has ended as it should. @throws whatever keeps it from starting, or makes it fail */
export async function run(file: string, flags: RunFlags): Promise<void> {
  installFailpoints()
  const supervisor = findSupervisor()
  const module = jobFile(file)
  const job = await importJob(module)
  const sources = await sourcesOf(flags, job.options)
  const name = flags.as ?? job.name
  const options = resolveOptions(sources)
  const storage = resolve(options.storage ?? DEFAULT_STORAGE)
  const display = new RunDisplay({
    json: flags.json,
    verbose: flags.verbose,
    job: name,
    isFrom: flags.from !== undefined,
    isDryRun: flags.sinks === 'dry-run',
  })
  const stopper = new Stopper(display, supervisor)
  supervisor?.tell({ millrace: 'ready', restart: options.restart })
  try {
    const handle = await startControlled({
      job,
      options,
      storage,
      as: flags.as,
      fresh: flags.fresh,
      from: flags.from,
      allowDroppedState: flags.allowDroppedState,
      module,
      sinks: flags.sinks,
      onEvent: event => {
        if (event.type === 'started') supervisor?.tell({ millrace: 'started' })
        display.receive(event)
      },
    })
    stopper.take(handle)
    display.ended(await handle.finished)
    process.exitCode = 0
  } finally {
    display.close()
  }
}

/** The URL of the job file. @throws JOB_MODULE_INVALID */
export function jobFile(file: string): string {
  const path = resolve(file)
  if (isFile(path)) return pathToFileURL(path).href
  const found = existsSync(path) ? `${path} is a directory, not a job file` : `there is no job file ${path}`
  const meant = closestFile(path)
  throw new MillraceError('JOB_MODULE_INVALID', `${found}${meant === undefined ? '' : `; did you mean ${meant}?`}`, {
    hint: 'Name the job file, such as millrace run word-count.ts.',
  })
}

function closestFile(path: string): string | undefined {
  const folder = dirname(path)
  if (!existsSync(folder)) return undefined
  const names = readdirSync(folder).filter(name => ['.ts', '.mts', '.js', '.mjs'].includes(extname(name)))
  const meant = closest(basename(path), names)
  return meant === undefined ? undefined : join(folder, meant)
}

/** Where the options of a run come from, beside their defaults. */
export async function sourcesOf(flags: Partial<RunFlags>, job: OptionSources['job']): Promise<OptionSources> {
  const { parallelism, stateBackend, storage, checkpointInterval, port, host, tokenFile, set } = flags
  // Of the crash tests, not of the job.
  const { MILLRACE_FAILPOINT: _, ...env } = process.env
  return {
    cli: { parallelism, stateBackend, storage, port, host, tokenFile, 'checkpointing.interval': checkpointInterval },
    set,
    env,
    config: await loadConfig(),
    job,
  }
}

/** Stops the job at the first signal, or when its supervisor says so, also when that is before the job has started. */
class Stopper {
  private readonly display: RunDisplay
  private handle: JobHandle | undefined
  private isAsked = false

  constructor(display: RunDisplay, supervisor: Supervisor | undefined) {
    this.display = display
    const ask = onStopSignals(
      () => this.ask(),
      () => display.close(),
    )
    supervisor?.onStop(ask)
    // A job whose own output goes there cannot make its final checkpoint any more: it is left as it is.
    whenReaderGone(() => {
      this.ask()
      setTimeout(() => process.exit(FAILED), READER_GONE_TIMEOUT_MS).unref()
    })
  }

  take(handle: JobHandle): void {
    this.handle = handle
    if (this.isAsked) this.stop()
  }

  private ask(): void {
    if (this.isAsked) return
    this.isAsked = true
    this.display.stopping()
    if (this.handle !== undefined) this.stop()
  }

  private stop(): void {
    // A failure of the final checkpoint is the job's failure, and reported as that.
    this.handle!.stop({ mustEnd: true }).catch(() => undefined)
  }
}

const READER_GONE_TIMEOUT_MS = 5000
