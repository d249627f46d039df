/** Golden jobs in processes that are killed again and again, by schedules of a seed: GOLDEN_SEED repeats one. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { seededRandom } from '../../packages/millrace/src/testing/seeded-random.ts'
import { goldenJobs, runGolden } from '../golden/golden.ts'
import { runInChild } from '../golden/in-child.ts'
import { drawSchedule } from '../golden/schedule.ts'

/** Of every job. */
const SCHEDULES = 2

const seed = Number(process.env['GOLDEN_SEED'] ?? Date.now() % 1_000_000)
const counts = { starts: 0, kills: 0, restored: 0 }
const jobs = await goldenJobs()

describe('golden jobs that are killed and restored at other parallelisms:', { concurrency: 2 }, () => {
  for (let i = 0; i < SCHEDULES * jobs.length; i++) {
    const job = jobs[i % jobs.length]
    test(`${job.name}, GOLDEN_SEED=${seed}, schedule ${Math.floor(i / jobs.length) + 1}`, async () => {
      const reports = await runGolden(job, drawSchedule(seededRandom(seed + i)), runInChild)
      counts.starts += reports.length
      counts.kills += reports.filter(report => report.outcome === 'killed').length
      counts.restored += reports.filter(report => report.restored === true).length
    })
  }
})

test('most of their attempts were killed, and most went on from a checkpoint', context => {
  context.diagnostic(JSON.stringify({ seed, ...counts }))
  const schedules = SCHEDULES * jobs.length
  assert.ok(counts.kills >= 1.2 * schedules, `${counts.kills} kills in ${schedules} schedules`)
  assert.ok(counts.restored >= 1.2 * schedules, `${counts.restored} restores in ${schedules} schedules`)
})
