import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatDuration, parseDuration, writtenDuration } from './duration.ts'

test('a duration is a number of milliseconds or a number and a unit', () => {
  const cases: [unknown, number][] = [
    [0, 0],
    [1500, 1500],
    [0.5, 0.5],
    ['250ms', 250],
    ['5s', 5_000],
    ['1m', 60_000],
    ['2h', 7_200_000],
    ['7d', 604_800_000],
    ['1.5s', 1500],
    ['0s', 0],
    ['1.1s', 1100],
    ['0.001d', 86_400],
  ]
  for (const [text, ms] of cases) assert.equal(parseDuration(text, 'the interval'), ms, String(text))
})

test('anything else is refused with its name, what was found, and what is allowed', () => {
  for (const bad of [
    -1,
    NaN,
    Infinity,
    '',
    '5',
    's',
    '5 s',
    '-5s',
    '5sec',
    '1e3s',
    '.5s',
    '5.s',
    '5s5s',
    '9'.repeat(400) + 'd',
    null,
    undefined,
    {},
    true,
    5n,
  ]) {
    assert.throws(
      () => parseDuration(bad, 'the checkpoint interval'),
      {
        code: 'OPTION_INVALID',
        message: /^the checkpoint interval is .{1,80}; it must be .*'250ms', '5s', '1m', '2h' or '7d'$/,
      },
      String(bad),
    )
  }
  assert.throws(() => parseDuration('5 s', 'the timeout'), { message: /^the timeout is "5 s"; / })
})

test('a duration is shown to people in at most two units', () => {
  const cases: [number, string][] = [
    [0, '0 ms'],
    [850, '850 ms'],
    [999.4, '999 ms'],
    [999.6, '1 s'],
    [12_000, '12 s'],
    [59_700, '1 min'],
    [200_000, '3 min 20 s'],
    [3_599_700, '1 h'],
    [7_500_000, '2 h 5 min'],
    [86_390_000, '1 d'],
    [345_600_000, '4 d'],
    [100 * 3_600_000, '4 d 4 h'],
    [-12_000, '-12 s'],
  ]
  for (const [ms, text] of cases) assert.equal(formatDuration(ms), text)
})

test('a duration is written exactly, in the largest unit that does', () => {
  const cases: [number, string][] = [
    [0, '0ms'],
    [1500, '1500ms'],
    [0.5, '0.5ms'],
    [60_000, '1m'],
    [90_000, '90s'],
    [36 * 3_600_000, '36h'],
    [604_800_000, '7d'],
  ]
  for (const [ms, text] of cases) {
    assert.equal(writtenDuration(ms), text)
    assert.equal(parseDuration(text, 'it'), ms)
  }
})
