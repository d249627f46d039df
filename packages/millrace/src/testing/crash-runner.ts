/**
 * Runs a program that keeps dying: starts it as a process group of its own, kills it with SIGKILL at a named failpoint, or some time
 * after a line of its output, and starts it again until it ends by itself.
 *
 *   start -> dies where its doom says -> start -> … -> (no dooms left) start -> exits with 0
 *
 * A doom that never comes is no failure here: the attempt then runs to its end, and the report says so. An exit with another code
 * than 0, a death that nobody ordered, too many attempts or too much time are failures; the error tells every attempt so far.
 */
import { spawn } from 'node:child_process'
import { performance } from 'node:perf_hooks'
import type { Failpoint } from '../base/failpoint.ts'

export interface CrashCommand {
  /** Path of the program; run by this process's own Node.js. */
  readonly script: string
  readonly args?: readonly string[]
  readonly cwd?: string
  /** Besides the environment of this process. */
  readonly env?: { readonly [name: string]: string }
}

export type Doom =
  /** Kills itself when it passes the failpoint for the `pass`-th time (default 1). The program must call `installFailpoints`. */
  | { readonly at: Failpoint; readonly pass?: number }
  /** Killed `delayMs` after the first line of its standard output that contains `after`; without `after`, after its start. */
  | { readonly after?: string; readonly delayMs: number }

export interface CrashAttempt {
  readonly doom: Doom | undefined
  readonly died: boolean
  /** Exit code, when it did not die. */
  readonly code: number | null
  /** Complete lines of its standard output. */
  readonly lines: readonly string[]
  readonly stderr: string
  readonly tookMs: number
}

export interface CrashReport {
  readonly attempts: readonly CrashAttempt[]
  /** Attempts that died. */
  readonly deaths: number
}

export interface CrashLimits {
  /** Default: as many as there are dooms, and 3. */
  readonly attempts?: number
  /** An attempt that takes longer hangs: it is killed, and that is a failure. Default 60 s. */
  readonly attemptMs?: number
}

/** Runs the program until it ends by itself, with one doom for each attempt, in order, and none for those that follow. */
export async function runUntilFinished(
  command: CrashCommand,
  dooms: readonly Doom[] = [],
  limits: CrashLimits = {},
): Promise<CrashReport> {
  const attempts: CrashAttempt[] = []
  const most = limits.attempts ?? dooms.length + 3
  for (;;) {
    const attempt = await runOnce(command, dooms[attempts.length], limits)
    attempts.push(attempt)
    if (!attempt.died && attempt.code !== 0) throw failure(attempts, `attempt ${attempts.length} failed`)
    if (!attempt.died) return { attempts, deaths: attempts.filter(each => each.died).length }
    if (attempts.length >= most) throw failure(attempts, `it did not finish within ${most} attempts`)
  }
}

/** Runs the program once. @throws when it hangs, or dies without a doom */
export async function runOnce(command: CrashCommand, doom?: Doom, limits: CrashLimits = {}): Promise<CrashAttempt> {
  const startedMs = performance.now()
  const environment: NodeJS.ProcessEnv = { ...process.env, ...command.env }
  if (doom !== undefined && 'at' in doom) environment['MILLRACE_FAILPOINT'] = `${doom.at}:${doom.pass ?? 1}`
  const child = spawn(process.execPath, [command.script, ...(command.args ?? [])], {
    cwd: command.cwd,
    env: environment,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  let rest = ''
  let stderr = ''
  let hangs = false
  const timers: NodeJS.Timeout[] = []
  const kill = (): void => killGroup(child.pid)
  const killAfter = (delayMs: number): void => void timers.push(setTimeout(kill, delayMs))
  let awaited: { readonly after: string; readonly delayMs: number } | undefined
  if (doom !== undefined && 'delayMs' in doom) {
    if (doom.after === undefined) killAfter(doom.delayMs)
    else awaited = { after: doom.after, delayMs: doom.delayMs }
  }
  let secondsLeft = (limits.attemptMs ?? ATTEMPT_MS) / 1000
  const watch = setInterval(() => {
    if (--secondsLeft > 0) return
    hangs = true
    kill()
  }, 1000)
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop()!
    lines.push(...parts)
    if (awaited === undefined || !parts.some(line => line.includes(awaited!.after))) return
    killAfter(awaited.delayMs)
    awaited = undefined
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const { code, signal } = await new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal }))
  })
  clearInterval(watch)
  for (const timer of timers) clearTimeout(timer)
  const attempt = { doom, died: signal === 'SIGKILL', code, lines, stderr, tookMs: performance.now() - startedMs }
  if (hangs) throw failure([attempt], 'it hangs')
  if (signal !== null && (signal !== 'SIGKILL' || doom === undefined)) throw failure([attempt], `it died by ${signal}`)
  return attempt
}

/** Counted in ticks: while a machine stands still (a paused virtual one does) neither this process nor the other one gets on. */
const ATTEMPT_MS = 60_000

/** The whole group, so that nothing outlives it that holds its lock or writes its files. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    // It ended by itself meanwhile.
    if ((error as { readonly code?: string }).code !== 'ESRCH') throw error
  }
}

/** Where an attempt died or how it ended, for messages: `killed at manifest.after-link:2`, `exit 1`. */
export function describeAttempt({ doom, died, code, tookMs }: CrashAttempt): string {
  const where = doom === undefined ? '' : ` ${describeDoom(doom)}`
  return `${died ? `killed${where}` : `exit ${code}${doom === undefined ? '' : `, not killed${where}`}`} (${Math.round(tookMs)} ms)`
}

function describeDoom(doom: Doom): string {
  if ('at' in doom) return `at ${doom.at}:${doom.pass ?? 1}`
  return `${doom.delayMs} ms after ${doom.after === undefined ? 'its start' : `'${doom.after}'`}`
}

function failure(attempts: readonly CrashAttempt[], what: string): Error {
  const last = attempts.at(-1)!
  const story = attempts.map((attempt, i) => `  ${i + 1}. ${describeAttempt(attempt)}`)
  return new Error([what, ...story, ...last.lines.slice(-20), last.stderr].join('\n'))
}
