/** What the job of a simulation, its sources and its sinks touch of the simulated world, from within one process or slot. */
import type { Chance } from './chance.ts'
import type { Ledger } from './ledger.ts'
import type { Input } from './items.ts'
import { PLANTED, type Outside } from './outside.ts'
import type { Plan } from './plan.ts'
import type { Owner, Scheduler } from './scheduler.ts'

export interface Site {
  readonly owner: Owner
  readonly plan: Plan
  readonly input: Input
  readonly chance: Chance
  readonly scheduler: Scheduler
  /** The systems that sources read from and sinks write to. */
  readonly systems: Outside
  readonly ledger: Ledger
  /** Whether a process that began later has begun a run. */
  readonly isReplaced: () => boolean
  /** Something that must not be: the simulation has found a bug. */
  readonly violation: (what: string) => void
}

/** User code and connectors may throw here. */
export function mayThrow({ plan, chance, scheduler }: Site, where: string): void {
  if (plan.throwRate > 0 && !scheduler.calm && chance.odds(plan.throwRate)) throw new Error(`${PLANTED} in ${where}`)
}
