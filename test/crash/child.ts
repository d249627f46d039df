/**
 * The process that dies: runs one job file in a thread, as `millrace run` does, and prints what happens, a line each.
 *
 *   node child.ts JOB.ts '{ "dir": …, … }'
 */
import { pathToFileURL } from 'node:url'
import { run, type Json, type RunOptions } from 'millrace'
import { installFailpoints } from '../../packages/millrace/src/host/crash.ts'
import { importJob } from '../../packages/millrace/src/host/job-module.ts'

export interface ChildOptions {
  /** Holds `input`, `out` and `store`. */
  readonly dir: string
  readonly everyMs?: number
  readonly intervalMs?: number
  readonly fresh?: boolean
  readonly maxParallelism?: number
  readonly checkpointing?: { readonly [option: string]: Json }
  /** Stop, or cancel, once so many checkpoints were completed. */
  readonly stopAfter?: number
  readonly cancelAfter?: number
}

const [file, text] = process.argv.slice(2)
const {
  dir,
  everyMs = 0,
  intervalMs = 25,
  fresh,
  maxParallelism,
  checkpointing,
  stopAfter,
  cancelAfter,
} = JSON.parse(text!) as ChildOptions
const module = pathToFileURL(file!).href
installFailpoints()
const job = await importJob(module)
say('starting')

let checkpoints = 0
const options: RunOptions = {
  storage: `${dir}/store`,
  module,
  params: { dir, everyMs },
  checkpointing: { interval: intervalMs, ...checkpointing },
  ...(fresh !== undefined && { fresh }),
  ...(maxParallelism !== undefined && { maxParallelism }),
  onEvent(event) {
    if (event.type === 'started')
      say(
        `started ${event.decision.kind} ${event.manifest?.id ?? 0} ${event.decision.kind === 'fresh' ? event.decision.reason : ''}`,
      )
    else if (event.type === 'checkpoint') {
      say(
        `checkpoint ${event.outcome.id} ${event.outcome.outcome} ${event.outcome.trigger} ${event.outcome.error ?? ''}`,
      )
      if (event.outcome.outcome === 'complete') checkpoints++
    } else if (event.type === 'log') say(`${event.level} ${event.message}`)
    else if (event.type === 'restarting') say(`restarting ${event.error.code} ${event.error.message}`)
    else if (event.type !== 'progress') say(event.type)
    if (checkpoints === stopAfter) setImmediate(() => void handle.stop())
    if (checkpoints === cancelAfter) setImmediate(() => void handle.cancel())
  },
}
const handle = await run(job, options)
say(`outcome ${await handle.finished}`)

/** Written at once: a line that is in a buffer when the process dies is lost. */
function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
