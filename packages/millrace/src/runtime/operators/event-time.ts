/**
 * Event time: gives records their timestamp and makes watermarks. Reached from sources through stateless operators it keeps one
 * watermark per split, and its own is the lowest of them: a split that was not read yet holds it back, an ended one does not. The
 * watermark is a function of the records alone, except that idle splits are left out if `idleAfter` is given.
 *
 * A split is idle when its reader said that it is caught up, and says so again after `idleAfter`: time during which it was not asked,
 * since others had their turn or nothing could be read, does not make it idle, and what lies in it is not late.
 */
import { MillraceError } from '../../base/errors.ts'
import type { EventTimePlan, EventTimeNode } from '../../graph/index.ts'
import { eventTimeLink, privateCopy, type Input, type Push } from '../chain.ts'
import { describe, failure } from '../failure.ts'
import type { Outputs } from '../output.ts'
import type { Services } from '../services.ts'
import { COMPLETE } from '../watermark-merge.ts'

const UNKNOWN = 0
const ACTIVE = 1
const IDLE = 2
const ENDED = 3

/** Records that come from operators with state have no split; they share this one. */
export const NO_SPLIT = 0

export class EventTimeOperator implements Input {
  readonly push: Push
  readonly plan: EventTimePlan
  private readonly node: EventTimeNode
  private readonly services: Services
  private readonly outputs: Outputs
  /** By split number of the slot. */
  private readonly highest: number[] = []
  private readonly status: number[] = []
  /** Since when it has been caught up; Infinity while it is not known to be. */
  private readonly quietSinceMs: number[] = []
  /** The split that holds the watermark back; -1 when that must be looked up. */
  private lowest = -1
  private current = -Infinity
  private isIdle = false
  /** While splits are added one by one, nothing is said of all of them. */
  private started = false
  /** A source upstream is unbounded: this subtask may get further splits. */
  mayGetSplits = false

  constructor(node: EventTimeNode, plan: EventTimePlan, outputs: Outputs, services: Services) {
    this.node = node
    this.plan = plan
    this.outputs = outputs
    this.services = services
    const fail = (error: unknown, record: unknown) => failure('USER_FUNCTION_FAILED', node.name, error, { record })
    const perSplit = !plan.hasOtherInput
    const advance = perSplit
      ? (t: number) => this.advance(services.chain.split, t)
      : (t: number) => this.advance(NO_SPLIT, t)
    this.push = privateCopy(eventTimeLink)(
      node.timestamp,
      advance,
      outputs.main.push,
      services.chain,
      fail,
      this.invalid,
    )
    if (plan.hasOtherInput) this.addSplit(NO_SPLIT, undefined)
  }

  addSplit(split: number, highest: number | undefined): void {
    this.highest[split] = highest ?? -Infinity
    this.status[split] = ACTIVE
    this.quietSinceMs[split] = Infinity
    this.lowest = -1
  }

  endSplit(split: number): void {
    if (this.status[split] === undefined || this.status[split] === UNKNOWN) return
    this.status[split] = ENDED
    this.lowest = -1
    this.update()
  }

  /** After a restore: downstream learns the watermark again. `shared`: the highest timestamp of records that have no split. */
  start(shared: number | undefined): void {
    this.started = true
    if (this.plan.hasOtherInput && shared !== undefined) this.highest[NO_SPLIT] = shared
    this.update()
  }

  /** For the snapshot; undefined when all records have a split, or none came yet. */
  sharedHighest(): number | undefined {
    const highest = this.plan.hasOtherInput ? this.highest[NO_SPLIT] : -Infinity
    return highest === -Infinity ? undefined : highest
  }

  /** Highest timestamp per split, for the snapshot. */
  highestOf(split: number): number | undefined {
    return this.highest[split]
  }

  /**
   * The reader of a split has been asked, and is caught up. After `idleAfter` the split stops holding the watermark back; true when it
   * does so now.
   */
  caughtUp(split: number): boolean {
    const after = this.node.idleAfterMs
    if (after === undefined || this.status[split] !== ACTIVE) return false
    const { nowMs } = this.services.clock
    const since = this.quietSinceMs[split]
    if (since === Infinity) this.quietSinceMs[split] = nowMs
    if (nowMs < since + after) return false
    this.status[split] = IDLE
    this.update()
    return true
  }

  /**
   * After a step of the slot, for records that have no split. `heldUp`: what is on its way could not be taken in. True: they stopped
   * holding the watermark back.
   */
  stepped(heldUp: boolean): boolean {
    if (!this.plan.hasOtherInput) return false
    if (!heldUp) return this.caughtUp(NO_SPLIT)
    this.quietSinceMs[NO_SPLIT] = Infinity
    return false
  }

  /** When splits that are caught up now have been so for `idleAfter`: their readers are to be asked again. Infinity: none is. */
  get idleDueMs(): number {
    const after = this.node.idleAfterMs
    if (after === undefined) return Infinity
    let due = Infinity
    for (let split = 0; split < this.status.length; split++) {
      if (this.status[split] === ACTIVE) due = Math.min(due, this.quietSinceMs[split] + after)
    }
    return due
  }

  watermark(time: number): void {
    // Watermarks from upstream are of another event time, except the last one: the input has ended.
    if (time !== Infinity) return
    this.forward(Infinity)
  }

  idle(): void {}

  private advance(split: number, timestamp: number): void {
    if (this.node.idleAfterMs !== undefined) this.wakeSplit(split)
    if (timestamp <= this.highest[split]) return
    this.highest[split] = timestamp
    if (split === this.lowest || this.lowest === -1) this.update()
  }

  private wakeSplit(split: number): void {
    this.quietSinceMs[split] = Infinity
    if (this.status[split] !== IDLE) return
    this.status[split] = ACTIVE
    this.lowest = -1
  }

  /** Splits have come or gone: says what follows from that, before a record of a new one does. */
  update(): void {
    if (!this.started) return
    let lowest = -1
    let active = false
    let highest = -Infinity
    for (let split = 0; split < this.status.length; split++) {
      if (this.status[split] === IDLE) highest = Math.max(highest, this.highest[split])
      if (this.status[split] !== ACTIVE) continue
      active = true
      if (lowest === -1 || this.highest[split] < this.highest[lowest]) lowest = split
    }
    this.lowest = lowest
    const isComplete = !active && !this.mayGetSplits && !this.status.includes(IDLE)
    // Also without any split: other subtasks have them.
    const allIdle = !active && !isComplete && this.current !== Infinity
    if (allIdle !== this.isIdle) {
      this.isIdle = allIdle
      // None waits for another any more, in whatever order they went idle.
      if (allIdle) this.forward(highest - this.node.outOfOrdernessMs - 1)
      this.outputs.idle(allIdle)
    }
    if (lowest !== -1) this.forward(this.highest[lowest] - this.node.outOfOrdernessMs - 1)
    if (isComplete) this.forward(COMPLETE)
  }

  private forward(time: number): void {
    if (time <= this.current) return
    this.current = time
    this.outputs.watermark(time)
  }

  private invalid = (record: unknown, timestamp: unknown): never => {
    const found = describe(timestamp)
    throw new MillraceError(
      'TIMESTAMP_INVALID',
      `operator '${this.node.name}': the timestamp ${found} is not a finite number; record ${describe(record)}`,
      {
        context: { operator: this.node.name, record: describe(record) },
      },
    )
  }
}
