import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RestoreTally } from './restore-progress.ts'

test('a restore is told once every slot has said how much it is to read, as the sum of all', () => {
  const tally = new RestoreTally('chk-7', 2, 1000)
  tally.report(0, { readBytes: 0, totalBytes: 100 })
  tally.report(0, { readBytes: 40, totalBytes: 100 })
  assert.equal(tally.progress(1500), undefined)
  tally.report(1, { readBytes: 0, totalBytes: 300 })
  const progress = { snapshot: 'chk-7', readBytes: 40, totalBytes: 400, bytesPerSecond: 80 }
  assert.deepEqual(tally.progress(1500), progress)
  tally.report(1, { readBytes: 160, totalBytes: 300 })
  assert.deepEqual(tally.progress(3000), { ...progress, readBytes: 200, bytesPerSecond: 100 })
})

test('what has read nothing yet has nothing to tell, and a clock that stands still no rate', () => {
  const tally = new RestoreTally('chk-7', 1, 1000)
  tally.report(0, { readBytes: 0, totalBytes: 100 })
  assert.equal(tally.progress(1000), undefined)
  tally.report(0, { readBytes: 1, totalBytes: 100 })
  assert.equal(tally.progress(1000)!.bytesPerSecond, 0)
})
