/**
 * The one canonical encoding of keys. It is type-tagged, self-delimiting, and its bytes compare as the keys do whatever follows them,
 * so that a namespace can never run into a key. Two keys are equal exactly when their bytes are. docs/key-encoding.md has test vectors.
 *
 *   key     = 0x02                                   false
 *           | 0x03                                   true
 *           | 0x05 ordered f64                       number; -0 is written as 0, NaN is not a key
 *           | 0x06 inverted size, inverted magnitude negative bigint
 *           | 0x07 size, magnitude                   bigint from 0 up; magnitude is big-endian without leading zeros, 0 has none
 *           | 0x08 WTF-8, 0x00 as 0x00 0xFF, then 0x00 0x01   string
 *           | 0x09 key* 0x00                         tuple, at most 16 deep
 *   size    = u8 below 255 | 0xFF u32be
 *
 * A key takes at most 64 KiB. The hash (key-hash.ts) is defined over these bytes.
 */
import { Buffer } from 'node:buffer'
import { MillraceError } from '../base/errors.ts'
import { asBuffer, damaged, type ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { compareText, isHighSurrogate, isLowSurrogate, latin1Text, nativeText, writeEscapedWtf8 } from './text.ts'

/** A key, or the key of a map state: compared by value; tuples are arrays of keys. */
export type Key = string | number | bigint | boolean | readonly Key[]

export const MAX_KEY_BYTES = 64 * 1024
const MAX_TUPLE_DEPTH = 16

export const TAG_END = 0x00
export const TAG_FALSE = 0x02
export const TAG_TRUE = 0x03
export const TAG_NUMBER = 0x05
export const TAG_NEGATIVE_BIGINT = 0x06
export const TAG_BIGINT = 0x07
export const TAG_STRING = 0x08
export const TAG_TUPLE = 0x09
export const STRING_TERMINATOR = 0x01
const ESCAPED_ZERO = 0xff

// -------------------------------------------------------------------------------------------------------------- encoding

/**
 * Appends the canonical encoding. On an error nothing is appended.
 * @throws KEY_INVALID for NaN and for what is not a key; VALUE_TOO_LARGE above 64 KiB
 */
export function encodeKey(key: Key, out: ByteWriter): void {
  const start = out.length
  try {
    writeKey(key, out, start, 0)
  } catch (error) {
    out.length = start
    throw error
  }
}

function writeKey(key: Key, out: ByteWriter, start: number, depth: number): void {
  switch (typeof key) {
    case 'string':
      writeString(key, out)
      break
    case 'number':
      if (key !== key) throw notAKey(key)
      out.u8(TAG_NUMBER)
      out.orderedF64(key === 0 ? 0 : key)
      break
    case 'boolean':
      out.u8(key ? TAG_TRUE : TAG_FALSE)
      break
    case 'bigint':
      writeBigint(key, out)
      break
    default:
      if (!Array.isArray(key)) throw notAKey(key)
      if (depth === MAX_TUPLE_DEPTH)
        throw new MillraceError(
          'KEY_INVALID',
          `a key is a tuple nested more than ${MAX_TUPLE_DEPTH} deep; a key is flat, or nearly so`,
        )
      out.u8(TAG_TUPLE)
      for (let i = 0; i < key.length; i++) writeKey(key[i], out, start, depth + 1)
      out.u8(TAG_END)
  }
  if (out.length - start > MAX_KEY_BYTES) throw keyTooLarge()
}

function writeString(key: string, out: ByteWriter): void {
  if (key.length > MAX_KEY_BYTES) throw keyTooLarge()
  out.u8(TAG_STRING)
  writeEscapedWtf8(key, out)
  out.u16be(STRING_TERMINATOR)
}

function writeBigint(key: bigint, out: ByteWriter): void {
  const hex = (key < 0n ? -key : key).toString(16)
  const size = key === 0n ? 0 : (hex.length + 1) >>> 1
  if (size > MAX_KEY_BYTES) throw keyTooLarge()
  const invert = key < 0n ? 0xff : 0
  out.u8(key < 0n ? TAG_NEGATIVE_BIGINT : TAG_BIGINT)
  if (size < 255) {
    out.u8(size ^ invert)
  } else {
    out.u8(0xff ^ invert)
    out.u32be(invert === 0 ? size : ~size)
  }
  const magnitude = Buffer.from(hex.padStart(size * 2, '0'), 'hex')
  for (let i = 0; i < size; i++) out.u8(magnitude[i] ^ invert)
}

// -------------------------------------------------------------------------------------------------------------- decoding

/**
 * Reads one key. Only what encodeKey writes is accepted, so that a key has no second encoding.
 * @throws SNAPSHOT_DAMAGED
 */
export function decodeKey(reader: ByteReader): Key {
  return readKey(reader, reader.u8(), 0)
}

/** Moves the reader behind one key. It looks only for the key's end; what lies between is checked by decodeKey. */
export function skipKey(reader: ByteReader): void {
  let depth = 0
  do {
    const tag = reader.u8()
    if (tag === TAG_TUPLE) depth++
    else if (tag === TAG_END && depth > 0) depth--
    else if (tag === TAG_NUMBER) reader.skip(8)
    else if (tag === TAG_STRING) reader.offset = findTerminator(reader) + 2
    else if (tag === TAG_NEGATIVE_BIGINT || tag === TAG_BIGINT) reader.skip(readSize(reader, tag))
    else if (tag !== TAG_FALSE && tag !== TAG_TRUE) throw unknownTag(reader, tag)
  } while (depth > 0)
}

function readKey(reader: ByteReader, tag: number, depth: number): Key {
  switch (tag) {
    case TAG_FALSE:
      return false
    case TAG_TRUE:
      return true
    case TAG_NUMBER:
      return readNumber(reader)
    case TAG_NEGATIVE_BIGINT:
    case TAG_BIGINT:
      return readBigint(reader, tag)
    case TAG_STRING:
      return readString(reader)
    case TAG_TUPLE:
      return readTuple(reader, depth)
    default:
      throw unknownTag(reader, tag)
  }
}

function readNumber(reader: ByteReader): number {
  const value = reader.orderedF64()
  if (value !== value || Object.is(value, -0)) throw notCanonical(reader, 'a number')
  return value
}

function readTuple(reader: ByteReader, depth: number): Key {
  if (depth === MAX_TUPLE_DEPTH) throw notCanonical(reader, 'a tuple')
  const elements: Key[] = []
  for (let tag = reader.u8(); tag !== TAG_END; tag = reader.u8()) elements.push(readKey(reader, tag, depth + 1))
  return elements
}

function readSize(reader: ByteReader, tag: number): number {
  const negative = tag === TAG_NEGATIVE_BIGINT
  const short = reader.u8() ^ (negative ? 0xff : 0)
  if (short < 255) return short
  const long = reader.u32be()
  const size = negative ? ~long >>> 0 : long
  if (size < 255) throw notCanonical(reader, 'a bigint')
  return size
}

function readBigint(reader: ByteReader, tag: number): bigint {
  const size = readSize(reader, tag)
  if (size > MAX_KEY_BYTES) throw notCanonical(reader, 'a bigint')
  const magnitude = reader.copy(size)
  const negative = tag === TAG_NEGATIVE_BIGINT
  if (negative) for (let i = 0; i < size; i++) magnitude[i] ^= 0xff
  if (size === 0 ? negative : magnitude[0] === 0) throw notCanonical(reader, 'a bigint')
  if (size === 0) return 0n
  const value = BigInt(`0x${asBuffer(magnitude).toString('hex')}`)
  return negative ? -value : value
}

/** Where the 0x00 0x01 that ends the string at the reader's offset begins. */
function findTerminator(reader: ByteReader): number {
  const { bytes, end } = reader
  for (let at = reader.offset; at + 1 < end; at++) {
    if (bytes[at] !== 0) continue
    if (bytes[at + 1] === STRING_TERMINATOR) return at
    if (bytes[at + 1] !== ESCAPED_ZERO) throw notCanonical(reader, 'a string')
  }
  throw damaged(`the encoded data ends too early at byte ${end}: the string from byte ${reader.offset} has no end`)
}

function readString(reader: ByteReader): string {
  const start = reader.offset
  const end = findTerminator(reader)
  const bytes = reader.bytes
  for (let at = start; at < end; at++) {
    if (bytes[at] === 0 || bytes[at] >= 0x80) return readWtf8(reader, end)
  }
  reader.offset = end + 2
  return latin1Text(bytes, start, end)
}

function readWtf8(reader: ByteReader, end: number): string {
  let text = ''
  let last = 0
  while (reader.offset < end) {
    const point = readCodePoint(reader, end)
    if (isLowSurrogate(point) && isHighSurrogate(last)) throw notCanonical(reader, 'a string')
    text += String.fromCodePoint(point)
    last = point
  }
  reader.offset = end + 2
  return text
}

function readCodePoint(reader: ByteReader, end: number): number {
  const first = reader.u8()
  if (first === 0) reader.offset++
  if (first < 0x80) return first
  const more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3
  let point = first & (0x3f >>> more)
  for (let i = 0; i < more; i++) {
    const byte = reader.u8()
    if ((byte & 0xc0) !== 0x80) throw notCanonical(reader, 'a string')
    point = (point << 6) | (byte & 0x3f)
  }
  const least = more === 1 ? 0x80 : more === 2 ? 0x800 : 0x1_0000
  if (first < 0xc0 || first > 0xf7 || point < least || point > 0x10_ffff || reader.offset > end)
    throw notCanonical(reader, 'a string')
  return point
}

// ----------------------------------------------------------------------------------------------- order, identity, display

/** The order of two keys: the order of their encodings, found without encoding them. Negative, zero or positive. */
export function compareKeys(a: Key, b: Key): number {
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b)
  if (typeof a === 'number' && typeof b === 'number') return a < b ? -1 : a > b ? 1 : 0
  const rank = tagOf(a) - tagOf(b)
  if (rank !== 0) return rank
  if (Array.isArray(a)) return compareTuples(a, b as readonly Key[])
  return a < b ? -1 : a > b ? 1 : 0
}

