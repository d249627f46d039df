/**
 * A keyed process operator with a second, broadcast input. Each subtask gets all records of that, and keeps a copy of the broadcast
 * state, which only they change. At a barrier all copies have seen the same records (DESIGN invariant 1), so one of them is written.
 */
import type { KeyedBroadcastProcessNode } from '../../graph/index.ts'
import type { BroadcastEntries } from '../../snapshot/manifest-types.ts'
import type { KeyedStates, StateId } from '../../state/index.ts'
import { privateCopy, processLink, type Input } from '../chain.ts'
import { failure, promiseFailure } from '../failure.ts'
import type { Outputs } from '../output.ts'
import type { Services } from '../services.ts'
import { WatermarkMerge } from '../watermark-merge.ts'
import { BroadcastMap, ReadOnlyBroadcastMap } from './broadcast-state.ts'
import { BroadcastContext } from './context.ts'
import type { AdapterOf } from './process.ts'
import { KeyedProcessOperator } from './keyed-process.ts'

export class KeyedBroadcastProcessOperator {
  readonly node: KeyedBroadcastProcessNode
  /** The keyed input, then the broadcast one. */
  readonly inputs: readonly [Input, Input]
  /** What happens per key. */
  readonly keyed: KeyedProcessOperator
  private readonly maps: ReadonlyMap<string, BroadcastMap>

  constructor(
    node: KeyedBroadcastProcessNode,
    states: KeyedStates,
    stateId: (state: string) => StateId,
    outputs: Outputs,
    services: Services,
  ) {
    this.node = node
    this.maps = new Map(Object.keys(node.broadcastState).map(name => [name, new BroadcastMap()]))
    const readOnly = [...this.maps].map(([name, map]) => [name, new ReadOnlyBroadcastMap(map, name)])
    const keyed = new KeyedProcessOperator(node, states, stateId, outputs, services, Object.fromEntries(readOnly))
    this.keyed = keyed
    const ctx = new BroadcastContext(node.name, Object.fromEntries(this.maps), outputs, services)
    const fail = (error: unknown, record: unknown) => failure('USER_FUNCTION_FAILED', node.name, error, { record })
    const promise = () => {
      throw promiseFailure(node.name, 'onBroadcast')
    }
    const { input } = services.meters.of(node.name)
    const merge = new WatermarkMerge(2, {
      watermark(time) {
        ctx.watermark = time
        keyed.watermark(time)
      },
      idle: isIdle => keyed.idle(isIdle),
    })
    this.inputs = [
      { push: keyed.push, pushKeyed: keyed.pushKeyed, ...merge.input(0) },
      { push: privateCopy(processLink)(node.onBroadcast, ctx, fail, promise, input), ...merge.input(1) },
    ]
  }

  /** Entries by state name. */
  snapshot(): BroadcastEntries {
    return Object.fromEntries([...this.maps].map(([name, map]) => [name, map.snapshot()]))
  }

  restore(states: BroadcastEntries, adapterOf: AdapterOf = () => undefined): void {
    for (const [name, map] of this.maps) if (states[name] !== undefined) map.restore(states[name], adapterOf(name))
  }
}
