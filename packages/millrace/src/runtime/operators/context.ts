/** What user functions see (`ctx`): one object per operator, made once. */
import { MillraceError } from '../../base/errors.ts'
import type { Log } from '../../connectors/contract.ts'
import type { Key, KeyContext, TimerStore } from '../../state/index.ts'
import type { Push } from '../chain.ts'
import type { Counter, Gauge, Histogram } from '../meters.ts'
import type { Outputs } from '../output.ts'
import type { Services } from '../services.ts'

export class OperatorContext {
  watermark = -Infinity
  readonly emit: Push
  readonly output: (tag: { readonly name: string }, value: unknown) => void
  readonly metrics: {
    counter(name: string): Counter
    gauge(name: string): Gauge
    histogram(name: string, bounds?: readonly number[]): Histogram
  }
  readonly log: Log
  protected readonly operator: string
  protected readonly services: Services

  constructor(operator: string, outputs: Outputs, services: Services) {
    this.operator = operator
    this.services = services
    this.emit = outputs.main.push
    this.output = (tag, value) => outputs.side(tag.name, value)
    this.metrics = {
      counter: name => services.meters.counter(operator, name),
      gauge: name => services.meters.gauge(operator, name),
      histogram: (name, bounds) => services.meters.histogram(operator, name, bounds),
    }
    this.log = services.log
  }

  get timestamp(): number {
    const timestamp = this.services.chain.timestamp
    if (timestamp !== timestamp) throw noEventTime(this.operator)
    return timestamp
  }
}

export class ProcessContext extends OperatorContext {
  readonly state: object

  constructor(operator: string, state: object, outputs: Outputs, services: Services) {
    super(operator, outputs, services)
    this.state = state
  }
}

/** What an operator has per key. */
export interface KeyedParts {
  readonly state: object
  readonly keys: KeyContext
  readonly timers: Timers
  /** To be read only; empty where nothing is broadcast. */
  readonly broadcastState: object
}

export class KeyedContext extends OperatorContext {
  timeDomain: 'event' | 'processing' = 'event'
  readonly state: object
  readonly timers: Timers
  readonly broadcastState: object
  private readonly keys: KeyContext

  constructor(
    operator: string,
    { state, keys, timers, broadcastState }: KeyedParts,
    outputs: Outputs,
    services: Services,
  ) {
    super(operator, outputs, services)
    this.state = state
    this.keys = keys
    this.timers = timers
    this.broadcastState = broadcastState
  }

  get key(): Key {
    return this.keys.key
  }
}

/** In `onBroadcast`: what belongs to a key is out of reach there. */
export class BroadcastContext extends OperatorContext {
  readonly broadcastState: object

  constructor(operator: string, broadcastState: object, outputs: Outputs, services: Services) {
    super(operator, outputs, services)
    this.broadcastState = broadcastState
  }

  get key(): never {
    throw noKey('key')
  }
  get state(): never {
    throw noKey('state')
  }
  get timers(): never {
    throw noKey('timers')
  }
}

function noKey(property: string): MillraceError {
  return new MillraceError(
    'USER_FUNCTION_FAILED',
    `onBroadcast asked for ctx.${property}, but a broadcast record has no key; keep what it says in ctx.broadcastState and use it in onRecord`,
  )
}

export class Timers {
  private readonly event: TimerStore
  private readonly processing: TimerStore

  constructor(event: TimerStore, processing: TimerStore) {
    this.event = event
    this.processing = processing
  }

  onEventTime(time: number): void {
    this.event.register(checked(time))
  }
  onProcessingTime(time: number): void {
    this.processing.register(checked(time))
  }
  deleteEventTime(time: number): void {
    this.event.delete(checked(time))
  }
  deleteProcessingTime(time: number): void {
    this.processing.delete(checked(time))
  }
}

function checked(time: number): number {
  if (typeof time === 'number' && time === time) return time
  throw new MillraceError('TIMESTAMP_INVALID', `a timer's time is ${String(time)}; it must be a number of milliseconds`)
}

/** Stands in where the operator has no onTimer. */
export class NoTimers {
  private readonly operator: string

  constructor(operator: string) {
    this.operator = operator
  }

  onEventTime(): void {
    throw this.refusal()
  }
  onProcessingTime(): void {
    throw this.refusal()
  }
  deleteEventTime(): void {}
  deleteProcessingTime(): void {}

  private refusal(): MillraceError {
    return new MillraceError(
      'GRAPH_INVALID',
      `operator '${this.operator}' sets a timer but has no onTimer; add onTimer(time, ctx)`,
    )
  }
}

export function noEventTime(operator: string): MillraceError {
  return new MillraceError(
    'NO_EVENT_TIME',
    `operator '${operator}' asks for the timestamp of a record that has none; call .eventTime(record => milliseconds) upstream`,
  )
}
