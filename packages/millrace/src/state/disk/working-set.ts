/**
 * What all tables of a slot share: the store, the cells in memory, the clock of change tracking.
 *
 *     store key   u8 keyspace | ...
 *     ENTRIES     segment key (key group u16 BE, state id u16 BE, key, namespace) -> value, with its last touch if the state has a ttl
 *     CHANGED     u32 BE epoch | segment key -> nothing: changed in that epoch, and evicted before a snapshot that holds it was published
 *     TIMES       u16 BE state id | time | registration | key group, key -> nothing: timers in the order in which they fire
 *
 * CHANGED is the index of changes of what is no longer in memory. It takes no memory, however much changes between two checkpoints.
 */
import { ByteWriter } from '../../codec/index.ts'
import { Epochs } from '../entries/epochs.ts'
import type { SnapshotRequest } from '../contract.ts'
import { CellCache } from './cell-cache.ts'
import type { DiskCell } from './disk-cell.ts'
import type { DiskStore, DiskView } from './disk-store.ts'
import { Packing } from './packed.ts'

export const ENTRIES = 1
export const CHANGED = 2
export const TIMES = 3

export class WorkingSet {
  readonly epochs = new Epochs()
  readonly store: DiskStore
  readonly cache: CellCache
  /** Changes up to here are in a published checkpoint. */
  publishedEpoch = 0
  /** The store as it was at the barrier; undefined while no snapshot is written. */
  view: DiskView | undefined
  private readonly batch = new Packing()
  /** The last epoch that CHANGED has keys of. */
  private changedEpoch = 0

  constructor(store: DiskStore, cacheBytes: number) {
    this.store = store
    this.cache = new CellCache(cacheBytes, cells => this.evict(cells))
  }

  private evict(cells: readonly DiskCell[]): void {
    for (const cell of cells) cell.table.evict(cell, this.batch)
    this.flush()
  }

  /** Writes single operations soon: with the next eviction, or when somebody is about to read. */
  get pending(): Packing {
    return this.batch
  }

  flush(): void {
    if (this.batch.count === 0) return
    this.store.write(this.batch.bytes)
    this.batch.reset()
  }

  /** The entry under a segment key changed in `epoch`, and its value is in the store or about to be. */
  markChanged(epoch: number, segmentKey: Uint8Array, into: Packing): void {
    changedKey.reset()
    changedKey.u8(CHANGED)
    changedKey.u32be(epoch)
    changedKey.raw(segmentKey)
    into.put(changedKey.view(), NOTHING)
    this.changedEpoch = Math.max(this.changedEpoch, epoch)
  }

  freeze({ full }: SnapshotRequest, base: number): void {
    const { epochs } = this
    this.flush()
    epochs.frozen = epochs.current++
    epochs.full = full
    epochs.base = base
    epochs.active = true
    this.view = this.store.view()
  }

  thaw(): void {
    this.epochs.active = false
    this.view?.close()
    this.view = undefined
  }

  published(epoch: number): void {
    // A range that is deleted costs every read a little: none without need.
    const hasChanged = this.changedEpoch > this.publishedEpoch
    this.publishedEpoch = epoch
    if (!hasChanged) return
    this.flush()
    this.store.deleteRange(changedFrom(0), changedFrom(epoch + 1))
  }
}

const NOTHING = new Uint8Array(0)
const changedKey = new ByteWriter(64)

/** Where the keys of an epoch's changes begin. */
export function changedFrom(epoch: number): Uint8Array {
  const key = new ByteWriter(8)
  key.u8(CHANGED)
  key.u32be(epoch)
  return key.copy()
}
