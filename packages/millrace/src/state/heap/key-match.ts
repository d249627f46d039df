/** Whether an encoded key is a given one, without encoding that. */
const NUMBER_TAG = 0x05
const STRING_TAG = 0x08
const F64 = new Float64Array(1)
const U32 = new Uint32Array(F64.buffer)

export const SAME = 1
const DIFFERENT = 0
export const UNSURE = 2

/** Whether the encoded key is this string; UNSURE when the string is not plain ASCII. */
export function matchAscii(bytes: Uint8Array, start: number, length: number, key: string): number {
  const size = key.length
  // An ASCII string takes a tag, its characters, and two bytes at the end.
  if (length !== size + 3) return isAscii(key) ? DIFFERENT : UNSURE
  if (bytes[start] !== STRING_TAG) return DIFFERENT
  for (let i = 0; i < size; i++) {
    const code = key.charCodeAt(i)
    if (code > 0x7f || code === 0) return UNSURE
    if (bytes[start + 1 + i] !== code) return DIFFERENT
  }
  return SAME
}

function isAscii(key: string): boolean {
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i)
    if (code > 0x7f || code === 0) return false
  }
  return true
}

export function matchNumber(bytes: Uint8Array, start: number, value: number): boolean {
  if (bytes[start] !== NUMBER_TAG) return false
  F64[0] = value === 0 ? 0 : value
  const negative = U32[1] >>> 31 === 1
  const high = negative ? ~U32[1] : U32[1] ^ 0x80000000
  const low = negative ? ~U32[0] : U32[0]
  return word(bytes, start + 1) === (high | 0) && word(bytes, start + 5) === (low | 0)
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]
}
