/**
 * The hash of keys: MurmurHash3 x86 32-bit, seed 0, over the canonical encoding (key.ts). Which subtask owns a key depends on it, so it
 * never changes without a new HASH_VERSION, which every segment records.
 *
 * The hot path: strings of ASCII and numbers are hashed without being encoded first, in about 16 ns (8 characters) and 9 ns
 * (bench/codec.ts), and nothing is allocated.
 */
import { ByteWriter } from './byte-writer.ts'
import { encodeKey, MAX_KEY_BYTES, STRING_TERMINATOR, TAG_NUMBER, TAG_STRING, type Key } from './key.ts'
import { finish, mixBlock, murmur3, scramble } from './murmur3.ts'

export const HASH_VERSION = 1

const f64 = new Float64Array(1)
const words = new Int32Array(f64.buffer)
const LOW = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1
const HIGH = 1 - LOW

const scratch = new ByteWriter(256)

/**
 * The hash of a key, an unsigned 32-bit integer.
 * @throws KEY_INVALID, VALUE_TOO_LARGE as encodeKey does
 */
export function hashKey(key: Key): number {
  return hashKeyInt32(key) >>> 0
}

/** The key group of a key: which of `maxParallelism` parts of the key space it lies in. */
export function keyGroupOf(key: Key, maxParallelism: number): number {
  return keyGroupOfHash(hashKeyInt32(key), maxParallelism)
}

/**
 * The key group of a hash, signed or unsigned: `(hash >>> 0) % maxParallelism` without leaving 32-bit integers. Half of all unsigned
 * hashes are none of V8's small integers, so that it would divide doubles, at 30 ns more a record (bench/w1).
 */
export function keyGroupOfHash(hash: number, maxParallelism: number): number {
  if ((maxParallelism & (maxParallelism - 1)) === 0) return hash & (maxParallelism - 1)
  return ((((hash >>> 1) % maxParallelism) << 1) | (hash & 1)) % maxParallelism
}

/** Key groups from `start` to before `end`. */
export type KeyGroupRange = readonly [start: number, end: number]

/** The key groups of a subtask, maybe none: those with `subtaskOfKeyGroup(group) === subtask`. Flink: KeyGroupRangeAssignment. */
export function keyGroupRange(subtask: number, parallelism: number, maxParallelism: number): KeyGroupRange {
  const start = Math.ceil((subtask * maxParallelism) / parallelism)
  return [start, Math.ceil(((subtask + 1) * maxParallelism) / parallelism)]
}

/** Which of `parallelism` subtasks has the key group. */
export function subtaskOfKeyGroup(keyGroup: number, parallelism: number, maxParallelism: number): number {
  return Math.floor((keyGroup * parallelism) / maxParallelism)
}

/** `hashKey(key) | 0`, for the hot path: as a signed integer it stays out of V8's heap. */
export function hashKeyInt32(key: Key): number {
  if (typeof key === 'string') return hashString(key)
  // NaN is left to encodeKey, which refuses it.
  if (typeof key === 'number' && key === key) return hashNumber(key)
  return hashEncoded(key)
}

function hashEncoded(key: Key): number {
  scratch.reset()
  encodeKey(key, scratch)
  return murmur3(scratch.bytes, 0, scratch.length)
}

/** Nine bytes: the tag, then the ordered f64, its highest byte first. */
function hashNumber(key: number): number {
  f64[0] = key === 0 ? 0 : key
  const negative = words[HIGH] >> 31
  const high = words[HIGH] ^ (negative | 0x8000_0000)
  const low = words[LOW] ^ negative
  const first = TAG_NUMBER | ((high >>> 24) << 8) | (high & 0xff_0000) | ((high & 0xff00) << 16)
  const second = (high & 0xff) | ((low >>> 24) << 8) | (low & 0xff_0000) | ((low & 0xff00) << 16)
  return finish(mixBlock(mixBlock(0, first), second) ^ scramble(low & 0xff), 9)
}

/**
 * The tag, the characters, 0x00 0x01. Each block is the last byte of the characters before and three of the next four: `carry` holds
 * the byte that the block before did not take.
 */
function hashString(key: string): number {
  const size = key.length
  if (size > MAX_KEY_BYTES / 2) return hashEncoded(key)
  let h = 0
  let carry = TAG_STRING
  let i = 0
  for (; i + 4 <= size; i += 4) {
    const a = key.charCodeAt(i)
    const b = key.charCodeAt(i + 1)
    const c = key.charCodeAt(i + 2)
    const d = key.charCodeAt(i + 3)
    if ((a | b | c | d) > 0x7f || a === 0 || b === 0 || c === 0 || d === 0) return hashEncoded(key)
    h = mixBlock(h, carry | (a << 8) | (b << 16) | (c << 24))
    carry = d
  }
  // What is left: the carried byte, up to three characters, the two bytes of the terminator.
  let block = carry
  let filled = 8
  for (; i < size; i++) {
    const c = key.charCodeAt(i)
    if (c > 0x7f || c === 0) return hashEncoded(key)
    block |= c << filled
    filled += 8
  }
  if (filled === 8) return finish(h ^ scramble(block | (STRING_TERMINATOR << 16)), size + 3)
  if (filled === 16) return finish(mixBlock(h, block | (STRING_TERMINATOR << 24)), size + 3)
  if (filled === 24) return finish(mixBlock(h, block) ^ scramble(STRING_TERMINATOR), size + 3)
  return finish(mixBlock(h, block) ^ scramble(STRING_TERMINATOR << 8), size + 3)
}
