/** The grammar of the command line: every command with its arguments, options and help. What a command does is imported when it is used. */
import { Command, Option } from 'commander'
import { VERSION } from '../host/version.ts'
import type { Answer } from './answer.ts'
import { collect, example, outputOf, withOutput, withStorage } from './command-options.ts'
import type { DeleteFlags } from './delete.ts'
import type { ForkDiffFlags } from './fork-diff.ts'
import type { ForkFlags } from './fork.ts'
import type { OutputOptions } from './output.ts'
import type { PlanFlags } from './plan.ts'
import type { PruneFlags } from './prune.ts'
import type { RunFlags } from './run.ts'
import type { SavepointFlags } from './savepoint.ts'
import { addState } from './state-commands.ts'
import type { StopFlags } from './stop.ts'
import type { StorageFlags } from './storage.ts'

type Print = (answer: Answer, options: OutputOptions) => void
type Flags = Partial<OutputOptions> & StorageFlags

const EXIT_STATUS = `
Exit status: 0 finished, stopped with a snapshot, cancelled, or nothing to do; 1 the job failed; 2 the command or an option is wrong;
3 refused: the job is locked, its state does not fit, a snapshot is missing; 130, 143 left at once by a second signal.`

const CONTROL =
  'JOB is a name or a job file, and runs on this host. Leaving the command does not take back what it asked for.'

/** Nothing is written but help and version: whatever is wrong is thrown, as commander's CommanderError or ours. */
export function commandLine(print: Print): Command {
  const program = new Command('millrace')
    .description('Stateful stream processing for TypeScript, with exactly-once state.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .addHelpText(
      'after',
      '\nExamples:\n  millrace run word-count.ts\n  millrace snapshots word-count\n  millrace run --help',
    )
  addRun(program)
  addPlan(program, print)
  addJobs(program, print)
  addSnapshots(program, print)
  addCheckpoint(program, print)
  addSavepoint(program, print)
  addStop(program, print)
  addCancel(program, print)
  addRescale(program, print)
  addInspect(program, print)
  addState(program, print)
  addFork(program, print)
  addDelete(program, print)
  addPrune(program, print)
  addFsck(program, print)
  addExplain(program, print)
  return program
}

function addRun(program: Command): void {
  withOutput(withStorage(program.command('run <job-file>')))
    .summary('run a job; it goes on where it was')
    .description(
      'Runs a job until it has finished or is stopped. It goes on from its newest snapshot unless told otherwise.\n' +
        'SIGINT (Ctrl-C) and SIGTERM take a final checkpoint and exit; a second one, more than a second later, leaves at once.\n' +
        'With --supervise it runs in a child process, which is started again when it is killed or out of memory, after a delay.',
    )
    .addOption(new Option('--fresh', 'start clean; snapshots of earlier runs stay for --from').conflicts('from'))
    .option(
      '--from <snapshot>',
      "start from this snapshot: chk-42, latest, another job's JOB/chk-42, a self-contained folder, or a manifest's path",
    )
    .option('--as <name>', "run under this name instead of the job's own")
    .option('--parallelism <n>', 'subtasks of every operator')
    .option('--state-backend <name>', 'where working state lives: heap, or rocksdb for more than fits into memory')
    .option('--checkpoint-interval <duration>', 'from one checkpoint to the next, such as 10s')
    .option('--port <n>', 'port of the control API (default: any that is free)')
    .option(
      '--host <address>',
      'address of the control API (default: 127.0.0.1); any beyond the loopback needs a token',
    )
    .option('--token-file <file>', 'a file with the token that the control API wants (also MILLRACE_TOKEN)')
    .option(
      '--set <option=value>',
      'an option by its path, such as checkpointing.retain=5 or params.x=1; repeatable',
      collect,
      [],
    )
    .option('--allow-dropped-state', 'state of the snapshot that the job has no place for may go')
    .addOption(
      new Option('--sinks <how>', 'dry-run: sinks count what they would write, and drop it').choices([
        'commit',
        'dry-run',
      ]),
    )
    .option('--supervise', 'run in a child process, and start it again whenever it dies')
    .addHelpText(
      'after',
      `${EXIT_STATUS}\n\nWith --json every event is a line of JSON: restoring, started, progress, checkpoint, restarting, log, stopping, ended;\nwith --supervise also died.`,
    )
    .addHelpText('after', example('run word-count.ts --checkpoint-interval 5s --set checkpointing.retain=5'))
    .action(async (file: string, flags: Partial<RunFlags> & { readonly supervise?: boolean }) => {
      const { supervise = false, ...runFlags } = flags
      const all: RunFlags = { ...runFlags, ...outputOf(flags) }
      if (supervise) await (await import('./supervise.ts')).supervise(file, all)
      else await (await import('./run.ts')).run(file, all)
    })
}

