/**
 * How each chain of a slot spends its time since the slot began: busy in its turns; backpressured while it had no turn for want of room
 * in what it writes to, or since an alignment held it; idle for the rest, also while other chains of the slot work. The three add up.
 *
 * Measured by the turn (a block of a source, some pages of an exchange, due timers): a turn lasts from the last reading of the clock to
 * the next, so a turn costs one reading and a record none. All that a turn calls belongs to it: a record that an exchange leaves in the
 * own slot counts for the chain that it comes from.
 *
 * A chain is held from the step that first refuses it until its next turn, or the first step that does not refuse it.
 */
import type { ChainReading } from '../checkpoint/mail.ts'
import { chainsOf, type ExecutionPlan, type NodeId } from '../graph/index.ts'

const NEVER = Infinity

class ChainMeter {
  readonly chain: string
  readonly operators: readonly string[]
  busyMs = 0
  backpressuredMs = 0
  idleMs = 0
  heldSinceMs = NEVER
  /** In the step that is under way, or in the last one. */
  refused = false

  constructor(chain: string, operators: readonly string[]) {
    this.chain = chain
    this.operators = operators
  }

  release(atMs: number): void {
    this.backpressuredMs += this.heldMs(atMs)
    this.heldSinceMs = NEVER
  }

  heldMs(untilMs: number): number {
    return this.heldSinceMs < untilMs ? untilMs - this.heldSinceMs : 0
  }
}

export class ChainTimes {
  private readonly monotonic: () => number
  private readonly chains: readonly ChainMeter[]
  /** By node id: the chain whose head it is, else the first that it is in. */
  private readonly chainOf: ChainMeter[] = []
  private startedMs = 0
  private stepMs = 0
  /** The clock's last reading. */
  private lapMs = 0

  constructor(plan: ExecutionPlan, slot: number, monotonic: () => number) {
    this.monotonic = monotonic
    const nameOf = (node: NodeId) => plan.job.graph.nodes[node].name
    const chains = chainsOf(plan, slot)
    this.chains = chains.map(({ head, operators }) => new ChainMeter(nameOf(head), operators.map(nameOf)))
    for (const [index, { operators }] of chains.entries()) {
      for (const operator of operators) this.chainOf[operator] ??= this.chains[index]
    }
    for (const [index, { head }] of chains.entries()) this.chainOf[head] = this.chains[index]
  }

  /** The slot begins to work. */
  start(): void {
    this.startedMs = this.stepMs = this.lapMs = this.monotonic()
  }

  /** A step begins. */
  step(nowMs: number): void {
    for (const chain of this.chains) {
      if (!chain.refused) chain.release(this.stepMs)
      chain.refused = false
    }
    this.stepMs = this.lapMs = nowMs
  }

  /** What was done since the clock's last reading was a turn of the operator's chain. */
  worked(operator: NodeId): void {
    const nowMs = this.monotonic()
    const chain = this.chainOf[operator]
    chain.busyMs += nowMs - this.lapMs
    chain.release(this.lapMs)
    // Refused in the middle of its turn.
    if (chain.refused) chain.heldSinceMs = nowMs
    this.lapMs = nowMs
  }

  /** What was done since the clock's last reading belongs to no chain. */
  passed(): void {
    this.lapMs = this.monotonic()
  }

  /** The operator's chain has no turn, though there may be something for it to do. */
  held(operator: NodeId): void {
    const chain = this.chainOf[operator]
    chain.refused = true
    if (chain.heldSinceMs === NEVER) chain.heldSinceMs = this.lapMs
  }

  /** Each of these counts only grows, whatever its roundings. */
  read(): ChainReading[] {
    const nowMs = this.monotonic()
    return this.chains.map(meter => {
      const { chain, operators, busyMs } = meter
      const backpressuredMs = meter.backpressuredMs + meter.heldMs(meter.refused ? nowMs : this.stepMs)
      meter.idleMs = Math.max(meter.idleMs, nowMs - this.startedMs - busyMs - backpressuredMs)
      return { chain, operators, busyMs, idleMs: meter.idleMs, backpressuredMs }
    })
  }
}
