/**
 * One attempt of a job: a slot restored from a snapshot (or fresh), and the coordinator of its checkpoints.
 *
 *   prepared (state is loaded) -> started (the run is durable; records flow) -> over (once, with a reason) -> closed
 */
import { setImmediate as immediate } from 'node:timers/promises'
import { MillraceError } from '../base/errors.ts'
import {
  CheckpointCoordinator,
  type CheckpointOutcome,
  type CoordinatorOptions,
  type ManifestHead,
} from '../checkpoint/coordinator.ts'
import type { FromSlot } from '../checkpoint/mail.ts'
import type { SegmentNumbers } from '../checkpoint/segment-numbers.ts'
import { jobStates, type JobGraph } from '../graph/index.ts'
import { carry } from '../runtime/carried-error.ts'
import type { SlotPlan } from '../runtime/slot.ts'
import { ancestry } from '../snapshot/lineage.ts'
import { needsFullBase } from '../snapshot/manifest.ts'
import type { KeyedStateInfo, Manifest } from '../snapshot/manifest-types.ts'
import { assertPlan, planRestore, type PlannedJob, type RestorePlan } from '../snapshot/restore-plan.ts'
import type { RunFacts } from '../snapshot/run-record.ts'
import { resolveTtl } from '../state/index.ts'
import type { SnapshotStore } from '../store/contract.ts'
import type { ResolvedOptions } from './options.ts'
import type { Failure } from './restart-strategy.ts'
import type { SlotFactory, SlotPort } from './slot-port.ts'

export interface AttemptOptions {
  readonly job: string
  readonly graph: JobGraph
  readonly options: ResolvedOptions
  readonly allowDroppedState: boolean
  readonly store: SnapshotStore
  readonly slots: SlotFactory
  readonly segments: SegmentNumbers
  confirm(): Promise<void>
  collectGarbage(current: Manifest): Promise<void>
  onMail(mail: FromSlot): void
  onCheckpoint(outcome: CheckpointOutcome): void
  onFailure(failure: Failure): void
}

export class Attempt {
  readonly plan: RestorePlan
  readonly manifest: Manifest | undefined
  private readonly options: AttemptOptions
  private readonly slot: SlotPort
  private coordinator: CheckpointCoordinator | undefined
  private over = false

  private constructor(options: AttemptOptions, manifest: Manifest | undefined, plan: RestorePlan) {
    this.options = options
    this.manifest = manifest
    this.plan = plan
    this.slot = options.slots(mail => this.receive(mail))
  }

  /** Builds a slot and loads the snapshot. Rejects with what is wrong with the snapshot, or with the job as its successor. */
  static async prepare(
    options: AttemptOptions,
    runId: string,
    manifest: Manifest | undefined,
    runs: readonly RunFacts[],
  ): Promise<Attempt> {
    const plan = planRestore(manifest, plannedJob(options.graph), { allowDroppedState: options.allowDroppedState })
    assertPlan(plan)
    const attempt = new Attempt(options, manifest, plan)
    try {
      await attempt.slot.restore(slotPlan(options, runId, manifest, plan, runs))
    } catch (error) {
      await attempt.close()
      throw error
    }
    return attempt
  }

  /** The run is durable: opens sinks and sources, and lets records flow. */
  async start(head: Omit<ManifestHead, 'operators' | 'nextStateId'>, firstCheckpointId: number): Promise<void> {
    const { options, manifest, plan } = this
    const { checkpointing, maxParallelism } = options.options
    const coordinator: CoordinatorOptions = {
      protocol: checkpointing,
      compression: checkpointing.compression,
      head: { ...head, operators: headOperators(options.graph, plan), nextStateId: plan.nextStateId },
      restored: manifest,
      fullFirst: needsFullBase(manifest, maxParallelism) || plan.entries.some(entry => entry.verdict === 'dropped'),
      firstCheckpointId,
    }
    this.coordinator = new CheckpointCoordinator(coordinator, {
      store: options.store,
      segments: options.segments,
      now: () => Date.now(),
      schedule: (delayMs, callback) => {
        const timer = setTimeout(callback, Math.min(delayMs, LONGEST_TIMER_MS))
        return () => clearTimeout(timer)
      },
      confirm: () => options.confirm(),
      send: mail => this.slot.send(mail),
      fail: error => this.fail({ error: carry(error), records: -1 }),
      report: outcome => options.onCheckpoint(outcome),
      collectGarbage: current => options.collectGarbage(current),
      yield: async () => await immediate(),
    })
    await this.slot.start()
    this.coordinator.start()
  }

