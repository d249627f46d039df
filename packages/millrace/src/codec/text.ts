/**
 * Strings and their bytes: WTF-8 (UTF-8 that lets a lone surrogate pass as three bytes) for keys, and one byte a character for what
 * fits into Latin-1. Short strings are handled in JavaScript, since a call into Node's native string code costs about 40 ns whatever
 * the length.
 */
import { Buffer } from 'node:buffer'
import type { ByteWriter } from './byte-writer.ts'

/** Node's own methods, which work on any Uint8Array; the public `toString` and `write` cost another 20 ns to find them. */
interface NativeText {
  latin1Slice(this: Uint8Array, start: number, end: number): string
  utf8Slice(this: Uint8Array, start: number, end: number): string
  ucs2Slice(this: Uint8Array, start: number, end: number): string
  latin1Write(this: Uint8Array, text: string, offset: number, size: number): number
  utf8Write(this: Uint8Array, text: string, offset: number, size: number): number
  ucs2Write(this: Uint8Array, text: string, offset: number, size: number): number
}
export const nativeText = Buffer.prototype as unknown as NativeText

/** Finds a character that Latin-1 has not. */
export const BEYOND_LATIN1 = /[^\0-\xff]/

const text = String.fromCharCode

/** The string whose char codes are the bytes from `at` up to `end`. */
export function latin1Text(b: Uint8Array, at: number, end: number): string {
  switch (end - at) {
    case 0:
      return ''
    case 1:
      return text(b[at])
    case 2:
      return text(b[at], b[at + 1])
    case 3:
      return text(b[at], b[at + 1], b[at + 2])
    case 4:
      return text(b[at], b[at + 1], b[at + 2], b[at + 3])
    case 5:
      return text(b[at], b[at + 1], b[at + 2], b[at + 3], b[at + 4])
    case 6:
      return text(b[at], b[at + 1], b[at + 2], b[at + 3], b[at + 4], b[at + 5])
    case 7:
      return text(b[at], b[at + 1], b[at + 2], b[at + 3], b[at + 4], b[at + 5], b[at + 6])
    case 8:
      return text(b[at], b[at + 1], b[at + 2], b[at + 3], b[at + 4], b[at + 5], b[at + 6], b[at + 7])
    case 9:
      return text(b[at], b[at + 1], b[at + 2], b[at + 3], b[at + 4], b[at + 5], b[at + 6], b[at + 7], b[at + 8])
    case 10:
      return text(
        b[at],
        b[at + 1],
        b[at + 2],
        b[at + 3],
        b[at + 4],
        b[at + 5],
        b[at + 6],
        b[at + 7],
        b[at + 8],
        b[at + 9],
      )
    case 11:
      return text(
        b[at],
        b[at + 1],
        b[at + 2],
        b[at + 3],
        b[at + 4],
        b[at + 5],
        b[at + 6],
        b[at + 7],
        b[at + 8],
        b[at + 9],
        b[at + 10],
      )
    case 12:
      return text(
        b[at],
        b[at + 1],
        b[at + 2],
        b[at + 3],
        b[at + 4],
        b[at + 5],
        b[at + 6],
        b[at + 7],
        b[at + 8],
        b[at + 9],
        b[at + 10],
        b[at + 11],
      )
    default:
      return nativeText.latin1Slice.call(b, at, end)
  }
}

/** Writes WTF-8 where each 0x00 is followed by 0xFF, so that 0x00 and another byte can end the string. */
export function writeEscapedWtf8(value: string, out: ByteWriter): void {
  const size = value.length
  out.ensure(size * 3)
  const bytes = out.bytes
  let at = out.length
  for (let i = 0; i < size; i++) {
    let c = value.charCodeAt(i)
    if (c < 0x80) {
      bytes[at++] = c
      if (c === 0) bytes[at++] = 0xff
      continue
    }
    if (c < 0x800) {
      bytes[at++] = 0xc0 | (c >>> 6)
    } else {
      if (isHighSurrogate(c) && i + 1 < size && isLowSurrogate(value.charCodeAt(i + 1))) {
        c = 0x1_0000 + ((c & 0x3ff) << 10) + (value.charCodeAt(++i) & 0x3ff)
        bytes[at++] = 0xf0 | (c >>> 18)
        bytes[at++] = 0x80 | ((c >>> 12) & 0x3f)
      } else {
        bytes[at++] = 0xe0 | (c >>> 12)
      }
      bytes[at++] = 0x80 | ((c >>> 6) & 0x3f)
    }
    bytes[at++] = 0x80 | (c & 0x3f)
  }
  out.length = at
}

/**
 * The order of two strings by code point, which is the order of their WTF-8 bytes. `<` would compare UTF-16 units, where a character
 * beyond U+FFFF comes before U+E000.
 */
export function compareText(a: string, b: string): number {
  const common = Math.min(a.length, b.length)
  for (let i = 0; i < common; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x === y) continue
    return x >= 0xd800 && y >= 0xd800 ? compareBeyond(a, b, i) : x - y
  }
  return a.length - b.length
}

/** Of two strings that are equal before `i` and differ there, in units from U+D800 up. */
function compareBeyond(a: string, b: string, i: number): number {
  if (i > 0 && isHighSurrogate(a.charCodeAt(i - 1))) {
    // The unit before is half of a pair in one of them and alone in the other: the pair is the larger code point.
    const pairInA = isLowSurrogate(a.charCodeAt(i))
    if (pairInA !== isLowSurrogate(b.charCodeAt(i))) return pairInA ? 1 : -1
  }
  return a.codePointAt(i)! - b.codePointAt(i)!
}

export function isHighSurrogate(c: number): boolean {
  return (c & ~0x3ff) === 0xd800
}

export function isLowSurrogate(c: number): boolean {
  return (c & ~0x3ff) === 0xdc00
}
