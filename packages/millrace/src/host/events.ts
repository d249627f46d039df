/** What a running job tells whoever started it: the command line prints it, programs may listen. */
import type { CheckpointOutcome, SavepointOutcome } from '../checkpoint/coordinator.ts'
import type { SlotProgress } from '../checkpoint/mail.ts'
import type { MillraceError } from '../base/errors.ts'
import type { Manifest } from '../snapshot/manifest-types.ts'
import type { FreshStart, RestoringStart } from '../snapshot/recover.ts'
import type { PlanEntry } from '../snapshot/restore-plan.ts'
import type { RestoreProgress } from './restore-progress.ts'

export type JobEvent =
  | {
      readonly type: 'started'
      readonly decision: FreshStart | RestoringStart
      readonly manifest: Manifest | undefined
      /** What became of each state, source and sink of the snapshot. */
      readonly plan: readonly PlanEntry[]
      /** From the start of recovery to the first step of the slot. */
      readonly tookMs: number
    }
  /** Before `started`, now and then, if loading the snapshot takes long. */
  | { readonly type: 'restoring'; readonly progress: RestoreProgress }
  | { readonly type: 'already-finished' }
  | { readonly type: 'checkpoint'; readonly outcome: CheckpointOutcome }
  | { readonly type: 'savepoint'; readonly outcome: SavepointOutcome }
  | { readonly type: 'progress'; readonly progress: SlotProgress }
  | { readonly type: 'restarting'; readonly error: MillraceError; readonly delayMs: number }
  | { readonly type: 'log'; readonly level: 'info' | 'warn'; readonly message: string }
  | { readonly type: 'ended'; readonly outcome: JobOutcome }

/** How a job ended when nothing went wrong. `already-finished`: an earlier run had, and nothing was done. */
export type JobOutcome = 'finished' | 'stopped' | 'cancelled' | 'already-finished'

export type OnJobEvent = (event: JobEvent) => void
