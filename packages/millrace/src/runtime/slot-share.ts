/** What of the snapshot being restored is one slot's. */
import { MillraceError } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import { describeKey, keyGroupRange, schemaMisfit, type Key, type KeyGroupRange } from '../codec/index.ts'
import type { RestoredSink } from '../connectors/contract.ts'
import {
  declarationOf,
  isKeyed,
  keySchemaOf,
  valueFormOf,
  type ExecutionPlan,
  type NodeId,
  type SinkNode,
  type StreamNode,
} from '../graph/index.ts'
import { mayBeOtherKeys } from '../snapshot/form-change.ts'
import type { BroadcastEntries, CarriedCommittable, OperatorSnapshot, StoredForm } from '../snapshot/manifest-types.ts'
import { shareOfLists, shareOfSink, type Subtask } from '../snapshot/redistribute.ts'
import { resolveTtl, valueAdapter, type Adapt, type StateId } from '../state/index.ts'
import { KeyGuard, keyCodeOf } from './key-guard.ts'
import type { KeyedBroadcastProcessOperator } from './operators/keyed-broadcast-process.ts'
import type { ProcessOperator } from './operators/process.ts'
import type { KeyCheck, StateShare } from './restore.ts'
import type { SlotPlan } from './slot-plan.ts'

export class SlotShare {
  private readonly plan: SlotPlan
  private readonly execution: ExecutionPlan
  private readonly guards = new Map<string, KeyGuard>()

  constructor(plan: SlotPlan, execution: ExecutionPlan) {
    this.plan = plan
    this.execution = execution
  }

  subtaskOf(node: NodeId): Subtask {
    return { subtask: this.plan.slot, parallelism: this.execution.subtasks[node] }
  }

  /** All its keyed state lies in these key groups: from the first of any operator in the slot to the last. */
  get keyGroups(): KeyGroupRange {
    const { job, subtasks, maxParallelism } = this.execution
    const { slot } = this.plan
    const ranges = job.graph.nodes
      .filter(node => isKeyed(node) && slot < subtasks[node.id])
      .map(({ id }) => keyGroupRange(slot, subtasks[id], maxParallelism))
    if (ranges.length === 0) return [0, 0]
    return [Math.min(...ranges.map(([start]) => start)), Math.max(...ranges.map(([, end]) => end))]
  }

  /** Which keyed states are loaded, and what of them. */
  keyedState(): [wanted: ReadonlySet<StateId>, share: StateShare] {
    const { slot, stateIds, maxParallelism } = this.plan
    const { job, subtasks } = this.execution
    const { keyGroups } = this
    const ranges = new Map<StateId, KeyGroupRange>()
    for (const { id, name } of job.graph.nodes) {
      if (slot >= subtasks[id]) continue
      const range = keyGroupRange(slot, subtasks[id], maxParallelism)
      for (const state of Object.values(stateIds[name] ?? {})) ranges.set(state, range)
    }
    const owns = (id: StateId, keyGroup: number) => keyGroup >= ranges.get(id)![0] && keyGroup < ranges.get(id)![1]
    const same = [...ranges.values()].every(([start, end]) => start === keyGroups[0] && end === keyGroups[1])
    const keyChecks = this.keyChecks()
    const described = {
      adapters: this.keyedAdapters(),
      untouched: this.untouched(),
      ...(keyChecks !== undefined && { keyChecks }),
    }
    return [new Set(ranges.keys()), { maxParallelism, keyGroups, ...(!same && { owns }), ...described }]
  }

  private keyedAdapters(): ReadonlyMap<StateId, Adapt> {
    const adapters = new Map<StateId, Adapt>()
    for (const node of this.execution.job.graph.nodes) {
      for (const { id, name, ...stored } of this.operator(node.name)?.states ?? []) {
        const adapt = adapterOf(node, name, stored)
        if (adapt !== undefined) adapters.set(id, adapt)
      }
    }
    return adapters
  }

  /** States whose entries say nothing of the time by which they expire now: they had no time to live, or one in the other time. */
  private untouched(): ReadonlySet<StateId> {
    const states = new Set<StateId>()
    for (const node of this.execution.job.graph.nodes) {
      for (const { id, name, ttlMs, ttlTime = 'processing' } of this.operator(node.name)?.states ?? []) {
        const declaration = declarationOf(node, name)
        const wanted = declaration && resolveTtl(declaration.options)
        if (wanted !== undefined && (ttlMs === undefined || ttlTime !== wanted.time)) states.add(id)
      }
    }
    return states
  }

