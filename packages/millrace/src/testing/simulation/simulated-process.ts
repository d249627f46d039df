/**
 * A process that runs the job: the real JobRunner in a simulated world, its slots in simulated threads. It dies as a whole, at any moment
 * between two actions, and what it had in memory is gone.
 */
import { buildGraph } from '../../api/index.ts'
import { planJob } from '../../graph/index.ts'
import type { JobEvent } from '../../host/events.ts'
import { JobRunner } from '../../host/job-runner.ts'
import { resolveOptions } from '../../host/options.ts'
import type { SlotFactory } from '../../host/slot-port.ts'
import type { HostWorld } from '../../host/world.ts'
import type { ProcessIdentity } from '../../snapshot/lock-record.ts'
import type { StartRequest } from '../../snapshot/recover.ts'
import { Owner } from './scheduler.ts'
import { JOB, simulatedJob } from './simulated-job.ts'
import { SimulatedSlot } from './simulated-slot.ts'
import { DiskHealth, SimulatedStore } from './simulated-store.ts'
import type { Simulation } from './simulation.ts'
import type { Site } from './site.ts'

export interface ProcessOptions {
  readonly number: number
  readonly parallelism: number
  readonly maxParallelism: number
  readonly request: StartRequest
}

export class SimulatedProcess {
  readonly simulation: Simulation
  readonly owner: Owner
  readonly options: ProcessOptions
  readonly diskHealth = new DiskHealth()
  readonly site: Site
  readonly runner: JobRunner
  /** Records have begun to flow. */
  hasStarted = false
  /** Whether it has begun a run. */
  hasBegun = false
  private readonly identity: ProcessIdentity
  private readonly skewMs: number
  private slots: SimulatedSlot[] = []

  constructor(simulation: Simulation, options: ProcessOptions) {
    const { plan, chance, disk, disks } = simulation
    const { number, parallelism, maxParallelism, request } = options
    this.simulation = simulation
    this.options = options
    this.owner = new Owner(`p${number}`)
    const host = plan.sharesPids ? 'host' : `host-${number}`
    this.identity = { pid: number, host, bootId: host, pidNamespace: host, processStart: String(number) }
    this.skewMs = plan.sharesPids ? 0 : chance.between(-plan.clockSkewMs, plan.clockSkewMs)
    this.site = simulation.siteOf(this.owner)
    const { restartDelayMs: delay, stateBackend, cacheBytes } = plan
    const checkpointing = { ...plan.checkpointing, compression: 'none' }
    const restart = { initialDelay: delay, maxDelay: 4 * delay }
    this.runner = new JobRunner({
      job: JOB,
      graph: planJob(buildGraph(simulatedJob(this.site), {})),
      options: resolveOptions({
        run: {
          parallelism,
          maxParallelism,
          checkpointing,
          restart,
          // Each process its own: a snapshot is any backend's.
          stateBackend: number % 2 === 0 ? stateBackend : 'heap',
          state: { rocksdb: { cacheBytes } },
        },
      }),
      request,
      allowDroppedState: false,
      store: new SimulatedStore(disk, this.owner, disks, this.diskHealth),
      slots: this.makeSlots,
      world: this.world(),
      onEvent: event => this.onEvent(event),
    })
  }

  now(): number {
    return this.simulation.scheduler.nowMs + this.skewMs
  }

  addTimer(owner: Owner, delayMs: number, label: string, run: () => void): () => void {
    const { scheduler, plan } = this.simulation
    const atMs = scheduler.nowMs + Math.max(0, delayMs)
    return scheduler.addTimer(atMs, { owner, label, weight: plan.weights.mail, run })
  }

  yieldTo(owner: Owner): Promise<void> {
    const { scheduler, plan } = this.simulation
    return new Promise(run => scheduler.add({ owner, label: 'goes on', weight: plan.weights.yield, run }))
  }

  /** Slots of the attempt under way, and those that are made ready for the next one, that have not died. */
  runningSlots(): SimulatedSlot[] {
    return this.slots.filter(({ isRunning }) => isRunning)
  }

  /** Gone, with all it had in memory. */
  crash(): void {
    this.owner.die()
    this.simulation.scheduler.bury()
  }

  private readonly makeSlots: SlotFactory = (parallelism, onMail) => {
    const slots: SimulatedSlot[] = Array.from({ length: parallelism }, (_, index) => {
      const name = `${this.owner.name}/${index}`
      return new SimulatedSlot(
        this,
        name,
        mail => onMail(index, mail),
        slot => slots[slot].wake(),
      )
    })
    this.slots = [...this.runningSlots(), ...slots]
    return slots
  }

  private world(): HostWorld {
    const { chance } = this.simulation
    return {
      now: () => this.now(),
      random: chance.next,
      runId: () => chance.hex(8),
      schedule: (delayMs, callback) => this.addTimer(this.owner, delayMs, 'timer', callback),
      yield: () => this.yieldTo(this.owner),
      identity: () => this.identity,
      isAlive: ({ pid }) => this.simulation.isAlive(pid),
    }
  }

  private onEvent(event: JobEvent): void {
    if (event.type === 'progress') return
    const { scheduler } = this.simulation
    scheduler.note(`${this.owner.name}  ${describe(event)}`)
    if (event.type === 'log' && /is skipped|nothing is cleared up/.test(event.message)) {
      if (!event.message.includes('deleted as the job was cancelled')) this.site.violation(event.message)
    }
    if (event.type === 'restarting') this.simulation.judgeEnd(event.error)
  }
}

function describe(event: Exclude<JobEvent, { type: 'progress' }>): string {
  switch (event.type) {
    case 'started': {
      const from = event.decision.kind === 'restore' ? `chk-${event.decision.snapshot.id}` : event.decision.reason
      return `run ${event.decision.run} starts from ${from}`
    }
    case 'restoring':
      return `has loaded ${event.progress.readBytes} of ${event.progress.totalBytes} bytes`
    case 'checkpoint':
      return `chk-${event.outcome.id} ${event.outcome.outcome} ${event.outcome.error ?? ''}`
    case 'savepoint':
      return `sp-${event.outcome.id} pins chk-${event.outcome.checkpointId} ${event.outcome.error ?? ''}`
    case 'restarting':
      return `restarts: ${event.error.code} ${event.error.message}`
    case 'log':
      return event.message
    case 'ended':
      return `ends: ${event.outcome}`
    case 'already-finished':
      return event.type
  }
}
