/**
 * The bytes of a page of records, between threads of one process: in the byte order of the machine, and free to change.
 *
 *   page    = header row* text definition* value*
 *   header  = u32 count of rows | u32 end of the rows, in words | u32 bytes of text | u32 bytes of definitions
 *           | u32 bytes of values | u32 unused
 *   row     = u32 tag | [i32 hash] | [f64 timestamp] | a word or two for each leaf of the layout; words of 4 bytes, doubles aligned
 *   text    = chunk*; chunk = u32 (bytes * 2, + 1 when UTF-16LE instead of Latin-1), bytes: the strings of some rows one after another
 *   definition = value: the RowType of the next tag, for the layouts that are new in this page
 *
 * The tag names a layout. A leaf that is an int32, a float64 or a boolean stands in the row; of a string its length; of a `value`
 * nothing: the parts of the row that are values stand among the page's values, in order. Strings are found by counting.
 *
 * Text comes in chunks because V8 makes a substring of 13 or more characters a view of its parent: a record that is kept holds on to
 * the chunk it was cut from, not to a page.
 */

/** Which of the two optional numbers each row carries. */
export interface RowOptions {
  /** An int32. */
  readonly hash: boolean
  /** A float64. */
  readonly timestamp: boolean
}

export const HEADER_COUNT = 0
export const HEADER_ROWS_END = 1
export const HEADER_TEXT = 2
export const HEADER_DEFINITIONS = 3
export const HEADER_VALUES = 4
/** Even, so that the doubles of the first row are aligned. */
export const HEADER_WORDS = 6

/** The layouts that need no definition. */
export const TAG_VALUE = 0
export const TAG_STRING = 1
export const TAG_FLOAT64 = 2

/** A chunk of text ends behind the row that exceeds it: about 1 KiB is kept alive by a string, at 5 ns a record for the cutting. */
export const MAX_CHUNK_LENGTH = 1024
/** Longer strings take the way of values, which refuses too long ones and need not be put together first. */
export const MAX_ROW_TEXT = 0xffff

/** Memory a page starts with, and how much of it is kept for the next one. */
export const INITIAL_PAGE_BYTES = 64 * 1024
export const MAX_KEPT_PAGE_BYTES = 256 * 1024
