/**
 * Taking over a snapshot of another folder, another job's or a self-contained one, as the first snapshot of a new run of this job. For
 * forks, and for a start from a path.
 *
 *     segments (second names, no bytes are moved where one file system holds both)  ->  manifest  ->  record of the run  ->  its end
 *
 * - The record makes it count. Whoever dies before it leaves what no run descends from, and the job goes on from where it was.
 * - The other folder is only read, and each folder is swept alone: either may be deleted first.
 * - The other folder may belong to a running job that drops the snapshot meanwhile. Then a segment is missing, and nothing has happened.
 * - It goes on under a new run id, so that nothing is mixed up at the sinks: what the other folder's job writes or wrote after this
 *   snapshot, with ids that may come again here, is in nobody's past.
 * - State of another job comes without the output that waits for its commit, which is that job's to commit (invariant 2). The same
 *   job's, in a folder that was moved, is committed.
 *
 * The snapshot's id is above its old one too, so that the segments still are in order: one is never of a later checkpoint than the manifest.
 */
import { isMillraceError } from '../base/errors.ts'
import type { SnapshotStore } from '../store/contract.ts'
import { ancestry } from './lineage.ts'
import { ManifestFolder } from './manifest-folder.ts'
import { encodeManifest, readManifest } from './manifest.ts'
import type { AdoptedSnapshot, Manifest, OperatorSnapshot, SegmentRef } from './manifest-types.ts'
import { manifestName, type SnapshotId } from './object-names.ts'
import { newestRunOf, nextCheckpointId, nextLineage, nextRun } from './recover.ts'
import { publishRunEnd, publishRunRecord, readRuns, type OutputSpan } from './run-record.ts'
import { damaged } from './sealed-json.ts'

/** The snapshot to take over. Its folder need not be a job's of this storage. */
export interface AdoptionSource {
  readonly store: SnapshotStore
  readonly manifest: Manifest
}

/** The folder that takes it over, whose lock the caller holds. */
export interface AdoptionTarget {
  readonly store: SnapshotStore
  readonly job: string
  readonly token: number
  /** A name that no sweep takes, and no other segment gets. */
  takeSegmentName(): string
  /** @throws FENCED */
  confirm(): Promise<void>
  readonly newRunId: string
  readonly nowMs: number
  /** Version of the program. */
  readonly millrace: string
}

export interface Adoption {
  readonly from: AdoptedSnapshot
  readonly snapshot: SnapshotId
  readonly run: number
  readonly segmentCount: number
  readonly sizeBytes: number
}

/** How often a snapshot is looked for that is dropped while it is being taken over. */
const ATTEMPTS = 5

/**
 * `find` is asked again when the snapshot was dropped meanwhile: the newest one of a running job may be another one by then.
 * @throws what `find` throws, OBJECT_MISSING for a snapshot that is not whole, FENCED, STORE_FAILED
 */
export async function adopt(find: () => Promise<AdoptionSource>, target: AdoptionTarget): Promise<Adoption> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await adoptSnapshot(await find(), target)
    } catch (error) {
      if (!isMillraceError(error, 'OBJECT_MISSING') || attempt === ATTEMPTS) throw error
    }
  }
}

async function adoptSnapshot({ store, manifest }: AdoptionSource, target: AdoptionTarget): Promise<Adoption> {
  const { job, kind, id } = manifest
  const from = { job, kind, id }
  const past = await outputBefore(store, manifest)
  const runs = await readRuns(target.store, target.job)
  const { manifests } = await new ManifestFolder(target.store, target.job).read()
  const segments = await takeSegments(store, manifest.segments, target)
  const adopted: Manifest = {
    ...withoutForeignOutput(manifest, target.job),
    runId: target.newRunId,
    kind: 'checkpoint',
    id: Math.max(nextCheckpointId(runs, manifests), id + 1),
    job: target.job,
    forkedFrom: from,
    run: nextRun(runs, manifests),
    lineage: nextLineage(runs, manifests),
    token: target.token,
    segments,
  }
  await target.confirm()
  const file = manifestName(adopted)
  if ((await target.store.publish(file, encodeManifest(adopted))) === 'exists')
    throw damaged(file, 'exists, though no run of this job can have made it')
  await recordRun(adopted, newestRunOf(runs), past, target)
  return {
    from,
    snapshot: { kind: adopted.kind, id: adopted.id },
    run: adopted.run,
    segmentCount: segments.length,
    sizeBytes: segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  }
}

/** Output that the state is the sum of. What the other folder cannot tell, as one without runs, counts from the beginning. */
async function outputBefore(store: SnapshotStore, manifest: Manifest): Promise<readonly OutputSpan[]> {
  const { job, run, id, runId } = manifest
  const runs = await readRuns(store, job)
  // While it is there its run's record is, too: what was read is not the rest of what a sweep has just removed.
  await readManifest(store, job, manifestName(manifest))
  return ancestry(runs, run, id, runId).output
}

/** All or none. */
async function takeSegments(
  source: SnapshotStore,
  segments: readonly SegmentRef[],
  target: AdoptionTarget,
): Promise<SegmentRef[]> {
  const taken: SegmentRef[] = []
  try {
    for (const segment of segments) {
      const file = target.takeSegmentName()
      await target.store.copyFrom(source, segment.file, file)
      taken.push({ ...segment, file })
    }
    return taken
  } catch (error) {
    // What stays is swept at the next start.
    for (const { file } of taken) await target.store.remove(file).catch(() => undefined)
    throw error
  }
}

/** What a job takes over of a snapshot: of its own all, of another one's not the output that waits for its commit. */
export function withoutForeignOutput(manifest: Manifest, job: string): Manifest {
  if (manifest.job === job) return manifest
  const operators = manifest.operators.map((operator): OperatorSnapshot =>
    operator.sink === undefined ? operator : { ...operator, sink: { ...operator.sink, committables: [] } },
  )
  return { ...manifest, operators }
}

async function recordRun(
  adopted: Manifest,
  follows: number,
  past: readonly OutputSpan[],
  target: AdoptionTarget,
): Promise<void> {
  const { store, job, token, nowMs, millrace } = target
  const { run, runId, lineage, id, maxParallelism, forkedFrom } = adopted
  await target.confirm()
  await publishRunRecord(store, {
    job,
    run,
    token,
    runId,
    lineage,
    follows,
    start: { kind: 'adopted', from: forkedFrom!, past },
    firstCheckpointId: id,
    startedAtMs: nowMs,
    millrace,
    maxParallelism,
  })
  await publishRunEnd(store, { job, run, end: 'stopped', atMs: nowMs, lastCheckpointId: id, retained: true })
}
