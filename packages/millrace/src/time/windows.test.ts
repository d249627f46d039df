import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Duration } from './duration.ts'
import { global, tumbling, tumblingStart } from './windows.ts'

test('a tumbling assigner is data in milliseconds', () => {
  assert.deepEqual(tumbling('1m'), { kind: 'tumbling', sizeMs: 60_000, offsetMs: 0 })
  assert.deepEqual(tumbling(100, { offset: 30 }), { kind: 'tumbling', sizeMs: 100, offsetMs: 30 })
  assert.deepEqual(global(), { kind: 'global' })
})

test('an offset counts modulo the size, a negative one too', () => {
  assert.equal(tumbling('1h', { offset: '90m' }).offsetMs, 1_800_000)
  assert.equal(tumbling('1d', { offset: -8 * 3_600_000 }).offsetMs, 16 * 3_600_000)
})

test('the size of a tumbling window must be a positive duration', () => {
  for (const size of [0, '0s', -1, NaN, '5 s', undefined] as Duration[]) {
    assert.throws(() => tumbling(size), { code: 'OPTION_INVALID', message: /^the size of a tumbling window is/ })
  }
  assert.throws(() => tumbling('1m', { offset: 'x' as Duration }), {
    code: 'OPTION_INVALID',
    message: /^the offset of a tumbling window is/,
  })
})

test('windows begin at the epoch plus the offset', () => {
  assert.equal(tumblingStart(0, 100, 0), 0)
  assert.equal(tumblingStart(99, 100, 0), 0)
  assert.equal(tumblingStart(100, 100, 0), 100)
  assert.equal(tumblingStart(-1, 100, 0), -100)
  assert.equal(tumblingStart(-100, 100, 0), -100)
  assert.equal(tumblingStart(29, 100, 30), -70)
  assert.equal(tumblingStart(30, 100, 30), 30)
})

test('every time lies in exactly the window that starts there', () => {
  const time = fc.integer({ min: -(10 ** 14), max: 10 ** 14 })
  fc.assert(
    fc.property(time, fc.integer({ min: 1, max: 10 ** 9 }), fc.nat(10 ** 9), (at, sizeMs, offset) => {
      const { offsetMs } = tumbling(sizeMs, { offset })
      const start = tumblingStart(at, sizeMs, offsetMs)
      assert.ok(start <= at && at < start + sizeMs)
      assert.equal(Math.abs((start - offsetMs) % sizeMs), 0)
    }),
  )
})
