/**
 * All exchanges of one slot: their channels, what may be stepped without overrunning them, and the alignment for a barrier.
 *
 * Inputs are read downstream first, and one is read only if all it may write to has room. The last stage always drains, then the one
 * before has room again, so two slots with full rings towards each other never wait for each other (no cycle: a stage waits only for
 * those behind it).
 */
import { assert } from '../../base/assert.ts'
import { RowReader, RowWriter } from '../../codec/index.ts'
import type { Exchange, ExecutionPlan, NodeId } from '../../graph/index.ts'
import type { ChainTimes } from '../chain-times.ts'
import type { ChainContext, Fail, Input } from '../chain.ts'
import { Alignment } from './alignment.ts'
import { ChannelReader } from './channel-reader.ts'
import { ChannelWriter } from './channel-writer.ts'
import { ExchangeInput } from './exchange-input.ts'
import { ExchangeOutput } from './exchange-output.ts'
import { ringPlace } from './memory.ts'
import { NO_BARRIER, RingReader, RingWriter } from './ring.ts'
import { slotReach, type Reach, type SlotReach } from './slot-reach.ts'

/** Of one channel in one step. */
const PAGES_PER_STEP = 4

export interface SlotExchangeOptions {
  readonly plan: ExecutionPlan
  readonly slot: number
  /** Undefined when there is one slot. */
  readonly memory: SharedArrayBuffer | undefined
  readonly chain: ChainContext
  readonly chainTimes: ChainTimes
  /** Something changed for another slot, which may be asleep. */
  readonly wake: (slot: number) => void
  readonly isWritable: (sink: NodeId) => boolean
}

export class SlotExchange {
  private readonly options: SlotExchangeOptions
  private readonly reach: SlotReach
  private readonly inputs = new Map<number, ExchangeInput>()
  private readonly outputs = new Map<number, ExchangeOutput>()
  /** Inputs, downstream first, with whether one may be read. */
  private readonly readable: { readonly input: ExchangeInput; readonly mayRead: () => boolean }[] = []
  /** Barriers up to this one hold nothing back any more. */
  private releasedThrough = NO_BARRIER
  private alignment: Alignment | undefined
  /** In this step something was not taken in, for want of room. */
  heldUp = false

  constructor(options: SlotExchangeOptions) {
    this.options = options
    this.reach = slotReach(options.plan, options.slot)
  }

  // ----------------------------------------------------------------------------------------------------------- build

  /** Connects the reader's subtask in this slot. Readers are connected before their producers, downstream first. */
  addInput(exchange: Exchange, reader: Input, fail: Fail): void {
    const { slot, chain, plan } = this.options
    const openChannel: ConstructorParameters<typeof ExchangeInput>[0]['openChannel'] = (from, target) => {
      const ring = new RingReader(ringPlace(plan, this.memory, exchange, from, slot), () => this.options.wake(from))
      return new ChannelReader(ring, new RowReader(rowsOf(exchange)), target)
    }
    const input = new ExchangeInput({ exchange, slot, chain, reader, keyBy: this.keyOf(exchange), fail, openChannel })
    const reach = this.reach.inputs.get(exchange.id)
    assert(reach !== undefined, 'the reader has a subtask in this slot')
    this.inputs.set(exchange.id, input)
    this.readable.push({ input, mayRead: () => this.hasRoom(reach) || this.hold(exchange.to) })
  }

  /** What the producer's subtask in this slot writes to. */
  addOutput(exchange: Exchange, fail: Fail): Input {
    const { slot, chain, plan } = this.options
    const writers = Array.from({ length: exchange.toSubtasks }, (_, to) => {
      if (to === slot) return undefined
      const ring = new RingWriter(ringPlace(plan, this.memory, exchange, slot, to), () => this.options.wake(to))
      return new ChannelWriter(ring, new RowWriter(rowsOf(exchange)))
    })
    const direct = this.inputs.get(exchange.id)?.direct
    const { maxParallelism } = plan
    const keyBy = this.keyOf(exchange)
    const output = new ExchangeOutput({ exchange, slot, maxParallelism, chain, writers, direct, keyBy, fail })
    this.outputs.set(exchange.id, output)
    return output
  }

  private get memory(): SharedArrayBuffer {
    assert(this.options.memory !== undefined, 'slots that exchange records share memory')
    return this.options.memory
  }

  private keyOf({ to, inputIndex }: Exchange): ((record: any) => any) | undefined {
    return this.options.plan.job.graph.nodes[to].inputs[inputIndex].keyBy
  }

  // ------------------------------------------------------------------------------------------------------------ step

  /** Processes what has arrived, as far as there is room for what comes of it. True if anything had. */
  read(): boolean {
    this.heldUp = false
    // Also in an alignment, when nothing asks for room: the barrier may be in there.
    for (const output of this.outputs.values()) output.sendOverdraft()
    let found = false
    for (const { input, mayRead } of this.readable) {
      const { to } = input.exchange
      if (input.read(PAGES_PER_STEP, this.releasedThrough, mayRead)) {
        this.options.chainTimes.worked(to)
        found = true
      } else if (input.waitsAtBarrier) this.hold(to)
    }
    return found
  }

  private hold(reader: NodeId): false {
    this.options.chainTimes.held(reader)
    return false
  }

  /** Whether there is room for what comes of a source's records, or of an operator's timers. */
  hasRoomAfter(operator: NodeId): boolean {
    return this.hasRoom(this.reach.operators.get(operator)!)
  }

  private hasRoom({ exchanges, sinks }: Reach): boolean {
    for (const id of exchanges) if (!this.outputs.get(id)!.hasRoom()) return this.holdUp()
    for (const sink of sinks) if (!this.options.isWritable(sink)) return this.holdUp()
    return true
  }

  private holdUp(): false {
    this.heldUp = true
    return false
  }

  /** Sends pages that are not full: what is in them has waited long enough. */
  flush(): void {
    for (const output of this.outputs.values()) output.flush()
  }

  // ------------------------------------------------------------------------------------------------------- alignment

  get aligning(): boolean {
    return this.alignment !== undefined
  }

  /** The sources have passed this barrier, and are not read until `aligned` says true. */
  align(barrier: number): void {
    assert(this.alignment === undefined, 'one alignment at a time')
    const { inputs, outputs } = this
    this.alignment = new Alignment(
      barrier,
      this.reach,
      [...inputs].map(([id, input]) => ({ id, standsAt: at => input.standsAt(at) })),
      [...outputs].map(([id, output]) => ({ id, writeBarrier: at => output.writeBarrier(at) })),
    )
  }

  /** True, once, when the whole slot has passed the barrier: everything in it is as it was there. */
  aligned(): boolean {
    if (this.alignment?.advance() !== true) return false
    this.release(this.alignment.barrier)
    return true
  }

  /** The alignment is given up: barriers up to this one, also those still to come, hold nothing back. */
  release(barrier: number): void {
    this.alignment = undefined
    this.releasedThrough = barrier
    for (const input of this.inputs.values()) input.release(barrier)
  }
}

function rowsOf({ partitioning, timestamps }: Exchange) {
  return { hash: partitioning === 'hash', timestamp: timestamps }
}
