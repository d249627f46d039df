/**
 * The bytes of a self-describing value. Everything structured clone carries has a form here; a value ends where its bytes say.
 *
 *   value  = 0x00 undefined | 0x01 null | 0x02 false | 0x03 true
 *          | 0x80..0xFF                                  the integers 0 to 127
 *          | 0x04 varint | 0x05 varint                   n, and -1 - n, for integers below 2^49
 *          | 0x06 f64                                    every other number, -0 too | 0x07 NaN
 *          | 0x08 i64 | 0x09 sign, varint size, magnitude  bigint; the second when it does not fit into 64 bits (big-endian)
 *          | 0x40..0x7F Latin-1                          a string of 0 to 63 characters up to U+00FF
 *          | 0x0A | 0x0B | 0x0C varint size, bytes       longer strings in Latin-1, strings in UTF-8, in UTF-16LE
 *          | 0x10 shape value*                           object whose shape appears for the first time in this value
 *          | 0x11 varint value*                          object of the n-th such shape
 *          | 0x12 varint length, element*                array; element = value | 0x13 varint count: so many holes
 *          | 0x14 varint count, (value value)*           Map
 *          | 0x15 varint count, value*                   Set
 *          | 0x16 f64                                    Date, NaN when invalid
 *          | 0x17 value value                            RegExp: source, flags
 *          | 0x18 value                                  boxed boolean, number, bigint or string
 *          | 0x19 varint size, bytes                     ArrayBuffer
 *          | 0x1A u8 kind, value                         typed array or DataView over the whole of that ArrayBuffer
 *          | 0x1B u8 kind, u8 parts, value*              Error: message 1, stack 2, cause 4, as far as the bits of `parts` say
 *          | 0x1C varint                                 the n-th object of this value again: a cycle or a shared reference
 *          | 0x1D row                                    only as a whole value of keyed state (state-value.ts): the bytes of a schema
 *   shape  = varint size, (varint count, string*)        property names, as values, in order; size in bytes
 *
 * Objects are numbered as their bytes begin; an ArrayBuffer inside a view has a number too.
 */

export const TAG_UNDEFINED = 0x00
export const TAG_NULL = 0x01
export const TAG_FALSE = 0x02
export const TAG_TRUE = 0x03
export const TAG_INTEGER = 0x04
export const TAG_NEGATIVE_INTEGER = 0x05
export const TAG_F64 = 0x06
export const TAG_NAN = 0x07
export const TAG_BIGINT_64 = 0x08
export const TAG_BIGINT = 0x09
export const TAG_LATIN1 = 0x0a
export const TAG_UTF8 = 0x0b
export const TAG_UTF16 = 0x0c
export const TAG_OBJECT = 0x10
export const TAG_OBJECT_AGAIN = 0x11
export const TAG_ARRAY = 0x12
export const TAG_HOLES = 0x13
export const TAG_MAP = 0x14
export const TAG_SET = 0x15
export const TAG_DATE = 0x16
export const TAG_REGEXP = 0x17
export const TAG_BOXED = 0x18
export const TAG_BUFFER = 0x19
export const TAG_VIEW = 0x1a
export const TAG_ERROR = 0x1b
export const TAG_REFERENCE = 0x1c
export const TAG_ROW = 0x1d
export const TAG_SHORT_TEXT = 0x40
export const TAG_SMALL_INTEGER = 0x80

/** Longest string and largest integer whose length or value is in the tag. */
export const MAX_SHORT_TEXT = TAG_SMALL_INTEGER - TAG_SHORT_TEXT - 1
export const MAX_SMALL_INTEGER = 0xff - TAG_SMALL_INTEGER

/** From here on an f64 is not longer than the varint. */
export const INTEGER_LIMIT = 2 ** 49

export const HAS_MESSAGE = 1
export const HAS_STACK = 2
export const HAS_CAUSE = 4

/** A deeper value would overflow the stack of whoever decodes it. */
export const MAX_DEPTH = 1000
export const MAX_VALUE_BYTES = 256 * 1024 * 1024

type ViewType = new (buffer: ArrayBuffer) => ArrayBufferView

/** Node 22 has no Float16Array yet. */
const { Float16Array } = globalThis as { Float16Array?: ViewType }

/** In the order of their kind byte; only ever append. */
export const VIEW_TYPES: readonly ViewType[] = [
  DataView,
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  ...(Float16Array === undefined ? [] : [Float16Array]),
]

/** In the order of their kind byte; only ever append. An error of another name becomes an Error, as in structured clone. */
export const ERROR_TYPES = [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError] as const
