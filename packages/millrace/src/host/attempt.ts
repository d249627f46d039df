/**
 * One attempt of a job: its slots, restored from a snapshot (or fresh), the enumerator of their splits, and the coordinator of their
 * checkpoints.
 *
 *   preparing -> prepared (state is loaded) -> started (the run is durable; records flow) -> over (once, with a reason) -> closed
 *
 * What breaks it before it is started is thrown by `prepare` or `start`; what does later is told to `onFailure`, and `start`, if it is
 * still under way, resolves.
 */
import { MillraceError } from '../base/errors.ts'
import {
  CheckpointCoordinator,
  type CheckpointOutcome,
  type CheckpointRequest,
  type Completed,
  type CoordinatorOptions,
  type ManifestHead,
  type PendingCheckpoint,
  type SavepointOutcome,
} from '../checkpoint/coordinator.ts'
import type { FromSlot, SlotProgress, ToSlot } from '../checkpoint/mail.ts'
import type { RequestReason } from '../checkpoint/protocol.ts'
import type { SegmentNumbers } from '../checkpoint/segment-numbers.ts'
import {
  declarationOf,
  jobStates,
  namedInputs,
  planExecution,
  type ExecutionPlan,
  type JobGraph,
  type StateInfo,
  type StreamNode,
} from '../graph/index.ts'
import { carry, uncarry } from '../runtime/carried-error.ts'
import { allocateExchangeMemory } from '../runtime/exchange/index.ts'
import { keyCodeOf } from '../runtime/key-guard.ts'
import type { SlotPlan, WorkingState } from '../runtime/slot-plan.ts'
import { ancestry } from '../snapshot/lineage.ts'
import { needsFullBase } from '../snapshot/manifest.ts'
import type { KeyedStateInfo, Manifest, OperatorSnapshot } from '../snapshot/manifest-types.ts'
import { assertPlan, planRestore, type RestorePlan } from '../snapshot/restore-plan.ts'
import type { RunFacts } from '../snapshot/run-record.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import { enforcedSchema } from '../state/index.ts'
import type { SnapshotStore } from '../store/contract.ts'
import type { ResolvedOptions } from './options.ts'
import { plannedJob } from './planned-job.ts'
import type { Failure } from './restart-strategy.ts'
import { RestoreTally, type RestoreProgress, type RestoreReading } from './restore-progress.ts'
import type { SlotFactory, SlotPort } from './slot-port.ts'
import { sumProgress } from './slot-progress.ts'
import { SplitEnumerator } from './split-enumerator.ts'
import { storedTtlOf } from './stored-ttl.ts'
import type { HostWorld } from './world.ts'

export interface AttemptOptions {
  readonly job: string
  readonly graph: JobGraph
  readonly options: ResolvedOptions
  readonly allowDroppedState: boolean
  readonly store: SnapshotStore
  readonly slots: SlotFactory
  readonly world: HostWorld
  readonly segments: SegmentNumbers
  confirm(): Promise<void>
  collectGarbage(current: Manifest): Promise<void>
  /** Every source has ended, in every slot. */
  onFinished(): void
  onProgress(progress: SlotProgress): void
  /** Of a restore that takes long: now and then. */
  onRestoring(progress: RestoreProgress): void
  onRows(mail: Extract<FromSlot, { type: 'rows' }>): void
  onLog(level: 'info' | 'warn', message: string): void
  onCheckpoint(outcome: CheckpointOutcome): void
  onSavepoint(outcome: SavepointOutcome): void
  onFailure(failure: Failure): void
}

export class Attempt {
  readonly plan: RestorePlan
  readonly manifest: Manifest | undefined
  private readonly options: AttemptOptions
  private readonly execution: ExecutionPlan
  private readonly operators: ManifestHead['operators']
  private readonly slots: readonly SlotPort[]
  private readonly enumerator: SplitEnumerator
  private coordinator: CheckpointCoordinator | undefined
  /** By slot, as far as they have reported. */
  private readonly progress: (SlotProgress | undefined)[]
  private readonly endedSubtasks = new Map<string, number>()
  private readonly restoring: RestoreTally | undefined
  private finishedSlots = 0
  private completedId: number
  private isStarted = false
  private over = false
  /** Rejects when it breaks before it is started, resolves when it is over: a slot that died may never answer. */
  private readonly ended = Promise.withResolvers<void>()

