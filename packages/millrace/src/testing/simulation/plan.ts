/**
 * What a seed says of a simulation before it begins: the job, its input, its options, how fast everything is, and what goes wrong.
 *
 * Every simulation has only some of all that, and at rates of its own: with everything at once, at middling rates, most combinations
 * of a few extreme things would never come.
 */
import type { Chance } from './chance.ts'

export type StageKind = 'map' | 'count' | 'rebalance' | 'diamond' | 'broadcast' | 'batch' | 'timers' | 'window'

export interface StagePlan {
  readonly kind: StageKind
  /** Different keys there are, of stages with keys. */
  readonly keys: number
  /** Undefined: the job's. */
  readonly parallelism: number | undefined
  /** Of windows and timers; records of a batch. */
  readonly size: number
}

export interface SourcePlan {
  readonly name: string
  /** Records of each split. */
  readonly splits: readonly number[]
  readonly parallelism: number | undefined
  /** Most records that one call of `read` hands out. */
  readonly readMost: number
  /** How often `read` finds no more for now. */
  readonly blockedRate: number
  /** How soon more comes then. */
  readonly dataWeight: number
}

export type SinkKind = 'carrying' | 'transactional'

export interface SinkPlan {
  readonly name: string
  readonly kind: SinkKind
  readonly parallelism: number | undefined
}

export type Disturbance =
  | 'crash'
  | 'stop'
  | 'cancel'
  | 'rescale'
  | 'checkpoint'
  | 'savepoint'
  | 'slot death'
  | 'intruder'
  | 'pause'
  | 'disk failure'

export interface Plan {
  readonly sources: readonly SourcePlan[]
  /** The input is all there once so much of the disturbed phase has passed: before that, records come one by one. */
  readonly inputShare: number
  /** Splits of unbounded sources come one by one, and never end: the job is stopped in the end. */
  readonly isBounded: boolean
  readonly isTimed: boolean
  /** How far records of a split are out of order. */
  readonly outOfOrdernessMs: number
  /** Undefined: no split is ever idle, so no record can be late. */
  readonly idleAfterMs: number | undefined
  readonly stages: readonly StagePlan[]
  readonly sinks: readonly SinkPlan[]
  /** Records that are larger than a page of an exchange. */
  readonly bigRate: number

  readonly parallelisms: readonly number[]
  readonly maxParallelisms: readonly number[]
  readonly checkpointing: {
    readonly interval: number
    readonly timeout: number
    readonly minPause: number
    readonly tolerableFailures: number
    readonly retain: number
    readonly onFinish: 'retain' | 'delete'
    readonly onCancel: 'retain' | 'delete'
    readonly incremental: boolean
  }
  readonly restartDelayMs: number
  readonly stateBackend: 'heap' | 'rocksdb'
  /** Of the disk backend: from next to nothing to everything. */
  readonly cacheBytes: number

  /** Whether mails are copied on their way to a slot, as between threads. */
  readonly isThreaded: boolean
  /** Whether processes can tell of each other whether they live; else locks go by leases. */
  readonly sharesPids: boolean
  /** Clocks of other hosts differ by up to this much. */
  readonly clockSkewMs: number
  readonly weights: {
    readonly step: number
    readonly mail: number
    readonly disk: number
    readonly sink: number
    readonly yield: number
    readonly clock: number
  }
  readonly tickMs: number
  /** What a look at the clock costs: a slice of a snapshot ends after 1 ms. */
  readonly lookMs: number

  /** As many actions pass until nothing is disturbed any more. */
  readonly disturbedActions: number
  readonly disturbances: readonly Disturbance[]
  /** Of one of them, before an action. */
  readonly disturbanceRate: number
  readonly diskFailureRate: number
  readonly diskLostAnswerRate: number
  readonly sinkFailureRate: number
  readonly throwRate: number
  /** Of a start that is asked to begin from an older snapshot, or anew. */
  readonly fromRate: number
  readonly freshRate: number
}

