export { ByteReader, damaged } from './byte-reader.ts'
export { ByteWriter } from './byte-writer.ts'
export { crc32 } from './crc.ts'
export type { Field } from './fixed-layout.ts'
export { fits, fixedSchemaOf, fixedSchemaOfJson, misfitOf } from './fixed-schema.ts'
export type { Column, FixedSchema, Misfit, Storage } from './fixed-schema.ts'
export { compareKeys, decodeKey, describeKey, encodeKey, keyIdentity, skipKey } from './key.ts'
export type { Key } from './key.ts'
export {
  HASH_VERSION,
  hashKey,
  hashKeyInt32,
  keyGroupOf,
  keyGroupOfHash,
  keyGroupRange,
  subtaskOfKeyGroup,
} from './key-hash.ts'
export type { KeyGroupRange } from './key-hash.ts'
export { murmur3 } from './murmur3.ts'
export type { RowOptions } from './row-format.ts'
export { RowReader } from './row-reader.ts'
export { RowWriter } from './row-writer.ts'
export { schemaMisfit } from './schema-check.ts'
export { evolveSchema } from './schema-evolution.ts'
export type { Convert, Evolution } from './schema-evolution.ts'
export { isSchema, storableSchemaOf } from './standard-schema.ts'
export type { JsonSchema, Schema, Typed } from './standard-schema.ts'
export { decodeRow, decodeStateValue, encodeRow, LITTLE_ENDIAN } from './state-value.ts'
export { valueReading } from './value-reading.ts'
export type { ValueForm, ValueReading, WantedForm } from './value-reading.ts'
export { decodeNumber, decodeValue, encodeNumber, encodeNumberArrayHeader, encodeValue } from './value.ts'
