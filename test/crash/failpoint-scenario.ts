/** What leads a job to each failpoint, and what is checked after it has died there. */
import assert from 'node:assert/strict'
import { basename, join } from 'node:path'
import type { Failpoint } from '../../packages/millrace/src/base/failpoint.ts'
import { readManifest } from '../../packages/millrace/src/snapshot/manifest.ts'
import { verifySnapshot } from '../../packages/millrace/src/snapshot/recover.ts'
import { LocalStore } from '../../packages/millrace/src/store/local/index.ts'
import { runOnce, type Doom } from '../../packages/millrace/src/testing/crash-runner.ts'
import type { ChildOptions } from './child.ts'
import { assertFinished, commandOf, crash, filesIn, makeFixture, type CrashJob } from './fixture.ts'

export type FailpointDoom = Extract<Doom, { readonly at: Failpoint }>

/** Failpoints that only a start passes which has a past to restore, or one to move aside. */
const AFTER_A_CRASH: readonly Failpoint[] = ['restore.after-load']
/** Only a start that has records of runs to remove: those of a few that died before they had made anything. */
const AFTER_FUTILE_STARTS: readonly Failpoint[] = ['sweep.before-run-delete', 'sweep.after-run-delete']
const IN_A_FRESH_START: readonly Failpoint[] = ['sink.before-supersede', 'sink.after-supersede']
/** Somewhere in the middle of a run, with output committed and a snapshot to go on from. */
const EARLIER_DEATH: Doom = { at: 'checkpoint.after-commit', pass: 3 }

/** The job dies at each of these in turn, each time in a new start; then it is started once more and must finish. */
export async function dieAt(job: CrashJob, dooms: readonly FailpointDoom[]): Promise<void> {
  const dir = makeFixture(job)
  const fresh = dooms.some(({ at }) => IN_A_FRESH_START.includes(at))
  const needsPast = fresh || AFTER_A_CRASH.includes(dooms[0].at)
  if (needsPast) await assertDies(job, dir, EARLIER_DEATH, {})
  if (dooms.some(({ at }) => AFTER_FUTILE_STARTS.includes(at))) {
    for (let start = 1; start <= 3; start += 1) await assertDies(job, dir, { at: 'run.after-publish' }, {})
  }
  for (const doom of dooms) {
    await assertDies(job, dir, doom, {
      ...(IN_A_FRESH_START.includes(doom.at) && { fresh: true }),
      ...(isOfSavepoint(doom.at) && { savepoints: true }),
    })
  }
  await assertSavepointWhole(job, dir)
  await crash(job, dir, [], { everyMs: 0 })
  await assertFinished(job, dir, fresh ? { superseded: true, retained: 4 } : {})
}

/** What was written to the folder of savepoints is a whole one, or none. */
async function assertSavepointWhole(job: CrashJob, dir: string): Promise<void> {
  const names = filesIn(join(dir, 'savepoint/manifests')).map(path => basename(path))
  const name = names.find(each => each.startsWith('sp-'))
  if (name === undefined) return
  const store = new LocalStore(join(dir, 'savepoint'))
  await verifySnapshot(store, await readManifest(store, job.name, `manifests/${name}`))
}

function isOfSavepoint(at: Failpoint): boolean {
  return at.startsWith('savepoint.')
}

/** The job is stopped at its third checkpoint, dies at the failpoint while it takes its last, and is started once more. */
export async function dieWhileStopping(job: CrashJob, at: Failpoint): Promise<void> {
  const dir = makeFixture(job)
  await assertDies(job, dir, { at, pass: at.startsWith('end.') ? 1 : 4 }, { stopAfter: 3 })
  await crash(job, dir, [], { everyMs: 0 })
  await assertFinished(job, dir)
}

/** @throws when the job passes no such failpoint, so that it runs to its end */
export async function assertDies(job: CrashJob, dir: string, doom: Doom, options: ChildOptions): Promise<void> {
  const attempt = await runOnce(commandOf(job, dir, options), doom)
  const story = [...attempt.lines.slice(-10), attempt.stderr].join('\n')
  assert.ok(attempt.died, `${job.name} never passed ${JSON.stringify(doom)}:\n${story}`)
}
