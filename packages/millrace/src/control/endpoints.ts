/**
 * The control API as data: what it is asked and what it answers. The server makes its routes of this table, the client its calls, and
 * openapi.ts the description, so they cannot differ. Requests are strict: an unknown field is refused. Answers may grow: a client ignores what it does not know.
 *
 * What takes a while is an *operation*: asked for under an id that the client chooses, it goes on whether or not anybody waits for it.
 * Asking again under the same id gives the same operation.
 *
 *     running -> done { result } | failed { error }
 */
import * as v from 'valibot'
import type { ErrorCode } from '../base/errors.ts'
import { MAX_PARALLELISM } from '../host/option-table.ts'
import { LABEL, LABEL_ALLOWED } from '../host/savepoint-label.ts'

export type Schema = v.GenericSchema<any, any>

export interface Endpoint<Request extends Schema, Response extends Schema> {
  readonly method: 'GET' | 'POST'
  /** `:name` stands for one part, which is a field of the request. */
  readonly path: string
  readonly summary: string
  /** Path and query of a GET, the JSON body of a POST. */
  readonly request: Request
  readonly response: Response
  /** What it may be answered with instead, beside what any request may be (openapi.ts). */
  readonly errors: readonly ErrorCode[]
}

/** The longest that an answer is held back, so that nothing between the two takes the connection for dead. */
export const LONGEST_WAIT_MS = 30_000

const Id = v.pipe(v.string(), v.regex(/^[A-Za-z0-9._-]{1,64}$/, 'expected 1 to 64 of A-Z a-z 0-9 . _ -'))

const WaitMs = v.pipe(
  v.string(),
  v.regex(/^\d{1,5}$/, `expected milliseconds, at most ${LONGEST_WAIT_MS}`),
  v.transform(Number),
  v.maxValue(LONGEST_WAIT_MS, `expected at most ${LONGEST_WAIT_MS} ms`),
)

const WHOLE = `expected a whole number from 1 to ${MAX_PARALLELISM}`
const Parallelism = v.pipe(v.number(WHOLE), v.integer(WHOLE), v.minValue(1, WHOLE), v.maxValue(MAX_PARALLELISM, WHOLE))

const Label = v.pipe(v.string(), v.regex(LABEL, `expected ${LABEL_ALLOWED}`))

/** The process that runs the job has a working directory of its own. */
const Folder = v.pipe(v.string(), v.regex(/^(\/|[A-Za-z]:[\\/])/, 'expected an absolute path'))

const SavepointRequest = { label: v.optional(Label), to: v.optional(Folder) }

const SavepointAnswer = v.object({
  savepoint: v.string(),
  /** The checkpoint that it pins. */
  checkpoint: v.string(),
  /** The folder that it was written to as well. */
  path: v.nullable(v.string()),
})

export const ErrorAnswer = v.object({
  code: v.string(),
  message: v.string(),
  hint: v.optional(v.string()),
  context: v.record(v.string(), v.unknown()),
})

const JOB_STATES = ['starting', 'running', 'restarting', 'rescaling', 'stopping', 'ending', 'ended'] as const

const CheckpointAnswer = v.object({
  snapshot: v.string(),
  outcome: v.string(),
  trigger: v.string(),
  startedAtMs: v.number(),
  durationMs: v.number(),
  newBytes: v.number(),
  totalBytes: v.number(),
  error: v.nullable(v.string()),
})

const JobAnswer = v.object({
  job: v.string(),
  /** Of the process that answers: its address may have been another one's before. */
  pid: v.number(),
  state: v.picklist(JOB_STATES),
  parallelism: v.number(),
  stateBackend: v.picklist(['heap', 'rocksdb']),
  run: v.nullable(v.number()),
  lineage: v.nullable(v.number()),
  restarts: v.number(),
  /** When this process took the job. */
  startedAtMs: v.number(),
  recordsPerSecond: v.number(),
  /** When the newest snapshot was taken that a restart would go on from. */
  restorableAtMs: v.nullable(v.number()),
  /** While a snapshot is loaded, if that takes long: how much of it, in bytes as they are stored. */
  restoring: v.nullable(
    v.object({ snapshot: v.string(), readBytes: v.number(), totalBytes: v.number(), bytesPerSecond: v.number() }),
  ),
  sources: v.array(v.object({ source: v.string(), records: v.number(), fraction: v.nullable(v.number()) })),
  lastCheckpoint: v.nullable(CheckpointAnswer),
})

/** How far an operation is that is under way: what the job is doing, the checkpoint being taken, savepoints being written to folders. */
const Progress = v.object({
  elapsedMs: v.number(),
  job: v.picklist(JOB_STATES),
  checkpoint: v.nullable(
    v.object({ snapshot: v.string(), elapsedMs: v.number(), acknowledgedSlots: v.number(), slots: v.number() }),
  ),
  folders: v.array(v.object({ path: v.string(), fraction: v.number() })),
})

