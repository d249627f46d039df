/** A slot as the coordinator sees it, wherever it runs. */
import type { FromSlot, ToSlot } from '../checkpoint/mail.ts'
import type { SlotPlan } from '../runtime/slot.ts'

export interface SlotPort {
  /** Builds the slot and loads its state. Rejects with SNAPSHOT_DAMAGED, OBJECT_MISSING when the snapshot does not hold. */
  restore(plan: SlotPlan): Promise<void>
  /** Opens sinks and sources and begins to read. */
  start(): Promise<void>
  send(mail: ToSlot): void
  /** Ends it, whatever it is doing. Never rejects. */
  close(): Promise<void>
}

export type OnMail = (mail: FromSlot) => void

/** Makes a slot for one attempt. */
export type SlotFactory = (onMail: OnMail) => SlotPort
