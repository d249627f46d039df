/**
 * The self-describing codec: any value that structured clone carries, as value-format.ts lays it out. It differs from structured clone
 * in this: named properties of arrays are not carried; a view carries just its own part of its buffer; a resizable buffer arrives with
 * its present size; a SharedArrayBuffer is refused.
 */
import { damaged, type ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { ValueDecoder } from './value-decoder.ts'
import { ValueEncoder } from './value-encoder.ts'
import { TAG_ARRAY } from './value-format.ts'
import { readNumber, writeNumber } from './value-scalar.ts'

/** Kept for the next call. None is here while one is at work, since a getter of the value may encode another. */
let idleEncoder: ValueEncoder | undefined = new ValueEncoder()
/** Decoding runs no code of others, so one is enough. */
const decoder = new ValueDecoder()

/**
 * Appends the value. Cycles and shared references inside it are kept, class instances become plain objects of their own enumerable
 * properties. On an error nothing is appended.
 * @throws VALUE_UNSUPPORTED with the path to what cannot be stored; VALUE_TOO_LARGE above 256 MiB
 */
export function encodeValue(value: unknown, out: ByteWriter): void {
  if (typeof value === 'number') {
    writeNumber(value, out)
    return
  }
  const encoder = takeEncoder()
  try {
    encoder.encode(value, out)
  } finally {
    idleEncoder = encoder
  }
}

function takeEncoder(): ValueEncoder {
  const encoder = idleEncoder ?? new ValueEncoder()
  idleEncoder = undefined
  return encoder
}

/**
 * Reads one value and leaves the reader behind it.
 * @throws SNAPSHOT_DAMAGED
 */
export function decodeValue(reader: ByteReader): unknown {
  return decoder.decode(reader)
}

/** Appends a number: the same bytes as encodeValue. */
export function encodeNumber(n: number, out: ByteWriter): void {
  writeNumber(n, out)
}

/** Begins an array of `count` values, which the caller appends one by one: the same bytes as encodeValue of the array. */
export function encodeNumberArrayHeader(count: number, out: ByteWriter): void {
  out.u8(TAG_ARRAY)
  out.uvarint(count)
}

/**
 * Reads a value that is a number.
 * @throws SNAPSHOT_DAMAGED, also when it is another value
 */
export function decodeNumber(reader: ByteReader): number {
  const tag = reader.u8()
  const n = readNumber(reader, tag)
  if (n === undefined)
    throw damaged(`the encoded value before byte ${reader.offset} begins with ${tag}, which is not a number`)
  return n
}

/**
 * Appends the first `partCount` of the parts: what of a larger value was not written in another way. The first `ownerCount` owners
 * are the objects of that value which were: a reference to one of them, or among the parts, is kept. No owner may stand there twice.
 * On an error nothing is appended.
 * @throws as encodeValue, with paths that begin at the part
 */
export function encodeParts(
  owners: readonly object[],
  ownerCount: number,
  parts: readonly unknown[],
  partCount: number,
  out: ByteWriter,
): void {
  const encoder = takeEncoder()
  try {
    encoder.encodeParts(owners, ownerCount, parts, partCount, out)
  } finally {
    idleEncoder = encoder
  }
}

/**
 * Reads what encodeParts wrote into the first `partCount` parts. The owners are the reader's own of the same objects.
 * @throws SNAPSHOT_DAMAGED
 */
export function decodeParts(
  reader: ByteReader,
  owners: readonly object[],
  ownerCount: number,
  parts: unknown[],
  partCount: number,
): void {
  decoder.decodeParts(reader, owners, ownerCount, parts, partCount)
}
