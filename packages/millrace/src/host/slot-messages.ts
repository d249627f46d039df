/** Between the coordinator's thread and a slot's thread. */
import type { MessagePort } from 'node:worker_threads'
import type { Params } from '../api/index.ts'
import type { CarriedError, FromSlot, ToSlot } from '../checkpoint/mail.ts'
import type { SlotPlan, SourceShares } from '../runtime/slot-plan.ts'

/** What a slot's thread is started with. */
export interface SlotThreadData {
  readonly module: string
  readonly job: string
  readonly params: Params
  readonly fingerprint: string
  readonly isDryRun: boolean
  readonly store: StoreOfThread
}

/** A directory that the thread opens itself, or the way to a store that it cannot open. */
export type StoreOfThread =
  | { readonly kind: 'local'; readonly storage: string }
  | { readonly kind: 'lent'; readonly location: string; readonly port: MessagePort }

export type ToThread =
  | { readonly type: 'restore'; readonly plan: SlotPlan }
  | { readonly type: 'start'; readonly shares: SourceShares }
  | { readonly type: 'mail'; readonly mail: ToSlot }
  | { readonly type: 'close' }

/** What the thread answers: a message, and that it was started. */
export type Answered = 'load' | 'restore' | 'start' | 'close'

export type FromThread =
  | { readonly type: 'done'; readonly of: Answered }
  | { readonly type: 'error'; readonly of: Answered; readonly error: CarriedError }
  | { readonly type: 'mail'; readonly mail: FromSlot }
