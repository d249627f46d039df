/** A process operator that is not keyed: user callbacks over operator state, which the manifest holds. */
import type { ProcessNode } from '../../graph/index.ts'
import type { Adapt, ListState } from '../../state/index.ts'
import { privateCopy, processLink, type Input, type Push } from '../chain.ts'
import { failure, promiseFailure } from '../failure.ts'
import type { OperatorMeter } from '../meters.ts'
import type { Outputs } from '../output.ts'
import type { Services } from '../services.ts'
import { ProcessContext } from './context.ts'
import { loadValue, storeValue } from './stored-value.ts'

export class ProcessOperator implements Input {
  readonly push: Push
  readonly name: string
  readonly node: ProcessNode
  private readonly outputs: Outputs
  private readonly ctx: ProcessContext
  private readonly meter: OperatorMeter
  private readonly lists = new Map<string, OperatorList>()
  /** The end of input was seen: kept in the snapshot, so that `onEnd` runs once. */
  private ended = false

  constructor(node: ProcessNode, outputs: Outputs, services: Services) {
    this.node = node
    this.name = node.name
    this.outputs = outputs
    this.meter = services.meters.of(node.name)
    for (const name of Object.keys(node.state)) this.lists.set(name, new OperatorList())
    this.ctx = new ProcessContext(node.name, Object.fromEntries(this.lists), outputs, services)
    const fail = (error: unknown, record: unknown) => failure('USER_FUNCTION_FAILED', node.name, error, { record })
    const promise = () => {
      throw promiseFailure(node.name, 'onRecord')
    }
    this.push = privateCopy(processLink)(node.onRecord, this.ctx, fail, promise, this.meter.input)
  }

  watermark(time: number): void {
    this.ctx.watermark = time
    this.meter.watermark = time
    if (time === Infinity && !this.ended) this.end()
    this.outputs.watermark(time)
  }

  private end(): void {
    this.ended = true
    try {
      this.node.onEnd?.(this.ctx)
    } catch (error) {
      throw failure('USER_FUNCTION_FAILED', this.name, error, {})
    }
  }

  idle(isIdle: boolean): void {
    this.outputs.idle(isIdle)
  }

  /** Elements by state name, each in the value codec as base64. */
  snapshot(): { [state: string]: string[] } {
    const lists = Object.fromEntries([...this.lists].map(([name, list]) => [name, list.snapshot()]))
    return this.ended ? { ...lists, [ENDED]: [''] } : lists
  }

  /** Whether every subtask takes over all of the state. */
  isUnion(state: string): boolean {
    return this.node.state[state]?.kind === 'unionList'
  }

  /** `adapterOf`: how the elements of a state are read that is described differently now. */
  restore(lists: { readonly [state: string]: readonly string[] }, adapterOf: AdapterOf = () => undefined): void {
    for (const [name, list] of this.lists) if (lists[name] !== undefined) list.restore(lists[name], adapterOf(name))
    this.ended = (lists[ENDED] ?? []).length > 0
  }
}

/** By the name of the state; undefined: its values stay as they are. */
export type AdapterOf = (state: string) => Adapt | undefined

const ENDED = '~ended'

class OperatorList implements ListState<unknown> {
  private values: unknown[] = []

  get(): Iterable<unknown> {
    return [...this.values]
  }

  add(value: unknown): void {
    this.values.push(value)
  }

  set(values: Iterable<unknown>): void {
    this.values = [...values]
  }

  clear(): void {
    this.values = []
  }

  snapshot(): string[] {
    return this.values.map(storeValue)
  }

  restore(elements: readonly string[], adapt: Adapt = value => value): void {
    this.values = elements.map(element => adapt(loadValue(element), undefined))
  }
}
