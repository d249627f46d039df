/**
 * A new savepoint that is another snapshot with one state edited; never is anything changed in place. It names the segments of the
 * snapshot it was made from and, newest of all, one small segment with what the edit changes.
 *
 * Into the job's folder, under its lock: the savepoint comes after the snapshot that the next run would start from, as if that run had
 * taken it at its end, so the next run starts from the edited state. One publication does it. An edit of an older snapshot would send
 * the job back without anybody having said so; it goes into a folder of its own instead, for `run --from`.
 *
 * Into a folder of its own: segments are copied, the manifest comes last, so half a folder is never taken for a snapshot.
 */
import { assert } from '../base/assert.ts'
import { isMillraceError, MillraceError } from '../base/errors.ts'
import { acquireLock, RENEW_EVERY_MS } from '../host/lock.ts'
import { currentProcess } from '../host/process-identity.ts'
import { VERSION } from '../host/version.ts'
import { lockClockOf, systemWorld } from '../host/world.ts'
import { findSnapshot, listSnapshots } from '../snapshot/catalogue.ts'
import { ManifestFolder } from '../snapshot/manifest-folder.ts'
import { encodeManifest } from '../snapshot/manifest.ts'
import type { Manifest, SegmentRef } from '../snapshot/manifest-types.ts'
import { manifestName, MANIFESTS, parseSegmentName, SEGMENTS, segmentName } from '../snapshot/object-names.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import { nextCheckpointId } from '../snapshot/recover.ts'
import { readRuns } from '../snapshot/run-record.ts'
import { SegmentWriter } from '../snapshot/segment-writer.ts'
import type { ReadableStore, SnapshotStore } from '../store/index.ts'
import { LocalStore } from '../store/local/index.ts'
import { openSnapshot } from './open-snapshot.ts'
import type { SnapshotPlace } from './snapshot-place.ts'
import type { SnapshotReader } from './snapshot-reader.ts'
import { type EditedEntry, editedEntries, type StateEdit } from './state-edit.ts'
import { KeyedStateReader } from './state-reader.ts'

export interface EditRequest {
  readonly operator: string
  readonly state: string
  readonly edit: StateEdit
  /** A folder for the savepoint alone, which is made, or is empty. Default: the job's folder. */
  readonly to?: string
}

export interface EditedSnapshot {
  readonly manifest: Manifest
  /** The folder it is in. */
  readonly folder: string
  readonly puts: number
  readonly deletes: number
  /** The job had come to its end, so a plain run does nothing. */
  readonly isFinished: boolean
}

/**
 * Undefined: nothing would change, and nothing was written.
 * @throws JOB_LOCKED while the job runs, unless into another folder; USAGE; what reading and writing throws
 */
export async function editSnapshot(place: SnapshotPlace, request: EditRequest): Promise<EditedSnapshot | undefined> {
  return request.to === undefined ? editInJob(place, request) : editInto(place, request, request.to)
}

// --------------------------------------------------------------------------------------------------------- the job's folder

async function editInJob(place: SnapshotPlace, request: EditRequest): Promise<EditedSnapshot | undefined> {
  const { store, job } = place
  await checkIsNext(place)
  const lock = await acquireLock(store, currentProcess(), lockClockOf(systemWorld), { job, wait: false }).catch(
    (error: unknown) => {
      throw isMillraceError(error, 'JOB_LOCKED') ? withWayOut(error) : error
    },
  )
  // What goes wrong with a renewal is found by the confirmation.
  const renewal = setInterval(() => void lock.renew().catch(() => undefined), RENEW_EVERY_MS)
  try {
    // A run may have come and gone since.
    await checkIsNext(place)
    await using snapshot = await openSnapshot(place)
    const { manifests } = await new ManifestFolder(store, job).read()
    const runs = await readRuns(store, job)
    const end = runs.at(-1)?.end
    const isFinished = end !== undefined && !isMillraceError(end) && end.end === 'finished'
    const id = nextCheckpointId(runs, manifests)
    const delta = await writeDelta(snapshot, request, store, segmentName(lock.token, 1), id)
    if (delta === undefined) return undefined
    await lock.confirm()
    // The id is one of the newest run's, which may have made nothing since it began from this snapshot.
    const { run } = runs.at(-1)!
    return { ...(await publish(snapshot.manifest, delta, store, { id, token: lock.token, run })), isFinished }
  } finally {
    clearInterval(renewal)
    await lock.release()
  }
}

function withWayOut(error: MillraceError): MillraceError {
  return new MillraceError('JOB_LOCKED', error.message, {
    context: error.context,
    hint: 'Stop the job first, or write the edited savepoint into a folder of its own with --to DIR and start from it with run --from DIR.',
    cause: error,
  })
}

