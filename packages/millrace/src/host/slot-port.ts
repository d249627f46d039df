/** A slot as the coordinator sees it, wherever it runs. */
import type { FromSlot, ToSlot } from '../checkpoint/mail.ts'
import type { SlotPlan, SourceShares } from '../runtime/slot-plan.ts'

export interface SlotPort {
  /** Resolves once the slot can be restored at once: its thread runs and has imported the job. Rejects with what is wrong with that. */
  readonly ready: Promise<void>
  /** Builds the slot and loads its state. Rejects with SNAPSHOT_DAMAGED, OBJECT_MISSING when the snapshot does not hold. */
  restore(plan: SlotPlan): Promise<void>
  /** Opens sinks and sources and begins to read. */
  start(shares: SourceShares): Promise<void>
  send(mail: ToSlot): void
  /** Ends it, whatever it is doing. Never rejects. */
  close(): Promise<void>
}

export type OnMail = (mail: FromSlot) => void

/** Makes the slots of one attempt. */
export type SlotFactory = (parallelism: number, onMail: (slot: number, mail: FromSlot) => void) => SlotPort[]
