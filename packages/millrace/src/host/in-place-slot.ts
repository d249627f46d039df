/** Slots on the coordinator's own thread, one as good as any number: for tests and small embedded jobs. */
import type { JobGraph } from '../graph/index.ts'
import { Slot } from '../runtime/slot.ts'
import type { SlotPlan, SourceShares } from '../runtime/slot-plan.ts'
import type { ToSlot } from '../checkpoint/mail.ts'
import type { SnapshotStore } from '../store/contract.ts'
import { NodePlatform } from './node-platform.ts'
import { SlotDriver } from './slot-driver.ts'
import type { OnMail, SlotFactory, SlotPort } from './slot-port.ts'

export function inPlaceSlots(job: JobGraph, store: SnapshotStore): SlotFactory {
  return (parallelism, onMail) => {
    const slots: InPlaceSlot[] = Array.from({ length: parallelism }, (_, index) => {
      const platform = new NodePlatform(store, slot => slots[slot].platform.wake())
      return new InPlaceSlot(job, platform, mail => onMail(index, mail))
    })
    return slots
  }
}

class InPlaceSlot implements SlotPort {
  readonly ready = Promise.resolve()
  readonly platform: NodePlatform
  private readonly job: JobGraph
  private readonly onMail: OnMail
  private slot: Slot | undefined
  private driver: SlotDriver | undefined

  constructor(job: JobGraph, platform: NodePlatform, onMail: OnMail) {
    this.job = job
    this.platform = platform
    this.onMail = onMail
  }

  async restore(plan: SlotPlan): Promise<void> {
    this.slot = new Slot(this.job, plan, this.platform, this.onMail)
    await this.slot.restore()
  }

  async start(shares: SourceShares): Promise<void> {
    await this.slot!.start(shares)
    this.driver = new SlotDriver(this.slot!, this.platform, this.onMail)
    this.driver.start()
  }

  send(mail: ToSlot): void {
    this.slot!.receive(mail)
  }

  async close(): Promise<void> {
    await (this.driver?.close() ?? this.slot?.close())
  }
}
