/** Numbers, bigints and strings as value-format.ts lays them out. */
import { Buffer } from 'node:buffer'
import { MillraceError } from '../base/errors.ts'
import { asBuffer, damaged, type ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import { BEYOND_LATIN1, latin1Text, nativeText } from './text.ts'
import {
  INTEGER_LIMIT,
  MAX_SHORT_TEXT,
  MAX_SMALL_INTEGER,
  MAX_VALUE_BYTES,
  TAG_BIGINT,
  TAG_BIGINT_64,
  TAG_F64,
  TAG_INTEGER,
  TAG_LATIN1,
  TAG_NAN,
  TAG_NEGATIVE_INTEGER,
  TAG_SHORT_TEXT,
  TAG_SMALL_INTEGER,
  TAG_UTF16,
  TAG_UTF8,
} from './value-format.ts'

// --------------------------------------------------------------------------------------------------------------- numbers

export function writeNumber(n: number, out: ByteWriter): void {
  if ((n | 0) === n && (n !== 0 || Object.is(n, 0))) {
    if (n >= 0 && n <= MAX_SMALL_INTEGER) {
      out.u8(TAG_SMALL_INTEGER + n)
      return
    }
    writeInteger(n, out)
  } else if (Math.floor(n) === n && n !== 0 && n < INTEGER_LIMIT && n > -INTEGER_LIMIT) {
    writeInteger(n, out)
  } else if (n !== n) {
    out.u8(TAG_NAN)
  } else {
    out.u8(TAG_F64)
    out.f64le(n)
  }
}

function writeInteger(n: number, out: ByteWriter): void {
  out.u8(n < 0 ? TAG_NEGATIVE_INTEGER : TAG_INTEGER)
  out.uvarint(n < 0 ? -1 - n : n)
}

/** The number that begins with `tag`; undefined when the tag is not a number's. */
export function readNumber(reader: ByteReader, tag: number): number | undefined {
  if (tag >= TAG_SMALL_INTEGER) return tag - TAG_SMALL_INTEGER
  if (tag === TAG_INTEGER) return reader.uvarint()
  if (tag === TAG_F64) return reader.f64le()
  if (tag === TAG_NEGATIVE_INTEGER) return -1 - reader.uvarint()
  return tag === TAG_NAN ? NaN : undefined
}

// --------------------------------------------------------------------------------------------------------------- bigints

const i64 = new BigInt64Array(1)
const i64Bytes = new Uint8Array(i64.buffer)
/** What a BigInt of V8 can have: 2^30 bits. */
const MAX_BIGINT_BYTES = 2 ** 27

export function writeBigint(n: bigint, out: ByteWriter): void {
  i64[0] = n
  if (i64[0] === n) {
    out.u8(TAG_BIGINT_64)
    out.raw(i64Bytes)
    return
  }
  const hex = (n < 0n ? -n : n).toString(16)
  const magnitude = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  out.u8(TAG_BIGINT)
  out.u8(n < 0n ? 1 : 0)
  out.uvarint(magnitude.length)
  out.raw(magnitude)
}

export function readBigint(reader: ByteReader, tag: typeof TAG_BIGINT_64 | typeof TAG_BIGINT): bigint {
  if (tag === TAG_BIGINT_64) {
    i64Bytes.set(reader.raw(8))
    return i64[0]
  }
  const negative = reader.u8() === 1
  const size = reader.uvarint()
  if (size === 0 || size > MAX_BIGINT_BYTES) throw damaged(`a bigint of ${size} bytes before byte ${reader.offset}`)
  const n = BigInt(`0x${asBuffer(reader.raw(size)).toString('hex')}`)
  return negative ? -n : n
}

// --------------------------------------------------------------------------------------------------------------- strings

/** Up to here a loop is faster than the call into Node's native code. */
const MAX_LOOP_TEXT = 24

export function writeText(text: string, out: ByteWriter): void {
  const size = text.length
  if (size > MAX_LOOP_TEXT) {
    writeLongText(text, out)
    return
  }
  out.ensure(size + 1)
  const bytes = out.bytes
  const at = out.length
  bytes[at] = TAG_SHORT_TEXT + size
  for (let i = 0; i < size; i++) {
    const c = text.charCodeAt(i)
    if (c > 0xff) {
      writeLongText(text, out)
      return
    }
    bytes[at + 1 + i] = c
  }
  out.length = at + 1 + size
}

/** Latin-1 where it can be; else whichever of UTF-8 and UTF-16 is shorter. Only UTF-16 carries a lone surrogate. */
function writeLongText(text: string, out: ByteWriter): void {
  if (text.length > MAX_VALUE_BYTES) throw valueTooLarge()
  if (!BEYOND_LATIN1.test(text)) {
    if (text.length <= MAX_SHORT_TEXT) {
      out.u8(TAG_SHORT_TEXT + text.length)
    } else {
      out.u8(TAG_LATIN1)
      out.uvarint(text.length)
    }
    out.ensure(text.length)
    out.length += nativeText.latin1Write.call(out.bytes, text, out.length, text.length)
    return
  }
  const utf8Size = Buffer.byteLength(text)
  const utf16Size = text.length * 2
  if (utf8Size < utf16Size && text.isWellFormed()) {
    out.u8(TAG_UTF8)
    out.uvarint(utf8Size)
    out.ensure(utf8Size)
    out.length += nativeText.utf8Write.call(out.bytes, text, out.length, utf8Size)
  } else {
    out.u8(TAG_UTF16)
    out.uvarint(utf16Size)
    out.ensure(utf16Size)
    out.length += nativeText.ucs2Write.call(out.bytes, text, out.length, utf16Size)
  }
}

/** The string that begins with `tag`; undefined when the tag is not a string's. */
export function readText(reader: ByteReader, tag: number): string | undefined {
  if (tag >= TAG_SHORT_TEXT && tag < TAG_SMALL_INTEGER) {
    const at = reader.offset
    reader.skip(tag - TAG_SHORT_TEXT)
    return latin1Text(reader.bytes, at, reader.offset)
  }
  if (tag < TAG_LATIN1 || tag > TAG_UTF16) return undefined
  const size = reader.uvarint()
  const at = reader.offset
  if (size > MAX_VALUE_BYTES) throw damaged(`a string of ${size} bytes at byte ${at}`)
  reader.skip(size)
  if (tag === TAG_LATIN1) return nativeText.latin1Slice.call(reader.bytes, at, at + size)
  if (tag === TAG_UTF8) return nativeText.utf8Slice.call(reader.bytes, at, at + size)
  if (size % 2 !== 0) throw damaged(`a string of UTF-16 has ${size} bytes, an odd number, at byte ${at}`)
  return nativeText.ucs2Slice.call(reader.bytes, at, at + size)
}

export function valueTooLarge(): MillraceError {
  return new MillraceError(
    'VALUE_TOO_LARGE',
    `a value takes more than ${MAX_VALUE_BYTES / 2 ** 20} MiB when stored; spread it over a map or list state, whose entries are stored one by one`,
  )
}
