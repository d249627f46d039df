/**
 * Windows: an accumulator per key and window, and a timer at the window's last millisecond. With allowed lateness the contents stay
 * that much longer and every late record fires the window again (Flink: EventTimeTrigger).
 */
import { EVENT_TIMERS, WINDOW_CONTENTS, type WindowContents, type WindowNode } from '../../graph/index.ts'
import type { Aggregator, KeyedStates, StateId, TimerStore, WindowStore } from '../../state/index.ts'
import { tumblingStart, type TumblingAssigner, type Window } from '../../time/index.ts'
import { privateCopy, windowHashLink, windowLink, type Input, type Push, type PushKeyed } from '../chain.ts'
import { failure } from '../failure.ts'
import type { Counter, OperatorMeter } from '../meters.ts'
import type { Outputs } from '../output.ts'
import type { Services } from '../services.ts'
import { noEventTime } from './context.ts'

export class WindowOperator implements Input {
  readonly push: Push
  readonly pushKeyed: PushKeyed
  private readonly node: WindowNode
  private readonly states: KeyedStates
  private readonly contents: WindowStore
  private readonly timers: TimerStore
  private readonly outputs: Outputs
  private readonly services: Services
  private readonly late: Counter
  private readonly meter: OperatorMeter
  private current = -Infinity

  constructor(
    node: WindowNode,
    states: KeyedStates,
    stateId: (state: string) => StateId,
    outputs: Outputs,
    services: Services,
  ) {
    this.node = node
    this.states = states
    this.contents = states.windows(stateId(WINDOW_CONTENTS), aggregatorOf(node.contents))
    this.timers = states.timers(stateId(EVENT_TIMERS))
    this.outputs = outputs
    this.services = services
    this.meter = services.meters.of(node.name)
    this.late = services.meters.counter(node.name, 'late')
    const keys = states.keys
    const fail = (error: unknown, record: unknown) =>
      failure('USER_FUNCTION_FAILED', node.name, error, { key: keys.key, record })
    const add = node.assigner.kind === 'global' ? this.addToGlobal : this.add
    this.push = privateCopy(windowLink)(node.inputs[0].keyBy!, key => keys.bind(key), add, fail, this.meter.input)
    this.pushKeyed = privateCopy(windowHashLink)((key, hash) => keys.bindHashed(key, hash), add, fail, this.meter.input)
  }

  watermark(time: number): void {
    this.current = time
    this.meter.watermark = time
    for (let timer = this.timers.pop(time); timer !== undefined; timer = this.timers.pop(time)) this.onTimer(timer)
    this.outputs.watermark(time)
  }

  idle(isIdle: boolean): void {
    this.outputs.idle(isIdle)
  }

  private add = (record: unknown): void => {
    const window = this.windowOf(this.services.chain.timestamp)
    const last = lastTimestamp(window)
    const { allowedLatenessMs } = this.node
    if (last + allowedLatenessMs <= this.current) return this.addLate(record)
    if (this.contents.add(window.start, record)) {
      this.timers.register(last)
      if (allowedLatenessMs > 0) this.timers.register(last + allowedLatenessMs)
    }
    if (last <= this.current) this.fire(window)
  }

  /** Never late, and never fired before the end of input. */
  private addToGlobal = (record: unknown): void => {
    if (this.contents.add(GLOBAL.start, record)) this.timers.register(lastTimestamp(GLOBAL))
  }

  private addLate(record: unknown): void {
    this.late.add()
    if (this.node.lateTag !== undefined) this.outputs.side(this.node.lateTag, record)
  }

  /** A timer is the end of one window, of the lateness of another, or both. */
  private onTimer(time: number): void {
    try {
      const ended = this.windowEndingAt(time)
      if (ended !== undefined && this.contents.has(ended.start)) {
        this.fire(ended)
        if (this.node.allowedLatenessMs === 0) this.contents.clear(ended.start)
      }
      if (this.node.allowedLatenessMs === 0) return
      const expired = this.windowEndingAt(time - this.node.allowedLatenessMs)
      if (expired !== undefined && this.contents.has(expired.start)) this.contents.clear(expired.start)
    } catch (error) {
      throw failure('USER_FUNCTION_FAILED', this.node.name, error, { key: this.states.keys.key })
    }
  }

  private fire(window: Window): void {
    const { chain } = this.services
    const key = this.states.keys.key
    const value = this.contents.result(window.start)
    const before = chain.timestamp
    chain.timestamp = lastTimestamp(window)
    const { contents } = this.node
    if (contents.kind === 'process') {
      contents.fn(value as unknown[], {
        key,
        window,
        emit: this.outputs.main.push,
        output: (tag: { name: string }, side: unknown) => this.outputs.side(tag.name, side),
      })
    } else this.outputs.main.push({ key, window, value })
    chain.timestamp = before
  }

  private windowOf(timestamp: number): Window {
    const assigner = this.node.assigner as TumblingAssigner
    if (timestamp !== timestamp) throw noEventTime(this.node.name)
    const start = tumblingStart(timestamp, assigner.sizeMs, assigner.offsetMs)
    return { start, end: start + assigner.sizeMs }
  }

  private windowEndingAt(last: number): Window | undefined {
    const { assigner } = this.node
    if (assigner.kind === 'global') return last === Infinity ? GLOBAL : undefined
    const end = last + 1
    const start = end - assigner.sizeMs
    return tumblingStart(start, assigner.sizeMs, assigner.offsetMs) === start ? { start, end } : undefined
  }
}

const GLOBAL: Window = { start: -Infinity, end: Infinity }

function lastTimestamp(window: Window): number {
  return window.end - 1
}

/** Every kind of contents is an aggregation of the window's records. */
function aggregatorOf(contents: WindowContents): Aggregator<any, any, any> {
  switch (contents.kind) {
    case 'aggregate':
      return contents.aggregator
    case 'reduce':
      return {
        create: () => undefined,
        add: (a, record) => (a === undefined ? record : contents.fn(a, record)),
        result: a => a,
      }
    case 'process':
      return { create: () => [], add: (records, record) => (records.push(record), records), result: records => records }
  }
}
