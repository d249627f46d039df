/**
 * A manifest as bytes: sealed JSON (sealed-json.ts) of the facts in manifest-types.ts, at `manifests/<kind>-<id>.json`.
 *
 * Decoding trusts nothing: size, checksum, format, version, job, then every field's type and range, then what fields say about each
 * other. A manifest that decodes may still name a segment that is missing or damaged; that is for recovery and fsck.
 */
import { assert } from '../base/assert.ts'
import { MillraceError } from '../base/errors.ts'
import type { JsonObject } from '../base/json.ts'
import { fixedSchemaOfJson } from '../codec/index.ts'
import { assertObjectName } from '../store/contract.ts'
import type { SnapshotStore } from '../store/contract.ts'
import type { TouchTime } from '../time/index.ts'
import { Fields } from './fields.ts'
import type { Manifest, OperatorSnapshot } from './manifest-types.ts'
import { parseManifestName, parseSegmentName, SEGMENTS } from './object-names.ts'
import { damaged, SEALED_SIZE_LIMIT, sealJson, unsealJson } from './sealed-json.ts'

export const MANIFEST_FORMAT = 'millrace-manifest'
export const MANIFEST_VERSION = 1

/** Key groups and state ids are stored in 16 bits. */
const PARALLELISM_LIMIT = 65_536
const STATE_ID_LIMIT = 65_536

/** @throws STORE_FAILED when it would be larger than what can be read again */
export function encodeManifest(manifest: Manifest): Uint8Array {
  assert(
    manifest.format === MANIFEST_FORMAT && manifest.version === MANIFEST_VERSION,
    'a manifest is written in the current version',
  )
  const bytes = sealJson(manifest)
  if (bytes.length > SEALED_SIZE_LIMIT) {
    throw new MillraceError(
      'STORE_FAILED',
      `the manifest of checkpoint ${manifest.id} would have ${bytes.length} bytes; the limit is ${SEALED_SIZE_LIMIT}`,
    )
  }
  return bytes
}

export interface ManifestOrigin {
  /** The job that it must belong to; undefined: any. */
  readonly job: string | undefined
  /** Name of the file, for messages; if the last part is a manifest's name, kind and id must agree with it. */
  readonly file: string
}

/** @throws SNAPSHOT_DAMAGED, SNAPSHOT_VERSION, SNAPSHOT_WRONG_JOB, BAD_REFERENCE */
export function decodeManifest(bytes: Uint8Array, { job, file }: ManifestOrigin): Manifest {
  const object = unsealJson(bytes, file)
  const fields = new Fields(object, file)
  checkVersion(fields, file, MANIFEST_FORMAT, MANIFEST_VERSION)
  const owner = fields.text('job')
  if (job !== undefined && owner !== job) {
    throw new MillraceError('SNAPSHOT_WRONG_JOB', `${file} is a snapshot of job '${owner}', not of '${job}'`, {
      context: { file, owner, job },
    })
  }
  checkHeader(fields, file)
  checkOperators(fields, file)
  checkSegments(fields, file)
  checkWatermarks(fields)
  return object as JsonObject & Manifest
}

/** Read and decode one manifest of the job's folder. @throws OBJECT_MISSING and what `decodeManifest` does */
export async function readManifest(store: SnapshotStore, job: string, file: string): Promise<Manifest> {
  return decodeManifest(await readSealed(store, file), { job, file })
}

/** Read a whole object of sealed JSON, but never more than it may have. */
export async function readSealed(store: SnapshotStore, file: string): Promise<Uint8Array> {
  return store.read(file, 0, SEALED_SIZE_LIMIT + 1)
}

/** Of a manifest, what says whether its segments and those of the next one can be read as one. */
type Layout = Pick<Manifest, 'maxParallelism'> & { readonly operators: readonly Pick<OperatorSnapshot, 'states'>[] }

/**
 * Whether the next checkpoint must hold everything instead of the changes since a base (invariant 4): there is no base, its keys were
 * placed in key groups by another rule, or a state that it may hold rows of has no such rows any more.
 */
export function needsFullBase(
  base: (Layout & Pick<Manifest, 'hashVersion'>) | undefined,
  next: Layout,
  hashVersion = 1,
): boolean {
  if (base === undefined || base.maxParallelism !== next.maxParallelism || base.hashVersion !== hashVersion) return true
  const after = rowsOf(next)
  const touches = touchesOf(next)
  return (
    [...rowsOf(base)].some(([id, rows]) => rows !== undefined && after.get(id) !== rows) ||
    [...touchesOf(base)].some(([id, time]) => touches.has(id) && touches.get(id) !== time)
  )
}

