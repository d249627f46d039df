/**
 * A slot in a simulated thread: the real step machine behind a port whose mails take their time both ways. It does what a thread and its
 * driver do (host/threaded-slot.ts, slot-runner.ts, slot-driver.ts), one step an action.
 */
import { MillraceError } from '../../base/errors.ts'
import type { FromSlot, ToSlot } from '../../checkpoint/mail.ts'
import { buildGraph } from '../../api/index.ts'
import { planJob } from '../../graph/index.ts'
import type { OnMail, SlotPort } from '../../host/slot-port.ts'
import { carry, uncarry } from '../../runtime/carried-error.ts'
import type { Platform } from '../../runtime/platform.ts'
import { Slot } from '../../runtime/slot.ts'
import type { SlotPlan, SourceShares } from '../../runtime/slot-plan.ts'
import { MemoryDiskStore } from '../../state/index.ts'
import { Channel } from './channel.ts'
import { PLANTED } from './outside.ts'
import { Owner } from './scheduler.ts'
import { simulatedJob } from './simulated-job.ts'
import type { SimulatedProcess } from './simulated-process.ts'
import { SimulatedStore } from './simulated-store.ts'
import type { Site } from './site.ts'

type Call =
  | { readonly type: 'restore'; readonly plan: SlotPlan }
  | { readonly type: 'start'; readonly shares: SourceShares }
  | { readonly type: 'close' }

type Answered = Call['type'] | 'load'

type ToThread = Call | { readonly type: 'mail'; readonly mail: ToSlot }

type FromThread =
  | { readonly type: 'done'; readonly of: Answered }
  | { readonly type: 'error'; readonly of: Answered; readonly error: ReturnType<typeof carry> }
  | { readonly type: 'mail'; readonly mail: FromSlot }
  | { readonly type: 'died' }

const PROGRESS_EVERY_MS = 200

export class SimulatedSlot implements SlotPort {
  readonly ready: Promise<void>
  private readonly thread: SimulatedThread
  private readonly onMail: OnMail
  private readonly toThread: Channel<ToThread>
  private readonly waiting = new Map<Answered, { resolve(): void; reject(error: unknown): void }>()
  private readonly process: SimulatedProcess
  private closing = false

  constructor(process: SimulatedProcess, name: string, onMail: OnMail, wakeSlot: (slot: number) => void) {
    const { scheduler, plan } = process.simulation
    const owner = new Owner(name, process.owner)
    const weight = plan.weights.mail
    this.process = process
    this.onMail = onMail
    this.ready = this.answerTo('load')
    this.ready.catch(() => undefined)
    const fromThread = new Channel<FromThread>({
      scheduler,
      owner: process.owner,
      weight,
      describe: message => `${describe(message)} from ${name}`,
      deliver: message => this.receive(message),
    })
    this.thread = new SimulatedThread(process, owner, message => fromThread.send(message), wakeSlot)
    const deliver = (message: ToThread): void => this.thread.receive(message)
    this.toThread = new Channel<ToThread>({ scheduler, owner, weight, describe, deliver })
    fromThread.send({ type: 'done', of: 'load' })
  }

  restore(plan: SlotPlan): Promise<void> {
    return this.call({ type: 'restore', plan })
  }

  start(shares: SourceShares): Promise<void> {
    return this.call({ type: 'start', shares })
  }

  send(mail: ToSlot): void {
    this.post({ type: 'mail', mail })
  }

  async close(): Promise<void> {
    if (this.closing) return
    const closed = this.call({ type: 'close' })
    this.closing = true
    await closed.catch(() => undefined)
    this.thread.end()
  }

  get isRunning(): boolean {
    return this.thread.owner.lives && !this.closing
  }

  /** The thread dies; what it has sent still arrives. */
  kill(): void {
    this.thread.die()
  }

  wake(): void {
    this.thread.wake()
  }

  private call(call: Call): Promise<void> {
    const answer = this.answerTo(call.type)
    this.post(call)
    return answer
  }

  private answerTo(of: Answered): Promise<void> {
    return new Promise((resolve, reject) => this.waiting.set(of, { resolve, reject }))
  }

  private post(message: ToThread): void {
    this.toThread.send(this.process.simulation.plan.isThreaded ? structuredClone(message) : message)
  }

  private receive(message: FromThread): void {
    if (message.type === 'died') return this.died()
    if (message.type === 'mail') {
      if (!this.closing) this.onMail(message.mail)
      return
    }
    const waiting = this.waiting.get(message.of)
    this.waiting.delete(message.of)
    if (message.type === 'done') waiting?.resolve()
    else waiting?.reject(uncarry(message.error))
  }

