/** The grammar of `millrace state …`: what reads, compares, edits and exports state of a snapshot with no job running. */
import { type Command } from 'commander'
import type { Answer } from './answer.ts'
import { collect, example, outputOf, withOutput, withStorage } from './command-options.ts'
import type { OutputOptions } from './output.ts'
import type { DiffFlags } from './state-diff.ts'
import type { EditFlags } from './state-edit.ts'
import type { ExportFlags } from './state-export.ts'
import type { ScanFlags } from './state-scan.ts'
import type { StorageFlags } from './storage.ts'

type Print = (answer: Answer, options: OutputOptions) => void
type Output = Partial<OutputOptions>

const NAMES = `
SNAPSHOT is JOB/latest, JOB/chk-42, JOB/sp-43, or a path: a folder that savepoint --to wrote, or a manifest's file.
OPERATOR and STATE are names as inspect lists them. KEY and VALUE are JSON; a text stands in quotes: '"user-1"'.
What JSON lacks is written {"$bigint":"1"}, {"$date":"2026-01-31T12:00:00Z"}, {"$map":[[key,value]]} and so on.`

export function addState(program: Command, print: Print): void {
  // No options of its own: it would take --json away from the commands below it.
  const state = program
    .command('state')
    .helpOption('-h, --help', 'print help')
    .summary('read, compare, edit and export state of a snapshot')
    .description(`Works on the state of a snapshot; the job need not run.\n${NAMES}`)
    .helpCommand(false)
  addGet(state, print)
  addScan(state)
  addDiff(state, print)
  addEdit(state, print)
  addExport(state, print)
}

function addGet(state: Command, print: Print): void {
  withOutput(withStorage(state.command('get <snapshot> <operator> <state> <key>')))
    .summary('print what a key has')
    .description(`Prints what a key has, as JSON: a value, of a list its elements, of a map its entries.\n${NAMES}`)
    .addHelpText('after', example(`state get word-count/latest counts value '"millrace"'`))
    .action(async (snapshot: string, operator: string, name: string, key: string, flags: Output & StorageFlags) => {
      const { stateGet } = await import('./state-get.ts')
      print(await stateGet([snapshot, operator, name], key, flags), outputOf(flags))
    })
}

function addScan(state: Command): void {
  withFilter(withOutput(withStorage(state.command('scan <snapshot> <operator> <state>'))))
    .summary('print the entries of a state, one JSON object a line')
    .description(`Prints the entries of a state, one JSON object a line, with and without --json.\n${NAMES}`)
    .option('--limit <n>', 'stop after so many')
    .addHelpText('after', example(`state scan word-count/latest counts value --prefix '"mill"'`))
    .action(async (snapshot: string, operator: string, name: string, flags: ScanFlags) => {
      const { stateScan } = await import('./state-scan.ts')
      await stateScan([snapshot, operator, name], flags)
    })
}

function addDiff(state: Command, print: Print): void {
  withOutput(withStorage(state.command('diff <before> <after> [operator] [state]')))
    .summary('compare the state of two snapshots')
    .description(
      `Says of each state how many entries were added, removed and changed from one snapshot to another.\n${NAMES}`,
    )
    .option('--entries', 'print each difference instead, one JSON object a line')
    .option('--exit-code', 'exit with 1 when there is a difference')
    .addHelpText('after', example('state diff word-count/chk-41 word-count/chk-42'))
    .action(
      async (
        before: string,
        after: string,
        operator: string | undefined,
        name: string | undefined,
        flags: Output & DiffFlags,
      ) => {
        const { stateDiff } = await import('./state-diff.ts')
        const answer = await stateDiff({ before, after, operator, state: name }, flags)
        if (answer !== undefined) print(answer, outputOf(flags))
      },
    )
}

function addEdit(state: Command, print: Print): void {
  withOutput(withStorage(state.command('edit <snapshot> <operator> <state>')))
    .summary('write a new savepoint with a state edited')
    .description(
      'Writes a new savepoint with a keyed state edited; the snapshot stays as it is. Without --to the job must be stopped, the\n' +
        `snapshot its newest, and the next run starts from the savepoint.\n${NAMES}`,
    )
    .option('--set <key=value>', 'what a key shall have; repeatable', collect, [])
    .option('--delete <key>', 'take out all that a key has; repeatable', collect, [])
    .option(
      '--with <module>',
      'a module whose default export takes each entry and returns it, changed, or undefined to take it out',
    )
    .option('--to <dir>', 'write the savepoint into a folder of its own')
    .addHelpText('after', example(`state edit word-count/latest counts value --set '"millrace"=7' --delete '"flink"'`))
    .action(async (snapshot: string, operator: string, name: string, flags: Output & EditFlags) => {
      const { stateEdit } = await import('./state-edit.ts')
      print(await stateEdit([snapshot, operator, name], flags), outputOf(flags))
    })
}

function addExport(state: Command, print: Print): void {
  withFilter(withOutput(withStorage(state.command('export <snapshot> <operator> <state>'))))
    .summary('write the entries of a state to a file')
    .description(`Writes the entries of a state to a file, as NDJSON or Parquet.\n${NAMES}`)
    .requiredOption('--to <file>', 'the file, which must not exist')
    .option('--format <format>', 'ndjson or parquet (default: as the name of the file ends)')
    .addHelpText('after', example('state export word-count/latest counts value --to counts.parquet'))
    .action(async (snapshot: string, operator: string, name: string, flags: Output & ExportFlags) => {
      const { stateExport } = await import('./state-export.ts')
      print(await stateExport([snapshot, operator, name], flags), outputOf(flags))
    })
}

function withFilter(command: Command): Command {
  return command
    .option('--key <key>', 'only of this key')
    .option(
      '--prefix <prefix>',
      'only of keys that are texts beginning with this one, or lists beginning with its elements',
    )
    .option('--key-groups <range>', 'only of a key group, such as 5, or of a range, such as 0-63')
}
