/**
 * Controls a job that another process runs. The process is found by the job's lock, and found again when it is lost: what was asked for is
 * then asked for again under the same id, so it happens once, also when only the answer was lost. Whoever stops waiting stops nothing.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import * as v from 'valibot'
import { isMillraceError, MillraceError } from '../base/errors.ts'
import type { SnapshotStore } from '../store/contract.ts'
import {
  type Answer,
  type EndpointName,
  ENDPOINTS,
  LONGEST_WAIT_MS,
  type OperationAnswer,
  type OperationKind,
  type RequestText,
  type Result,
} from './endpoints.ts'
import { errorOfAnswer } from './error-answer.ts'
import { call, Unanswered } from './http-call.ts'
import { whereIs } from './whereabouts.ts'

export interface ClientOptions {
  /** One answer may take as long. Default 10 s. */
  readonly timeoutMs?: number
  /** For so long who holds the lock may be silent: it starts, or is about to be replaced. Default 3 s. */
  readonly patienceMs?: number
  /** What the job was started with. */
  readonly token?: string | undefined
}

const RETRY_EVERY_MS = 50

interface Reached {
  readonly address: string
  readonly status: Answer<'job'>
}

/** Every method @throws JOB_NOT_RUNNING, CONTROL_UNREACHABLE, UNAUTHORIZED, and what the job itself answers. */
export class JobClient {
  private readonly job: string
  private readonly store: SnapshotStore
  private readonly timeoutMs: number
  private readonly patienceMs: number
  private readonly token: string | undefined
  /** When something last came back from the job, or was first asked. */
  private heardMs = 0

  constructor(job: string, store: SnapshotStore, { timeoutMs = 10_000, patienceMs = 3000, token }: ClientOptions = {}) {
    this.job = job
    this.store = store
    this.timeoutMs = timeoutMs
    this.patienceMs = patienceMs
    this.token = token
  }

  async status(): Promise<Answer<'job'>> {
    return this.persist(async () => (await this.reach()).status)
  }

  /** Resolves with its name once it is complete. */
  async checkpoint(): Promise<Result<'checkpoint'>> {
    return this.perform('checkpoint', {})
  }

  async rescale(parallelism: number): Promise<Result<'rescale'>> {
    return this.perform('rescale', { parallelism })
  }

  /** Resolves once it is complete, and written to its folder if one is named. */
  async savepoint(request: Omit<RequestText<'savepoint'>, 'id'> = {}): Promise<Result<'savepoint'>> {
    return this.perform('savepoint', request)
  }

  /**
   * Resolves when the job has ended; how is in the record of its run. Undefined: the process was gone before it had said what came out.
   */
  async stop(request: Omit<RequestText<'stop'>, 'id'> = {}): Promise<Result<'stop'> | undefined> {
    return this.end('stop', request)
  }

  /** Resolves when the job has ended; how is in the record of its run. */
  async cancel(): Promise<void> {
    await this.end('cancel', {})
  }

  /** The process may be gone before it was asked how it went. */
  private async end<Kind extends 'stop' | 'cancel'>(
    kind: Kind,
    request: Omit<RequestText<Kind>, 'id'>,
  ): Promise<Result<Kind> | undefined> {
    const asked = { isSent: false, isAnswered: false }
    try {
      return await this.perform(kind, request, asked)
    } catch (error) {
      if (!asked.isSent || asked.isAnswered || !isMillraceError(error, 'JOB_NOT_RUNNING')) throw error
      return undefined
    }
  }

  private async perform<Kind extends OperationKind>(
    kind: Kind,
    request: Omit<RequestText<Kind>, 'id'>,
    asked = { isSent: false, isAnswered: false },
  ): Promise<Result<Kind>> {
    const id = randomUUID()
    const answer = await this.persist(async () => {
      const { address, status } = await this.reach()
      if (status.state === 'starting') {
        this.heardMs = Date.now()
        throw new Unanswered(`job '${this.job}' is starting`)
      }
      asked.isSent = true
      let last: OperationAnswer = await this.call(address, kind, { ...request, id })
      while (last.state === 'running') last = await this.follow(address, id)
      return last
    })
    asked.isAnswered = true
    if (answer.state === 'failed') throw errorOfAnswer(answer.error)
    return (v.parse(ENDPOINTS[kind].response, answer) as { readonly result: Result<Kind> }).result
  }

  /** An operation that this process knows nothing of was asked of the one before it. */
  private async follow(address: string, id: string): Promise<OperationAnswer> {
    const timeoutMs = LONGEST_WAIT_MS + this.timeoutMs
    try {
      const answer = await this.call(address, 'operation', { id, wait: String(LONGEST_WAIT_MS) }, timeoutMs)
      this.heardMs = Date.now()
      return answer
    } catch (error) {
      throw isMillraceError(error, 'OPERATION_NOT_FOUND') ? new Unanswered(error.message) : error
    }
  }

  /** Try until there is an answer, or none came for too long. */
  private async persist<T>(attempt: () => Promise<T>): Promise<T> {
    this.heardMs = Date.now()
    for (;;) {
      try {
        return await attempt()
      } catch (error) {
        if (!(error instanceof Unanswered)) throw error
        if (Date.now() - this.heardMs >= this.patienceMs) throw this.unreachable(error.message)
        await pause(RETRY_EVERY_MS)
      }
    }
  }

  /** The process that runs the job, once it has answered. @throws Unanswered, JOB_NOT_RUNNING, CONTROL_UNREACHABLE */
  private async reach(): Promise<Reached> {
    const where = await whereIs(this.store)
    if (where.kind === 'nowhere') {
      const message = `job '${this.job}' is not running in ${this.store.location}`
      throw new MillraceError('JOB_NOT_RUNNING', message, { context: { job: this.job } })
    }
    if (where.kind === 'never') throw this.unreachable(where.why)
    if (where.kind === 'not-yet') throw new Unanswered(where.why)
    const { address, pid } = where
    const status = await this.call(address, 'job', {})
    if (status.job === this.job && status.pid === pid) return { address, status }
    throw new Unanswered(`at ${address} process ${status.pid} answers for '${status.job}', not process ${pid}`)
  }

  private call<Name extends EndpointName>(
    address: string,
    name: Name,
    request: RequestText<Name>,
    timeoutMs = this.timeoutMs,
  ): Promise<Answer<Name>> {
    return call(address, name, request, { timeoutMs, token: this.token })
  }

  private unreachable(why: string): MillraceError {
    return new MillraceError('CONTROL_UNREACHABLE', `job '${this.job}' cannot be reached: ${why}`, {
      context: { job: this.job },
    })
  }
}
