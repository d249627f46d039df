/**
 * From execution plan to one slot's operators: linked from the sinks up, since a producer needs its consumers' functions. An edge is a
 * direct call, or an exchange where records may leave the slot.
 */
import { assert } from '../base/assert.ts'
import type { SinkContext, SourceContext } from '../connectors/contract.ts'
import {
  exchangeInto,
  type ExecutionPlan,
  type KeyedProcessNode,
  type NodeId,
  type SinkNode,
  type SourceNode,
  type StreamNode,
} from '../graph/index.ts'
import type { KeyedStates, StateBackend, StateId } from '../state/index.ts'
import { filterLink, flatMapLink, mapLink, privateCopy, type Fail, type Input, type Push } from './chain.ts'
import type { SlotExchange } from './exchange/index.ts'
import { failure, promiseFailure } from './failure.ts'
import type { KeyGuard } from './key-guard.ts'
import { EventTimeOperator } from './operators/event-time.ts'
import { KeyedBroadcastProcessOperator } from './operators/keyed-broadcast-process.ts'
import { KeyedProcessOperator } from './operators/keyed-process.ts'
import { PrefetchedInput } from './operators/prefetched-input.ts'
import { ProcessOperator } from './operators/process.ts'
import { SinkTask } from './operators/sink-task.ts'
import { SourceTask, type SourceHost } from './operators/source-task.ts'
import { unionInputs } from './operators/union.ts'
import { WindowOperator } from './operators/window.ts'
import { Output, Outputs } from './output.ts'
import type { Services } from './services.ts'

/** The operators of a slot, by what the slot does with them. */
export interface Operators {
  readonly sources: readonly SourceTask[]
  readonly eventTimes: readonly EventTimeOperator[]
  readonly keyed: readonly KeyedProcessOperator[]
  /** Their records may wait within a step. */
  readonly prefetched: readonly PrefetchedInput[]
  /** Their keyed parts are among `keyed` too. */
  readonly broadcasts: readonly KeyedBroadcastProcessOperator[]
  readonly processes: readonly ProcessOperator[]
  readonly sinks: readonly SinkTask[]
}

export interface BuildContext {
  readonly slot: number
  readonly exchange: SlotExchange
  readonly backend: StateBackend
  readonly services: Services
  readonly stateIds: { readonly [operator: string]: { readonly [state: string]: StateId } }
  readonly sourceHost: SourceHost
  sourceContext(operator: SourceNode): SourceContext
  sinkContext(operator: SinkNode): SinkContext
  /** What looks at the keys of an operator, if something has to. */
  keyGuard?(operator: StreamNode): KeyGuard | undefined
}

export function buildOperators(plan: ExecutionPlan, context: BuildContext): Operators {
  return new Builder(plan, context).build()
}

class Builder {
  private readonly plan: ExecutionPlan
  private readonly context: BuildContext
  private readonly inputs: (readonly Input[])[] = []
  private readonly sources: SourceTask[] = []
  private readonly eventTimes: EventTimeOperator[] = []
  private readonly keyed: KeyedProcessOperator[] = []
  private readonly prefetched: PrefetchedInput[] = []
  private readonly broadcasts: KeyedBroadcastProcessOperator[] = []
  private readonly processes: ProcessOperator[] = []
  private readonly sinks: SinkTask[] = []

  constructor(plan: ExecutionPlan, context: BuildContext) {
    this.plan = plan
    this.context = context
  }

  private keyedStates(node: StreamNode): KeyedStates {
    const states = this.context.backend.keyedStates(node.name, this.context.services.chain)
    states.keys.guard = this.context.keyGuard?.(node)
    return states
  }

  build(): Operators {
    const { job } = this.plan
    for (const node of [...job.graph.nodes].reverse()) {
      if (!this.isHere(node.id)) continue
      this.inputs[node.id] = this.inputsOf(node)
      this.inputs[node.id].forEach((input, index) => this.connect(node, index, input))
    }
    for (const { node, splitSources, hasOtherInput } of job.eventTimes) {
      // Where records with a split and without one come together they share one watermark.
      const eventTime = hasOtherInput ? undefined : this.eventTimes.find(operator => operator.plan.node === node)
      if (eventTime === undefined) continue
      for (const source of this.sources) {
        if (!splitSources.includes(source.node.id)) continue
        source.eventTimes.push(eventTime)
        if (!source.bounded) eventTime.mayGetSplits = true
      }
    }
    // In the order of the graph, whatever the order of linking.
    return {
      sources: this.sources.reverse(),
      eventTimes: this.eventTimes.reverse(),
      keyed: this.keyed.reverse(),
      prefetched: this.prefetched.reverse(),
      broadcasts: this.broadcasts.reverse(),
      processes: this.processes.reverse(),
      sinks: this.sinks.reverse(),
    }
  }