/** Only the snapshot that a plain run would go on from. */
async function checkIsNext({ store, job, ref }: SnapshotPlace): Promise<void> {
  const { kind, id } = await findSnapshot(store, job, ref)
  const next = (await listSnapshots(store, job)).find(({ details }) => details?.standing === 'current')
  if (next !== undefined && next.id === id && next.kind === kind) return
  const name = `${job}/${formatSnapshotId(kind, id)}`
  throw new MillraceError(
    'USAGE',
    `${name} is not what the next run would start from, so its edit cannot follow in the job's own folder`,
    {
      hint: 'Write the edited savepoint into a folder of its own with --to DIR, and start from it with run --from DIR.',
    },
  )
}

// --------------------------------------------------------------------------------------------------------- a folder of its own

async function editInto(
  place: SnapshotPlace,
  request: EditRequest,
  folder: string,
): Promise<EditedSnapshot | undefined> {
  const target = new LocalStore(folder)
  if ((await target.list(MANIFESTS)).length + (await target.list(SEGMENTS)).length > 0) {
    throw new MillraceError('USAGE', `${folder} holds a snapshot, or a part of one; name a folder that is new or empty`)
  }
  await using snapshot = await openSnapshot(place)
  const { manifest, files } = snapshot
  const tokens = manifest.segments.map(({ file }) => parseSegmentName(file.slice(SEGMENTS.length + 1))!.token)
  const token = Math.max(manifest.token, ...tokens) + 1
  const id = manifest.id + 1
  const delta = await writeDelta(snapshot, request, target, segmentName(token, 1), id)
  if (delta === undefined) return undefined
  for (const { file, sizeBytes } of manifest.segments) await copy(files, target, file, sizeBytes)
  return { ...(await publish(manifest, delta, target, { id, token })), isFinished: false }
}

const COPY_BYTES = 1024 * 1024

async function copy(files: ReadableStore, target: SnapshotStore, file: string, sizeBytes: number): Promise<void> {
  const object = await target.create(file)
  try {
    for (let at = 0; at < sizeBytes; at += COPY_BYTES) await object.write(await files.read(file, at, COPY_BYTES))
    await object.finish()
  } catch (error) {
    await object.abandon()
    throw error
  }
}

// ------------------------------------------------------------------------------------------------------------------ both

interface Delta {
  readonly segment: SegmentRef
  readonly puts: number
  readonly deletes: number
}

/** Undefined, with nothing written, when nothing changes. */
async function writeDelta(
  snapshot: SnapshotReader,
  { operator, state: name, edit }: EditRequest,
  store: SnapshotStore,
  file: string,
  checkpoint: number,
): Promise<Delta | undefined> {
  const state = snapshot.operator(operator).state(name)
  if (!(state instanceof KeyedStateReader)) {
    throw new MillraceError(
      'USAGE',
      `state '${name}' of '${operator}' is ${state.kind}; only keyed state can be edited`,
    )
  }
  const { maxParallelism, segments } = snapshot.manifest
  const { id, kind, schema } = state.info
  const writer = new SegmentWriter({
    segmentId: parseSegmentName(file.slice(SEGMENTS.length + 1))!.number,
    checkpointId: checkpoint,
    compression: 'zstd',
    dictionary: { maxParallelism, hashVersion: 1, states: { [id]: { operator, state: name, kind, schema } } },
  })
  const object = await store.create(file)
  try {
    for await (const entry of editedEntries(state, edit, Date.now())) {
      add(writer, entry)
      for (const bytes of writer.takeReady()) await object.write(bytes)
    }
    if (writer.entries === 0) {
      await object.abandon()
      return undefined
    }
    const { entries, tombstones, ...rest } = writer.end()
    for (const bytes of writer.takeReady()) await object.write(bytes)
    await object.finish()
    const keyGroups = [0, maxParallelism] as const
    const base = segments.length === 0
    const segment = { file, entries, tombstones, ...rest, base, checkpoint, maxParallelism, keyGroups }
    return { segment, puts: entries - tombstones, deletes: tombstones }
  } catch (error) {
    await object.abandon()
    throw error
  }
}

function add(writer: SegmentWriter, { op, key, value, lastTouchMs }: EditedEntry): void {
  writer.add(op, key, 0, key.length, value, 0, value.length, lastTouchMs)
}

async function publish(
  from: Manifest,
  { segment, puts, deletes }: Delta,
  store: SnapshotStore,
  made: Pick<Manifest, 'id' | 'token'> & Partial<Pick<Manifest, 'run'>>,
): Promise<Omit<EditedSnapshot, 'isFinished'>> {
  const manifest: Manifest = {
    ...from,
    ...made,
    kind: 'savepoint',
    createdAtMs: Date.now(),
    durationMs: 0,
    trigger: 'user',
    millrace: VERSION,
    segments: [segment, ...from.segments],
  }
  const outcome = await store.publish(manifestName(manifest), encodeManifest(manifest))
  assert(outcome === 'created', 'the id of an edited savepoint is new')
  return { manifest, folder: store.location, puts, deletes }
}
