/**
 * The operations of a job, by id: what was asked for happens once, goes on without whoever asked, and its outcome can be asked for
 * later. Bounded: of those that have ended the newest are kept, so that at most MOST_KEPT are held in all.
 */
import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { MillraceError, namedError } from '../base/errors.ts'
import type { OperationAnswer, OperationKind } from './endpoints.ts'
import { answerOfError } from './error-answer.ts'

export const MOST_KEPT = 100

interface Operation {
  readonly request: object
  answer: OperationAnswer
  /** Resolves when it has ended, however. */
  readonly settled: Promise<void>
}

export class Operations {
  private readonly operations = new Map<string, Operation>()

  /**
   * Act, unless an operation of this id is known: then it is that one. Returns undefined, and does not act, when MOST_KEPT are running.
   * @throws REQUEST_INVALID when the id stands for something else
   */
  start(
    kind: OperationKind,
    { id = randomUUID(), ...request }: { readonly id?: string | undefined },
    act: () => Promise<unknown>,
  ): OperationAnswer | undefined {
    const known = this.operations.get(id)
    if (known !== undefined) return answerOfSame(known, kind, request)
    if (!this.makeRoom()) return undefined
    const started = { id, kind, startedAtMs: Date.now() }
    const operation: Operation = {
      request,
      answer: { ...started, state: 'running' },
      settled: act().then(
        result => void (operation.answer = { ...started, state: 'done', result }),
        error => void (operation.answer = { ...started, state: 'failed', error: answerOfError(namedError(error)) }),
      ),
    }
    this.operations.set(id, operation)
    return operation.answer
  }

  /** The operation once it has ended, or as it is when `signal` aborts. @throws OPERATION_NOT_FOUND */
  async wait(id: string, signal: AbortSignal): Promise<OperationAnswer> {
    const operation = this.operations.get(id)
    if (operation === undefined) {
      throw new MillraceError('OPERATION_NOT_FOUND', `there is no operation '${id}'`, { context: { id } })
    }
    await Promise.race([operation.settled, whenAborted(signal)])
    return operation.answer
  }

  /** Oldest first. */
  list(): OperationAnswer[] {
    return [...this.operations.values()].map(({ answer }) => answer)
  }

  /** Resolves when none is running. */
  async idle(): Promise<void> {
    await Promise.all([...this.operations.values()].map(({ settled }) => settled))
  }

  /** Drop the oldest that has ended if there are too many. False: there is none. */
  private makeRoom(): boolean {
    if (this.operations.size < MOST_KEPT) return true
    for (const [id, { answer }] of this.operations) {
      if (answer.state !== 'running') return this.operations.delete(id)
    }
    return false
  }
}

function answerOfSame({ answer, request: before }: Operation, kind: OperationKind, request: object): OperationAnswer {
  if (answer.kind === kind && isDeepStrictEqual(request, before)) return answer
  throw new MillraceError(
    'REQUEST_INVALID',
    `'${answer.id}' is the id of another operation (${answer.kind} ${JSON.stringify(before)}); give each its own`,
    { context: { id: answer.id, kind: answer.kind } },
  )
}

function whenAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}
