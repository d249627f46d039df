/**
 * `millrace plan JOB.ts [--from SNAPSHOT]`: what a `run` with the same options would take over of the snapshot that it would start from,
 * and what it would refuse. Decided by the functions that decide for `run`; nothing is run, locked or written.
 */
import { resolve } from 'node:path'
import { assertJobName, buildGraph } from '../api/index.ts'
import { MillraceError } from '../base/errors.ts'
import { planExecution, planJob, type ExecutionPlan } from '../graph/index.ts'
import { importJob } from '../host/job-module.ts'
import { resolveOptions } from '../host/options.ts'
import { plannedJob } from '../host/planned-job.ts'
import { findStartPoint, type StartPoint } from '../host/start-point.ts'
import { withoutForeignOutput } from '../snapshot/adopt.ts'
import type { Manifest } from '../snapshot/manifest-types.ts'
import { recover, verifyOutlines, type StartDecision, type StartRequest } from '../snapshot/recover.ts'
import { planRestore } from '../snapshot/restore-plan.ts'
import type { SnapshotStore, Storage } from '../store/contract.ts'
import { localStorage } from '../store/local/index.ts'
import type { Answer } from './answer.ts'
import { describePlan, type StartPlan } from './plan-answer.ts'
import { jobFile, sourcesOf, type RunFlags } from './run.ts'
import { DEFAULT_STORAGE } from './storage.ts'

export type PlanFlags = Pick<
  RunFlags,
  'parallelism' | 'storage' | 'set' | 'fresh' | 'from' | 'as' | 'allowDroppedState'
>

/** @throws JOB_MODULE_INVALID, OPTION_INVALID, SNAPSHOT_NOT_FOUND, … as `run` would */
export async function plan(file: string, flags: PlanFlags): Promise<Answer> {
  const job = await importJob(jobFile(file))
  const options = resolveOptions(await sourcesOf(flags, job.options))
  const name = flags.as ?? job.name
  assertJobName(name)
  const graph = planJob(buildGraph({ ...job, name }, options.params))
  const execution = planExecution(graph, options.parallelism, options.maxParallelism)
  const storage = localStorage(resolve(options.storage ?? DEFAULT_STORAGE))
  const sinksRetract = graph.graph.nodes.every(node => node.kind !== 'sink' || node.sink.retracts)
  const start = await startOf(storage, name, flags, sinksRetract)
  const restore = planRestore(start.manifest, plannedJob(graph), {
    allowDroppedState: flags.allowDroppedState ?? false,
  })
  return describePlan({ job: name, storage: storage.location, ...start, restore, execution } satisfies StartPlan & {
    readonly execution: ExecutionPlan
  })
}

interface Start {
  readonly decision: StartDecision['kind']
  readonly manifest: Manifest | undefined
  /** Newer snapshots that cannot be used. */
  readonly skipped: readonly string[]
}

async function startOf(
  storage: Storage,
  job: string,
  { fresh, from }: PlanFlags,
  sinksRetract: boolean,
): Promise<Start> {
  if (fresh === true && from !== undefined)
    throw new MillraceError('OPTION_INVALID', '--fresh and --from exclude each other')
  const point = from === undefined ? undefined : await findStartPoint(from, storage, job)
  if (point?.kind === 'other') return { decision: 'restore', manifest: await takenOver(point, job), skipped: [] }
  return recovered(storage.job(job), job, { ...(fresh && { fresh }), ...(point && { from: point.ref }) }, sinksRetract)
}

async function takenOver({ find }: Extract<StartPoint, { kind: 'other' }>, job: string): Promise<Manifest> {
  const { store, manifest } = await find()
  await verifyOutlines(store, manifest)
  return withoutForeignOutput(manifest, job)
}

async function recovered(
  store: SnapshotStore,
  job: string,
  request: StartRequest,
  sinksRetract: boolean,
): Promise<Start> {
  const { decision, manifest } = await recover(store, { job, request, sinksRetract, verify: verifyOutlines })
  const skipped = decision.kind === 'restore' ? decision.skipped : []
  return { decision: decision.kind, manifest, skipped: skipped.map(({ reason }) => reason) }
}