/** Which time the touches of a state's entries are of; undefined: they have none. */
function touchesOf({ operators }: Layout): Map<number, TouchTime | undefined> {
  const states = operators.flatMap(operator => operator.states)
  return new Map(states.map(({ id, ttlMs, ttlTime = 'processing' }) => [id, ttlMs === undefined ? undefined : ttlTime]))
}

/** The layout of a state's values as rows; undefined: they describe themselves. */
function rowsOf({ operators }: Layout): Map<number, string | undefined> {
  const states = operators.flatMap(operator => operator.states)
  return new Map(states.map(({ id, schema }) => [id, fixedSchemaOfJson(schema)?.layout.signature]))
}

/** @throws SNAPSHOT_DAMAGED for another format, SNAPSHOT_VERSION for a newer version */
export function checkVersion(fields: Fields, file: string, format: string, version: number): void {
  if (fields.text('format') !== format) fields.fail('format', `'${format}'`)
  const found = fields.integer('version', 1)
  if (found <= version) return
  const message = `${file} has format version ${found}; this Millrace reads up to ${version}`
  throw new MillraceError('SNAPSHOT_VERSION', message, { context: { file, found, supported: version } })
}

/** @throws SNAPSHOT_DAMAGED */
export function checkAdopted(from: Fields): void {
  from.text('job')
  from.oneOf('kind', ['checkpoint', 'savepoint'])
  from.integer('id', 1)
}

/** @throws SNAPSHOT_DAMAGED */
export function checkRunId(fields: Fields): void {
  if (!/^[0-9a-f]{8}$/.test(fields.text('runId'))) fields.fail('runId', '8 hexadecimal digits')
}

function checkHeader(fields: Fields, file: string): void {
  const id = fields.integer('id', 1)
  const kind = fields.oneOf('kind', ['checkpoint', 'savepoint'])
  const named = parseManifestName(file.slice(file.lastIndexOf('/') + 1))
  if (named !== undefined && (named.id !== id || named.kind !== kind))
    throw damaged(file, `holds the ${kind} ${id}, which is not what its name says`)
  if (fields.has('forkedFrom')) checkAdopted(fields.object('forkedFrom'))
  fields.integer('run', 1)
  checkRunId(fields)
  fields.integer('lineage', 1)
  fields.integer('token', 1)
  fields.integer('createdAtMs')
  fields.number('durationMs', 0)
  fields.oneOf('trigger', ['interval', 'user', 'stop', 'finish', 'rescale'])
  if (fields.has('label')) fields.text('label')
  fields.text('millrace')
  fields.integer('parallelism', 1, PARALLELISM_LIMIT)
  fields.integer('maxParallelism', 1, PARALLELISM_LIMIT)
  fields.integer('hashVersion', 1, 1)
  fields.integer('nextStateId', 0, STATE_ID_LIMIT)
}

function checkOperators(fields: Fields, file: string): void {
  const nextStateId = fields.integer('nextStateId')
  const checkpoint = fields.integer('id')
  const stateIds = new Set<number>()
  const names = new Set<string>()
  for (const operator of fields.objects('operators')) {
    addOnce(names, operator.text('name'), name => damaged(file, `names the operator '${name}' twice`))
    operator.text('kind')
    if (operator.has('inputs') && !operator.list('inputs').every(input => typeof input === 'string'))
      operator.fail('inputs', 'a list of names')
    const parallelism = operator.integer('parallelism', 1, PARALLELISM_LIMIT)
    const stateNames = new Set<string>()
    for (const state of operator.objects('states')) {
      const id = state.integer('id', 0, nextStateId - 1)
      addOnce(stateIds, id, () => damaged(file, `uses the state id ${id} twice`))
      addOnce(stateNames, state.text('name'), name =>
        damaged(file, `names a state '${name}' twice at ${operator.pathOf('states')}`),
      )
      state.text('kind')
      checkForm(state)
      if (state.has('ttlMs')) state.number('ttlMs', 1)
      if (state.has('ttlTime')) state.oneOf('ttlTime', ['event', 'processing'])
    }
    if (operator.has('watermark')) operator.number('watermark', -Number.MAX_VALUE)
    if (operator.has('keySchema')) operator.json('keySchema')
    if (operator.has('keyCode')) operator.text('keyCode')
    if (operator.has('forms')) {
      const forms = operator.object('forms')
      for (const state of forms.names()) checkForm(forms.object(state))
    }
    if (operator.has('source')) checkSource(operator.object('source'), parallelism, file)
    if (operator.has('sink')) checkSink(operator.object('sink'), parallelism, checkpoint)
    if (operator.has('operatorState')) checkOperatorState(operator.object('operatorState'), parallelism)
    if (operator.has('broadcastState')) checkBroadcastState(operator.object('broadcastState'))
  }
}

function checkForm(form: Fields): void {
  form.json('schema')
  if (form.has('version')) form.integer('version', 1)
}

