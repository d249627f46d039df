/** A slot on the coordinator's own thread: for tests and small embedded jobs. */
import type { JobGraph } from '../graph/index.ts'
import { Slot, type SlotPlan } from '../runtime/slot.ts'
import type { ToSlot } from '../checkpoint/mail.ts'
import type { SnapshotStore } from '../store/contract.ts'
import { NodePlatform } from './node-platform.ts'
import { SlotDriver } from './slot-driver.ts'
import type { OnMail, SlotFactory, SlotPort } from './slot-port.ts'

export function inPlaceSlots(job: JobGraph, store: SnapshotStore): SlotFactory {
  return onMail => new InPlaceSlot(job, store, onMail)
}

class InPlaceSlot implements SlotPort {
  private readonly job: JobGraph
  private readonly platform: NodePlatform
  private readonly onMail: OnMail
  private slot: Slot | undefined
  private driver: SlotDriver | undefined

  constructor(job: JobGraph, store: SnapshotStore, onMail: OnMail) {
    this.job = job
    this.platform = new NodePlatform(store)
    this.onMail = onMail
  }

  async restore(plan: SlotPlan): Promise<void> {
    this.slot = new Slot(this.job, plan, this.platform, this.onMail)
    await this.slot.restore()
  }

  async start(): Promise<void> {
    await this.slot!.start()
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
