/**
 * A run record is one start of a job, durable before its first record (invariant 6); the end record beside it says how it ended.
 *
 *     runs/000007.json       created if absent: two processes cannot start as the same run
 *     runs/000007.end.json   created if absent: how a run ended is said once, before anything of it is deleted
 *
 * Both are sealed JSON. With them it is known which snapshot descends from which. A record says the whole past of its run, and which run
 * came before, so that it can be read without the records of those: they go when nothing needs them (run-retention.ts).
 */
import { isMillraceError, MillraceError } from '../base/errors.ts'
import { failpoint } from '../base/failpoint.ts'
import type { SnapshotStore } from '../store/contract.ts'
import { Fields } from './fields.ts'
import { checkAdopted, checkRunId, checkVersion, readSealed } from './manifest.ts'
import type { AdoptedSnapshot, SnapshotKind } from './manifest-types.ts'
import { parseRunName, RUNS, runEndName, runName } from './object-names.ts'
import { damaged, sealJson, unsealJson } from './sealed-json.ts'

const RUN_FORMAT = 'millrace-run'
const END_FORMAT = 'millrace-run-end'
const VERSION = 1

export interface RunRecord {
  readonly format: typeof RUN_FORMAT
  readonly version: typeof VERSION
  readonly job: string
  /** Counts the starts of the job, from 1. */
  readonly run: number
  /** Of the lock under which it was written. */
  readonly token: number
  /** 8 hexadecimal digits: random per fresh start, inherited by every run that goes on from one. */
  readonly runId: string
  readonly lineage: number
  /** The newest run that had a record when this one began; 0: none did. Records of early versions do not say. */
  readonly follows?: number
  readonly start: RunStart
  /** Ids of this run's snapshots begin here; no snapshot of an earlier run that counts has this id or a higher one. */
  readonly firstCheckpointId: number
  readonly startedAtMs: number
  readonly millrace: string
  readonly maxParallelism: number
}

/**
 * What a run started from. `run` is the run that made the snapshot. A fresh run may inherit its run id: see recover.ts, 'continued'.
 * A run that adopts reads no record: all it does is to take over a snapshot of another folder as its first (adopt.ts).
 */
export type RunStart =
  | { readonly kind: 'fresh' }
  | { readonly kind: 'restored'; readonly snapshot: RestoredSnapshot; readonly past?: Past }
  | { readonly kind: 'adopted'; readonly from: AdoptedSnapshot; readonly past: readonly OutputSpan[] }

/** What a run descends from. Records of early versions do not say it; there the records of the runs before tell. */
export interface Past {
  /** Snapshots of this folder that belong to it have this id or a higher one; output with lower ids was prepared in other folders. */
  readonly since: number
  /** All output that belongs to it, newest first. */
  readonly output: readonly OutputSpan[]
}

/** Output that was prepared for these checkpoints, from … through, under a run id. */
export interface OutputSpan {
  readonly runId: string
  readonly from: number
  readonly through: number
}

export interface RestoredSnapshot {
  readonly kind: SnapshotKind
  readonly id: number
  readonly run: number
}

export interface RunEnd {
  readonly format: typeof END_FORMAT
  readonly version: typeof VERSION
  readonly job: string
  readonly run: number
  readonly end: 'finished' | 'cancelled' | 'stopped' | 'failed'
  readonly atMs: number
  /** The newest snapshot that this run published or restored; 0: none. Ids stay unique even after all snapshots are deleted. */
  readonly lastCheckpointId: number
  /** The newest savepoint that it made, if any: its id too is never used again, even when its owner has deleted it. */
  readonly lastSavepointId?: number
  /** False: its checkpoints are deleted after this (onFinish, onCancel); a crash in between does not bring them back. */
  readonly retained: boolean
  /** Of a failure: what it was. */
  readonly error?: { readonly code: string; readonly message: string }
}

/** What is known of a run: its record or why it cannot be read, and its end if it has one. */
export interface RunFacts {
  readonly run: number
  readonly record: RunRecord | MillraceError
  readonly end: RunEnd | MillraceError | undefined
}

export function encodeRunRecord(record: Omit<RunRecord, 'format' | 'version'>): Uint8Array {
  return sealJson({ format: RUN_FORMAT, version: VERSION, ...record })
}

export function encodeRunEnd(end: Omit<RunEnd, 'format' | 'version'>): Uint8Array {
  return sealJson({ format: END_FORMAT, version: VERSION, ...end })
}

/**
 * The start becomes durable. @throws FENCED when a run of that number exists: somebody else started the job meanwhile
 */
export async function publishRunRecord(
  store: SnapshotStore,
  record: Omit<RunRecord, 'format' | 'version'>,
): Promise<void> {
  failpoint('run.before-publish')
  const outcome = await store.publish(runName(record.run), encodeRunRecord(record))
  failpoint('run.after-publish')
  if (outcome === 'created' && !(await isOvertaken(store, record.run))) return
  if (outcome === 'created') await store.remove(runName(record.run))
  const message = `run ${record.run} of '${record.job}' was started by another process meanwhile, so this one stops`
  throw new MillraceError('FENCED', message, { context: { run: record.run } })
}

/** The name may have been free only because later runs had cleared up. The newest record is never removed, so it shows that. */
async function isOvertaken(store: SnapshotStore, run: number): Promise<boolean> {
  const names = (await store.list(RUNS)).map(({ name }) => parseRunName(name))
  return names.some(parsed => parsed !== undefined && !parsed.end && parsed.run > run)
}

