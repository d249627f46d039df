/** Deaths around the choice of what to start from, around a stop and around a cancel. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { runOnce, type CrashAttempt } from '../../packages/millrace/src/testing/crash-runner.ts'
import type { ChildOptions } from './child.ts'
import { assertDies, dieWhileStopping } from './failpoint-scenario.ts'
import {
  assertFinished,
  commandOf,
  crash,
  GZIP_EVENTS,
  makeFixture,
  SHORT_LIVES,
  TRIPS,
  WORD_COUNTS,
} from './fixture.ts'

const startOf = ({ lines }: CrashAttempt): string | undefined => lines.find(line => line.startsWith('started '))

/** Killed in the middle of a run, with output committed. */
async function half(job: typeof WORD_COUNTS): Promise<string> {
  const dir = makeFixture(job)
  await assertDies(job, dir, { at: 'checkpoint.after-commit', pass: 5 }, {})
  return dir
}

describe('invariant 6: a fresh start', { concurrency: 2 }, () => {
  test('that dies before it is durable was none: the next plain start goes on where the last run was', async () => {
    const dir = await half(WORD_COUNTS)
    await assertDies(WORD_COUNTS, dir, { at: 'run.before-publish' }, { fresh: true })
    const { attempts } = await crash(WORD_COUNTS, dir, [])
    assert.match(startOf(attempts[0])!, /^started restore \d+$/)
    await assertFinished(WORD_COUNTS, dir)
  })

  for (const at of [
    'run.after-publish',
    'sink.before-supersede',
    'sink.after-supersede',
    'manifest.before-link',
  ] as const) {
    test(`that dies at ${at} is continued by a plain start`, async () => {
      const dir = await half(GZIP_EVENTS)
      await assertDies(GZIP_EVENTS, dir, { at }, { fresh: true })
      const { attempts } = await crash(GZIP_EVENTS, dir, [], { everyMs: 0 })
      assert.equal(startOf(attempts[0]), 'started fresh continued')
      await assertFinished(GZIP_EVENTS, dir, { superseded: true, retained: 4 })
    })
  }

  test('keeps the last checkpoint of the run before it, over deaths, until the end', async () => {
    const dir = await half(TRIPS)
    const manifests = join(dir, 'store', TRIPS.name, 'manifests')
    const last = readdirSync(manifests)
      .filter(name => !name.startsWith('.'))
      .sort()
      .at(-1)!
    await assertDies(TRIPS, dir, { at: 'checkpoint.after-commit', pass: 10 }, { fresh: true })
    await assertDies(TRIPS, dir, { at: 'retention.after-manifest-delete' }, {})
    assert.ok(readdirSync(manifests).includes(last))
    await crash(TRIPS, dir, [], { everyMs: 0 })
    assert.ok(readdirSync(manifests).includes(last))
    await assertFinished(TRIPS, dir, { superseded: true, retained: 4 })
  })
})

describe('a job that dies while it is being stopped goes on as if nothing had happened:', { concurrency: 2 }, () => {
  for (const at of [
    'checkpoint.after-trigger',
    'manifest.after-directory-fsync',
    'sink.before-commit-link',
    'end.after-record',
  ] as const) {
    test(at, () => dieWhileStopping(WORD_COUNTS, at))
  }

  test('or does not die: the output of the stop is whole, and the next start goes on', async () => {
    const dir = makeFixture(SHORT_LIVES)
    const stopped = await runOnce(commandOf(SHORT_LIVES, dir, { stopAfter: 3 }))
    assert.equal(stopped.lines.at(-1), 'outcome stopped')
    assert.equal(readdirSync(join(dir, 'out', 'lives')).filter(name => name.startsWith('.')).length, 0)
    const { attempts } = await crash(SHORT_LIVES, dir, [])
    assert.equal(startOf(attempts[0]), 'started restore 4')
    await assertFinished(SHORT_LIVES, dir)
  })
})

describe('a cancelled job whose checkpoints are to go', { concurrency: 2 }, () => {
  const cancel: ChildOptions = { cancelAfter: 4, checkpointing: { onCancel: 'delete' } }

  test('and that dies before its end is recorded is not cancelled', async () => {
    const dir = makeFixture(WORD_COUNTS)
    await assertDies(WORD_COUNTS, dir, { at: 'end.before-record' }, cancel)
    const { attempts } = await crash(WORD_COUNTS, dir, [], { everyMs: 0 })
    assert.match(startOf(attempts[0])!, /^started restore \d+$/)
    await assertFinished(WORD_COUNTS, dir)
  })

  for (const at of ['end.after-record', 'end.after-delete'] as const) {
    test(`and that dies at ${at} starts clean the next time, and its checkpoints are gone`, async () => {
      const dir = makeFixture(SHORT_LIVES)
      await assertDies(SHORT_LIVES, dir, { at }, cancel)
      const { attempts } = await crash(SHORT_LIVES, dir, [], { everyMs: 0 })
      assert.equal(startOf(attempts[0]), 'started fresh deleted')
      await assertFinished(SHORT_LIVES, dir, { superseded: true })
    })
  }

  test('with its checkpoints retained instead, goes on where the last one was', async () => {
    const dir = makeFixture(WORD_COUNTS)
    const cancelled = await runOnce(commandOf(WORD_COUNTS, dir, { cancelAfter: 4 }))
    assert.equal(cancelled.lines.at(-1), 'outcome cancelled')
    const { attempts } = await crash(WORD_COUNTS, dir, [], { everyMs: 0 })
    assert.match(startOf(attempts[0])!, /^started restore [45]$/)
    await assertFinished(WORD_COUNTS, dir)
  })
})

test('a process that lives is not taken over, and the refusal does not disturb it', async () => {
  const dir = makeFixture(WORD_COUNTS)
  const first = crash(WORD_COUNTS, dir, [])
  while (!existsSync(join(dir, 'store', WORD_COUNTS.name, 'runs', '000001.json'))) await setTimeout(5)
  const second = await runOnce(commandOf(WORD_COUNTS, dir))
  assert.equal(second.code, 1)
  assert.match(second.stderr, /JOB_LOCKED/)
  const { attempts } = await first
  assert.deepEqual(
    attempts[0].lines.filter(line => line.startsWith('warn')),
    [],
  )
  await assertFinished(WORD_COUNTS, dir)
})

test('a start at another max parallelism restores everything, after every death', async () => {
  const dir = makeFixture(TRIPS)
  for (const [index, maxParallelism] of [7, 1, 300].entries()) {
    await assertDies(TRIPS, dir, { at: 'checkpoint.after-commit', pass: 4 + index }, { maxParallelism })
  }
  await crash(TRIPS, dir, [], { everyMs: 0 })
  await assertFinished(TRIPS, dir)
})
