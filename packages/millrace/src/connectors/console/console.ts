/**
 * A sink that prints. Records appear at once, not when their checkpoint completes: at-least-once, since a restart prints again what
 * came after the last checkpoint. A checkpoint waits until what was printed before it is written.
 */
import { inspect } from 'node:util'
import { MillraceError, messageOf } from '../../base/errors.ts'
import type { Sink, SinkContext, SinkWriter } from '../contract.ts'

export interface ConsoleOptions {
  /** `inspect`: as `console.log` shows it. `json`: a line of JSON each. Default `inspect`; strings are printed as they are. */
  readonly format?: 'inspect' | 'json'
}

/**
 * Prints each record on standard output, at once: at-least-once. Says that it can retract, because it promises nothing that a
 * fallback to an older snapshot could break.
 *
 * @example
 * stream.sink('show', console())
 */
export function console(options: ConsoleOptions = {}): Sink<unknown> {
  return consoleTo(process.stdout, options)
}

/** @param stream for tests: where to print */
export function consoleTo(
  stream: NodeJS.WritableStream & { readonly writableNeedDrain?: boolean },
  options: ConsoleOptions = {},
): Sink<unknown> {
  const { format = 'inspect' } = options
  if (format !== 'inspect' && format !== 'json') {
    throw new MillraceError(
      'OPTION_INVALID',
      `console: format is ${JSON.stringify(format)}; it must be 'inspect' or 'json'`,
    )
  }
  const show = format === 'json' ? (record: unknown) => JSON.stringify(record) ?? String(record) : inspectRecord
  return {
    type: 'console',
    retracts: true,
    async open(context) {
      return new ConsoleWriter(stream, show, context)
    },
  }
}

function inspectRecord(record: unknown): string {
  return typeof record === 'string' ? record : inspect(record, { breakLength: Infinity, compact: true, depth: 6 })
}

class ConsoleWriter implements SinkWriter<unknown> {
  private readonly stream: NodeJS.WritableStream & { readonly writableNeedDrain?: boolean }
  private readonly show: (record: unknown) => string
  private failure: MillraceError | undefined
  private readonly onDrain: () => void
  private readonly onError: (error: Error) => void

  constructor(
    stream: NodeJS.WritableStream & { readonly writableNeedDrain?: boolean },
    show: (record: unknown) => string,
    context: SinkContext,
  ) {
    this.stream = stream
    this.show = show
    this.onDrain = () => context.wake()
    this.onError = error => {
      this.failure ??= new MillraceError(
        'SINK_FAILED',
        `sink '${context.operator}' cannot print: ${messageOf(error)}`,
        { cause: error },
      )
      context.wake()
    }
    stream.on('drain', this.onDrain)
    stream.on('error', this.onError)
  }

  write(record: unknown): void {
    if (this.failure !== undefined) throw this.failure
    this.stream.write(`${this.show(record)}\n`)
  }

  writable(): boolean {
    return this.failure !== undefined || this.stream.writableNeedDrain !== true
  }

  async prepareCommit(): Promise<{ committables: [] }> {
    await new Promise<void>(resolve => this.stream.write('', () => resolve()))
    if (this.failure !== undefined) throw this.failure
    return { committables: [] }
  }

  async commit(): Promise<void> {}

  async close(): Promise<void> {
    this.stream.off('drain', this.onDrain)
    this.stream.off('error', this.onError)
  }
}