  private died(): void {
    const error = new MillraceError('INTERNAL', `the slot's thread died: ${PLANTED}`)
    for (const waiting of this.waiting.values()) waiting.reject(error)
    this.waiting.clear()
    if (this.closing) return
    this.closing = true
    this.onMail({ type: 'failed', error: carry(error), records: -1 })
  }
}

class SimulatedThread {
  readonly owner: Owner
  private readonly process: SimulatedProcess
  private readonly send: (message: FromThread) => void
  private readonly platform: Platform
  /** Of a step; some threads are slower than others. */
  private readonly weight: number
  private slot: Slot | undefined
  private isDriven = false
  private isScheduled = false
  private isStepping = false
  private woken = false
  private progressDueMs = 0
  private cancelAlarm: () => void = () => undefined

  constructor(
    process: SimulatedProcess,
    owner: Owner,
    send: (message: FromThread) => void,
    wakeSlot: (slot: number) => void,
  ) {
    const { scheduler, plan, chance, disk, disks } = process.simulation
    this.process = process
    this.owner = owner
    this.send = message => send(plan.isThreaded ? structuredClone(message) : message)
    this.weight = plan.weights.step * chance.sizeBetween(0.05, 3)
    let looks = 0
    this.platform = {
      store: new SimulatedStore(disk, owner, disks, process.diskHealth),
      now: () => process.now(),
      monotonic: () => scheduler.nowMs + plan.lookMs * looks++,
      wake: () => this.wake(),
      wakeSlot,
      yield: () => process.yieldTo(owner),
      openDiskStore: () => new MemoryDiskStore(),
    }
  }

  receive(message: ToThread): void {
    if (message.type === 'mail') return this.slot!.receive(message.mail)
    this.perform(message).then(
      () => this.send({ type: 'done', of: message.type }),
      error => this.send({ type: 'error', of: message.type, error: carry(error) }),
    )
  }

  wake(): void {
    if (!this.isDriven) return
    this.woken = true
    if (!this.isStepping) this.scheduleStep()
  }

  /** Nothing it does has an effect any more, except what is already under way outside. */
  end(): void {
    this.owner.die()
    this.process.simulation.scheduler.bury()
  }

  die(): void {
    this.send({ type: 'died' })
    this.end()
  }

  private perform(call: Call): Promise<void> {
    switch (call.type) {
      case 'restore':
        return this.restore(call.plan)
      case 'start':
        return this.start(call.shares)
      case 'close':
        return this.close()
    }
  }

  private async restore(plan: SlotPlan): Promise<void> {
    const site: Site = { ...this.process.site, owner: this.owner }
    const graph = planJob(buildGraph(simulatedJob(site), {}))
    this.slot = new Slot(graph, plan, this.platform, mail => this.send({ type: 'mail', mail }))
    await this.slot.restore()
  }

  private async start(shares: SourceShares): Promise<void> {
    await this.slot!.start(shares)
    this.isDriven = true
    this.scheduleStep()
  }

  private async close(): Promise<void> {
    this.isDriven = false
    await this.slot?.close()
  }

  private scheduleStep(): void {
    if (this.isScheduled) return
    this.isScheduled = true
    this.process.simulation.scheduler.add({
      owner: this.owner,
      label: 'steps',
      weight: this.weight,
      run: () => this.step(),
    })
  }

  private step(): void {
    this.isScheduled = false
    if (!this.isDriven) return
    this.cancelAlarm()
    this.woken = false
    this.isStepping = true
    const result = this.slot!.step()
    this.isStepping = false
    this.reportProgress()
    if (result === 'progress' || this.woken) return this.scheduleStep()
    const untilMs = this.slot!.idleUntilMs
    if (untilMs === Infinity) return
    this.cancelAlarm = this.process.addTimer(this.owner, untilMs - this.process.now(), 'wakes up', () =>
      this.scheduleStep(),
    )
  }

  private reportProgress(): void {
    const { nowMs } = this.process.simulation.scheduler
    if (nowMs < this.progressDueMs) return
    this.progressDueMs = nowMs + PROGRESS_EVERY_MS
    this.send({ type: 'mail', mail: { type: 'progress', progress: this.slot!.progress() } })
  }
}

function describe(message: ToThread | FromThread): string {
  if (message.type === 'done' || message.type === 'error') return `${message.type} ${message.of}`
  if (message.type !== 'mail') return message.type
  const { mail } = message
  const id =
    'checkpointId' in mail ? ` ${mail.checkpointId}` : mail.type === 'trigger' ? ` ${mail.trigger.checkpointId}` : ''
  return `${mail.type}${id}`
}
