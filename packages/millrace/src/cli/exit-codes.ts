/**
 * Exit status of the command by error code, the one place that knows it:
 *
 *     0  finished, stopped with a snapshot, nothing to do        1  the job, its final checkpoint or the world failed it; damage
 *     2  what was asked for cannot be understood or used          3  refused: the lock is held, state does not fit, nothing to start from
 *     130, 143  left at once by a second SIGINT or SIGTERM
 *
 * Any other status is that of a process that died; `run --supervise` then starts the next one. Whoever supervises the command may start
 * it again after 1 too. After 2 and 3 the same would happen again until somebody changes something.
 */
import type { ErrorCode } from '../base/errors.ts'

export const FAILED = 1
export const USAGE = 2
export const REFUSED = 3

type ExitCode = typeof FAILED | typeof USAGE | typeof REFUSED

export const EXIT_CODES: { readonly [Code in ErrorCode]: ExitCode } = {
  JOB_MODULE_INVALID: USAGE,
  JOB_NAME_INVALID: USAGE,
  GRAPH_INVALID: USAGE,
  DUPLICATE_NAME: USAGE,
  GRAPH_NOT_DETERMINISTIC: USAGE,
  OPTION_INVALID: USAGE,
  USAGE,
  REQUEST_INVALID: USAGE,
  STORAGE_INVALID: USAGE,
  DISK_STORE_MISSING: USAGE,
  SAVEPOINT_FOLDER: USAGE,
  CONFIRMATION_NEEDED: USAGE,
  NODE_TOO_OLD: USAGE,

  // Found while records flow, or only then to be told from it.
  ASYNC_FUNCTION: FAILED,
  USER_FUNCTION_FAILED: FAILED,
  NO_EVENT_TIME: FAILED,
  TIMESTAMP_INVALID: FAILED,
  KEY_INVALID: FAILED,
  VALUE_UNSUPPORTED: FAILED,
  VALUE_TOO_LARGE: FAILED,
  STATE_VALUE_INVALID: FAILED,
  STATE_MUTATED: FAILED,
  MALFORMED_RECORD: FAILED,
  DETERMINISTIC_FAILURE: FAILED,
  SOURCE_FILE_MISSING: FAILED,
  SOURCE_FILE_CHANGED: FAILED,
  SOURCE_FAILED: FAILED,
  SINK_FAILED: FAILED,
  SINK_CONFLICT: FAILED,
  STORE_FAILED: FAILED,
  DISK_STORE_FAILED: FAILED,
  STORE_POISONED: FAILED,
  CHECKPOINT_FAILED: FAILED,
  CHECKPOINT_EXPIRED: FAILED,
  STOP_FAILED: FAILED,
  CONTROL_UNREACHABLE: FAILED,
  INTERNAL: FAILED,

  JOB_LOCKED: REFUSED,
  FENCED: REFUSED,
  JOB_EXISTS: REFUSED,
  JOB_NOT_FOUND: REFUSED,
  JOB_NOT_RUNNING: REFUSED,
  PORT_TAKEN: REFUSED,
  OPERATION_NOT_FOUND: REFUSED,
  UNAUTHORIZED: REFUSED,
  SNAPSHOT_NOT_FOUND: REFUSED,
  SNAPSHOT_DAMAGED: REFUSED,
  SNAPSHOT_VERSION: REFUSED,
  SNAPSHOT_WRONG_JOB: REFUSED,
  OBJECT_MISSING: REFUSED,
  BAD_REFERENCE: REFUSED,
  NO_USABLE_SNAPSHOT: REFUSED,
  FALLBACK_REFUSED: REFUSED,
  STATE_INCOMPATIBLE: REFUSED,
  STATE_DROPPED: REFUSED,
}
