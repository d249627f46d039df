import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ERRORS } from '../base/errors.ts'
import { EXIT_CODES } from './exit-codes.ts'

test('every error code has an exit status, and no other code has one', () => {
  assert.deepEqual(Object.keys(EXIT_CODES).toSorted(), Object.keys(ERRORS).toSorted())
})

test('no error exits with success, and none like a shell or a signal', () => {
  assert.deepEqual(
    [...new Set(Object.values(EXIT_CODES))].toSorted((a, b) => a - b),
    [1, 2, 3],
  )
})