  private constructor(options: AttemptOptions, manifest: Manifest | undefined, plan: RestorePlan) {
    const { parallelism, maxParallelism } = options.options
    this.ended.promise.catch(() => undefined)
    this.options = options
    this.manifest = manifest
    this.plan = plan
    this.completedId = manifest?.id ?? 0
    this.execution = planExecution(options.graph, parallelism, maxParallelism)
    this.operators = headOperators(this.execution, plan)
    this.slots = options.slots(parallelism, (slot, mail) => this.receive(slot, mail))
    this.progress = this.slots.map(() => undefined)
    this.restoring =
      manifest && new RestoreTally(formatSnapshotId(manifest.kind, manifest.id), parallelism, options.world.now())
    this.enumerator = new SplitEnumerator({
      plan: this.execution,
      restored: source => this.restoredSource(source),
      world: options.world,
      log: { info: message => options.onLog('info', message), warn: message => options.onLog('warn', message) },
      onSplits: (slot, source, splits) => this.slots[slot].send({ type: 'splits', source, splits }),
      onError: error => this.fail({ error: carry(error), records: -1 }),
    })
  }

  /** Builds the slots and loads the snapshot. Rejects with what is wrong with the snapshot, or with the job as its successor. */
  static async prepare(
    options: AttemptOptions,
    runId: string,
    manifest: Manifest | undefined,
    runs: readonly RunFacts[],
  ): Promise<Attempt> {
    const plan = planOf(options, manifest)
    const attempt = new Attempt(options, manifest, plan)
    try {
      const { execution, operators } = attempt
      const slotPlan = slotPlans(options, execution, operators, runId, manifest, plan, runs)
      await attempt.unlessOver(Promise.all(attempt.slots.map((slot, index) => slot.restore(slotPlan(index)))))
    } catch (error) {
      await attempt.close()
      throw error
    }
    return attempt
  }

  /** The run is durable: opens sinks and sources, and lets records flow. */
  async start(
    head: Omit<ManifestHead, 'operators' | 'nextStateId'>,
    { firstCheckpointId, savepointDueMs }: Pick<CoordinatorOptions, 'firstCheckpointId' | 'savepointDueMs'>,
  ): Promise<void> {
    const { options, manifest, plan, operators } = this
    const { checkpointing, maxParallelism } = options.options
    const coordinator: CoordinatorOptions = {
      protocol: checkpointing,
      compression: checkpointing.compression,
      head: { ...head, operators, nextStateId: plan.nextStateId },
      slots: this.slots.length,
      restored: manifest,
      fullFirst:
        needsFullBase(manifest, { maxParallelism, operators }) ||
        plan.entries.some(({ verdict, converts }) => verdict === 'dropped' || converts),
      firstCheckpointId,
      savepointDueMs,
    }
    this.coordinator = new CheckpointCoordinator(coordinator, {
      store: options.store,
      segments: options.segments,
      now: () => options.world.now(),
      schedule: (delayMs, callback) => options.world.schedule(delayMs, callback),
      confirm: () => options.confirm(),
      send: (slot, mail) => this.slots[slot].send(mail),
      fail: error => this.fail({ error: carry(error), records: -1 }),
      report: outcome => this.report(outcome),
      reportSavepoint: outcome => options.onSavepoint(outcome),
      collectGarbage: current => options.collectGarbage(current),
      yield: () => options.world.yield(),
    })
    const shares = await this.unlessOver(this.enumerator.shares())
    if (shares === undefined || this.over) return this.ended.promise
    this.isStarted = true
    try {
      await this.unlessOver(Promise.all(this.slots.map((slot, index) => slot.start(shares[index]))))
    } catch (error) {
      if (!this.over) throw error
    }
    if (this.over) return
    this.enumerator.start()
    this.coordinator.start()
  }