function compareTuples(a: readonly Key[], b: readonly Key[]): number {
  const common = Math.min(a.length, b.length)
  for (let i = 0; i < common; i++) {
    const order = compareKeys(a[i], b[i])
    if (order !== 0) return order
  }
  return a.length - b.length
}

function tagOf(key: Key): number {
  if (typeof key === 'string') return TAG_STRING
  if (typeof key === 'number') return TAG_NUMBER
  if (typeof key === 'boolean') return key ? TAG_TRUE : TAG_FALSE
  if (typeof key === 'bigint') return key < 0n ? TAG_NEGATIVE_BIGINT : TAG_BIGINT
  return TAG_TUPLE
}

const scratch = new ByteWriter(256)

/**
 * A primitive that stands for the key in a JS Map: two keys are equal exactly when a Map takes their identities for the same. A tuple
 * is U+FFFF `[` and its encoding, a byte a character; a string that begins with U+FFFF gets one more of them in front.
 * @throws KEY_INVALID
 */
export function keyIdentity(key: Key): string | number | bigint | boolean {
  switch (typeof key) {
    case 'string':
      return key.charCodeAt(0) === 0xffff ? `\uffff${key}` : key
    case 'number':
      if (key !== key) throw notAKey(key)
      return key
    case 'boolean':
    case 'bigint':
      return key
    default:
      scratch.reset()
      encodeKey(key, scratch)
      return `\uffff[${nativeText.latin1Slice.call(scratch.bytes, 0, scratch.length)}`
  }
}

