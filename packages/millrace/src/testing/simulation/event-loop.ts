/** What a simulation needs of the event loop: that nothing is left to run but what the simulation decides. */
import { setImmediate as immediate } from 'node:timers/promises'

/** Resolves once every promise that can has been followed up. */
export async function turn(): Promise<void> {
  await immediate()
}
