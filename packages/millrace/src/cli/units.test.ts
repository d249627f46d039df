import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatAge, formatBytes, formatCount, formatElapsed, formatNumberOf } from './units.ts'

test('bytes have two or three digits and never a thousand of a unit', () => {
  const shown = [0, 1023, 1024, 1536, 10_188, 10_189, 1_048_500, 1_048_576, 3 * 1024 ** 3, 5000 * 1024 ** 4].map(
    formatBytes,
  )
  assert.deepEqual(shown, [
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '9.9 KiB',
    '10 KiB',
    '1.0 MiB',
    '1.0 MiB',
    '3.0 GiB',
    '5000 TiB',
  ])
})

test('counts have thousands separators and their noun agrees', () => {
  assert.equal(formatCount(1_234_567.4), '1,234,567')
  assert.deepEqual([formatNumberOf(1, 'record'), formatNumberOf(0, 'record')], ['1 record', '0 records'])
})

test('elapsed time shows tenths of a second below a minute', () => {
  assert.deepEqual([999, 1000, 4230, 59_949, 59_950].map(formatElapsed), [
    '999 ms',
    '1.0 s',
    '4.2 s',
    '59.9 s',
    '1 min',
  ])
})

test('an age is never negative', () => {
  assert.equal(formatAge(5000, 1000), '0 ms')
})
