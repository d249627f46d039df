/**
 * A temporary folder in which the real command is run, as a user would: `node bin/millrace.js …` in a process of its own. Job files in
 * it import 'millrace' through a link in node_modules.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'

const PACKAGE = join(import.meta.dirname, '../../packages/millrace')
const LAUNCHER = join(PACKAGE, 'bin/millrace.js')
/** Far more than any of these commands takes, so that a hang fails one test and not the whole run. */
const LIMIT_MS = 30_000

export interface Result {
  /** null when a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export class Sandbox {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-cli-')))
  private readonly running = new Set<Running>()

  constructor() {
    mkdirSync(join(this.folder, 'node_modules'))
    symlinkSync(PACKAGE, join(this.folder, 'node_modules/millrace'))
    after(async () => {
      await Promise.all([...this.running].map(each => each.end('SIGKILL')))
      rmSync(this.folder, { recursive: true, force: true })
    })
  }

  path(...parts: string[]): string {
    return join(this.folder, ...parts)
  }

  write(name: string, content: string | Uint8Array): string {
    writeFileSync(this.path(name), content)
    return name
  }

  /** A job file with everything imported that jobs of these tests use. `text` is what follows. */
  job(name: string, text: string): string {
    const imports = `import { blackhole, collection, console as show, count, defineJob, files, generator, sum, value } from 'millrace'\n`
    return this.write(name, imports + text)
  }

  start(args: string, env: NodeJS.ProcessEnv = {}): Running {
    const child = spawn(process.execPath, [LAUNCHER, ...args.split(' ').filter(arg => arg !== '')], {
      cwd: this.folder,
      env: { ...process.env, NODE_DISABLE_COLORS: '1', ...env },
    })
    return this.watch(child, args)
  }

  private watch(child: ChildProcess, args: string): Running {
    const running = new Running(child, args)
    this.running.add(running)
    child.on('close', () => this.running.delete(running))
    return running
  }

  /** Runs the command on a terminal of its own (util-linux `script`); everything it writes comes as `stdout`, with CR LF. */
  startOnTerminal(args: string, columns = 80): Running {
    const command = `stty cols ${columns}; exec '${process.execPath}' '${LAUNCHER}' ${args}`
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      cwd: this.folder,
      env: { ...process.env, NO_COLOR: '1' },
    })
    return this.watch(child, args)
  }

  run(args: string, env?: NodeJS.ProcessEnv): Promise<Result> {
    return this.start(args, env).result
  }

  /** Runs the command with --json, which must exit with `code`, and returns what it printed. */
  async json(args: string, code = 0): Promise<any> {
    const result = await this.run(`${args} --json`)
    assert.equal(result.code, code, result.stdout + result.stderr)
    assert.equal(result.stderr, '')
    return JSON.parse(result.stdout)
  }

  /** Lines of all visible files of a folder. */
  lines(folder: string): string[] {
    const names = readdirSync(this.path(folder)).filter(name => !name.startsWith('.'))
    return names.toSorted().flatMap(name => readFileSync(this.path(folder, name), 'utf8').split('\n').filter(Boolean))
  }
}

/** A command that is under way. */
export class Running {
  readonly child: ChildProcess
  readonly result: Promise<Result>
  stdout = ''
  stderr = ''

  constructor(child: ChildProcess, args: string) {
    this.child = child
    const timeout = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS)
    child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.stdout += text))
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    this.result = once(child, 'close').then(([code, signal]) => {
      clearTimeout(timeout)
      assert.notEqual(
        child.killed && signal === 'SIGKILL' && !this.isEnded,
        true,
        `millrace ${args} hung\n${this.stdout}${this.stderr}`,
      )
      return {
        code: code as number | null,
        signal: signal as NodeJS.Signals | null,
        stdout: this.stdout,
        stderr: this.stderr,
      }
    })
    this.result.catch(() => undefined)
  }

  private isEnded = false

  /** Resolves once output and messages so far match. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout + this.stderr)
      if (match !== null) return match
      assert.equal(this.child.exitCode, null, `it ended without ${pattern}\n${this.stdout}${this.stderr}`)
      const { stdout, stderr } = this.child
      await Promise.race([once(stdout!, 'data'), once(stderr!, 'data'), once(this.child, 'close')])
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  /** Sends a signal that ends it and waits for the end. */
  async end(signal: NodeJS.Signals): Promise<Result> {
    this.isEnded = true
    this.child.kill(signal)
    return this.result
  }
}

/** An endless job that counts into keyed state and writes files, with a checkpoint every 100 ms. */
export const ENDLESS = `
export default defineJob('endless', flow => {
  flow.source('numbers', generator({ next: i => i, rate: 2000 }))
    .keyBy(i => i % 10).aggregate('counts', count()).sink('out', files.writeJson('out'))
}, { checkpointing: { interval: 100 } })`

/** Three words, counted. */
export const WORDS = `
export default defineJob('words', flow => {
  flow.source('words', collection(['a', 'b', 'a'])).keyBy(word => word).aggregate('counts', count()).sink('out', files.writeJson('out'))
})`
