/**
 * The HTTP server of the control API: one job, on the loopback of this machine unless told otherwise.
 *
 *     listening (a request is JOB_NOT_RUNNING) -> watching its job (it tells what that is doing) -> attached to it
 *     -> closing (answers what is under way) -> closed
 *
 * It listens before the job starts if its port was given, so that a port which is taken keeps the job from starting; otherwise only once
 * records flow, or when loading its snapshot takes long. Loading this file takes some 40 ms, so it is imported when it is used.
 */
import { createServer, type Server } from 'node:http'
import { type AddressInfo, isIPv6 } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import * as v from 'valibot'
import { assert } from '../base/assert.ts'
import { messageOf, MillraceError, namedError } from '../base/errors.ts'
import type { JobStatus } from '../host/index.ts'
import { isLoopback } from '../host/loopback.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import { answerOfStatus, savepointAnswer, withProgress, type ControlledJob } from './controlled-job.ts'
import {
  type Answer,
  DOCUMENTS,
  type EndpointName,
  ENDPOINTS,
  type OperationAnswer,
  type OperationKind,
  type Request,
} from './endpoints.ts'
import { answerOfError, statusOf } from './error-answer.ts'
import { bodyOf, onlyFromHere, onlyJson, onlySameOrigin, onlySmall, onlyWithToken, refused } from './guards.ts'
import type { Metrics } from './metrics.ts'
import { MOST_KEPT, Operations } from './operations.ts'

/** Once the job has ended, who waits for that is told within milliseconds; a client that does not read must not keep the process. */
const CLOSE_TIMEOUT_MS = 500
const LOOPBACK = '127.0.0.1'
/** All addresses of this machine: it reaches itself at the loopback. */
const EVERYWHERE = ['0.0.0.0', '::']

export interface ListenOptions {
  /** Default: 127.0.0.1. */
  readonly host?: string
  /** What every request must know. */
  readonly token?: string | undefined
}

type Handlers = {
  readonly [Name in EndpointName]: (request: Request<Name>, signal: AbortSignal) => Promise<Answer<Name>>
}

export class ControlServer {
  private readonly name: string
  private readonly host: string
  private readonly server: Server
  private readonly operations = new Operations()
  private readonly closing = new AbortController()
  private watched: Pick<ControlledJob, 'status'> | undefined
  private job: ControlledJob | undefined
  private metrics: Metrics | undefined

  /** @param port 0: any that is free. @throws PORT_TAKEN */
  static async listen(job: string, port: number, options: ListenOptions = {}): Promise<ControlServer> {
    const control = new ControlServer(job, options)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    // Later ones are of single connections, which nobody need hear of.
    control.server.on('error', cause => reject(portTaken(control.host, port, cause)))
    control.server.listen(port, control.host, resolve)
    await promise
    return control
  }

  private constructor(name: string, { host = LOOPBACK, token }: ListenOptions) {
    assert(isLoopback(host) || token !== undefined, 'beyond the loopback there is a token')
    this.name = name
    this.host = host
    this.server = createAdaptorServer({ fetch: this.routes(token).fetch, createServer }) as Server
  }

  get address(): string {
    const { address, port } = this.listening
    const host = EVERYWHERE.includes(address) ? LOOPBACK : isIPv6(address) ? `[${address}]` : address
    return `http://${host}:${port}`
  }

  private get listening(): AddressInfo {
    return this.server.address() as AddressInfo
  }

  /** A job that is starting. */
  watch(job: Pick<ControlledJob, 'status'>): void {
    this.watched = job
  }

  attach(job: ControlledJob): void {
    this.watched = job
    this.job = job
  }

  /** Takes no more requests. What is asked for already is answered. */
  async close(): Promise<void> {
    const closed = new Promise(resolve => this.server.close(resolve))
    const timeout = setTimeout(() => this.server.closeAllConnections(), CLOSE_TIMEOUT_MS)
    // The job has ended, so all that was asked of it comes to an end now: those who wait are to hear that, and not that it is running.
    await Promise.race([this.operations.idle(), closed])
    this.closing.abort()
    this.server.closeIdleConnections()
    await closed
    clearTimeout(timeout)
  }

