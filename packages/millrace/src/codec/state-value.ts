/**
 * Values of keyed state in snapshots. With a fixed-width schema a value is a row of bytes, which only the schema that it was written
 * under can tell apart; without one it describes itself (value-format.ts).
 *
 *   state value = 0x1D row        of the state's schema, as fixed-layout.ts lays it out; up to the end of the entry
 *               | value           self-describing, with or without a schema
 *
 * The schema stands in the manifest, and in the dictionary of each segment. All rows of a state that one manifest lists have the same
 * layout: where a job's schema changes it, the next checkpoint is a full one (needsFullBase in snapshot/manifest.ts).
 */
import { damaged, type ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import { fits, type FixedSchema, type Storage } from './fixed-schema.ts'
import { decodeValue } from './value.ts'
import { TAG_ROW } from './value-format.ts'

/** Where it is false, rows in memory are not those of snapshots: values are written self-describing, and rows read field by field. */
export const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1

/** Up to here a loop over words takes less than the 25 ns of a bulk copy and its view (6 ns for 8 bytes, 19 ns for 40). */
const MAX_LOOPED_BYTES = 48

/** Appends the row of `size` bytes at `start`, a multiple of 4, of one buffer seen through both views. On little-endian machines. */
export function encodeRow(i32: Int32Array, u8: Uint8Array, start: number, size: number, out: ByteWriter): void {
  out.ensure(size + 1)
  const { bytes } = out
  let at = out.length
  bytes[at++] = TAG_ROW
  out.length = at + size
  if (size > MAX_LOOPED_BYTES) {
    bytes.set(u8.subarray(start, start + size), at)
    return
  }
  const end = start + size
  let from = start
  for (; from + 4 <= end; from += 4, at += 4) {
    const word = i32[from >> 2]
    bytes[at] = word
    bytes[at + 1] = word >> 8
    bytes[at + 2] = word >> 16
    bytes[at + 3] = word >>> 24
  }
  for (; from < end; from++, at++) bytes[at] = u8[from]
}

/**
 * Copies a row of `size` bytes to the beginning of one buffer seen through both views; false, with the reader where it was, when the
 * value is no row. What its fields hold is not looked at. On little-endian machines.
 * @throws SNAPSHOT_DAMAGED when the row has another size
 */
export function decodeRow(reader: ByteReader, size: number, i32: Int32Array, u8: Uint8Array): boolean {
  if (!isRow(reader)) return false
  let from = beginRow(reader, size)
  const { bytes } = reader
  reader.offset = from + size
  if (size > MAX_LOOPED_BYTES) {
    u8.set(bytes.subarray(from, from + size))
    return true
  }
  const words = size >> 2
  for (let i = 0; i < words; i++, from += 4) {
    i32[i] = bytes[from] | (bytes[from + 1] << 8) | (bytes[from + 2] << 16) | (bytes[from + 3] << 24)
  }
  for (let i = words << 2; i < size; i++, from++) u8[i] = bytes[from]
  return true
}

/**
 * Reads the value of an entry and leaves the reader behind it. `schema`: the one that the state's values were written under.
 * @throws SNAPSHOT_DAMAGED, also for a row that is none of the schema
 */
export function decodeStateValue(reader: ByteReader, schema: FixedSchema | undefined): unknown {
  if (!isRow(reader)) return decodeValue(reader)
  if (schema === undefined)
    throw damaged('a value is stored as a row, but its state has no schema that says what is in it')
  const { fields, sizeBytes } = schema.layout
  const start = beginRow(reader, sizeBytes)
  const properties: { [name: string]: number | boolean } = {}
  for (const { column, offset } of fields) {
    reader.offset = start + offset
    const value = readStorage(column.storage, reader)
    if (!fits(column, value))
      throw damaged(
        `${String(value)} in the row at byte ${start} is not ${column.expected}, as the state's schema says`,
      )
    properties[column.name ?? ''] = value
  }
  reader.offset = start + sizeBytes
  return schema.isObject ? properties : properties['']
}

function isRow(reader: ByteReader): boolean {
  return reader.remaining() > 0 && reader.bytes[reader.offset] === TAG_ROW
}

/** Where the row begins. */
function beginRow(reader: ByteReader, size: number): number {
  const found = reader.remaining() - 1
  if (found !== size) throw damaged(`the row at byte ${reader.offset + 1} has ${found} bytes; its schema takes ${size}`)
  return reader.offset + 1
}

/** Undefined for a byte that is no boolean. */
function readStorage(storage: Storage, reader: ByteReader): number | boolean | undefined {
  switch (storage) {
    case 'f64':
      return reader.f64le()
    case 'i32':
      return reader.u32le() | 0
    case 'u32':
      return reader.u32le()
    case 'i16':
      return ((reader.u8() << 16) | (reader.u8() << 24)) >> 16
    case 'u16':
      return reader.u8() | (reader.u8() << 8)
    case 'i8':
      return (reader.u8() << 24) >> 24
    case 'u8':
      return reader.u8()
    case 'bool': {
      const byte = reader.u8()
      return byte > 1 ? undefined : byte === 1
    }
  }
}
