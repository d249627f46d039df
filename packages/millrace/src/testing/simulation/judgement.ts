/** Which errors a simulation expects: those that it made itself, and what comes of them. */
import type { MillraceError } from '../../base/errors.ts'
import { PLANTED } from './outside.ts'

const EXPIRED = /took longer than/
/** Of a process and the one that replaced it: the old one used an id of the new one, the new one swept what the old one was writing. */
const RIVALRY = /written by another process|was given up, and takes no more bytes/

/** An error that ended an attempt or a process. `hasRivals`: there was more than one process so far. */
export function isExpectedEnd(error: MillraceError, hasRivals: boolean): boolean {
  switch (error.code) {
    case 'STORE_FAILED':
    case 'STORE_POISONED':
    case 'USER_FUNCTION_FAILED':
    case 'SOURCE_FAILED':
    case 'SINK_FAILED':
    case 'DETERMINISTIC_FAILURE':
    case 'INTERNAL':
      return isPlanted(error) || (hasRivals && RIVALRY.test(error.message))
    case 'CHECKPOINT_FAILED':
    case 'CHECKPOINT_EXPIRED':
      return isPlanted(error) || EXPIRED.test(error.message) || (hasRivals && RIVALRY.test(error.message))
    case 'FENCED':
    case 'JOB_LOCKED':
      return hasRivals
    default:
      return false
  }
}

/** An error that a call such as `stop` rejected with: besides, the job may not be in a state for it. */
export function isExpectedAnswer(error: MillraceError, hasRivals: boolean): boolean {
  const reason = error.code === 'STOP_FAILED' ? (error.cause as MillraceError) : error
  return reason.code === 'JOB_NOT_RUNNING' || isExpectedEnd(reason, hasRivals)
}

/** Causes of an error that came from another thread are in its stack. */
function isPlanted(error: Error): boolean {
  const isHere = error.message.includes(PLANTED) || error.stack?.includes(PLANTED) === true
  return isHere || (error.cause instanceof Error && isPlanted(error.cause))
}