const MAX_DESCRIPTION = 80

/** The key for a message, like JSON and at most about 80 characters; what is not a key is described too. */
export function describeKey(key: unknown): string {
  const text = describe(key, 0)
  return text.length > MAX_DESCRIPTION ? `${text.slice(0, MAX_DESCRIPTION)}…` : text
}

function describe(key: unknown, depth: number): string {
  if (typeof key === 'string') return JSON.stringify(key.slice(0, MAX_DESCRIPTION))
  if (typeof key === 'bigint') return `${key}n`
  if (Array.isArray(key)) {
    if (depth > MAX_TUPLE_DEPTH) return '[…]'
    const shown = Array.from(key.slice(0, MAX_DESCRIPTION), element => describe(element, depth + 1))
    return `[${shown.join(', ')}]`
  }
  if (typeof key === 'function' || typeof key === 'symbol') return `a ${typeof key}`
  return typeof key === 'object' && key !== null ? 'an object' : String(key)
}

// ---------------------------------------------------------------------------------------------------------------- errors

function notAKey(found: unknown): MillraceError {
  return new MillraceError(
    'KEY_INVALID',
    `${describeKey(found)} is not a key; a key is a string, a number other than NaN, a bigint or a boolean, or a tuple of those`,
  )
}

function keyTooLarge(): MillraceError {
  return new MillraceError(
    'VALUE_TOO_LARGE',
    `a key takes more than ${MAX_KEY_BYTES / 1024} KiB when stored; use a shorter key, such as a hash of it`,
  )
}

function unknownTag(reader: ByteReader, tag: number): MillraceError {
  return damaged(`byte ${reader.offset - 1} of the encoded data is ${tag}, where a key should begin`)
}

function notCanonical(reader: ByteReader, what: string): MillraceError {
  return damaged(`${what} inside a key, before or at byte ${reader.offset}, is not encoded as Millrace encodes it`)
}
