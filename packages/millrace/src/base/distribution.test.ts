import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addDistributions, Distribution } from './distribution.ts'

test('a value is counted at the first bound that is not below it, or above them all', () => {
  const distribution = new Distribution([1, 10])
  for (const value of [0, 1, 1.5, 10, 11, 99]) distribution.observe(value)
  assert.deepEqual(distribution.read(), { bounds: [1, 10], counts: [2, 2, 2], sum: 122.5 })
})

test('what was read does not change with what comes later, and adds up', () => {
  const distribution = new Distribution([1])
  distribution.observe(1)
  const before = distribution.read()
  distribution.observe(5)
  assert.deepEqual(before.counts, [1, 0])
  assert.deepEqual(addDistributions(before, distribution.read()), { bounds: [1], counts: [2, 1], sum: 7 })
})
