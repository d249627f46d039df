/**
 * Goes round the entries of states with a time to live and takes out what is expired: first those in the store, in their order, then those
 * in memory. An entry that is in memory may have been touched since the store got it, so of that its cell counts.
 */
import { ByteReader, ByteWriter } from '../../codec/index.ts'
import { ABSENT } from './disk-cell.ts'
import { type DiskTable, TOUCH_BYTES } from './disk-table.ts'
import { keyAfter, Unpacking } from './packed.ts'
import { ENTRIES, type WorkingSet } from './working-set.ts'

/** Of a small entry in the store, key and value: how much is read in one call is told in bytes. */
const ENTRY_BYTES = 32
const NOTHING: Uint8Array = new Uint8Array(0)

const touch = new ByteReader()

export class DiskSweep {
  private readonly working: WorkingSet
  private readonly tables: readonly DiskTable[]
  private readonly maxParallelism: number
  /** In the store: the table and its key group, and where to go on in there; undefined: at its beginning. */
  private group = 0
  private table = 0
  private from: Uint8Array | undefined
  /** In memory: the next cell of the cache. */
  private cell = 0

  constructor(working: WorkingSet, tables: readonly DiskTable[], maxParallelism: number) {
    this.working = working
    this.tables = tables
    this.maxParallelism = maxParallelism
  }

  /** Looks at about `maxEntries` entries; true at the end of a round. */
  step(maxEntries: number): boolean {
    return this.group < this.maxParallelism ? this.stepInStore(maxEntries) : this.stepInMemory(maxEntries)
  }

  private stepInStore(maxEntries: number): false {
    this.working.flush()
    let left = maxEntries
    while (left > 0 && this.group < this.maxParallelism) {
      const table = this.tables[this.table]
      const found = table.ttl === undefined ? 0 : this.sweep(table, left * ENTRY_BYTES)
      // A key group without entries costs a call too.
      left -= Math.max(found, 1)
      if (found === 0) this.next()
    }
    this.working.flush()
    return false
  }

  private next(): void {
    this.from = undefined
    if (++this.table < this.tables.length) return
    this.table = 0
    this.group++
  }

  /** How many entries it has looked at; 0: there are none left. */
  private sweep(table: DiskTable, maxBytes: number): number {
    const { working, group } = this
    const from = this.from ?? rangeStart(group, table.stateId)
    const entries = new Unpacking(working.store.scan(from, rangeStart(group, table.stateId + 1), maxBytes))
    let last = NOTHING
    let count = 0
    while (!entries.atEnd) {
      entries.next()
      last = entries.current
      entries.next()
      touch.reset(entries.bytes, entries.start, entries.start + TOUCH_BYTES)
      count++
      if (table.ttl!.isExpired(touch.f64le())) table.expire(last, working.pending)
    }
    if (count > 0) this.from = keyAfter(last)
    return count
  }

  private stepInMemory(maxEntries: number): boolean {
    const { cells } = this.working.cache
    for (const end = this.cell + maxEntries; this.cell < end && this.cell < cells.length; this.cell++) {
      const cell = cells[this.cell]
      if (cell !== undefined && cell.value !== ABSENT && cell.table.isExpired(cell)) cell.table.remove(cell)
    }
    if (this.cell < cells.length) return false
    this.cell = 0
    this.group = 0
    return true
  }
}

/** Where the entries of a state begin in a key group; of the highest state id and one more: behind them. */
function rangeStart(group: number, stateId: number): Uint8Array {
  const start = new ByteWriter(8)
  start.u8(ENTRIES)
  start.u16be(group + (stateId >>> 16))
  start.u16be(stateId & 0xffff)
  return start.copy()
}