function checkSource(source: Fields, parallelism: number, file: string): void {
  const ids = new Set<string>()
  const counts = new Map<number, number>()
  for (const split of source.objects('splits')) {
    addOnce(ids, split.text('id'), id => damaged(file, `names the split '${id}' twice at ${source.pathOf('splits')}`))
    split.json('detail')
    split.json('position')
    split.boolean('ended')
    const subtask = split.integer('subtask', 0, parallelism - 1)
    counts.set(subtask, (counts.get(subtask) ?? 0) + 1)
  }
  source.integer('records')
  checkSubtasks(source, 'turns', parallelism)
  for (const [subtask, turn] of source.objects('turns').entries()) {
    turn.integer('split', 0, Math.max(0, (counts.get(subtask) ?? 0) - 1))
    turn.integer('remaining')
    turn.boolean('active')
  }
}

/** A list by subtask. */
function checkSubtasks(fields: Fields, name: string, parallelism: number): void {
  if (fields.list(name).length > parallelism) fields.fail(name, `at most one for each of ${parallelism} subtasks`)
}

function checkSink(sink: Fields, parallelism: number, checkpoint: number): void {
  sink.text('type')
  sink.boolean('retracts')
  checkSubtasks(sink, 'states', parallelism)
  for (const committable of sink.objects('committables')) {
    committable.integer('checkpoint', 1, checkpoint)
    committable.json('value')
  }
}

function checkOperatorState(states: Fields, parallelism: number): void {
  for (const name of states.names()) {
    checkSubtasks(states, name, parallelism)
    const isLists = states
      .list(name)
      .every(values => Array.isArray(values) && values.every(value => typeof value === 'string'))
    if (!isLists) states.fail(name, 'one list of base64 texts per subtask')
  }
}

function checkBroadcastState(states: Fields): void {
  for (const name of states.names()) {
    const isList = states.list(name).every(entry => typeof entry === 'string')
    if (!isList) states.fail(name, 'a list of base64 texts')
  }
}

function checkSegments(fields: Fields, file: string): void {
  const checkpoint = fields.integer('id')
  const maxParallelism = fields.integer('maxParallelism')
  const files = new Set<string>()
  let newest = checkpoint
  const segments = fields.objects('segments')
  for (const [index, segment] of segments.entries()) {
    addOnce(files, segmentReference(segment, file), name => damaged(file, `names the segment ${name} twice`))
    segment.integer('sizeBytes', 1)
    segment.integer('entries')
    segment.integer('tombstones')
    segment.integer('checksum', 0, 0xffff_ffff)
    // Newest first, and none from the future: the order decides which of two entries wins.
    newest = segment.integer('checkpoint', 1, newest)
    // Invariant 4: keys of one manifest lie in key groups by one rule.
    segment.integer('maxParallelism', maxParallelism, maxParallelism)
    checkKeyGroups(segment, maxParallelism)
    const base = segment.boolean('base')
    const above = segments[index - 1]
    if (above !== undefined && above.integer('checkpoint') === newest && above.boolean('base') !== base)
      segment.fail('base', 'the same for all segments of one checkpoint')
  }
}

function checkKeyGroups(segment: Fields, maxParallelism: number): void {
  const [start, end, ...more] = segment.list('keyGroups')
  const isRange = Number.isInteger(start) && Number.isInteger(end) && 0 <= Number(start) && Number(start) < Number(end)
  if (!isRange || Number(end) > maxParallelism || more.length > 0)
    segment.fail('keyGroups', `[start, end) within 0 to ${maxParallelism}`)
}

/** The file that a manifest refers to. @throws BAD_REFERENCE when it could lead out of the folder */
function segmentReference(segment: Fields, file: string): string {
  const name = segment.text('file')
  try {
    assertObjectName(name)
  } catch (error) {
    throw new MillraceError(
      'BAD_REFERENCE',
      `${file} refers to '${name.slice(0, 200)}', which is not inside the job's folder`,
      { context: { file }, cause: error },
    )
  }
  const folder = `${SEGMENTS}/`
  if (!name.startsWith(folder) || parseSegmentName(name.slice(folder.length)) === undefined)
    segment.fail('file', 'segments/<token>-<number>.seg')
  return name
}

function checkWatermarks(fields: Fields): void {
  const transformations = fields.object('watermarks')
  for (const transformation of transformations.names()) {
    const splits = transformations.object(transformation)
    for (const split of splits.names()) {
      const value = splits.json(split)
      if (value !== null && typeof value !== 'number') splits.fail(split, 'a number or null')
    }
  }
}

function addOnce<T>(seen: Set<T>, value: T, twice: (value: T) => MillraceError): void {
  if (seen.has(value)) throw twice(value)
  seen.add(value)
}
