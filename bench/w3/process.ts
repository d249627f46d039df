/** Starts child.ts and follows it, as a user would who may kill it. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ChildOptions, FromChild } from './child.ts'

export interface Watch {
  /** All complete checkpoints of this process. */
  readonly checkpoints: number
  /** Rows of all subtasks since the fresh start, as far as they were reported. */
  readonly rows: number
  /** From the start of the process to its first row; undefined until there was one. */
  readonly firstRowMs: number | undefined
  /** From the start of the process to the newest report. */
  readonly sinceStartMs: number
  /** Once it has finished. */
  readonly checksum: string | undefined
  /** Of all segments that the newest checkpoint names. */
  readonly stateBytes: number | undefined
}

/**
 * Runs the job in a new process, and kills it with SIGKILL as soon as `enough` says so; it is asked at every sign of life. Resolves once the
 * process is gone, with what it came to.
 * @throws when the process fails by itself
 */
export async function runChild(options: ChildOptions, enough: (watch: Watch) => boolean): Promise<Watch> {
  const args = [...process.execArgv, join(import.meta.dirname, 'child.ts'), JSON.stringify(options)]
  const startedMs = Date.now()
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const gone = new Promise<number | null>(resolve => child.once('close', resolve))
  const rows = new Map<number, number>()
  let watch: Watch = {
    checkpoints: 0,
    rows: 0,
    firstRowMs: undefined,
    sinceStartMs: 0,
    checksum: undefined,
    stateBytes: undefined,
  }
  for await (const line of createInterface({ input: child.stdout })) {
    const message = JSON.parse(line) as FromChild
    if (message.type === 'checkpoint')
      watch = { ...watch, checkpoints: watch.checkpoints + 1, stateBytes: message.bytes }
    else if (message.type === 'finished') watch = { ...watch, checksum: message.checksum }
    else {
      rows.set(message.subtask, message.rows)
      const total = [...rows.values()].reduce((sum, count) => sum + count, 0)
      const sinceStartMs = message.atMs - startedMs
      watch = { ...watch, rows: total, sinceStartMs, firstRowMs: watch.firstRowMs ?? sinceStartMs }
    }
    if (!enough(watch)) continue
    child.kill('SIGKILL')
    break
  }
  const status = await gone
  if (status !== null && status !== 0) throw new Error(`the process of the state job ended with status ${status}`)
  return watch
}