const Started = { id: v.string(), kind: v.string(), startedAtMs: v.number() }

function operation<Result extends Schema>(result: Result) {
  return v.variant('state', [
    v.object({ ...Started, state: v.literal('running'), progress: v.optional(Progress) }),
    v.object({ ...Started, state: v.literal('done'), result }),
    v.object({ ...Started, state: v.literal('failed'), error: ErrorAnswer }),
  ])
}

/** An object with these fields and no other. */
function strict<Fields extends v.ObjectEntries>(fields: Fields) {
  return v.strictObject(fields, ({ expected }) =>
    expected === 'never' ? 'there is no such field' : `expected ${expected}`,
  )
}

/** The request that starts an operation. Without an id it cannot be asked for again. */
function asking<Fields extends v.ObjectEntries>(fields: Fields) {
  return strict({ ...fields, id: v.optional(Id) })
}

export const ENDPOINTS = {
  job: {
    method: 'GET',
    path: '/v1/job',
    summary: 'what the job is doing',
    request: strict({}),
    response: JobAnswer,
    errors: ['JOB_NOT_RUNNING'],
  },
  checkpoint: {
    method: 'POST',
    path: '/v1/checkpoint',
    summary: 'one checkpoint now',
    request: asking({}),
    response: operation(v.object({ snapshot: v.string() })),
    errors: ['JOB_NOT_RUNNING'],
  },
  savepoint: {
    method: 'POST',
    path: '/v1/savepoint',
    summary: 'a checkpoint now, pinned, and written to a folder of its own if one is named',
    request: asking(SavepointRequest),
    response: operation(SavepointAnswer),
    errors: ['JOB_NOT_RUNNING', 'SAVEPOINT_FOLDER'],
  },
  stop: {
    method: 'POST',
    path: '/v1/stop',
    summary: 'a final checkpoint, output committed, and the job ends; when that fails it goes on',
    request: asking({ drain: v.optional(v.boolean()), savepoint: v.optional(strict(SavepointRequest)) }),
    response: operation(v.object({ savepoint: v.nullable(SavepointAnswer) })),
    errors: ['JOB_NOT_RUNNING', 'STOP_FAILED', 'SAVEPOINT_FOLDER'],
  },
  cancel: {
    method: 'POST',
    path: '/v1/cancel',
    summary: 'the job ends without a checkpoint',
    request: asking({}),
    response: operation(v.object({})),
    errors: ['JOB_NOT_RUNNING'],
  },
  rescale: {
    method: 'POST',
    path: '/v1/rescale',
    summary: 'the job goes on at another parallelism',
    request: asking({ parallelism: Parallelism }),
    response: operation(v.object({ parallelism: v.number(), snapshot: v.string(), pauseMs: v.number() })),
    errors: ['JOB_NOT_RUNNING'],
  },
  operations: {
    method: 'GET',
    path: '/v1/operations',
    summary: 'the operations that are known, oldest first',
    request: strict({}),
    response: v.object({ operations: v.array(operation(v.unknown())) }),
    errors: [],
  },
  operation: {
    method: 'GET',
    path: '/v1/operations/:id',
    summary: 'an operation; with ?wait=MS the answer comes when it has ended, or after that time',
    request: strict({ id: Id, wait: v.optional(WaitMs) }),
    response: operation(v.unknown()),
    errors: ['OPERATION_NOT_FOUND'],
  },
} as const satisfies { readonly [name: string]: Endpoint<Schema, Schema> }

/** What is no JSON of the job: GET, without a request. */
export const DOCUMENTS = {
  metrics: { path: '/metrics', summary: 'what the job is doing, for Prometheus', type: 'text/plain' },
  openapi: { path: '/openapi.json', summary: 'this API as OpenAPI 3.1', type: 'application/json' },
} as const satisfies { readonly [name: string]: { path: string; summary: string; type: string } }

export type Endpoints = typeof ENDPOINTS
export type EndpointName = keyof Endpoints
/** As it comes over the wire, and as the server has it. */
export type RequestText<Name extends EndpointName> = v.InferInput<Endpoints[Name]['request']>
export type Request<Name extends EndpointName> = v.InferOutput<Endpoints[Name]['request']>
export type Answer<Name extends EndpointName> = v.InferOutput<Endpoints[Name]['response']>

export type OperationKind = 'checkpoint' | 'savepoint' | 'stop' | 'cancel' | 'rescale'
export type OperationAnswer = Answer<'operation'>
/** What an operation that is done says. */
export type Result<Kind extends OperationKind> = Extract<Answer<Kind>, { readonly state: 'done' }>['result']
