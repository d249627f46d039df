/** A slot in a thread of its own, so that the coordinator stays responsive. The thread imports the job module itself. */
import { tmpdir, totalmem } from 'node:os'
import { MessageChannel, Worker } from 'node:worker_threads'
import { MillraceError } from '../base/errors.ts'
import { carry, uncarry } from '../runtime/carried-error.ts'
import type { ToSlot } from '../checkpoint/mail.ts'
import type { SlotPlan, SourceShares } from '../runtime/slot-plan.ts'
import type { Storage } from '../store/contract.ts'
import { lendStore } from './lent-store.ts'
import { removeScratchOfThread } from './scratch-directory.ts'
import type { Answered, FromThread, SlotThreadData, ToThread } from './slot-messages.ts'
import type { OnMail, SlotFactory, SlotPort } from './slot-port.ts'

/** tsc does not rewrite the URL of a worker, so it follows this file's own ending. */
const THREAD = new URL(import.meta.url.endsWith('.ts') ? './slot-thread.ts' : './slot-thread.js', import.meta.url)

/** State lives on the thread's heap: V8's default of at most 4 GB would waste the machine. */
const HEAP_SHARE = 0.75
const CLOSE_TIMEOUT_MS = 5000

/** What a slot's thread is started with; the store it gets is opened in it if that can be. */
export interface ThreadOptions extends Omit<SlotThreadData, 'store'> {
  readonly storage: Storage
}

export function threadedSlots({ storage, ...common }: ThreadOptions): SlotFactory {
  const slot = (onMail: OnMail): SlotPort => {
    if (storage.kind === 'local') {
      return new ThreadedSlot({ ...common, store: { kind: 'local', storage: storage.location } }, onMail)
    }
    const { port1, port2 } = new MessageChannel()
    lendStore(storage.job(common.job), port1)
    return new ThreadedSlot({ ...common, store: { kind: 'lent', location: storage.location, port: port2 } }, onMail)
  }
  return (parallelism, onMail) => Array.from({ length: parallelism }, (_, index) => slot(mail => onMail(index, mail)))
}

class ThreadedSlot implements SlotPort {
  readonly ready: Promise<void>
  private readonly worker: Worker
  private readonly onMail: OnMail
  private readonly waiting = new Map<Answered, { resolve(): void; reject(error: unknown): void }>()
  private closing = false
  /** Where its working files are, which it cannot remove when it dies. */
  private scratchBase: string | undefined
  private closed: Promise<void> | undefined

  constructor(data: SlotThreadData, onMail: OnMail) {
    this.onMail = onMail
    this.ready = this.answerTo('load')
    // Whoever restores the slot is told as well.
    this.ready.catch(() => undefined)
    const memoryMb = Math.floor(totalmem() / (1024 * 1024))
    this.worker = new Worker(THREAD, {
      workerData: data,
      ...(data.store.kind === 'lent' && { transferList: [data.store.port] }),
      resourceLimits: { maxOldGenerationSizeMb: Math.max(512, Math.floor(memoryMb * HEAP_SHARE)) },
    })
    this.worker.on('message', (message: FromThread) => this.receive(message))
    this.worker.on('error', error => this.died(error))
    const { threadId } = this.worker
    this.worker.on('exit', code => {
      this.died(new Error(`the slot's thread ended with code ${code}`))
      if (this.scratchBase !== undefined) removeScratchOfThread(this.scratchBase, threadId)
    })
  }

  restore(plan: SlotPlan): Promise<void> {
    const { workingState } = plan
    if (workingState.backend === 'rocksdb') this.scratchBase = workingState.directory ?? tmpdir()
    return this.call({ type: 'restore', plan })
  }

  start(shares: SourceShares): Promise<void> {
    return this.call({ type: 'start', shares })
  }

  send(mail: ToSlot): void {
    this.worker.postMessage({ type: 'mail', mail } satisfies ToThread)
  }

  /** Whoever asks again waits for the same end: until then the thread may still write. */
  close(): Promise<void> {
    this.closed ??= this.end()
    return this.closed
  }

  private async end(): Promise<void> {
    if (this.closing) return
    const closed = this.call({ type: 'close' })
    this.closing = true
    const timeout = new Promise<void>(resolve => setTimeout(resolve, CLOSE_TIMEOUT_MS).unref())
    await Promise.race([closed.catch(() => undefined), timeout])
    await this.worker.terminate()
  }

  private call(message: Extract<ToThread, { type: 'restore' | 'start' | 'close' }>): Promise<void> {
    const answer = this.answerTo(message.type)
    this.worker.postMessage(message)
    return answer
  }

  private answerTo(of: Answered): Promise<void> {
    return new Promise((resolve, reject) => this.waiting.set(of, { resolve, reject }))
  }

  private receive(message: FromThread): void {
    if (message.type === 'mail') {
      if (!this.closing) this.onMail(message.mail)
      return
    }
    const waiting = this.waiting.get(message.of)
    this.waiting.delete(message.of)
    if (message.type === 'done') waiting?.resolve()
    else waiting?.reject(uncarry(message.error))
  }

  private died(error: unknown): void {
    const named = new MillraceError(
      'INTERNAL',
      `the slot's thread died: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    )
    for (const waiting of this.waiting.values()) waiting.reject(named)
    this.waiting.clear()
    if (this.closing) return
    this.closing = true
    this.onMail({ type: 'failed', error: carry(named), records: -1 })
  }
}