  private routes(token: string | undefined): Hono {
    const app = new Hono()
    app.use(isLoopback(this.host) ? onlyFromHere(() => this.listening.port) : onlySameOrigin)
    if (token !== undefined) app.use(onlyWithToken(token))
    app.use(onlyJson, onlySmall)
    for (const name of Object.keys(this.handlers) as EndpointName[]) this.route(app, name)
    // What makes these is loaded when somebody asks.
    app.get(DOCUMENTS.openapi.path, async c => c.json((await import('./openapi.ts')).openApi()))
    app.get(DOCUMENTS.metrics.path, async c => {
      const status = this.status()
      this.metrics ??= new (await import('./metrics.ts')).Metrics()
      return c.text(await this.metrics.text(status, Date.now()), 200, { 'content-type': this.metrics.contentType })
    })
    app.notFound(c => {
      throw refused(404, `there is no ${c.req.method} ${c.req.path}`)
    })
    app.onError((error, c) => {
      const named = error instanceof HTTPException ? namedError(error.cause) : namedError(error)
      return c.json(answerOfError(named), error instanceof HTTPException ? error.status : statusOf(named.code))
    })
    return app
  }

  private route(app: Hono, name: EndpointName): void {
    const { method, path, request } = ENDPOINTS[name]
    // What comes out of an endpoint's schema is what its handler takes.
    const handle = this.handlers[name] as (request: unknown, signal: AbortSignal) => Promise<object>
    app.on(method, path, async (c: Context) => {
      const text = method === 'POST' ? await bodyOf(c) : { ...c.req.query(), ...c.req.param() }
      const answer = await handle(parse(request, text), c.req.raw.signal)
      c.header('cache-control', 'no-store')
      return c.json(answer, method === 'POST' ? 202 : 200)
    })
  }

  private readonly handlers: Handlers = {
    job: async () => answerOfStatus(this.status(), process.pid),
    checkpoint: request =>
      this.operate('checkpoint', request, async job => ({
        snapshot: formatSnapshotId('checkpoint', await job.checkpoint()),
      })),
    savepoint: request =>
      this.operate('savepoint', request, async job => {
        const { label, to } = request
        return savepointAnswer(await job.savepoint({ label, to }))
      }),
    stop: request =>
      this.operate('stop', request, async job => {
        const { drain, savepoint: wanted } = request
        const { savepoint } = await job.stop({ drain, savepoint: wanted })
        return { savepoint: savepoint === undefined ? null : savepointAnswer(savepoint) }
      }),
    cancel: request => this.operate('cancel', request, async job => (await job.cancel(), {})),
    rescale: request =>
      this.operate('rescale', request, async job => {
        const { parallelism, checkpointId, pauseMs } = await job.rescale(request.parallelism)
        return { parallelism, snapshot: formatSnapshotId('checkpoint', checkpointId), pauseMs }
      }),
    operations: async () => ({ operations: this.operations.list().map(answer => this.inProgress(answer)) }),
    operation: async ({ id, wait = 0 }, signal) => {
      const enough = AbortSignal.any([AbortSignal.timeout(wait), signal, this.closing.signal])
      return this.inProgress(await this.operations.wait(id, enough))
    },
  }

  private async operate<Kind extends OperationKind>(
    kind: Kind,
    request: Request<Kind>,
    act: (job: ControlledJob) => Promise<unknown>,
  ): Promise<Answer<Kind>> {
    const job = this.attached()
    const answer: OperationAnswer | undefined = this.operations.start(kind, request, () => act(job))
    if (answer === undefined) throw refused(429, `${MOST_KEPT} operations are running; wait until one has ended`)
    return this.inProgress(answer) as Answer<Kind>
  }

  private inProgress(answer: OperationAnswer): OperationAnswer {
    return withProgress(answer, this.attached().status(), Date.now())
  }

  private status(): JobStatus {
    if (this.watched === undefined) throw this.starting()
    return this.watched.status()
  }

  private attached(): ControlledJob {
    if (this.job === undefined) throw this.starting()
    return this.job
  }

  private starting(): MillraceError {
    return new MillraceError('JOB_NOT_RUNNING', `job '${this.name}' is starting`, { hint: 'Try again in a moment.' })
  }
}

/** @throws HTTPException with REQUEST_INVALID that names every field which is wrong */
function parse<Output>(schema: v.GenericSchema<unknown, Output>, text: unknown): Output {
  const result = v.safeParse(schema, text)
  if (result.success) return result.output
  const problems = result.issues.map(issue => `${v.getDotPath(issue) ?? 'the request'}: ${issue.message}`)
  throw refused(400, problems.join('; '), { problems })
}

function portTaken(host: string, port: number, cause: unknown): MillraceError {
  return new MillraceError('PORT_TAKEN', `the control API cannot listen on ${host}:${port}: ${messageOf(cause)}`, {
    cause,
    context: { host, port },
  })
}
