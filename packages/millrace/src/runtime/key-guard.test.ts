import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeyGuard } from './key-guard.ts'

test('a key of a type that no restored key has is refused, tuples by the types of their elements', () => {
  const guard = new KeyGuard('counts')
  guard.check(1)
  guard.admit('a')
  guard.admit(['a', 1n])
  guard.check('b')
  guard.check(['b', 2n])
  const refused = {
    code: 'STATE_INCOMPATIBLE',
    message: /'counts': its keys were string, \[string, bigint\] .* \[string, number\]/,
  }
  assert.throws(() => guard.check(['b', 2]), refused)
  assert.throws(() => guard.check(1), { code: 'STATE_INCOMPATIBLE' })
})
