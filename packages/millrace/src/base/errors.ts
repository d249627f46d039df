/**
 * Every expected failure of Millrace: a code from one table. The table is the documentation too: `millrace explain CODE` prints a
 * page of it, and docs/errors/ is written from it (scripts/error-pages.ts; a test keeps them equal).
 */

export interface ErrorPage {
  /** Whose turn it is: the user's code or input, the world outside (disk, network, other processes), or ours. */
  readonly domain: 'user' | 'external' | 'internal'
  /** Whether the same thing may succeed when tried again without a change. */
  readonly retry: boolean
  /** What it means, in a sentence. */
  readonly title: string
  /** What happened and why it is an error. */
  readonly meaning: string
  /** What to do. */
  readonly fix: string
}

const user = (title: string, meaning: string, fix: string): ErrorPage => ({
  domain: 'user',
  retry: false,
  title,
  meaning,
  fix,
})
const external = (title: string, meaning: string, fix: string): ErrorPage => ({
  domain: 'external',
  retry: true,
  title,
  meaning,
  fix,
})

export const ERRORS = {
  // ---- the job module and its graph
  JOB_MODULE_INVALID: user(
    'The job file cannot be used.',
    'The file could not be imported, threw while being imported, or has no default export made by defineJob.',
    'Read the cause in the message. A job file ends in `export default defineJob(name, flow => { … })` and must be importable by Node as it is.',
  ),
  JOB_NAME_INVALID: user(
    'The job name is not allowed.',
    'A job name is the name of its folder in the storage: a lower-case letter or digit, then up to 63 of a-z 0-9 . _ -.',
    'Rename the job in defineJob, or run it under another name with --as.',
  ),
  GRAPH_INVALID: user(
    'The job describes a graph that cannot run.',
    'An operator has no name or a bad one, a stream of another job is used, or there is no source or no sink.',
    'The message names the operator and the rule. Names are 1 to 100 characters without control characters.',
  ),
  DUPLICATE_NAME: user(
    'Two operators of the job have the same name.',
    'Names are identity: state is found again by operator name and state name, so every name is used once in a job.',
    'Rename one of the two. If a snapshot holds state under the old name, say { renamedFrom } on the renamed one.',
  ),
  GRAPH_NOT_DETERMINISTIC: user(
    'The job described two different graphs.',
    'The build function runs in the coordinator and again in every worker thread; both must describe the same graph.',
    'Remove whatever differs between two calls: the clock, random numbers, the environment, files. Use flow.params for inputs.',
  ),
  ASYNC_FUNCTION: user(
    'A function that must be synchronous returned a promise.',
    'Functions of map, filter, flatMap, keyBy, process and aggregators run once per record and cannot wait.',
    'Make the function synchronous: fetch what it needs before, in the source, or hand the record to a sink. mapAsync, which waits, is not part of this version.',
  ),
  OPTION_INVALID: user(
    'An option has a value that is not allowed.',
    'Options come from the command line, --set, MILLRACE_… variables, millrace.config.ts and defineJob. All problems are reported at once.',
    'The message names each option, where it came from, what was found and what is allowed.',
  ),
  USAGE: user(
    'The command line is not understood.',
    'An unknown command, option or argument.',
    'Run the command with --help.',
  ),

  // ---- user functions and records
  USER_FUNCTION_FAILED: user(
    'A function of the job threw.',
    'The job restarts from its latest checkpoint. When the same error comes back at the same place without progress, the job stops, since trying again would not help.',
    'The message names the operator, the key and the record. Fix the function, then run the job again: it goes on where it was.',
  ),
  NO_EVENT_TIME: user(
    'The record has no timestamp.',
    'ctx.timestamp or an event-time window was used, but no eventTime() lies between the source and this operator.',
    'Call .eventTime(record => milliseconds) on the stream after the source.',
  ),
  TIMESTAMP_INVALID: user(
    'eventTime returned something that is not a time.',
    'A timestamp is a finite number of milliseconds.',
    'Check the function given to eventTime; the message shows what it returned.',
  ),
  KEY_INVALID: user(
    'A key is not a value that can be a key.',
    'A key is a string, number, bigint or boolean, or a tuple of those; NaN is not a key, since it does not equal itself.',
    'Check the function given to keyBy, or the key given to a map state; the message shows what it returned.',
  ),
  VALUE_UNSUPPORTED: user(
    'A value cannot be stored.',
    'State and records may hold what structured clone carries. Functions, symbols, promises and class instances with hidden state cannot be stored.',
    'Store plain data; the message names the path to the value.',
  ),
  VALUE_TOO_LARGE: user(
    'A single key or state value is too large to store.',
    'One key may take 64 KiB and one stored value 256 MiB.',
    'Spread the value over a map or list state, whose entries are stored one by one.',
  ),
  STATE_VALUE_INVALID: user(
    'A value does not fit the schema of its state.',
    'A state whose schema has only numbers, integers and booleans checks what it is given: every property is there and of its type, integers are whole, bounds are kept, nothing else is there. NaN and the infinities are no numbers, as in JSON. The state keeps the value it had. An edit of a snapshot is checked against the schema that the snapshot has of the state, whatever that is.',
    'The message names state and property and shows what was found. Set a value that fits, or widen the schema.',
  ),
  STATE_MUTATED: user(
    'A value was changed in place without set.',
    'Emitted records and values given to state are immutable from then on. A change that is not set may or may not be in the next checkpoint.',
    'Make a new value and set it, or get, change and set in one call.',
  ),
  MALFORMED_RECORD: user(
    'A line of the input could not be read.',
    'The message names file, line start (byte offset) and the reason.',
    'Mend the input, or pass { malformed: tag } to the source to send such lines to a side output.',
  ),
  DETERMINISTIC_FAILURE: user(
    'The job failed twice in the same way without progress.',
    'The same error at the same operator in two attempts in a row, with no source progress past it. Another restart would fail again.',
    'Fix the cause shown and run the job again: it goes on from its latest checkpoint.',
  ),

  // ---- input and output files
  SOURCE_FILE_MISSING: external(
    'An input file is missing.',
    'A pattern matched no file, or a file that an earlier start had listed is gone. The files of a bounded source are fixed at the first start.',
    'Put the file back, or start over with --fresh.',
  ),
  SOURCE_FILE_CHANGED: external(
    'An input file is shorter than what was already read of it.',
    'The snapshot holds a byte offset beyond the end of the file, so the file was replaced or cut.',
    'Put the original file back, or start over with --fresh.',
  ),
  SOURCE_FAILED: external(
    'A source failed.',
    'Reading the input failed; the cause says why.',
    'Mend the cause. The job restarts from its latest checkpoint by itself.',
  ),
  SINK_FAILED: external(
    'A sink failed.',
    'Writing or committing output failed; the cause says why.',
    'Mend the cause. Nothing is lost: what is not committed yet is carried in the checkpoints.',
  ),
  SINK_CONFLICT: external(
    'An output part exists already with other contents.',
    'A rename never replaces a file. Another job, or another storage with a job of the same name, writes into the same directory.',
    'Give each job its own output directory.',
  ),

  // ---- storage, locks, snapshots
  STORAGE_INVALID: user(
    'The storage cannot be used.',
    'The storage path is a file, is not writable, or cannot be created.',
    'Name a directory with --storage or MILLRACE_STORAGE.',
  ),
  STORE_FAILED: external(
    'The snapshot store failed.',
    'A read or write of the storage failed, for example because the disk is full; the cause says why. The checkpoint is aborted, nothing older is lost.',
    'Mend the cause. The job goes on within checkpointing.tolerableFailures.',
  ),
  DISK_STORE_FAILED: external(
    'The working state on local disk failed.',
    'State that is larger than memory is kept in files of its own, which are scratch: the disk is full, a file was damaged, or another process uses the directory; the message says which. Nothing of a checkpoint is lost.',
    'Mend the cause in the message. The job starts again from its latest checkpoint, which makes the files anew; state.rocksdb.directory names another disk.',
  ),
  DISK_STORE_MISSING: user(
    'The wanted store of working state is not available here.',
    'RocksDB comes with the optional package @millrace/rocksdb, which has binaries for Linux on x64 and arm64 with glibc. Where it is missing, SQLite is used, unless MILLRACE_DISK_STORE asks for RocksDB.',
    'Install @millrace/rocksdb, leave MILLRACE_DISK_STORE out, or use the heap backend.',
  ),
  STORE_POISONED: external(
    'An fsync failed, so nothing more is written.',
    'After a failed fsync nobody can tell what is on the disk. The job stops; recovery starts from the latest complete snapshot.',
    'Check the disk, then run the job again.',
  ),
  OBJECT_MISSING: external(
    'A file of the storage is missing.',
    'A manifest names a file that is not there.',
    'Run millrace fsck to see what else is missing; start from an older snapshot with --from.',
  ),
  BAD_REFERENCE: user(
    'A name points outside the job’s folder.',
    'References in manifests and on the command line are relative names inside the job’s folder. This one is absolute, has `..`, or has characters that are not allowed.',
    'If it comes from a manifest, that manifest was damaged or made by someone else: do not use it.',
  ),
  JOB_LOCKED: user(
    'Another process runs this job.',
    'One process at a time runs a job of a storage. The message names its pid and host.',
    'Stop the other process, or run a second job under another name with --as or another storage.',
  ),
  FENCED: external(
    'Another process has taken over this job.',
    'A newer lock exists, so this process stops without committing anything more. It was suspended, or could not renew its lease.',
    'Nothing: the other process goes on from the latest complete snapshot.',
  ),
  SNAPSHOT_NOT_FOUND: user(
    'There is no such snapshot.',
    'A snapshot is named JOB/latest, JOB/chk-42 or by the path of its manifest; JOB/ may be left out where the command names the job or the storage holds one.',
    'List them with millrace snapshots JOB.',
  ),
  JOB_EXISTS: user(
    'There is a job of that name already.',
    'A fork becomes a job of its own, with a folder and a history of its own; it never takes the place of another job.',
    'Choose another name. To start an existing job from another one’s snapshot, use millrace run JOB.ts --from SNAPSHOT.',
  ),
  JOB_NOT_FOUND: user(
    'There is no such job in this storage.',
    'The storage has no folder of that name.',
    'List jobs with millrace jobs; name another storage with --storage.',
  ),
  SNAPSHOT_DAMAGED: external(
    'A snapshot is damaged.',
    'A checksum, a length or a reference of a manifest or segment is wrong. The message names the file and the place.',
    'Recovery skips it and uses the newest intact one. Run millrace fsck to see all damage, millrace delete to remove the snapshot.',
  ),
  SNAPSHOT_VERSION: user(
    'The snapshot was written by a newer Millrace.',
    'Its format version is higher than what this version reads.',
    'Upgrade millrace, or start from another snapshot with --from.',
  ),
  SNAPSHOT_WRONG_JOB: user(
    'The snapshot belongs to another job.',
    'A job starts from its own snapshots; state of another job would be read under names that mean something else.',
    'Run the job under that name with --as, or name one of its own snapshots.',
  ),
  NO_USABLE_SNAPSHOT: external(
    'The job has snapshots, but none can be used.',
    'Every snapshot of the current lineage is damaged or missing files. Starting empty by itself would lose state silently, so the run is refused.',
    'Restore the missing files, start from a snapshot by name with --from, or start over with --fresh.',
  ),
  FALLBACK_REFUSED: external(
    'Falling back to an older snapshot would repeat output.',
    'The newest snapshot is damaged, and a sink of the job cannot take back what was committed after the older one.',
    'Decide yourself: --from SNAPSHOT accepts the repeated output, --fresh starts over.',
  ),
  STATE_INCOMPATIBLE: user(
    'The changed job cannot take over the snapshot’s state.',
    'A state exists with another kind, or a key of another type, or values that cannot be read under its new schema or version, or a sink with uncommitted output was removed or renamed.',
    'The message lists every such state with the reason. Change the job back, give the state a new version with a migration, name it differently, or start with --fresh. millrace plan tells without running.',
  ),
  STATE_DROPPED: user(
    'The changed job has no place for some of the snapshot’s state.',
    'An operator or state of the snapshot is not in the job any more, so its state would be lost.',
    'If it was renamed, say { renamedFrom: "old-name" }. If it shall go, pass --allow-dropped-state; the old snapshot keeps it.',
  ),
  CHECKPOINT_FAILED: external(
    'Checkpoints keep failing.',
    'More checkpoints in a row failed than checkpointing.tolerableFailures allows, or the final one did.',
    'Mend the cause shown. The job goes on from its latest complete checkpoint when run again.',
  ),
  CHECKPOINT_EXPIRED: external(
    'A checkpoint took longer than its timeout.',
    'It is aborted; the next one holds its changes.',
    'Raise checkpointing.timeout, or look at what slows the store or a sink.',
  ),
  STOP_FAILED: external(
    'The job was not stopped.',
    'Its final snapshot could not be taken, or its savepoint could not be written, so the job goes on from its latest checkpoint.',
    'Mend the cause shown and stop it again. SIGINT and SIGTERM end the process whatever happens; millrace cancel ends the job without a snapshot.',
  ),
  SAVEPOINT_FOLDER: user(
    'A savepoint cannot be written to this folder.',
    'A self-contained savepoint takes a folder of its own: one that does not exist yet or is empty, on a disk, outside the storage.',
    'Name another folder, or empty this one. What an earlier attempt left without a manifest is no savepoint and may be deleted.',
  ),
  JOB_NOT_RUNNING: user(
    'The job is not running.',
    'The request needs a running job, but it has not started, or it has ended.',
    'Run the job with millrace run; millrace jobs shows what each job of a storage is doing.',
  ),
  CONTROL_UNREACHABLE: external(
    'The running job cannot be reached.',
    'A process holds the job’s lock, but its control API does not answer: it is still starting, hangs, died meanwhile, listens on another host, or is a program that gave run() no port.',
    'Wait and try again, or run the command on the host that the message names. Ctrl-C or SIGTERM stops the job as millrace stop does.',
  ),
  PORT_TAKEN: external(
    'The control API cannot listen on its port.',
    'Another process listens on the port, or this one may not.',
    'Choose another port, or leave it out: then any free one is taken, and commands find it by the job’s lock.',
  ),
  REQUEST_INVALID: user(
    'A request to the control API is not understood or not allowed.',
    'Its path, headers or body are not what the endpoint takes, or it comes from a web page of another origin.',
    'The message names what is wrong. docs/control.md has the endpoints.',
  ),
  UNAUTHORIZED: user(
    'The control API wants a token.',
    'The job was started with a token, and the request has none or another one.',
    'Set MILLRACE_TOKEN, or MILLRACE_TOKEN_FILE, to what the job was started with; over HTTP send it as Authorization: Bearer TOKEN.',
  ),
  OPERATION_NOT_FOUND: user(
    'There is no such operation.',
    'The control API keeps the last 100 operations of the process that runs the job, and none of processes before it.',
    'Ask for it again: an operation that is asked for twice under one id happens once.',
  ),
  CONFIRMATION_NEEDED: user(
    'The command deletes something and was not confirmed.',
    'Deleting asks on a terminal; elsewhere it needs --yes.',
    'Pass --yes, or use --dry-run to see what would go.',
  ),
  NODE_TOO_OLD: user(
    'This Node.js is too old.',
    'Millrace needs Node.js 22.22 or newer (type stripping, zstd).',
    'Install a newer Node.js; inside the repository npm brings its own.',
  ),
  INTERNAL: {
    domain: 'internal',
    retry: false,
    title: 'Millrace has a bug.',
    meaning: 'An assertion failed.',
    fix: 'Please report it with the output of --verbose.',
  },
} as const satisfies Record<string, ErrorPage>

