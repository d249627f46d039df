/**
 * Readable JSON that notices every changed byte: the form of manifests, run records and locks.
 *
 *     {
 *       "format": "millrace-manifest",
 *       …
 *       "checksum": 2868017134
 *     }
 *
 * The text is `JSON.stringify(value, null, 2)` and a newline; the last field is the crc32 of that text without the field. The check is
 * on the bytes as they are, never on what a parser makes of them, so a flipped space is noticed too.
 */
import { crc32 } from 'node:zlib'
import { MillraceError } from '../base/errors.ts'
import { isJsonObject, type JsonObject } from '../base/json.ts'

/** More than any job needs: a manifest of a million splits. A longer file is refused before it is read into memory. */
export const SEALED_SIZE_LIMIT = 64 * 1024 * 1024

const END = '\n}\n'
const SEAL = /,\n {2}"checksum": (\d{1,10})\n\}\n$/
/** The longest text that SEAL matches. */
const SEAL_SIZE = ',\n  "checksum": 4294967295\n}\n'.length

/** `value` must have at least one field and none called checksum. */
export function sealJson(value: object): Uint8Array {
  const fields = JSON.stringify(value, null, 2).slice(0, 1 - END.length)
  const seal = crc32(fields + END)
  return new TextEncoder().encode(`${fields},\n  "checksum": ${seal}${END}`)
}

/** The value, without its checksum. @throws SNAPSHOT_DAMAGED unless the bytes are exactly what `sealJson` wrote */
export function unsealJson(bytes: Uint8Array, file: string): JsonObject {
  if (bytes.length > SEALED_SIZE_LIMIT)
    throw damaged(file, `has ${bytes.length} bytes; the limit is ${SEALED_SIZE_LIMIT}`)
  const tail = Math.max(0, bytes.length - SEAL_SIZE)
  const match = SEAL.exec(Buffer.from(bytes.subarray(tail)).toString('latin1'))
  if (match === null) throw damaged(file, 'does not end with its checksum, so it was cut or overwritten')
  const fields = bytes.subarray(0, tail + match.index)
  if (crc32(END, crc32(fields)) !== Number(match[1])) throw damaged(file, 'does not match its checksum')
  const value = parse(bytes, file)
  if (!isJsonObject(value)) throw damaged(file, 'is not a JSON object')
  const { checksum: _, ...sealed } = value
  return sealed
}

function parse(bytes: Uint8Array, file: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch (error) {
    throw damaged(file, 'is not JSON in UTF-8', error)
  }
}

export function damaged(file: string, what: string, cause?: unknown): MillraceError {
  return new MillraceError('SNAPSHOT_DAMAGED', `${file} ${what}`, {
    context: { file },
    ...(cause === undefined ? {} : { cause }),
  })
}