  request(reason: 'user' | 'stop' | 'finish'): Promise<number> {
    if (this.coordinator === undefined) throw new MillraceError('JOB_NOT_RUNNING', 'the job has not started yet')
    return this.coordinator.request(reason)
  }

  async close(why?: MillraceError): Promise<void> {
    this.over = true
    await this.coordinator?.close(why)
    await this.slot.close()
  }

  private receive(mail: FromSlot): void {
    if (this.over) return
    if (mail.type === 'failed') this.fail({ error: mail.error, records: mail.records })
    else {
      this.coordinator?.receive(mail)
      this.options.onMail(mail)
    }
  }

  private fail(failure: Failure): void {
    if (this.over) return
    this.over = true
    this.options.onFailure(failure)
  }
}

const LONGEST_TIMER_MS = 2 ** 31 - 1

function plannedJob(graph: JobGraph): PlannedJob {
  const sinks = new Map(graph.graph.nodes.map(node => [node.name, node.kind === 'sink' ? node.sink.type : undefined]))
  return {
    operators: jobStates(graph.graph).operators.map(operator => {
      const sinkType = operator.kind === 'sink' ? sinks.get(operator.name) : undefined
      return { ...operator, ...(sinkType !== undefined && { sinkType }) }
    }),
  }
}

function stateIds(plan: RestorePlan): { [operator: string]: { [state: string]: number } } {
  const ids: { [operator: string]: { [state: string]: number } } = {}
  for (const { operator, state, id, verdict } of plan.entries) {
    if (state !== undefined && id !== undefined && verdict !== 'dropped') (ids[operator] ??= {})[state] = id
  }
  return ids
}

function headOperators(graph: JobGraph, plan: RestorePlan): ManifestHead['operators'] {
  const ids = stateIds(plan)
  return jobStates(graph.graph).operators.map(({ name, kind, states }) => ({
    name,
    kind,
    parallelism: 1,
    states: states.flatMap(({ name: state, kind: stateKind }): KeyedStateInfo[] => {
      const id = ids[name]?.[state]
      const ttlMs = ttlOf(graph, name, state)
      return id === undefined
        ? []
        : [{ id, name: state, kind: stateKind, schema: null, ...(ttlMs !== undefined && { ttlMs }) }]
    }),
  }))
}

function ttlOf({ graph }: JobGraph, operator: string, state: string): number | undefined {
  const node = graph.nodes.find(({ name }) => name === operator)
  const options = node?.kind === 'keyedProcess' ? node.state[state]?.options : undefined
  return options === undefined ? undefined : resolveTtl(options)?.ttlMs
}

function slotPlan(
  { job, graph, options }: AttemptOptions,
  runId: string,
  manifest: Manifest | undefined,
  plan: RestorePlan,
  runs: readonly RunFacts[],
): SlotPlan {
  const states = headOperators(graph, plan).flatMap(({ name: operator, states }) =>
    states.map(({ id, name: state, kind, schema }) => [String(id), { operator, state, kind, schema }] as const),
  )
  return {
    job,
    runId,
    slot: 0,
    parallelism: 1,
    maxParallelism: options.maxParallelism,
    keyGroups: [0, options.maxParallelism],
    compression: options.checkpointing.compression,
    stateIds: stateIds(plan),
    dictionary: { maxParallelism: options.maxParallelism, hashVersion: 1, states: Object.fromEntries(states) },
    restore:
      manifest === undefined
        ? undefined
        : {
            manifest,
            renamed: Object.fromEntries([...plan.origins].map(([operator, origin]) => [origin.name, operator])),
            past: ancestry(runs, manifest.run, manifest.id, manifest.runId).links,
          },
  }
}