function addPlan(program: Command, print: Print): void {
  withOutput(withStorage(program.command('plan <job-file>')))
    .summary('tell what a run would take over of its snapshot')
    .description(
      'Tells, without running anything, what a run of the job would take over of the snapshot it would start from: of every source, sink\n' +
        'and state whether it is kept, migrated, renamed, new, dropped or refused, and why.',
    )
    .addOption(new Option('--fresh', 'as for a run that starts clean').conflicts('from'))
    .option('--from <snapshot>', "as for a run from this snapshot: chk-42, sp-43, latest, or a manifest's path")
    .option('--as <name>', "as for a run under this name instead of the job's own")
    .option('--parallelism <n>', 'subtasks of every operator')
    .option('--set <option=value>', 'an option by its path, such as maxParallelism=256; repeatable', collect, [])
    .option('--allow-dropped-state', 'state of the snapshot that the job has no place for may go')
    .addHelpText('after', '\nExit status: 0 a run would start; 3 it would be refused.')
    .addHelpText('after', example('plan word-count.ts --from word-count/chk-42'))
    .action(async (file: string, flags: Partial<OutputOptions> & PlanFlags) => {
      const { plan } = await import('./plan.ts')
      print(await plan(file, flags), outputOf(flags))
    })
}

function addJobs(program: Command, print: Print): void {
  withOutput(withStorage(program.command('jobs')))
    .summary('list the jobs of a storage')
    .description('Lists the jobs of a storage: what each is doing, and its newest snapshot.')
    .addHelpText('after', example('jobs --storage /var/lib/millrace'))
    .action(async (flags: Flags) => {
      const { jobs } = await import('./jobs.ts')
      print(await jobs(flags), outputOf(flags))
    })
}

function addSnapshots(program: Command, print: Print): void {
  withOutput(withStorage(program.command('snapshots <job>')))
    .summary('list the snapshots of a job')
    .description('Lists the snapshots of a job, newest first. JOB is a name or a job file.')
    .addHelpText('after', example('snapshots word-count'))
    .action(async (job: string, flags: Flags) => {
      const { snapshots } = await import('./snapshots.ts')
      print(await snapshots(job, flags), outputOf(flags))
    })
}

function addCheckpoint(program: Command, print: Print): void {
  withOutput(withStorage(program.command('checkpoint <job>')))
    .summary('take a checkpoint of a running job')
    .description(`Takes a checkpoint of a running job now, and waits until it is complete.\n${CONTROL}`)
    .addHelpText('after', example('checkpoint word-count'))
    .action(async (job: string, flags: Flags) => {
      const { checkpoint } = await import('./checkpoint.ts')
      print(await checkpoint(job, flags), outputOf(flags))
    })
}

function addSavepoint(program: Command, print: Print): void {
  withOutput(withStorage(program.command('savepoint <job>')))
    .summary('take a savepoint of a running job')
    .description(
      'Takes a checkpoint of a running job now and pins it: a savepoint is yours, and stays until you delete it. With --to it is also\n' +
        `written to a folder that needs nothing else and may be moved, while the job goes on.\n${CONTROL}`,
    )
    .option('--to <dir>', 'write it to this folder too, which must be empty or not there yet')
    .option('--label <text>', 'what you call it')
    .addHelpText('after', example('savepoint word-count --label before-upgrade'))
    .action(async (job: string, flags: Partial<OutputOptions> & SavepointFlags) => {
      const { savepoint } = await import('./savepoint.ts')
      print(await savepoint(job, flags), outputOf(flags))
    })
}

function addStop(program: Command, print: Print): void {
  withOutput(withStorage(program.command('stop <job>')))
    .summary('stop a running job with a final checkpoint')
    .description(
      'Takes a final checkpoint of a running job, commits its output, and ends it. When that fails the job goes on, and the exit\n' +
        `status is 1. SIGINT does the same, but ends the job in any case.\n${CONTROL}`,
    )
    .option('--drain', 'first fire all windows and event-time timers, as at the end of input')
    .option('--savepoint [dir]', 'the final snapshot is a savepoint too, also written to a folder if one is named')
    .option('--label <text>', 'what you call the savepoint')
    .addHelpText('after', example('stop word-count --savepoint'))
    .action(async (job: string, flags: Partial<OutputOptions> & StopFlags) => {
      const { stop } = await import('./stop.ts')
      print(await stop(job, flags), outputOf(flags))
    })
}

function addCancel(program: Command, print: Print): void {
  withOutput(withStorage(program.command('cancel <job>')))
    .summary('end a running job without a checkpoint')
    .description(
      'Ends a running job without a checkpoint: the next run goes on from the newest one it has, and reads the rest again.\n' +
        `Its checkpoints stay, unless checkpointing.onCancel says delete.\n${CONTROL}`,
    )
    .addHelpText('after', example('cancel word-count'))
    .action(async (job: string, flags: Flags) => {
      const { cancel } = await import('./cancel.ts')
      print(await cancel(job, flags), outputOf(flags))
    })
}

