/**
 * Where the columns of a fixed-width schema lie in a row of bytes, in memory (state/heap) and in snapshots (state-value.ts).
 *
 *   row = the f64 columns, then those of four bytes, of two, of one; those of one size in the order of their names (UTF-16 code units)
 *
 * Numbers are little-endian, integers in two's complement, a boolean is 0 or 1. There is no padding: what takes eight or four bytes
 * is aligned in a row that is. The layout follows from the names and the kinds of the columns alone: not from the order of the
 * properties, nor from bounds within what the storage holds.
 */
import type { Column, Storage } from './fixed-schema.ts'

export interface Field {
  readonly column: Column
  /** In the row, in bytes. */
  readonly offset: number
}

export interface RowLayout {
  /** In the order of the columns. */
  readonly fields: readonly Field[]
  readonly sizeBytes: number
  /** Rows of two layouts are the same bytes exactly when this is the same. */
  readonly signature: string
}

const BYTES: { readonly [S in Storage]: number } = { f64: 8, i32: 4, u32: 4, i16: 2, u16: 2, i8: 1, u8: 1, bool: 1 }

export function layOut(columns: readonly Column[]): RowLayout {
  const ordered = columns.toSorted(
    (a, b) => BYTES[b.storage] - BYTES[a.storage] || ((a.name ?? '') < (b.name ?? '') ? -1 : 1),
  )
  const offsets = new Map<Column, number>()
  let sizeBytes = 0
  for (const column of ordered) {
    offsets.set(column, sizeBytes)
    sizeBytes += BYTES[column.storage]
  }
  return {
    fields: columns.map(column => ({ column, offset: offsets.get(column)! })),
    sizeBytes,
    signature: JSON.stringify(ordered.map(({ name, kind, storage }) => [name ?? null, kind, storage])),
  }
}