  /** Undefined: it is over, and what was to come may never. */
  private unlessOver<T>(promise: Promise<T>): Promise<T | undefined> {
    return Promise.race([this.ended.promise.then(() => undefined), promise])
  }

  /** The newest snapshot there is of this run's past; 0: none. A published one may be newer than the last complete one. */
  get publishedId(): number {
    return this.coordinator?.publishedId ?? this.manifest?.id ?? 0
  }

  get pendingCheckpoint(): PendingCheckpoint | undefined {
    return this.coordinator?.pending
  }

  /** By slot, of those that have reported. */
  get slotProgress(): readonly SlotProgress[] {
    return this.progress.filter(known => known !== undefined)
  }

  async request(reason: RequestReason, request?: CheckpointRequest): Promise<Completed> {
    if (this.coordinator === undefined) throw new MillraceError('JOB_NOT_RUNNING', 'the job has not started yet')
    return this.coordinator.request(reason, request)
  }

  async close(why?: MillraceError): Promise<void> {
    this.over = true
    this.ended.resolve()
    this.enumerator.close()
    await this.coordinator?.close(why)
    await Promise.all(this.slots.map(slot => slot.close()))
  }

  private restoredSource(source: string): OperatorSnapshot | undefined {
    return this.plan.origins.get(source)
  }

  private report(outcome: CheckpointOutcome): void {
    if (outcome.outcome === 'complete') this.completedId = outcome.id
    this.options.onCheckpoint(outcome)
  }

  private receive(slot: number, mail: FromSlot): void {
    if (this.over) return
    switch (mail.type) {
      case 'failed':
        return this.fail({ error: mail.error, records: this.progressAt(mail.records) })
      case 'progress':
        this.progress[slot] = mail.progress
        return this.options.onProgress(sumProgress(this.slotProgress))
      case 'restoring':
        return this.restored(slot, mail)
      case 'source-ended':
        return this.sourceEnded(mail.source)
      case 'finished':
        if (++this.finishedSlots === this.slots.length) this.options.onFinished()
        return
      case 'rows':
        return this.options.onRows(mail)
      case 'log':
        return this.options.onLog(mail.level, mail.message)
      default:
        this.coordinator?.receive(slot, mail)
    }
  }

  private restored(slot: number, reading: RestoreReading): void {
    this.restoring!.report(slot, reading)
    const progress = this.restoring!.progress(this.options.world.now())
    if (progress !== undefined) this.options.onRestoring(progress)
  }

  private sourceEnded(source: string): void {
    const ended = (this.endedSubtasks.get(source) ?? 0) + 1
    this.endedSubtasks.set(source, ended)
    const { id } = this.execution.job.graph.nodes.find(({ name }) => name === source)!
    if (ended === this.execution.subtasks[id]) this.sendAll({ type: 'end-source', source })
  }

  /** To all before anything else is sent to one, so that a barrier has it before it everywhere or nowhere. */
  private sendAll(mail: ToSlot): void {
    for (const slot of this.slots) slot.send(mail)
  }

  /**
   * How far the job had come, for telling an error that comes again from one that lies further on: records of the sources with one
   * slot; with more, whose number at a failure depends on their timing, the last complete checkpoint.
   */
  private progressAt(records: number): number {
    return this.slots.length === 1 ? records : this.completedId
  }

  private fail(failure: Failure): void {
    if (this.over) return
    this.over = true
    if (!this.isStarted) return this.ended.reject(uncarry(failure.error))
    this.ended.resolve()
    this.options.onFailure(failure)
  }
}

/** @throws STATE_INCOMPATIBLE, STATE_DROPPED */
export function planOf(
  { graph, allowDroppedState }: Pick<AttemptOptions, 'graph' | 'allowDroppedState'>,
  manifest: Manifest | undefined,
): RestorePlan {
  const plan = planRestore(manifest, plannedJob(graph), { allowDroppedState })
  assertPlan(plan)
  return plan
}

