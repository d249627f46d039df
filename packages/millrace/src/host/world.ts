/**
 * What the coordinator's side of a job needs of the outside world: time, chance, and which process it is. A job's files come through
 * its store, its slots through a SlotFactory; with this they are all that a run depends on, so a simulation can stand in for the world.
 */
import { randomBytes } from 'node:crypto'
import { setImmediate as immediate } from 'node:timers/promises'
import type { ProcessIdentity } from '../snapshot/lock-record.ts'
import type { LockClock } from './lock.ts'
import { currentProcess, isProcessAlive } from './process-identity.ts'

export interface HostWorld {
  /** Epoch milliseconds. */
  now(): number
  /** In [0, 1). */
  random(): number
  /** 8 hexadecimal digits for a fresh run. */
  runId(): string
  /** Calls back after `delayMs`, or later; the result cancels it. */
  schedule(delayMs: number, callback: () => void): () => void
  /** Lets callbacks of the event loop run. */
  yield(): Promise<void>
  /** This process, as its lock names it. */
  identity(): ProcessIdentity
  /** Whether a process that shares pids with this one lives. */
  isAlive(process: ProcessIdentity): boolean
}

/** Longest delay of setTimeout: 31 bits. Whoever waits longer looks at the clock and waits again. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

export const systemWorld: HostWorld = {
  now: () => Date.now(),
  random: () => Math.random(),
  runId: () => randomBytes(4).toString('hex'),
  schedule(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(delayMs, LONGEST_TIMER_MS))
    return () => clearTimeout(timer)
  },
  yield: async () => await immediate(),
  identity: currentProcess,
  isAlive: isProcessAlive,
}

/** Time as waiting for a lock needs it. */
export function lockClockOf(world: Pick<HostWorld, 'now' | 'schedule'>): LockClock {
  return {
    now: () => world.now(),
    sleep: delayMs => new Promise(resolve => void world.schedule(delayMs, resolve)),
  }
}
