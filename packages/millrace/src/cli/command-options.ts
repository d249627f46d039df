/** What options commands share, and how help is laid out. */
import type { Command } from 'commander'
import type { OutputOptions } from './output.ts'

export function withStorage(command: Command): Command {
  return command.option(
    '--storage <dir>',
    'where snapshots live (default: MILLRACE_STORAGE, millrace.config.ts, .millrace)',
  )
}

export function withOutput(command: Command): Command {
  return command
    .helpOption('-h, --help', 'print help')
    .option('--json', 'print JSON')
    .option('--verbose', 'tell more: checkpoints, and where an error came from')
}

export function outputOf({ json = false, verbose = false }: Partial<OutputOptions>): OutputOptions {
  return { json, verbose }
}

export function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value]
}

export function example(command: string): string {
  return `\nExample:\n  millrace ${command}`
}
