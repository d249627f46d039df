/**
 * Strings that stay in state must not keep what they were cut from alive: V8 makes a substring of 13 or more characters a view of
 * its parent, so a 20-character key cut from a 64 KiB block would hold the whole block.
 */
const VIEW_MIN_LENGTH = 13

export function flatten<T>(value: T): T {
  if (typeof value !== 'string' || value.length < VIEW_MIN_LENGTH) return value
  // Through bytes and back: the one way that always makes a copy. UTF-16 keeps lone surrogates.
  return Buffer.from(value, 'utf16le').toString('utf16le') as T
}
