import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isPendingOfJob, parsePartName, parsePendingName, partName, pendingName, type PartOwner } from './part-name.ts'

const name = fc.oneof(
  fc.string({ minLength: 1, maxLength: 100, unit: 'grapheme' }),
  fc
    .array(fc.constantFrom('a', '-', '~', '%', '2D', '.', '_', '/', '0a1b2c3d', '-0-', 'ü'), {
      minLength: 1,
      maxLength: 30,
    })
    .map(parts => parts.join('')),
)
const owner: fc.Arbitrary<PartOwner> = fc.record({ job: name, sink: name })

test('names have the documented form', () => {
  const owner = { job: 'my-job', sink: 'out 1/ü' }
  assert.equal(
    pendingName(owner, { runId: '0a1b2c3d', subtask: 0, number: 7 }),
    '.pending-my~job-out%201%2F%C3%BC-0a1b2c3d-0-7',
  )
  assert.equal(
    partName(owner, { runId: '0a1b2c3d', subtask: 0, checkpoint: 42, sequence: 3 }),
    'part-my~job-out%201%2F%C3%BC-0a1b2c3d-0-000000000042-0003',
  )
})

test('any name is read back by its owner, by no other, and is a plain name that fits a file system', () => {
  fc.assert(
    fc.property(owner, owner, fc.nat({ max: 1000 }), fc.nat(), (mine, other, subtask, number) => {
      const pending = { runId: '0a1b2c3d', subtask, number }
      const part = { runId: '0a1b2c3d', subtask, checkpoint: number, sequence: subtask }
      assert.deepEqual(parsePendingName(mine, pendingName(mine, pending)), pending)
      assert.deepEqual(parsePartName(mine, partName(mine, part)), part)
      for (const file of [pendingName(mine, pending), partName(mine, part)]) {
        assert.match(file, /^[A-Za-z0-9._~%-]{1,250}$/)
      }
      if (mine.job === other.job && mine.sink === other.sink) return
      assert.equal(parsePendingName(other, pendingName(mine, pending)), undefined)
      assert.equal(parsePartName(other, partName(mine, part)), undefined)
      assert.equal(isPendingOfJob(other.job, pendingName(mine, pending)), other.job === mine.job)
    }),
  )
})

test('names that only resemble those of a sink are not its own', () => {
  const owner = { job: 'j', sink: 's' }
  for (const file of [
    'part-j-s-0a1b2c3d-0-000000000042-0003.bak',
    'part-j-s-0a1b2c3d-0-42-0003',
    'part-j-s-XXXXXXXX-0-000000000042-0003',
    'part-j-s2-0a1b2c3d-0-000000000042-0003',
    'part-j-s-0a1b2c3d-0-000000000042-0003/../x',
    'part-',
    '',
  ]) {
    assert.equal(parsePartName(owner, file), undefined, file)
  }
  assert.equal(parsePendingName(owner, '.pending-j-s-0a1b2c3d-0-1.tmp'), undefined)
})