export function drawPlan(chance: Chance): Plan {
  const isBounded = chance.odds(0.8)
  const isTimed = isBounded && chance.odds(0.5)
  const mayIdle = isTimed && chance.odds(0.2)
  const records = chance.countBetween(20, 1200)
  const sinks = drawSinks(chance)
  const maxParallelism = chance.pick([4, 5, 8, 16, 128])
  const retracts = sinks.every(({ kind }) => kind === 'transactional')
  const tickMs = chance.countBetween(2, 100)
  const disturbedActions = chance.countBetween(500, 10_000)
  return {
    sources: drawSources(chance, records),
    inputShare: chance.sizeBetween(0.2, 1.2),
    isBounded,
    isTimed,
    outOfOrdernessMs: chance.pick([0, 0, 5, 100]),
    idleAfterMs: mayIdle ? chance.countBetween(10, 1000) : undefined,
    stages: drawStages(chance, isBounded, isTimed),
    sinks,
    bigRate: chance.odds(0.15) ? 20 / records : 0,

    parallelisms: chance.odds(0.15) ? [1] : chance.pick([[1, 2], [2], [2, 3], [1, 2, 3, 4], [3, 4], [4]]),
    maxParallelisms: chance.odds(0.3) ? [maxParallelism, chance.pick([4, 7, 32])] : [maxParallelism],
    checkpointing: {
      interval: chance.countBetween(1, 50) * tickMs,
      timeout: chance.odds(0.2) ? chance.countBetween(50, 1000) : 600_000,
      minPause: chance.odds(0.2) ? chance.countBetween(1, 500) : 0,
      tolerableFailures: chance.pick([0, 2, 10, 1000]),
      retain: chance.pick([1, 1, 2, 3, 5]),
      onFinish: chance.pick(['retain', 'delete']),
      onCancel: chance.pick(['retain', 'delete']),
      incremental: chance.odds(0.9),
    },
    restartDelayMs: chance.pick([0, 1, 50, 1000]),
    stateBackend: chance.pick(['heap', 'rocksdb']),
    cacheBytes: chance.pick([1024, 16 * 1024, 1024 * 1024]),

    isThreaded: chance.odds(0.7),
    sharesPids: chance.odds(0.5),
    clockSkewMs: chance.pick([0, 0, 1000, 20_000]),
    weights: {
      step: chance.sizeBetween(0.3, 10),
      mail: chance.sizeBetween(0.1, 10),
      disk: chance.sizeBetween(0.1, 10),
      sink: chance.sizeBetween(0.1, 10),
      yield: chance.sizeBetween(0.1, 10),
      clock: chance.sizeBetween(0.05, 3),
    },
    tickMs,
    lookMs: chance.pick([0, 0.1, 0.4, 2]),

    disturbedActions,
    disturbances: drawDisturbances(chance),
    disturbanceRate: chance.sizeBetween(1, 40) / disturbedActions,
    diskFailureRate: chance.odds(0.3) ? chance.sizeBetween(0.001, 0.05) : 0,
    diskLostAnswerRate: chance.odds(0.3) ? chance.sizeBetween(0.001, 0.05) : 0,
    sinkFailureRate: chance.odds(0.2) ? chance.sizeBetween(0.001, 0.05) : 0,
    throwRate: chance.odds(0.2) ? chance.sizeBetween(0.0001, 0.003) : 0,
    // What a sink has committed after that snapshot, it must be able to take back.
    fromRate: retracts && chance.odds(0.3) ? 0.3 : 0,
    freshRate: chance.odds(0.1) ? 0.2 : 0,
  }
}

/** What makes the job begin again from a snapshot is there mostly. */
function drawDisturbances(chance: Chance): Disturbance[] {
  const restoring: readonly Disturbance[] = ['crash', 'slot death', 'rescale', 'stop']
  const others: readonly Disturbance[] = ['checkpoint', 'savepoint', 'cancel', 'intruder', 'pause', 'disk failure']
  return [...chance.some(restoring), ...chance.some(restoring), ...chance.some(others)]
}

function drawParallelism(chance: Chance): number | undefined {
  return chance.odds(0.25) ? chance.pick([1, 1, 2, 3]) : undefined
}

function drawSources(chance: Chance, records: number): SourcePlan[] {
  const count = chance.pick([1, 1, 2, 3])
  return Array.from({ length: count }, (_, index) => {
    const splits = chance.pick([1, 2, 3, 6])
    return {
      name: `source-${index}`,
      splits: Array.from({ length: splits }, () => Math.ceil((chance.next() * 2 * records) / (count * splits))),
      parallelism: drawParallelism(chance),
      readMost: chance.pick([1, 5, 50, 512]),
      blockedRate: chance.pick([0, 0.05, 0.5]),
      dataWeight: chance.sizeBetween(0.02, 1),
    }
  })
}

function drawStages(chance: Chance, isBounded: boolean, isTimed: boolean): StagePlan[] {
  const kinds: StageKind[] = ['map', 'count', 'count', 'rebalance', 'broadcast']
  if (isTimed) kinds.push('window', 'window', 'timers')
  else kinds.push('timers', ...(isBounded ? (['batch'] as const) : []))
  const stages = Array.from({ length: chance.between(1, 4) }, () => chance.pick(kinds))
  if (chance.odds(0.2)) stages.splice(chance.between(0, stages.length), 0, 'diamond')
  return stages.map(kind => ({
    kind,
    keys: chance.pick([1, 3, 20, 500]),
    parallelism: drawParallelism(chance),
    size: kind === 'batch' ? chance.between(2, 20) : chance.countBetween(5, 500),
  }))
}

function drawSinks(chance: Chance): SinkPlan[] {
  return Array.from({ length: chance.pick([1, 1, 1, 2]) }, (_, index) => ({
    name: `sink-${index}`,
    kind: chance.pick(['carrying', 'transactional'] as const),
    parallelism: drawParallelism(chance),
  }))
}