function addRescale(program: Command, print: Print): void {
  withOutput(withStorage(program.command('rescale <job> <parallelism>')))
    .summary('change the parallelism of a running job')
    .description(`Changes the parallelism of a running job: a checkpoint, a short pause, and on it goes.\n${CONTROL}`)
    .addHelpText('after', example('rescale word-count 4'))
    .action(async (job: string, parallelism: string, flags: Flags) => {
      const { rescale } = await import('./rescale.ts')
      print(await rescale(job, parallelism, flags), outputOf(flags))
    })
}

function addInspect(program: Command, print: Print): void {
  withOutput(withStorage(program.command('inspect <snapshot> [operator] [state]')))
    .summary('show what a snapshot holds')
    .description(
      'Shows what a snapshot holds: operators, states, split positions, committables, segments; for an operator the live entries\n' +
        "of its states, for a state those of each key group. SNAPSHOT is JOB/latest, JOB/chk-42 or a manifest's path.",
    )
    .addHelpText('after', example('inspect word-count/latest counts'))
    .action(async (snapshot: string, operator: string | undefined, state: string | undefined, flags: Flags) => {
      const { inspect } = await import('./inspect.ts')
      print(await inspect(snapshot, operator, state, flags), outputOf(flags))
    })
}

function addFork(program: Command, print: Print): void {
  const fork = withOutput(withStorage(program.command('fork <snapshot>')))
    .summary("make a second job from a snapshot's state")
    .description(
      'Makes a second job that starts from the state of a snapshot, with files of its own: either job may be changed or deleted without\n' +
        "the other. The first one may be running. SNAPSHOT is JOB/latest, JOB/chk-42, a self-contained folder, or a manifest's path.",
    )
    .option('--as <name>', 'name of the new job; run JOB.ts --as NAME then starts it')
    .addHelpText('after', example('fork word-count/latest --as trial'))
    .action(async (snapshot: string, flags: Partial<OutputOptions> & ForkFlags) => {
      const { fork: makeFork } = await import('./fork.ts')
      print(await makeFork(snapshot, flags), outputOf(flags))
    })
  withOutput(withStorage(fork.command('diff <job> <other> <dirs...>')))
    .summary('compare what two jobs have written')
    .description(
      'Compares the rows that two jobs have written with their file sinks to the directories DIRS, in whatever order and parts. What was\n' +
        'written before the fork is left out. Exit status 1 when they differ.',
    )
    .option('--header', 'each part begins with a line of names, which is no row')
    .addHelpText('after', example('fork diff word-count trial out/counts'))
    .action(async (job: string, other: string, dirs: string[], _: Flags, command: Command) => {
      const { forkDiff } = await import('./fork-diff.ts')
      // Options that both commands have are taken by the outer one.
      const flags: Partial<OutputOptions> & ForkDiffFlags = command.optsWithGlobals()
      print(await forkDiff(job, other, dirs, flags), outputOf(flags))
    })
}

function addDelete(program: Command, print: Print): void {
  withOutput(withStorage(program.command('delete <snapshot>')))
    .summary('delete a snapshot')
    .description(
      'Deletes a snapshot by its name, and the segments that no other one needs. The job must not be running.',
    )
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', example('delete word-count/chk-42'))
    .action(async (snapshot: string, flags: Partial<OutputOptions> & DeleteFlags) => {
      const { deleteSnapshot } = await import('./delete.ts')
      print(await deleteSnapshot(snapshot, flags), outputOf(flags))
    })
}

function addPrune(program: Command, print: Print): void {
  withOutput(withStorage(program.command('prune <job>')))
    .summary('clear up what nothing of a job needs')
    .description(
      'Deletes what the next run of a job would clear up: what crashes left, checkpoints that were not to be retained, segments that no\n' +
        'snapshot names. Savepoints stay: millrace delete takes one by its name. The job must not be running.',
    )
    .option('--retain <n>', 'also delete checkpoints beyond the newest N')
    .option('--dry-run', 'list what would go, and why')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', example('prune word-count --dry-run'))
    .action(async (job: string, flags: Partial<OutputOptions> & PruneFlags) => {
      const { prune } = await import('./prune.ts')
      print(await prune(job, flags), outputOf(flags))
    })
}

function addFsck(program: Command, print: Print): void {
  withOutput(withStorage(program.command('fsck <job>')))
    .summary("verify a job's storage")
    .description(
      'Verifies every checksum and reference of a job, and reports what nothing names. Exit status 1 when something is damaged.',
    )
    .addHelpText('after', example('fsck word-count'))
    .action(async (job: string, flags: Flags) => {
      const { fsck } = await import('./fsck.ts')
      print(await fsck(job, flags), outputOf(flags))
    })
}

function addExplain(program: Command, print: Print): void {
  withOutput(program.command('explain <code>'))
    .summary("print an error's page")
    .description('Prints what an error code means and what to do.')
    .addHelpText('after', example('explain JOB_LOCKED'))
    .action(async (code: string, flags: Flags) => {
      const { explain } = await import('./explain.ts')
      print(explain(code), outputOf(flags))
    })
}