function stateIds(plan: RestorePlan): { [operator: string]: { [state: string]: number } } {
  const ids: { [operator: string]: { [state: string]: number } } = {}
  for (const { operator, state, id, verdict } of plan.entries) {
    if (state !== undefined && id !== undefined && verdict !== 'dropped') (ids[operator] ??= {})[state] = id
  }
  return ids
}

function codeOf(node: StreamNode): { keyCode?: string } {
  const keyCode = keyCodeOf(node)
  return keyCode === undefined ? {} : { keyCode }
}

function headOperators({ job: graph, subtasks }: ExecutionPlan, plan: RestorePlan): ManifestHead['operators'] {
  const ids = stateIds(plan)
  const nodes = new Map(graph.graph.nodes.map(node => [node.name, node]))
  return jobStates(graph.graph).operators.map(({ name, kind, states, keySchema }) => ({
    name,
    kind,
    inputs: namedInputs(graph.graph, nodes.get(name)!),
    parallelism: subtasks[nodes.get(name)!.id],
    ...(keySchema !== undefined && { keySchema }),
    ...codeOf(nodes.get(name)!),
    ...formsOf(states.filter(state => ids[name]?.[state.name] === undefined)),
    states: states.flatMap(({ name: state, kind: stateKind, values }): KeyedStateInfo[] => {
      const id = ids[name]?.[state]
      if (id === undefined) return []
      const declaration = declarationOf(nodes.get(name)!, state)
      const schema = (declaration && enforcedSchema(declaration))?.json ?? values?.schema ?? null
      const form = { schema, ...versionOf(values) }
      return [{ id, name: state, kind: stateKind, ...form, ...storedTtlOf(declaration) }]
    }),
  }))
}

/** Of state without keys, of which something is to be said. */
function formsOf(states: readonly StateInfo[]): Pick<OperatorSnapshot, 'forms'> {
  const said = states.flatMap(({ name, values }) =>
    values === undefined || (values.schema === null && values.version === 1)
      ? []
      : [[name, { schema: values.schema, ...versionOf(values) }] as const],
  )
  return said.length === 0 ? {} : { forms: Object.fromEntries(said) }
}

function versionOf(values: StateInfo['values']): { readonly version?: number } {
  return values === undefined || values.version === 1 ? {} : { version: values.version }
}

/** What each slot is made from. */
function slotPlans(
  { job, options }: AttemptOptions,
  execution: ExecutionPlan,
  operators: ManifestHead['operators'],
  runId: string,
  manifest: Manifest | undefined,
  plan: RestorePlan,
  runs: readonly RunFacts[],
): (slot: number) => SlotPlan {
  const { parallelism, maxParallelism } = execution
  const states = operators.flatMap(({ name: operator, states }) =>
    states.map(({ id, name: state, kind, schema, version }) => {
      const described = { operator, state, kind, schema, ...(version !== undefined && { version }) }
      return [String(id), described] as const
    }),
  )
  const common = {
    job,
    runId,
    parallelism,
    maxParallelism,
    exchange: parallelism === 1 ? undefined : allocateExchangeMemory(execution),
    workingState: workingStateOf(options, parallelism),
    compression: options.checkpointing.compression,
    stateIds: stateIds(plan),
    dictionary: { maxParallelism, hashVersion: 1, states: Object.fromEntries(states) },
    restore:
      manifest === undefined
        ? undefined
        : {
            manifest,
            renamed: Object.fromEntries([...plan.origins].map(([operator, origin]) => [origin.name, operator])),
            past: ancestry(runs, manifest.run, manifest.id, manifest.runId).output,
          },
  } as const
  return slot => ({ ...common, slot })
}

/** The slots of a process share what memory it may use. */
function workingStateOf({ stateBackend, state }: ResolvedOptions, parallelism: number): WorkingState {
  if (stateBackend === 'heap') return { backend: 'heap' }
  const { cacheBytes, memoryBytes, directory } = state.rocksdb
  return { backend: 'rocksdb', cacheBytes: Math.ceil(cacheBytes / parallelism), memoryBytes, directory }
}
