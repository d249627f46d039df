/** A short loop of random kills over every job; the long one is test/long/random-kills.test.ts. */
import { describe, test } from 'node:test'
import { CRASH_JOBS } from './fixture.ts'
import { killRepeatedly, startingSeed } from './random-kills.ts'

const seed = startingSeed()

describe('a job that is killed at random times finishes as if nothing had happened:', { concurrency: 2 }, () => {
  for (const [index, job] of CRASH_JOBS.entries()) {
    test(job.name, async () => {
      const counts = { deaths: 0, starts: 0, fresh: 0, tornFiles: 0 }
      await killRepeatedly(job, seed + index, 4, counts)
    })
  }
})
