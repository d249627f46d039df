/**
 * Dies once at every failpoint there is, starts again, and must end up with the output of an undisturbed run and nothing left over.
 * A failpoint that no job passes fails its test. Later passes, two deaths and other jobs: test/long/failpoints.test.ts.
 */
import { describe, test } from 'node:test'
import { FAILPOINTS } from '../../packages/millrace/src/base/failpoint.ts'
import { jobThatPasses } from './fixture.ts'
import { dieAt } from './failpoint-scenario.ts'

describe('a job that dies at a failpoint goes on as if nothing had happened:', { concurrency: 2 }, () => {
  for (const [index, at] of FAILPOINTS.entries()) {
    const job = jobThatPasses(at, index)
    test(`${at}, ${job.name}`, () => dieAt(job, [{ at }]))
  }
})
