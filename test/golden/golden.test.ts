/** Every golden job alone, in one go, and interrupted twice in this process; test/long/golden.test.ts kills them. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeFixture } from '../crash/fixture.ts'
import { assertExpected, goldenJobs, PARALLELISMS, runGolden, type GoldenAttempt } from './golden.ts'
import { runAlone, runInProcess } from './in-process.ts'

const jobs = await goldenJobs()

const AT_FULL_SPEED = { everyMs: 0, intervalMs: 5, end: 'complete', afterCheckpoints: 0, delayMs: 0 } as const

/**
 * Interrupted without a last checkpoint, then with one, then at full speed; every second job changes its key groups as well. State goes
 * from one backend to the other and back.
 */
function scheduleOf(index: number): GoldenAttempt[] {
  const parallelism = (attempt: number) => PARALLELISMS[attempt % PARALLELISMS.length]
  const paced = { everyMs: 2, intervalMs: 25, delayMs: 7 }
  const [one, other] = index % 4 < 2 ? (['heap', 'rocksdb'] as const) : (['rocksdb', 'heap'] as const)
  return [
    { ...paced, stateBackend: one, parallelism: parallelism(0), end: 'cancel', afterCheckpoints: 2 },
    {
      ...paced,
      stateBackend: other,
      parallelism: parallelism(1),
      end: 'stop',
      afterCheckpoints: 2,
      ...(index % 2 === 1 && { maxParallelism: 37 }),
    },
    { ...AT_FULL_SPEED, stateBackend: one, parallelism: parallelism(2) },
  ]
}

describe('at parallelism 1 the output is what a plain computation says:', () => {
  for (const job of jobs) {
    test(job.name, async () => {
      const dir = makeFixture(job)
      await runAlone(job, dir)
      assertExpected(job, dir)
    })
  }
})

// Slots get far ahead of each other when nothing slows them down.
describe('in one go at full speed the output is the same:', { concurrency: 2 }, () => {
  for (const job of jobs) {
    test(job.name, async () => {
      const reports = await runGolden(job, [{ ...AT_FULL_SPEED, parallelism: PARALLELISMS[0] }], runInProcess)
      assert.deepEqual(reports, [{ outcome: 'finished', restored: false }])
    })
  }
})

describe('with state on disk the output is the same:', { concurrency: 2 }, () => {
  for (const job of jobs) {
    test(job.name, async () => {
      const attempt = { ...AT_FULL_SPEED, stateBackend: 'rocksdb', parallelism: PARALLELISMS[1] } as const
      const reports = await runGolden(job, [attempt], runInProcess)
      assert.deepEqual(reports, [{ outcome: 'finished', restored: false }])
    })
  }
})

describe(
  'interrupted and restored at other parallelisms and on other backends the output is the same:',
  { concurrency: 2 },
  () => {
    for (const [index, job] of jobs.entries()) {
      test(job.name, async () => {
        const reports = await runGolden(job, scheduleOf(index), runInProcess)
        assert.deepEqual(reports, [
          { outcome: 'cancelled', restored: false },
          { outcome: 'stopped', restored: true },
          { outcome: 'finished', restored: true },
        ])
      })
    }
  },
)
