/** CRC-32 (IEEE), the checksum of every block and file of the storage. */
import { crc32 as zlibCrc32 } from 'node:zlib'

/** The checksum as an unsigned 32-bit integer; `seed` is the checksum of the bytes before these. */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return zlibCrc32(bytes, seed)
}
