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
import { findSnapshot } from '../snapshot/catalogue.ts'
import type { Manifest } from '../snapshot/manifest-types.ts'
import { recover, type StartDecision } from '../snapshot/recover.ts'
import { planRestore } from '../snapshot/restore-plan.ts'
import { openSegment } from '../snapshot/segment-reader.ts'
import { parseSnapshotRef, type SnapshotRef } from '../snapshot/snapshot-id.ts'
import type { SnapshotStore } from '../store/contract.ts'
import { localStorage } from '../store/local/index.ts'
import type { Answer } from './answer.ts'
import { describePlan, type StartPlan } from './plan-answer.ts'
import { jobFile, sourcesOf, type RunFlags } from './run.ts'
import { DEFAULT_STORAGE, locateSnapshot } from './storage.ts'

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
  const storage = resolve(options.storage ?? DEFAULT_STORAGE)
  const sinksRetract = graph.graph.nodes.every(node => node.kind !== 'sink' || node.sink.retracts)
  const start = await startOf(localStorage(storage).job(name), name, { ...flags, storage }, sinksRetract)
  const restore = planRestore(start.manifest, plannedJob(graph), {
    allowDroppedState: flags.allowDroppedState ?? false,
  })
  return describePlan({ job: name, storage, ...start, restore, execution } satisfies StartPlan & {
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
  store: SnapshotStore,
  job: string,
  flags: PlanFlags & { readonly storage: string },
  sinksRetract: boolean,
): Promise<Start> {
  const { fresh, from } = flags
  if (fresh === true && from !== undefined)
    throw new MillraceError('OPTION_INVALID', '--fresh and --from exclude each other')
  const ref = from === undefined ? undefined : parseSnapshotRef(from)
  if (ref?.kind === 'path') return { decision: 'restore', manifest: await manifestAt(flags, from!), skipped: [] }
  return recovered(store, job, { fresh, from: ref }, sinksRetract)
}

/** Wherever it lies: what of it this job could take over does not depend on that. */
async function manifestAt(flags: PlanFlags, path: string): Promise<Manifest> {
  const place = await locateSnapshot(flags, path)
  const manifest = await findSnapshot(place.store, place.job, place.ref)
  await verifyOutlines(place.store, manifest)
  return manifest
}

async function recovered(
  store: SnapshotStore,
  job: string,
  request: { readonly fresh: boolean | undefined; readonly from: SnapshotRef | undefined },
  sinksRetract: boolean,
): Promise<Start> {
  const { decision, manifest } = await recover(store, {
    job,
    request: {
      ...(request.fresh === true && { fresh: true }),
      ...(request.from !== undefined && { from: request.from }),
    },
    sinksRetract,
    verify: verifyOutlines,
  })
  const skipped = decision.kind === 'restore' ? decision.skipped : []
  return { decision: decision.kind, manifest, skipped: skipped.map(({ reason }) => reason) }
}

/** That every segment is there and whole as far as its index tells: reading all of it is for the restore, and for fsck. */
async function verifyOutlines(store: SnapshotStore, { segments }: Manifest): Promise<void> {
  for (const segment of segments) await openSegment(store, segment)
}
