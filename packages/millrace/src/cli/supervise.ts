/**
 * `millrace run JOB.ts --supervise`: runs the same command in a child process and starts it again whenever that process dies. No code
 * of the job runs in this one, so that nothing a job does can take it along.
 *
 *   running -> (the process died) waiting for the delay -> running -> … -> (the command came to an end of its own) exit
 *
 * The child has this process's standard streams; what is said here stands between what two children said.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { messageOf } from '../base/errors.ts'
import { resolveOptions, type ResolvedRestart } from '../host/options.ts'
import { startDelays, type DelayState } from '../host/restart-strategy.ts'
import { warningText, whenReaderGone } from './output.ts'
import type { RunFlags } from './run.ts'
import { STOP_SIGNALS } from './signals.ts'
import { WIPE } from './status-line.ts'
import { SUPERVISED, type FromSupervised, type ToSupervised } from './supervised.ts'
import { childArguments, deathJson, deathLine, decideNext, type ProcessEnd } from './supervision.ts'

/** Resolves, with the exit status of the command set, when there is nothing more to start. */
export async function supervise(file: string, flags: RunFlags): Promise<void> {
  // The child notices it too, and ends; what is written here is not worth ending it.
  whenReaderGone(() => undefined)
  process.exitCode = await new Supervision(file, flags).run()
}

class Supervision {
  private readonly file: string
  private readonly flags: RunFlags
  /** Those of the job, once a child has told them. */
  private options: ResolvedRestart = resolveOptions({}).restart
  private delays: DelayState | undefined
  private child: ChildProcess | undefined
  private isReady = false
  private isChosen = false
  private isStopping = false
  private endPause: () => void = () => undefined

  constructor(file: string, flags: RunFlags) {
    this.file = file
    this.flags = flags
  }

  /** @returns the exit status */
  async run(): Promise<number> {
    for (const signal of STOP_SIGNALS) process.on(signal, () => this.receive(signal))
    for (;;) {
      const startedMs = Date.now()
      const end = await this.runChild().catch((error: unknown) => notStarted(error))
      this.delays ??= startDelays(this.options, startedMs)
      const next = decideNext(end, this.isStopping, this.options, this.delays, Date.now(), Math.random())
      if (next.kind === 'exit') return next.status
      const delayMs = next.kind === 'restart' ? next.delayMs : undefined
      this.tell(deathJson(end, delayMs), warningText(deathLine(end, delayMs)))
      if (next.kind === 'give-up') return next.status
      this.delays = next.delays
      await this.pause(next.delayMs)
      if (this.isStopping) {
        this.tell({ type: 'ended', outcome: 'stopped' }, 'stopped before the next start; run again to go on')
        return 0
      }
    }
  }

  /** Resolves when the process has ended and all that it told has been heard. */
  private runChild(): Promise<ProcessEnd> {
    const args = childArguments(this.file, this.flags, this.isChosen)
    this.isReady = false
    const child = spawn(process.execPath, [...process.execArgv, process.argv[1], ...args], {
      stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, [SUPERVISED]: '1' },
    })
    this.child = child
    child.on('message', message => this.hear(message as FromSupervised))
    return new Promise((resolve, reject) => {
      child.on('error', error => {
        if (child.pid === undefined) reject(error)
      })
      child.on('close', (code, signal) => resolve({ code, signal }))
    })
  }

  private hear(message: FromSupervised | undefined | null): void {
    if (message?.millrace === 'ready') {
      this.isReady = true
      this.options = message.restart
    } else if (message?.millrace === 'started') this.isChosen = true
  }

  /**
   * A terminal sends a signal to both processes. The first one is passed on as a message, which, however late it comes, is never taken
   * for a second signal. A child that does not listen yet is ended by the signal itself, as it would be without a supervisor.
   */
  private receive(signal: NodeJS.Signals): void {
    const isFirst = !this.isStopping
    this.isStopping = true
    this.endPause()
    if (isFirst && this.isReady) this.child?.send({ millrace: 'stop' } satisfies ToSupervised, () => undefined)
    else this.child?.kill(signal)
  }

  private async pause(ms: number): Promise<void> {
    if (this.isStopping) return
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, ms)
      this.endPause = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  private tell(json: object, text: string): void {
    if (this.flags.json) process.stdout.write(`${JSON.stringify(json)}\n`)
    // A process that was killed leaves its progress line on the terminal.
    else process.stderr.write(`${process.stderr.isTTY ? WIPE : ''}${text}\n`)
  }
}

function notStarted(error: unknown): ProcessEnd {
  return { code: null, signal: null, error: messageOf(error) }
}
