/** The real world for a slot: the clock, the store, the event loop. One per slot. */
import { tmpdir } from 'node:os'
import { setImmediate as immediate } from 'node:timers/promises'
import type { Platform } from '../runtime/platform.ts'
import type { DiskState } from '../runtime/slot-plan.ts'
import type { DiskStore } from '../state/index.ts'
import { openDiskStore } from '../state/rocksdb/open-disk-store.ts'
import type { SegmentStore } from '../store/contract.ts'
import { makeScratchDirectory } from './scratch-directory.ts'

/** Longest sleep: setTimeout takes 31 bits. */
const SLEEP_MAX_MS = 60_000

export class NodePlatform implements Platform {
  readonly store: SegmentStore
  readonly wakeSlot: (slot: number) => void
  private woken = false
  private wakeUp: (() => void) | undefined

  constructor(store: SegmentStore, wakeSlot: (slot: number) => void) {
    this.store = store
    this.wakeSlot = wakeSlot
  }

  now(): number {
    return Date.now()
  }

  monotonic(): number {
    return performance.now()
  }

  wake(): void {
    this.woken = true
    this.wakeUp?.()
  }

  openDiskStore({ memoryBytes, directory: base = tmpdir() }: DiskState, parallelism: number): DiskStore {
    return openDiskStore({ directory: makeScratchDirectory(base), memoryBytes, storeCount: parallelism })
  }

  async yield(): Promise<void> {
    await immediate()
  }

  /** Until woken, or the time has come. A wake since the last sleep ends this one at once. */
  async sleep(untilMs: number): Promise<void> {
    if (!this.woken) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, Math.max(0, Math.min(untilMs - Date.now(), SLEEP_MAX_MS)))
        this.wakeUp = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.wakeUp = undefined
    }
    this.woken = false
  }
}
