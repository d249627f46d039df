/** What a slot gives its operators. */
import type { Log } from '../connectors/contract.ts'
import type { ChainContext } from './chain.ts'
import type { Meters } from './meters.ts'

/** The clock of a slot: read from the platform once a step, so that it is cheap and stands still within a record. */
export interface SlotClock {
  nowMs: number
}

export interface Services {
  readonly chain: ChainContext
  readonly clock: SlotClock
  readonly log: Log
  readonly meters: Meters
}
