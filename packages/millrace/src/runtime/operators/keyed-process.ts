/** A keyed process operator: user callbacks over state and timers of the record's key. `reduce` and `aggregate` are built on it. */
import {
  EVENT_TIMERS,
  PROCESSING_TIMERS,
  type KeyedBroadcastProcessNode,
  type KeyedProcessNode,
} from '../../graph/index.ts'
import type { EventClock, KeyedStates, StateId, TimerStore } from '../../state/index.ts'
import { keyedHashLink, keyedLink, privateCopy, type Input, type Push, type PushKeyed } from '../chain.ts'
import { failure, promiseFailure } from '../failure.ts'
import type { OperatorMeter } from '../meters.ts'
import type { Outputs } from '../output.ts'
import type { Services } from '../services.ts'
import { KeyedContext, NoTimers, Timers } from './context.ts'

/** A million may be due at one time; what they emit needs room. */
const TIMERS_PER_STEP = 1024

export class KeyedProcessOperator implements Input {
  readonly push: Push
  readonly pushKeyed: PushKeyed
  readonly node: KeyedProcessNode | KeyedBroadcastProcessNode
  private readonly states: KeyedStates
  private readonly outputs: Outputs
  private readonly services: Services
  private readonly ctx: KeyedContext
  private readonly meter: OperatorMeter
  private readonly eventTimers: TimerStore | undefined
  private readonly processingTimers: TimerStore | undefined

  constructor(
    node: KeyedProcessNode | KeyedBroadcastProcessNode,
    states: KeyedStates,
    stateId: (state: string) => StateId,
    outputs: Outputs,
    services: Services,
    broadcastState: object = {},
  ) {
    this.node = node
    this.states = states
    this.outputs = outputs
    this.services = services
    this.meter = services.meters.of(node.name)
    const handles: { [name: string]: unknown } = {}
    for (const [name, declaration] of Object.entries(node.state))
      handles[name] = states.state(stateId(name), name, declaration)
    if (node.onTimer !== undefined) {
      this.eventTimers = states.timers(stateId(EVENT_TIMERS))
      this.processingTimers = states.timers(stateId(PROCESSING_TIMERS))
    }
    const timers =
      this.eventTimers === undefined ? new NoTimers(node.name) : new Timers(this.eventTimers, this.processingTimers!)
    const keys = states.keys
    const parts = { state: handles, keys, timers: timers as Timers, broadcastState }
    this.ctx = new KeyedContext(node.name, parts, outputs, services)
    const fail = (error: unknown, record: unknown) =>
      failure('USER_FUNCTION_FAILED', node.name, error, { key: keys.key, record })
    const promise = () => {
      throw promiseFailure(node.name, 'onRecord')
    }
    this.push = privateCopy(keyedLink)(
      node.inputs[0].keyBy!,
      key => keys.bind(key),
      node.onRecord,
      this.ctx,
      fail,
      promise,
      this.meter.input,
    )
    this.pushKeyed = privateCopy(keyedHashLink)(
      (key, hash) => keys.bindHashed(key, hash),
      node.onRecord,
      this.ctx,
      fail,
      promise,
      this.meter.input,
    )
  }

  /** What its state goes by that expires in event time. */
  get eventClock(): EventClock {
    return this.states.eventClock
  }

  watermark(time: number): void {
    this.ctx.watermark = time
    this.meter.watermark = time
    if (this.eventTimers !== undefined && this.eventTimers.earliest !== undefined)
      this.fire(this.eventTimers, time, 'event')
    this.eventClock.advance(time)
    this.outputs.watermark(time)
  }

  idle(isIdle: boolean): void {
    this.outputs.idle(isIdle)
  }

  /** Fires what is due, at most TIMERS_PER_STEP. */
  processingTime(nowMs: number): void {
    if (this.nextProcessingTimeMs <= nowMs) this.fire(this.processingTimers!, nowMs, 'processing', TIMERS_PER_STEP)
  }

  /** Infinity: there is no processing-time timer. */
  get nextProcessingTimeMs(): number {
    return this.processingTimers?.earliest ?? Infinity
  }

  private fire(timers: TimerStore, upTo: number, domain: 'event' | 'processing', limit = Infinity): void {
    const { ctx } = this
    const chain = this.services.chain
    const { eventClock } = this
    const before = chain.timestamp
    ctx.timeDomain = domain
    eventClock.isUntimed = domain === 'processing'
    for (let fired = 0; fired < limit; fired++) {
      const time = timers.pop(upTo)
      if (time === undefined) break
      chain.timestamp = domain === 'event' ? time : NaN
      if (domain === 'event') eventClock.advance(time)
      try {
        const result = this.node.onTimer!(time, ctx) as unknown
        if (result instanceof Promise) throw promiseFailure(this.node.name, 'onTimer')
      } catch (error) {
        throw failure('USER_FUNCTION_FAILED', this.node.name, error, { key: this.states.keys.key })
      }
    }
    chain.timestamp = before
    eventClock.isUntimed = false
  }
}
