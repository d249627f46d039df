/** Values of operator state as a manifest holds them: in the value codec, as base64. */
import { ByteReader, ByteWriter, decodeValue, encodeValue } from '../../codec/index.ts'

export function storeValue(value: unknown): string {
  const out = new ByteWriter()
  encodeValue(value, out)
  return Buffer.from(out.view()).toString('base64')
}

/** @throws SNAPSHOT_DAMAGED */
export function loadValue(stored: string): unknown {
  return decodeValue(new ByteReader(Buffer.from(stored, 'base64')))
}
