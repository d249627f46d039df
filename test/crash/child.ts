/**
 * The process that dies: runs one job file in a thread, as `millrace run` does, and prints what happens, a line each.
 *
 *   node child.ts JOB.ts '{ "fresh": true, … }'     in a directory that has `input`; makes `out` and `store` there
 */
import { rmSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { run, type JobEvent, type Json } from 'millrace'
import { installFailpoints } from '../../packages/millrace/src/host/crash.ts'
import { importJob } from '../../packages/millrace/src/host/job-module.ts'

export interface ChildOptions {
  /** Between two blocks of records; 0: as fast as it goes. */
  readonly everyMs?: number
  readonly intervalMs?: number
  readonly fresh?: boolean
  readonly parallelism?: number
  readonly maxParallelism?: number
  /** Default: the heap. On disk next to nothing of it is in memory. */
  readonly stateBackend?: 'heap' | 'rocksdb'
  readonly checkpointing?: { readonly [option: string]: Json }
  /** Stop, or cancel, once so many checkpoints were completed. */
  readonly stopAfter?: number
  readonly cancelAfter?: number
  /** Make one savepoint after the other, each written to the folder `savepoint`. */
  readonly savepoints?: boolean
}

const [file, text] = process.argv.slice(2)
const {
  everyMs = 0,
  intervalMs = 25,
  checkpointing,
  stopAfter,
  cancelAfter,
  savepoints = false,
  ...options
}: ChildOptions = JSON.parse(text)
const module = pathToFileURL(file).href
installFailpoints()
const job = await importJob(module)
say('starting')

let completed = 0
let isMakingSavepoint = false
const handle = await run(job, {
  ...options,
  state: { rocksdb: { cacheBytes: 4096, memoryBytes: '16MiB' } },
  storage: 'store',
  module,
  params: { everyMs },
  checkpointing: { interval: intervalMs, ...checkpointing },
  onEvent(event) {
    const line = lineOf(event)
    if (line !== undefined) say(line)
    if (event.type !== 'checkpoint' || event.outcome.outcome !== 'complete') return
    completed++
    say(`completed ${completed}`)
    if (completed === stopAfter) void handle.stop()
    if (completed === cancelAfter) void handle.cancel()
    if (savepoints) void makeSavepoint()
  },
})
say(`outcome ${await handle.finished}`)

async function makeSavepoint(): Promise<void> {
  if (isMakingSavepoint) return
  isMakingSavepoint = true
  rmSync('savepoint', { recursive: true, force: true })
  // The job may end meanwhile.
  await handle.savepoint({ to: 'savepoint' }).catch(() => undefined)
  isMakingSavepoint = false
}

function lineOf(event: JobEvent): string | undefined {
  switch (event.type) {
    case 'started': {
      const { decision, manifest } = event
      return `started ${decision.kind} ${manifest === undefined ? (decision as { reason: string }).reason : manifest.id}`
    }
    case 'checkpoint': {
      const { id, outcome, trigger, error } = event.outcome
      return `checkpoint ${id} ${outcome} ${trigger}${error === undefined ? '' : ` ${error}`}`
    }
    case 'log':
      return `${event.level} ${event.message}`
    case 'restarting':
      return `restarting ${event.error.code} ${event.error.message}`
    case 'progress':
      return undefined
    default:
      return event.type
  }
}

/** Written at once: a line that is in a buffer when the process dies is lost. */
function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