  /** Undefined: none is to be checked. Keys that had no schema are looked at one by one; two schemas were compared when the restore was planned. */
  private keyChecks(): ReadonlyMap<StateId, KeyCheck> | undefined {
    const checks = new Map<StateId, KeyCheck>()
    for (const node of this.execution.job.graph.nodes) {
      const restored = this.operator(node.name)
      const guard = this.keyGuard(node)
      if (guard !== undefined) for (const { id } of restored!.states) checks.set(id, key => guard.admit(key))
      const schema = keySchemaOf(node)
      if (restored === undefined || restored.keySchema !== undefined || schema === undefined) continue
      for (const { id } of restored.states) checks.set(id, key => assertKey(node.name, schema, key))
    }
    return checks.size === 0 ? undefined : checks
  }

  /** Where nothing says what keys are, and the function that makes them has changed. */
  keyGuard(node: StreamNode): KeyGuard | undefined {
    const restored = this.operator(node.name)
    const wanted = { keySchema: keySchemaOf(node), keyCode: keyCodeOf(node) }
    if (restored === undefined || !mayBeOtherKeys(restored, wanted)) return undefined
    const guard = this.guards.get(node.name) ?? new KeyGuard(node.name)
    this.guards.set(node.name, guard)
    return guard
  }

  /** How the values of an operator's state without keys are read; undefined: as they are. */
  adapterOf(node: StreamNode): (state: string) => Adapt | undefined {
    const forms = this.operator(node.name)?.forms ?? {}
    return state => adapterOf(node, state, Object.hasOwn(forms, state) ? forms[state] : { schema: null })
  }

  /** -Infinity when the snapshot does not say it. */
  watermarkOf({ name }: StreamNode): number {
    return this.operator(name)?.watermark ?? -Infinity
  }

  /** Undefined when the snapshot does not know the operator. */
  listsOf(operator: ProcessOperator): ReturnType<typeof shareOfLists> | undefined {
    const restored = this.operator(operator.name)
    if (restored === undefined) return undefined
    return shareOfLists(restored, this.subtaskOf(operator.node.id), state => operator.isUnion(state))
  }

  /** All of it, in every slot. */
  broadcastOf({ node }: KeyedBroadcastProcessOperator): BroadcastEntries {
    return this.operator(node.name)?.broadcastState ?? {}
  }

  /** What a sink is opened with, and what it carries until it is committed. */
  ofSink({ id, name }: SinkNode): [restored: RestoredSink, carried: readonly CarriedCommittable[]] {
    const restored = this.operator(name)
    const share = restored === undefined ? undefined : shareOfSink(restored, this.subtaskOf(id))
    const past = this.plan.restore?.past ?? []
    const all = {
      states: restored?.sink?.states.filter(state => state !== null) ?? [],
      committables: valuesOf(restored?.sink?.committables),
    }
    const own = {
      checkpointId: this.plan.restore?.manifest.id,
      states: share?.states ?? [],
      committables: valuesOf(share?.committables),
      all,
      isAncestor: (runId: string, checkpoint: number) =>
        past.some(span => span.runId === runId && checkpoint >= span.from && checkpoint <= span.through),
    }
    return [own, share?.committables ?? []]
  }

  /** Highest timestamp of a split, by the id of the event-time transformation. */
  highest(eventTime: string, split: string): number | undefined {
    return this.plan.restore?.manifest.watermarks[eventTime]?.[split] ?? undefined
  }

  private operator(name: string): OperatorSnapshot | undefined {
    const from = this.plan.restore
    return from?.manifest.operators.find(operator => (from.renamed[operator.name] ?? operator.name) === name)
  }
}

function adapterOf(node: StreamNode, state: string, { schema, version = 1 }: StoredForm): Adapt | undefined {
  const declaration = declarationOf(node, state)
  if (declaration === undefined) return undefined
  return valueAdapter({ operator: node.name, state }, { schema, version }, declaration, valueFormOf(declaration))
}

function assertKey(operator: string, schema: Json, key: Key): void {
  const misfit = schemaMisfit(schema, key)
  if (misfit === undefined) return
  throw new MillraceError(
    'STATE_INCOMPATIBLE',
    `the snapshot's key ${describeKey(key)} of '${operator}' does not fit the schema of its keyBy: ${misfit.reason}`,
    { context: { operator, key: describeKey(key) } },
  )
}

function valuesOf(committables: readonly CarriedCommittable[] = []): Json[] {
  return committables.map(({ value }) => value)
}
