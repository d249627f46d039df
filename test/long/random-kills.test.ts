/** At least 200 random kills over all jobs. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CRASH_JOBS } from '../crash/fixture.ts'
import { killRepeatedly, startingSeed } from '../crash/random-kills.ts'

const KILLS = 210
const KILLS_A_JOB = 6

const seed = startingSeed()
const counts = { deaths: 0, starts: 0, fresh: 0, tornFiles: 0 }

describe('jobs that are killed at random times finish as if nothing had happened:', { concurrency: 2 }, () => {
  for (let i = 0; i < KILLS / KILLS_A_JOB; i++) {
    const job = CRASH_JOBS[i % CRASH_JOBS.length]
    test(`loop ${i + 1}, ${job.name}`, () => killRepeatedly(job, seed + i, KILLS_A_JOB, counts))
  }
})

test('that were at least 200 kills', context => {
  context.diagnostic(JSON.stringify({ seed, ...counts }))
  assert.ok(counts.deaths >= 200)
})
