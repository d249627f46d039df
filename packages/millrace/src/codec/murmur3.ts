/** MurmurHash3 x86 32-bit, seed 0 (Austin Appleby's, public domain), over plain bytes. Blocks are little-endian. */

/** The hash as a signed 32-bit integer. */
export function murmur3(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  let h = 0
  const blocksEnd = start + ((end - start) & ~3)
  let at = start
  for (; at < blocksEnd; at += 4) {
    h = mixBlock(h, bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24))
  }
  let tail = 0
  for (let i = end - 1; i >= at; i--) tail = (tail << 8) | bytes[i]
  return finish(h ^ scramble(tail), end - start)
}

export function scramble(block: number): number {
  const k = Math.imul(block, 0xcc9e2d51)
  return Math.imul((k << 15) | (k >>> 17), 0x1b873593)
}

export function mixBlock(hash: number, block: number): number {
  const h = hash ^ scramble(block)
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0
}

export function finish(hash: number, sizeBytes: number): number {
  let h = hash ^ sizeBytes
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
