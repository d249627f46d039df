/** What the outside world gives a slot. Nothing in the engine asks for time, threads or files in any other way. */
import type { DiskStore } from '../state/index.ts'
import type { SegmentStore } from '../store/contract.ts'
import type { DiskState } from './slot-plan.ts'

export interface Platform {
  /** Epoch milliseconds. */
  now(): number
  /** Milliseconds of a clock that only goes forward, for measuring. */
  monotonic(): number
  readonly store: SegmentStore
  /** Something arrived for a slot that may be asleep. */
  wake(): void
  /** As `wake`, for another slot of the attempt. */
  wakeSlot(slot: number): void
  /** Lets callbacks of the event loop run; long work awaits it now and then. */
  yield(): Promise<void>
  /** A new store for the working state of one of `parallelism` slots, empty. @throws DISK_STORE_MISSING, DISK_STORE_FAILED */
  openDiskStore(state: DiskState, parallelism: number): DiskStore
}
