/** A cell: one entry of state that is in memory, or the knowledge that there is none. */
import { NO_TOUCH } from '../../time/index.ts'
import type { Key } from '../declarations.ts'
import { NEVER } from '../entries/epochs.ts'
import type { DiskTable } from './disk-table.ts'

/** The value of a cell whose entry does not exist. */
export const ABSENT = Symbol('absent')

/**
 * Of the objects and the places in maps and lists that stand for one cell, and what a byte of an encoded value comes to as an object. Measured:
 * numbers 213 bytes in all, small objects and strings 300, objects of 24 fields 430; and a third of that again, which V8 has not collected yet.
 */
const CELL_BYTES = 300
const BYTES_PER_ENCODED = 2.5

export class DiskCell {
  readonly table: DiskTable
  readonly key: Key
  /** What tells entries of one key apart: a map key, a list index, a window's start. Undefined for a plain value. */
  readonly sub: Key | undefined
  readonly group: number
  value: unknown = ABSENT
  /** Of its last change; 0: none since it was loaded. */
  epoch = 0
  /** Of the last snapshot it was serialised for. NEVER: the entry is in no snapshot, nor in the store. */
  written = NEVER
  /** The store holds the value; of an absent one: nothing. */
  isSaved = true
  /** Somebody asked for it since the hand of the cache passed. */
  isReferenced = true
  /** Its place in the cache's ring; NOWHERE once it was evicted. */
  ringAt = NOWHERE
  /** Its place in the list of what changed in `epoch`. */
  listAt = NOWHERE
  touchedMs = NO_TOUCH
  sizeBytes = CELL_BYTES

  constructor(table: DiskTable, key: Key, sub: Key | undefined, group: number) {
    this.table = table
    this.key = key
    this.sub = sub
    this.group = group
  }
}

export const NOWHERE = -1

export function cellBytes(encodedBytes: number): number {
  return CELL_BYTES + encodedBytes * BYTES_PER_ENCODED
}