/** How a run ended becomes durable. The first word counts: false when it was said already. */
export async function publishRunEnd(store: SnapshotStore, end: Omit<RunEnd, 'format' | 'version'>): Promise<boolean> {
  failpoint('end.before-record')
  const outcome = await store.publish(runEndName(end.run), encodeRunEnd(end))
  failpoint('end.after-record')
  return outcome === 'created'
}

/** Every run of the job, oldest first. One that cannot be read is a fact too; only a failing store throws. */
export async function readRuns(store: SnapshotStore, job: string): Promise<RunFacts[]> {
  for (let attempt = 1; ; attempt++) {
    const { facts, isTorn } = await readListedRuns(store, job)
    if (!isTorn || attempt === READ_ATTEMPTS) return facts
  }
}

/** How often it is listed anew when a running job begins runs and removes records meanwhile. */
const READ_ATTEMPTS = 5

async function readListedRuns(store: SnapshotStore, job: string): Promise<{ facts: RunFacts[]; isTorn: boolean }> {
  const listed = (await store.list(RUNS)).flatMap(({ name }) => parseRunName(name) ?? [])
  const begun = new Set(listed.filter(({ end }) => !end).map(({ run }) => run))
  const ended = new Set(listed.filter(({ end }) => end).map(({ run }) => run))
  const numbers = [...new Set([...begun, ...ended])].toSorted((a, b) => a - b)
  const facts = await Promise.all(
    numbers.map(async run => ({
      run,
      record: await factOf(() => readRunRecord(store, job, run)),
      end: ended.has(run) ? await factOf(() => readRunEnd(store, job, run)) : undefined,
    })),
  )
  const isTorn = facts.some(
    ({ run, record, end }) =>
      (begun.has(run) && isMillraceError(record, 'OBJECT_MISSING')) || isMillraceError(end, 'OBJECT_MISSING'),
  )
  return { facts, isTorn }
}

async function readRunRecord(store: SnapshotStore, job: string, run: number): Promise<RunRecord> {
  return decodeRunRecord(await readSealed(store, runName(run)), { job, run })
}

async function readRunEnd(store: SnapshotStore, job: string, run: number): Promise<RunEnd> {
  return decodeRunEnd(await readSealed(store, runEndName(run)), { job, run })
}

interface Expected {
  readonly job: string
  readonly run: number
}

/** @throws SNAPSHOT_DAMAGED, SNAPSHOT_VERSION, SNAPSHOT_WRONG_JOB */
export function decodeRunRecord(bytes: Uint8Array, expected: Expected): RunRecord {
  const file = runName(expected.run)
  const { object, fields } = open(bytes, file, RUN_FORMAT, expected)
  fields.integer('token', 1)
  checkRunId(fields)
  fields.integer('lineage', 1)
  const firstCheckpointId = fields.integer('firstCheckpointId', 1)
  fields.integer('startedAtMs')
  fields.text('millrace')
  fields.integer('maxParallelism', 1)
  if (fields.has('follows')) fields.integer('follows', 0, expected.run - 1)
  checkStart(fields.object('start'), firstCheckpointId, expected.run)
  return object as unknown as RunRecord
}

function checkStart(start: Fields, firstCheckpointId: number, run: number): void {
  const kind = start.oneOf('kind', ['fresh', 'restored', 'adopted'])
  if (kind === 'restored') {
    const snapshot = start.object('snapshot')
    snapshot.oneOf('kind', ['checkpoint', 'savepoint'])
    const id = snapshot.integer('id', 1, firstCheckpointId - 1)
    snapshot.integer('run', 1, run - 1)
    if (start.has('past')) {
      const past = start.object('past')
      past.integer('since', 1, id)
      checkSpans(past.objects('output'))
    }
  }
  if (kind === 'adopted') {
    checkAdopted(start.object('from'))
    checkSpans(start.objects('past'))
  }
}

function checkSpans(spans: readonly Fields[]): void {
  for (const span of spans) {
    checkRunId(span)
    span.integer('through', span.integer('from', 1))
  }
}

/** @throws SNAPSHOT_DAMAGED, SNAPSHOT_VERSION, SNAPSHOT_WRONG_JOB */
export function decodeRunEnd(bytes: Uint8Array, expected: Expected): RunEnd {
  const file = runEndName(expected.run)
  const { object, fields } = open(bytes, file, END_FORMAT, expected)
  fields.oneOf('end', ['finished', 'cancelled', 'stopped', 'failed'])
  fields.integer('atMs')
  fields.integer('lastCheckpointId')
  if (fields.has('lastSavepointId')) fields.integer('lastSavepointId', 1)
  fields.boolean('retained')
  if (fields.has('error')) {
    const error = fields.object('error')
    error.text('code')
    error.text('message', 0)
  }
  return object as unknown as RunEnd
}

function open(
  bytes: Uint8Array,
  file: string,
  format: string,
  { job, run }: Expected,
): { object: object; fields: Fields } {
  const object = unsealJson(bytes, file)
  const fields = new Fields(object, file)
  checkVersion(fields, file, format, VERSION)
  const owner = fields.text('job')
  if (owner !== job)
    throw new MillraceError('SNAPSHOT_WRONG_JOB', `${file} is a record of job '${owner}', not of '${job}'`, {
      context: { file, owner, job },
    })
  if (fields.integer('run', 1) !== run) throw damaged(file, 'holds another run than its name says')
  return { object, fields }
}

async function factOf<T>(read: () => Promise<T>): Promise<T | MillraceError> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof MillraceError && !['STORE_FAILED', 'STORAGE_INVALID', 'STORE_POISONED'].includes(error.code))
      return error
    throw error
  }
}
