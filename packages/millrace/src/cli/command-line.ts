/** Parses the command line, runs a command, and turns whatever is thrown into an error of ours and an exit status. */
import { type Command, CommanderError } from 'commander'
import { messageOf, MillraceError } from '../base/errors.ts'
import { commandLine } from './commands.ts'
import { FAILED, USAGE } from './exit-codes.ts'
import { guardOutput, printAnswer, printError, type OutputOptions } from './output.ts'

/** A handle that user code left open must not keep the process alive for longer. */
const LINGER_MS = 1000

/** @param args without node and the script */
export async function main(args: readonly string[]): Promise<void> {
  // Also for what is wrong before the options are parsed.
  const output: OutputOptions = { json: args.includes('--json'), verbose: args.includes('--verbose') }
  guardOutput()
  process.on('uncaughtException', error => {
    printError(strayError(error), output)
    process.exit()
  })
  // Should the event loop run empty while a command still waits, that must not look like success.
  process.exitCode = FAILED
  const onEmptyLoop = (): void => printError(new MillraceError('INTERNAL', 'the command came to no end'), output)
  process.once('beforeExit', onEmptyLoop)
  const program = commandLine(printAnswer)
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) endOfParsing(error, program, args, output)
    else printError(error, output)
  }
  process.off('beforeExit', onEmptyLoop)
  setTimeout(() => process.exit(), LINGER_MS).unref()
}

/** Thrown where nobody waits for it: by a timer or a promise of the job file, most likely. */
function strayError(cause: Error): MillraceError {
  return new MillraceError('INTERNAL', `an error was thrown outside of the functions of the job: ${messageOf(cause)}`, {
    cause,
    hint: 'Look where it comes from with --verbose: a timer, or a promise that nobody awaits. Run the job again to go on.',
  })
}

/** Commander throws also when all is well: after help and version. */
function endOfParsing(error: CommanderError, program: Command, args: readonly string[], output: OutputOptions): void {
  if (error.exitCode === 0) process.exitCode = 0
  // Help that nobody asked for is printed already.
  else if (error.code === 'commander.help') process.exitCode = USAGE
  else printError(usageError(error, program, args), output)
}

/** `error: unknown option '--frehs'\n(Did you mean --fresh?)` in our words. */
function usageError({ message }: CommanderError, program: Command, args: readonly string[]): MillraceError {
  const text = message.replace(/^error: /, '').replace(/\n\(Did you mean (.*)\?\)$/s, '; did you mean $1?')
  const command = program.commands.map(each => each.name()).find(name => args.includes(name))
  return new MillraceError('USAGE', text, {
    hint: `Run millrace ${command === undefined ? '' : `${command} `}--help to see what is allowed.`,
  })
}
