import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SegmentRef } from './manifest-types.ts'
import { estimateRestoreBytes } from './restore-size.ts'

const segment = (sizeBytes: number, start: number, end: number): SegmentRef => ({
  file: 'segments/1-1.seg',
  sizeBytes,
  entries: 1,
  tombstones: 0,
  checksum: 0,
  base: true,
  checkpoint: 1,
  maxParallelism: 128,
  keyGroups: [start, end],
})
const manifest = { maxParallelism: 128, segments: [segment(1000, 0, 64), segment(3000, 64, 128)] }

test('at any parallelism every key group is read once', () => {
  for (const parallelism of [1, 2, 3, 7, 128])
    assert.equal(estimateRestoreBytes(manifest, { parallelism, maxParallelism: 128 }), 4000)
})

test('where the max parallelism changes every slot reads everything', () => {
  assert.equal(estimateRestoreBytes(manifest, { parallelism: 3, maxParallelism: 64 }), 12_000)
})
