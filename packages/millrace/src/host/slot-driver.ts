/** Drives a slot's step machine on this thread's event loop. */
import type { FromSlot } from '../checkpoint/mail.ts'
import type { Slot } from '../runtime/slot.ts'
import type { NodePlatform } from './node-platform.ts'

/** Steps in a row before the event loop has a turn: mails and I/O wait this long at most. */
const TURN_MS = 2
const PROGRESS_EVERY_MS = 200

export class SlotDriver {
  private readonly slot: Slot
  private readonly platform: NodePlatform
  private readonly post: (mail: FromSlot) => void
  private stopped = false
  private times = { busyMs: 0, idleMs: 0, backpressuredMs: 0 }
  private loop: Promise<void> | undefined

  constructor(slot: Slot, platform: NodePlatform, post: (mail: FromSlot) => void) {
    this.slot = slot
    this.platform = platform
    this.post = post
  }

  start(): void {
    this.loop = this.run()
  }

  async close(): Promise<void> {
    this.stopped = true
    this.platform.wake()
    await this.loop
    await this.slot.close()
  }

  private async run(): Promise<void> {
    let progressDueMs = 0
    while (!this.stopped) {
      const startMs = this.platform.monotonic()
      let idle = false
      do idle = this.slot.step() === 'idle'
      while (!idle && this.platform.monotonic() - startMs < TURN_MS)
      if (startMs >= progressDueMs) {
        this.post({ type: 'progress', progress: this.slot.progress({ ...this.times }) })
        progressDueMs = startMs + PROGRESS_EVERY_MS
      }
      if (idle) await this.sleep(startMs)
      else {
        await this.platform.yield()
        this.times.busyMs += this.platform.monotonic() - startMs
      }
    }
  }

  /** Time is measured by the turn, so a step costs no more for it. */
  private async sleep(turnStartMs: number): Promise<void> {
    const fromMs = this.platform.monotonic()
    this.times.busyMs += fromMs - turnStartMs
    const kind = this.slot.isBackpressured ? 'backpressuredMs' : 'idleMs'
    await this.platform.sleep(this.slot.idleUntilMs)
    this.times[kind] += this.platform.monotonic() - fromMs
  }
}