  /** Whether the operator has a subtask in this slot. */
  private isHere(node: NodeId): boolean {
    return this.context.slot < this.plan.subtasks[node]
  }

  private connect(node: StreamNode, inputIndex: number, input: Input): void {
    const exchange = exchangeInto(this.plan, node.id, inputIndex)
    if (exchange !== undefined) this.context.exchange.addInput(exchange, input, this.failOf(node))
  }

  /** The node's operator, as its producers see it: one input per edge. */
  private inputsOf(node: StreamNode): readonly Input[] {
    const { services } = this.context
    const outputs = this.outputsOf(node)
    switch (node.kind) {
      case 'map':
        return [this.stateless(node, outputs, mapLink)]
      case 'filter':
        return [this.stateless(node, outputs, filterLink)]
      case 'flatMap':
        return [this.stateless(node, outputs, flatMapLink)]
      case 'rebalance':
        return [outputs.main]
      case 'union':
        return unionInputs(node.inputs.length, outputs.main)
      case 'eventTime': {
        const plan = this.plan.job.eventTimes.find(eventTime => eventTime.node === node.id)
        assert(plan !== undefined, 'every event-time transformation is planned')
        return [added(this.eventTimes, new EventTimeOperator(node, plan, outputs, services))]
      }
      case 'process':
        return [added(this.processes, new ProcessOperator(node, outputs, services))]
      case 'keyedProcess':
        return [this.keyedProcess(node, outputs)]
      case 'keyedBroadcastProcess': {
        const states = this.keyedStates(node)
        const operator = new KeyedBroadcastProcessOperator(node, states, this.stateId(node), outputs, services)
        this.keyed.push(operator.keyed)
        return added(this.broadcasts, operator).inputs
      }
      case 'window':
        return [new WindowOperator(node, this.keyedStates(node), this.stateId(node), outputs, services)]
      case 'source':
        this.sources.push(
          new SourceTask(node, outputs, services, this.context.sourceContext(node), this.context.sourceHost),
        )
        return []
      case 'sink':
        return [added(this.sinks, new SinkTask(node, services, this.context.sinkContext(node)))]
    }
  }

  private keyedProcess(node: KeyedProcessNode, outputs: Outputs): Input {
    const { services } = this.context
    const states = this.keyedStates(node)
    const operator = added(this.keyed, new KeyedProcessOperator(node, states, this.stateId(node), outputs, services))
    const { prefetch } = states
    if (prefetch === undefined) return operator
    const input = new PrefetchedInput(operator, node.inputs[0].keyBy!, prefetch, services.chain, this.failOf(node))
    return added(this.prefetched, input)
  }

  private stateless<F>(
    node: StreamNode & { readonly fn: F },
    outputs: Outputs,
    link: (fn: F, next: Push, fail: Fail, promise: Push) => Push,
  ): Input {
    const fail = this.failOf(node)
    const promise = () => {
      throw promiseFailure(node.name, 'its function')
    }
    return {
      push: privateCopy(link)(node.fn, outputs.main.push, fail, promise),
      watermark: time => outputs.watermark(time),
      idle: isIdle => outputs.idle(isIdle),
    }
  }

  private failOf(node: StreamNode): Fail {
    return (error, record) => failure('USER_FUNCTION_FAILED', node.name, error, { record })
  }

  private outputsOf(node: StreamNode): Outputs {
    const byTag = Map.groupBy(this.plan.job.outputs[node.id], output => output.tag)
    const counter = this.outputCounterOf(node)
    const output = (tag: string | undefined) =>
      new Output(
        (byTag.get(tag) ?? []).map(reader => this.readerOf(reader.node, reader.inputIndex)),
        counter,
      )
    const tags = [...byTag.keys()].filter(tag => tag !== undefined)
    return new Outputs(output(undefined), new Map(tags.map(tag => [tag, output(tag)])))
  }

  /** Side outputs count too. A source counts for itself; the stateless ones in between are not measured. */
  private outputCounterOf(node: StreamNode): { records: number } | undefined {
    if (!['process', 'keyedProcess', 'keyedBroadcastProcess', 'window'].includes(node.kind)) return undefined
    return this.context.services.meters.of(node.name).output
  }

  private readerOf(node: NodeId, inputIndex: number): Input {
    const exchange = exchangeInto(this.plan, node, inputIndex)
    if (exchange === undefined) return this.inputs[node][inputIndex]
    return this.context.exchange.addOutput(exchange, this.failOf(this.plan.job.graph.nodes[node]))
  }

  private stateId(node: StreamNode): (state: string) => StateId {
    return state => {
      const id = this.context.stateIds[node.name]?.[state]
      assert(id !== undefined, `state '${state}' of operator '${node.name}' has an id`)
      return id
    }
  }
}

function added<T>(list: T[], operator: T): T {
  list.push(operator)
  return operator
}
