import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { KeyArena } from './key-arena.ts'

const filled = (length: number, byte: number) => new Uint8Array(length).fill(byte)

/** Keys come in the memory of a ByteWriter: a Buffer that the next key overwrites. */
const scratch = Buffer.alloc(100_000)
const put = (arena: KeyArena, length: number, byte: number) => arena.put(scratch.fill(byte), length)

test('every key stays as it was put, whatever is put and removed beside it', () => {
  const lengths = fc.oneof(fc.integer({ min: 15, max: 80 }), fc.constantFrom(1008, 1023, 1024, 1025, 70_000))
  const step = fc.record({ length: lengths, removed: fc.option(fc.nat(), { nil: undefined }) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300, size: 'max' }), steps => {
      const arena = new KeyArena()
      const keys: { place: number; length: number; byte: number }[] = []
      for (const [i, { length, removed }] of steps.entries()) {
        if (removed !== undefined && keys.length > 0) {
          const [{ place, length: size }] = keys.splice(removed % keys.length, 1)
          arena.remove(place, size)
        }
        const byte = i % 251
        keys.push({ place: put(arena, length, byte), length, byte })
      }
      for (const { place, length, byte } of keys) {
        const start = arena.startOf(place)
        assert.deepEqual(arena.bytesOf(place).slice(start, start + length), filled(length, byte))
      }
    }),
    { numRuns: 100 },
  )
})

test('what a removed key leaves is for the next one of its size', () => {
  const arena = new KeyArena()
  for (const length of [20, 1024, 5000]) {
    const places = [1, 2, 3].map(byte => put(arena, length, byte))
    for (const place of places) arena.remove(place, length)
    const again = [4, 5, 6].map(byte => put(arena, length, byte))
    assert.deepEqual(new Set(again), new Set(places))
  }
})