export type ErrorCode = keyof typeof ERRORS

export interface ErrorDetails {
  /** What it was about: operator, key, file, option. Shown by --json. */
  readonly context?: { readonly [name: string]: unknown }
  /** One line: what to do next, when it is more specific than the page's. */
  readonly hint?: string
  readonly cause?: unknown
}

/** An expected failure. `message` names the object, what was found, and what to do, in one or two sentences. */
export class MillraceError extends Error {
  readonly code: ErrorCode
  readonly context: { readonly [name: string]: unknown }
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'MillraceError'
    this.code = code
    this.context = details.context ?? {}
    this.hint = details.hint
  }

  get page(): ErrorPage {
    return ERRORS[this.code]
  }
}

export function isMillraceError(error: unknown, code?: ErrorCode): error is MillraceError {
  return error instanceof MillraceError && (code === undefined || error.code === code)
}

/** The message of anything that was thrown, in one line. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message || error.name
  try {
    return String(error)
  } catch {
    return 'a value that cannot be shown was thrown'
  }
}

/** Whether a text that came from elsewhere is a code of this version. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text)
}

/** What was thrown, as an expected failure: whatever else it is, is a bug of ours. */
export function namedError(error: unknown): MillraceError {
  return isMillraceError(error) ? error : new MillraceError('INTERNAL', messageOf(error), { cause: error })
}
