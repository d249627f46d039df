import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError } from '../../base/errors.ts'
import { SourceDriver } from '../../testing/connector-context.ts'
import { sourceContract } from '../../testing/source-contract.ts'
import { collection } from './collection.ts'

sourceContract('collection', {
  make: () => collection(['a', 'b', 'c', 'd', 'e']),
  expected: [['a', 'b', 'c', 'd', 'e']],
})
sourceContract('an empty collection', { make: () => collection([]), expected: [[]] })

test('a position beyond the items is refused', async () => {
  const source = collection([1, 2])
  const [split] = await source.enumerate(new SourceDriver())
  for (const position of [3, -1, 0.5, null, '1']) {
    await assert.rejects(source.open(split, position, new SourceDriver()), error =>
      isMillraceError(error, 'SOURCE_FILE_CHANGED'),
    )
  }
})

test('what is not an array is refused when the source is made', () => {
  assert.throws(
    () => collection('text' as never),
    error => isMillraceError(error, 'OPTION_INVALID'),
  )
})
