/**
 * What test/crash/failpoints.test.ts does once, more thoroughly: later passes of each failpoint, the same death three times in a row,
 * a second and a third death elsewhere in the starts that follow. Jobs go round, so that they are others than there.
 */
import { describe, test } from 'node:test'
import { FAILPOINTS, type Failpoint } from '../../packages/millrace/src/base/failpoint.ts'
import { dieAt, dieWhileStopping } from '../crash/failpoint-scenario.ts'
import { jobThatPasses, WORD_COUNTS } from '../crash/fixture.ts'

/** Passed once in a start. */
const ONCE = /^(lock|run|restore|end|sink\.\w+-supersede)/
/** After a death there the job has finished, or the parts are moved: the next start does not come by. */
const NOT_AGAIN: readonly Failpoint[] = ['end.after-record', 'end.after-delete', 'sink.after-supersede']
/** Where the starts after a death die again. */
const AGAIN: readonly Failpoint[] = [
  'lock.after-create',
  'run.before-publish',
  'run.after-publish',
  'checkpoint.after-freeze',
  'segment.after-rename',
  'manifest.after-link',
  'checkpoint.before-notify',
  'sink.after-commit-link',
]

const WHILE_STOPPING: readonly Failpoint[] = [
  'checkpoint.after-freeze',
  'sink.before-prepare-fsync',
  'sink.after-prepare-fsync',
  'manifest.before-link',
  'manifest.after-link',
  'checkpoint.before-confirm',
  'checkpoint.before-notify',
  'sink.after-commit-link',
  'sink.after-commit-unlink',
  'checkpoint.after-commit',
  'end.before-record',
  'end.after-delete',
]

describe('a job dies at', { concurrency: 2 }, () => {
  for (const [index, at] of FAILPOINTS.entries()) {
    const pass = 2 + (index % 3)
    if (!ONCE.test(at)) test(`${at} on pass ${pass}`, () => dieAt(jobThatPasses(at, index + 1), [{ at, pass }]))
    if (NOT_AGAIN.includes(at)) continue
    test(`${at} three times in a row`, () => dieAt(jobThatPasses(at, index + 3), [{ at }, { at }, { at }]))
    // When all that is left is to say that it has finished, only the start itself can die.
    const candidates = at.startsWith('end.') ? AGAIN.slice(0, 3) : AGAIN
    const again = [0, 4].map(offset => ({ at: candidates[(index + offset) % candidates.length] }))
    test(`${at}, then ${again.map(doom => doom.at).join(', then ')}`, () =>
      dieAt(jobThatPasses(at, index + 4), [{ at }, ...again]))
  }
})

describe('a job that is being stopped dies at', { concurrency: 2 }, () => {
  for (const at of WHILE_STOPPING) test(at, () => dieWhileStopping(WORD_COUNTS, at))
})
