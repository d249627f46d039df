import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError } from './errors.ts'
import { parseSize } from './size.ts'

test('sizes are bytes, or a number and a unit', () => {
  const sizes: [unknown, number][] = [
    [1, 1],
    [4096, 4096],
    ['10B', 10],
    ['1kB', 1000],
    ['1KB', 1000],
    ['64MB', 64_000_000],
    ['1.5 GB', 1_500_000_000],
    ['1KiB', 1024],
    ['2MiB', 2 * 1024 ** 2],
    ['1GiB', 1024 ** 3],
  ]
  for (const [given, bytes] of sizes) assert.equal(parseSize(given, 'the size'), bytes)
})

test('anything else is refused by name', () => {
  for (const given of [0, -1, 1.5, NaN, Infinity, '', '64', '64 mb', '-1MB', '0B', null, undefined, {}, 1n]) {
    assert.throws(
      () => parseSize(given, 'roll.size'),
      error => isMillraceError(error, 'OPTION_INVALID') && error.message.startsWith('roll.size is '),
    )
  }
})
