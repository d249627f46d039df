/** What a slot gives its operators. */
import type { Log } from '../connectors/contract.ts'
import type { ChainContext } from './chain.ts'

/** The clock of a slot: read from the platform once a step, so that it is cheap and stands still within a record. */
export interface SlotClock {
  nowMs: number
}

export interface Services {
  readonly chain: ChainContext
  readonly clock: SlotClock
  readonly log: Log
  readonly counters: Counters
}

/** Counters of a slot, by operator and name: plain fields on the hot path. */
export class Counters {
  private readonly byOperator = new Map<string, Map<string, Counter>>()

  counter(operator: string, name: string): Counter {
    let counters = this.byOperator.get(operator)
    if (counters === undefined) this.byOperator.set(operator, (counters = new Map()))
    let counter = counters.get(name)
    if (counter === undefined) counters.set(name, (counter = new Counter()))
    return counter
  }

  /** Values by `operator`, then counter name. */
  read(): { [operator: string]: { [name: string]: number } } {
    const operators = [...this.byOperator].map(([operator, counters]) => {
      return [operator, Object.fromEntries([...counters].map(([name, counter]) => [name, counter.value]))]
    })
    return Object.fromEntries(operators)
  }
}

export class Counter {
  value = 0

  add(by = 1): void {
    this.value += by
  }
}
