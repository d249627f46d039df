/**
 * Slots that are made ready while those of the running attempt still work, so that a rescale does not pause for the start of threads.
 * The next attempt of their number takes them; every other one gets new ones.
 */
import type { FromSlot } from '../checkpoint/mail.ts'
import type { SlotFactory, SlotPort } from './slot-port.ts'

interface Spare {
  readonly slots: SlotPort[]
  /** What they said before anybody listened: only that they died. */
  readonly early: (readonly [slot: number, mail: FromSlot])[]
  onMail: ((slot: number, mail: FromSlot) => void) | undefined
}

export class SpareSlots {
  private readonly make: SlotFactory
  private spare: Spare | undefined

  constructor(make: SlotFactory) {
    this.make = make
  }

  /** Resolves when they could be restored at once. Rejects with what keeps their threads from that; then there are none. */
  async prepare(parallelism: number): Promise<void> {
    const early: Spare['early'] = []
    const spare: Spare = {
      slots: this.make(parallelism, (slot, mail) => {
        if (spare.onMail === undefined) early.push([slot, mail])
        else spare.onMail(slot, mail)
      }),
      early,
      onMail: undefined,
    }
    const former = this.spare
    this.spare = spare
    try {
      await close(former)
      await Promise.all(spare.slots.map(slot => slot.ready))
    } catch (error) {
      if (this.spare === spare) this.spare = undefined
      await close(spare)
      throw error
    }
  }

  /** For attempts. */
  readonly take: SlotFactory = (parallelism, onMail) => {
    const { spare } = this
    if (spare?.slots.length !== parallelism) return this.make(parallelism, onMail)
    this.spare = undefined
    spare.onMail = onMail
    // The attempt knows its slots only when it has them.
    queueMicrotask(() => spare.early.forEach(([slot, mail]) => onMail(slot, mail)))
    return spare.slots
  }

  async discard(): Promise<void> {
    const { spare } = this
    this.spare = undefined
    await close(spare)
  }
}

async function close(spare: Spare | undefined): Promise<void> {
  await Promise.all(spare?.slots.map(slot => slot.close()) ?? [])
}
