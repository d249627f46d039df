/**
 * What is in memory of a slot's state: cells in a ring, evicted by the CLOCK rule. A hand goes round; what was asked for since it came by
 * last gets a second chance. Adding, finding and evicting take constant time, however many there are.
 *
 * Cells leave in batches, so that what changed is written to the store in one call, and never while one is being looked up.
 */
import { type DiskCell, NOWHERE } from './disk-cell.ts'

const BATCH_CELLS = 256

export class CellCache {
  bytes = 0
  private readonly maxBytes: number
  private readonly evict: (cells: readonly DiskCell[]) => void
  private readonly ring: (DiskCell | undefined)[] = []
  /** Places that were left. What comes takes the place of what has just gone, behind the hand, and so has a whole round. */
  private readonly free: number[] = []
  private readonly victims: DiskCell[] = []
  private hand = 0

  constructor(maxBytes: number, evict: (cells: readonly DiskCell[]) => void) {
    this.maxBytes = maxBytes
    this.evict = evict
  }

  get size(): number {
    return this.ring.length - this.free.length
  }

  /** In no order that says anything; undefined: nothing is in that place. */
  get cells(): readonly (DiskCell | undefined)[] {
    return this.ring
  }

  /** Any other cell may be gone afterwards. */
  add(cell: DiskCell): void {
    if (this.bytes + cell.sizeBytes > this.maxBytes) this.makeRoom(cell.sizeBytes)
    cell.ringAt = this.free.pop() ?? this.ring.length
    this.ring[cell.ringAt] = cell
    this.bytes += cell.sizeBytes
  }

  /** Takes effect when something is added next. */
  resize(cell: DiskCell, sizeBytes: number): void {
    if (cell.ringAt !== NOWHERE) this.bytes += sizeBytes - cell.sizeBytes
    cell.sizeBytes = sizeBytes
  }

  private makeRoom(forBytes: number): void {
    const { ring, victims } = this
    const low = this.maxBytes * LOW_SHARE - forBytes
    while (this.size > 0 && victims.length < BATCH_CELLS && (this.bytes > low || victims.length === 0)) {
      if (this.hand >= ring.length) this.hand = 0
      const cell = ring[this.hand]
      if (cell === undefined) this.hand++
      else if (cell.isReferenced) {
        cell.isReferenced = false
        this.hand++
      } else {
        this.remove(cell)
        victims.push(cell)
      }
    }
    this.evict(victims)
    victims.length = 0
  }

  private remove(cell: DiskCell): void {
    this.ring[cell.ringAt] = undefined
    this.free.push(cell.ringAt)
    cell.ringAt = NOWHERE
    this.bytes -= cell.sizeBytes
  }
}

/** Below the limit by so much, where a batch can do it: not every added cell finds the cache full. */
const LOW_SHARE = 0.98
