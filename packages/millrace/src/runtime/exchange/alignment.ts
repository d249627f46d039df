/**
 * The alignment of one slot for one barrier: which channels have it, and when it may be passed on.
 *
 * A slot aligns as a whole. Its sources pass the barrier first and are not read until all is aligned; the input of an exchange has
 * passed once the barrier has come over all its channels, the own one included; an exchange is given the barrier once everything that
 * writes to it in this slot has passed. What has passed gets no further record, so when the last head has, the state of the whole slot
 * is that of this barrier, and is frozen at once. No counter of barriers is kept: each channel says which one it stands at.
 */
import type { SlotReach } from './slot-reach.ts'

export interface AlignedInput {
  /** Exchange id. */
  readonly id: number
  /** Whether the barrier has come over every channel from another slot. */
  standsAt(barrier: number): boolean
}

export interface AlignedOutput {
  readonly id: number
  writeBarrier(barrier: number): void
}

export class Alignment {
  readonly barrier: number
  private readonly reach: SlotReach
  /** Upstream first. */
  private readonly waiting: {
    readonly id: number
    input: AlignedInput | undefined
    output: AlignedOutput | undefined
  }[]
  /** Ids of exchanges whose input has passed. */
  private readonly passed = new Set<number>()

  constructor(barrier: number, reach: SlotReach, inputs: readonly AlignedInput[], outputs: readonly AlignedOutput[]) {
    this.barrier = barrier
    this.reach = reach
    const ids = new Set([...inputs, ...outputs].map(({ id }) => id))
    this.waiting = [...ids]
      .sort((a, b) => a - b)
      .map(id => ({ id, input: inputs.find(each => each.id === id), output: outputs.find(each => each.id === id) }))
  }

  /** Passes the barrier on as far as it has come. True once the whole slot has passed it. */
  advance(): boolean {
    let done = true
    for (const exchange of this.waiting) {
      if (exchange.output !== undefined && this.writersHavePassed(exchange.id)) {
        exchange.output.writeBarrier(this.barrier)
        exchange.output = undefined
      }
      if (exchange.output === undefined && exchange.input?.standsAt(this.barrier) === true) {
        this.passed.add(exchange.id)
        exchange.input = undefined
      }
      done &&= exchange.output === undefined && exchange.input === undefined
    }
    return done
  }

  /** Sources pass as the alignment begins. */
  private writersHavePassed(exchange: number): boolean {
    for (const [id, reach] of this.reach.inputs) {
      if (reach.exchanges.has(exchange) && !this.passed.has(id)) return false
    }
    return true
  }
}
