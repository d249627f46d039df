/** What is done to the processes of a simulation from outside: what users and operators do, and what befalls machines. */
import type { MillraceError } from '../../base/errors.ts'
import type { StartRequest } from '../../snapshot/recover.ts'
import { formatSnapshotId } from '../../snapshot/snapshot-id.ts'
import type { Disturbance } from './plan.ts'
import type { SimulatedProcess } from './simulated-process.ts'
import type { Simulation } from './simulation.ts'

export class Disturber {
  private readonly simulation: Simulation
  /** Paused processes, with the action at which they go on. */
  private readonly pauses = new Map<SimulatedProcess, number>()

  constructor(simulation: Simulation) {
    this.simulation = simulation
  }

  /** Before an action: mostly nothing. */
  maybe(): void {
    const { simulation } = this
    const { chance, plan } = simulation
    if (simulation.processes.length > 0 && plan.disturbances.length > 0 && chance.odds(plan.disturbanceRate)) {
      this.disturb(chance.pick(simulation.processes), chance.pick(plan.disturbances))
    }
    if (simulation.processes.length === 0) simulation.start(this.drawRequest())
    this.resume()
  }

  private disturb(process: SimulatedProcess, disturbance: Disturbance): void {
    const { simulation } = this
    const { chance, plan } = simulation
    const { runner } = process
    simulation.scheduler.note(`${process.owner.name} ${disturbance}`)
    switch (disturbance) {
      case 'crash':
        return simulation.end(process)
      case 'stop':
        return this.call(process, () => runner.stop())
      case 'cancel':
        return this.call(process, () => runner.cancel())
      case 'rescale':
        return this.call(process, () =>
          runner.rescale(Math.min(chance.pick(plan.parallelisms), process.options.maxParallelism)),
        )
      case 'checkpoint':
        return this.call(process, () => this.checkpoint(process))
      case 'savepoint':
        // Checkpoints that are deleted leave an older savepoint to go on from, and a sink that cannot take back refuses that.
        if (plan.checkpointing.onCancel === 'delete' && !plan.sinks.every(({ kind }) => kind === 'transactional'))
          return
        return this.call(process, () => this.savepoint(process))
      case 'slot death': {
        const slots = process.runningSlots()
        return slots.length === 0 ? undefined : chance.pick(slots).kill()
      }
      case 'intruder':
        return simulation.start()
      case 'pause':
        process.owner.paused = true
        this.pauses.set(process, simulation.scheduler.actions + chance.countBetween(20, 2000))
        return simulation.start()
      case 'disk failure':
        process.diskHealth.isPoisoned = true
    }
  }

  private async checkpoint({ runner }: SimulatedProcess): Promise<void> {
    const id = await runner.checkpoint()
    if (!this.simulation.snapshots.published.has(id)) this.simulation.violation(`checkpoint ${id} was not published`)
  }

  private async savepoint({ runner }: SimulatedProcess): Promise<void> {
    const { id } = await runner.savepoint()
    const { published } = this.simulation.snapshots
    const isThere = [...published.values()].some(each => formatSnapshotId(each.kind, each.id) === id)
    if (!isThere) this.simulation.violation(`${id} was not published`)
  }

  /** What the program that runs the job may ask for once the job has started. */
  private call({ hasStarted }: SimulatedProcess, ask: () => Promise<unknown>): void {
    if (hasStarted) ask().catch((error: MillraceError) => this.simulation.judgeAnswer(error))
  }

  /** Those whose time has come; all of them when nobody else is left. */
  private resume(): void {
    const { scheduler, processes } = this.simulation
    const isAlone = processes.every(({ owner }) => owner.paused)
    for (const [process, until] of this.pauses) {
      if (!isAlone && scheduler.actions < until) continue
      process.owner.paused = false
      this.pauses.delete(process)
    }
  }

  private drawRequest(): StartRequest {
    const { chance, plan, snapshots } = this.simulation
    const present = snapshots.past()
    if (present.length > 0 && chance.odds(plan.fromRate)) {
      const { kind, id } = snapshots.published.get(chance.pick(present))!
      return { from: { kind: 'id', job: undefined, snapshot: { kind, id } } }
    }
    return chance.odds(plan.freshRate) ? { fresh: true } : {}
  }
}
