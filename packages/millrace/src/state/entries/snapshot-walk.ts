/**
 * The way of a snapshot through the tables of a backend: key groups outermost, states by their ids, as segments want them. Of each the frozen
 * entries are collected, sorted and handed on, in steps of bounded work.
 */
import type { StateId } from '../contract.ts'
import { EntryGroup } from './entry-group.ts'
import { EntrySorter } from './entry-sorter.ts'

const FIRST_ENTRIES = 512
/** Entries that a step of sorting looks at: about 10 µs. */
const SORT_ENTRIES = 1024
const EMPTY_GROUPS_PER_STEP = 512

export interface WalkedTable {
  readonly stateId: StateId
  /** Serialises about `max` frozen entries of a key group; true once the group is done. */
  collect(group: number, into: EntryGroup, max: number): boolean
}

export class SnapshotWalk<Table extends WalkedTable> {
  /** Where it stands, and what was collected there, sorted once the phase is `emit`. */
  group = 0
  readonly entries = new EntryGroup(FIRST_ENTRIES)
  private readonly tables: readonly Table[]
  private readonly groups: number
  private readonly sorter = new EntrySorter()
  private tableIndex = 0
  private phase: 'collect' | 'sort' | 'emit' = 'collect'

  constructor(tables: readonly Table[], maxParallelism: number) {
    this.tables = tables
    this.groups = maxParallelism
  }

  get table(): Table {
    return this.tables[this.tableIndex]
  }

  /** Back to the beginning. */
  reset(): void {
    this.group = 0
    this.tableIndex = 0
    this.leave()
  }

  /**
   * Takes some steps; true at the end. `emit` hands on about `maxEntries` of the table and key group where it stands, and says when that is
   * all; `hasMore`: it would, even though nothing was collected.
   */
  advance(maxEntries: number, emit: () => boolean, hasMore: () => boolean): boolean {
    if (this.tables.length === 0) return true
    // A table without entries in a key group costs a step of its own: count it, so that empty ones stay bounded too.
    for (let steps = 0; steps < EMPTY_GROUPS_PER_STEP; steps++) {
      if (this.group === this.groups) break
      if (!this.step(maxEntries, emit, hasMore)) return false
    }
    return this.group === this.groups
  }

  /** True if a table's key group was finished without anything to write. */
  private step(maxEntries: number, emit: () => boolean, hasMore: () => boolean): boolean {
    switch (this.phase) {
      case 'collect':
        if (!this.table.collect(this.group, this.entries, maxEntries)) return false
        if (this.entries.count > 0) {
          this.sorter.begin(this.entries)
          this.phase = 'sort'
        } else if (hasMore()) this.phase = 'emit'
        else {
          this.next()
          return true
        }
        return false
      case 'sort':
        if (this.sorter.step(SORT_ENTRIES)) this.phase = 'emit'
        return false
      case 'emit':
        if (emit()) this.next()
        return false
    }
  }

  private next(): void {
    this.leave()
    if (++this.tableIndex < this.tables.length) return
    this.tableIndex = 0
    this.group++
  }

  private leave(): void {
    this.entries.reset()
    this.phase = 'collect'
  }
}
