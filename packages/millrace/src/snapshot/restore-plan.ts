/**
 * What becomes of every state of a snapshot in a changed job, and why. Pure: manifest + states of the job -> plan.
 *
 * States are matched by (operator name, state name); an operator is found under its name, else under `renamedFrom`. The verdicts:
 *
 *     kept      same operator, state and kind                       renamed   the same under the operator's old name
 *     new       in the job only                                     dropped   in the snapshot only: needs --allow-dropped-state
 *     migrated  as kept or renamed, but the job says something else of its values or keys (codec/value-reading.ts), or how long they live
 *     refused   in both, but the one cannot be read as the other, or output that waits for its commit would be lost
 *
 * A state keeps its id for ever; a new state takes the next one that no state of the job ever had (invariant 4).
 */
import { assert } from '../base/assert.ts'
import { MillraceError } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import type { WantedForm } from '../codec/index.ts'
import { formChange, keyChange, mayBeOtherKeys, type Check } from './form-change.ts'
import type { Manifest, OperatorSnapshot, StoredForm, StoredTtl } from './manifest-types.ts'
import { ttlChange } from './ttl-change.ts'

/** States of a job as plain data; the graph describes itself so. */
export interface PlannedJob {
  readonly operators: readonly PlannedOperator[]
}

export interface PlannedOperator {
  readonly name: string
  readonly renamedFrom?: string
  /** `source`, `sink`, `process` (not keyed), or a kind of keyed operator. */
  readonly kind: string
  /** JSON Schema of its keys. */
  readonly keySchema?: Json
  /** Another one when the function that makes its keys is. */
  readonly keyCode?: string
  readonly states: readonly PlannedState[]
  /** Type of a sink: committables of one type mean nothing to another. */
  readonly sinkType?: string
}

export interface PlannedState extends StoredTtl {
  readonly name: string
  readonly kind: string
  /** What the job says of its values; nothing of the engine's own states. */
  readonly values?: WantedForm
}

export type Verdict = 'kept' | 'migrated' | 'renamed' | 'new' | 'dropped' | 'refused'

export interface PlanEntry {
  readonly verdict: Verdict
  /** In the job; of what is dropped: in the snapshot. */
  readonly operator: string
  readonly what: 'state' | 'source' | 'sink'
  /** Of a state. */
  readonly state: string | undefined
  /** Id of a keyed state, unless refused. */
  readonly id: number | undefined
  /** The operator of the snapshot that it comes from. */
  readonly from: string | undefined
  /** Of everything but `kept`; of what is migrated: how. Of what is checked as the job runs: why. */
  readonly reason: string | undefined
  /** Its values are others after the restore, so that the next checkpoint must hold all of them. */
  readonly converts?: true
  /** What only a run tells whether it can be taken over. */
  readonly checks?: readonly Check[]
}

export interface RestorePlan {
  readonly entries: readonly PlanEntry[]
  readonly nextStateId: number
  readonly allowDroppedState: boolean
  /** Per operator of the job the operator of the snapshot that it takes over. */
  readonly origins: ReadonlyMap<string, OperatorSnapshot>
  /** Whether a `run` may go on with it. */
  readonly accepted: boolean
}

/** Type of the sinks of a dry run, which take no state and make no output. */
export const DRY_RUN_SINK = 'dry-run'

/** Key groups and state ids are stored in 16 bits. */
const STATE_ID_LIMIT = 65_536

export interface PlanOptions {
  readonly allowDroppedState?: boolean
}

/** `manifest` undefined: a fresh start, where everything is new. */
export function planRestore(
  manifest: Pick<Manifest, 'operators' | 'nextStateId'> | undefined,
  job: PlannedJob,
  { allowDroppedState = false }: PlanOptions = {},
): RestorePlan {
  const old = new Map(manifest?.operators.map(operator => [operator.name, operator]))
  const { origins, doubts } = matchOperators(job, old)
  let nextStateId = manifest?.nextStateId ?? 1
  const takeId = (): number => {
    assert(nextStateId < STATE_ID_LIMIT, 'a job has at most 65,536 states in its life')
    return nextStateId++
  }
  const takenOver = new Set([...origins.values()].map(origin => origin.name))
  const entries = [
    ...doubts,
    ...job.operators.flatMap(operator => operatorEntries(operator, origins.get(operator.name), takeId)),
    ...[...old.values()].filter(({ name }) => !takenOver.has(name)).flatMap(removedEntries),
  ]
  const accepted = entries.every(({ verdict }) => verdict !== 'refused' && (verdict !== 'dropped' || allowDroppedState))
  return { entries, nextStateId, allowDroppedState, origins, accepted }
}

/** @throws STATE_INCOMPATIBLE for what is refused, STATE_DROPPED for what is dropped without leave; each lists all of it */
export function assertPlan(plan: RestorePlan): void {
  const refused = plan.entries.filter(({ verdict }) => verdict === 'refused')
  if (refused.length > 0) {
    throw new MillraceError('STATE_INCOMPATIBLE', `the changed job cannot take over: ${listed(refused)}`, {
      context: { refused },
    })
  }
  const dropped = plan.entries.filter(({ verdict }) => verdict === 'dropped')
  if (dropped.length > 0 && !plan.allowDroppedState) {
    throw new MillraceError('STATE_DROPPED', `the changed job has no place for: ${listed(dropped)}`, {
      context: { dropped },
    })
  }
}

interface Matched {
  readonly origins: Map<string, OperatorSnapshot>
  /** Operators that claim the same origin. */
  readonly doubts: readonly PlanEntry[]
}

/** Names go first: who has the name today is not deprived of its state by one who had it once. */
function matchOperators(job: PlannedJob, old: ReadonlyMap<string, OperatorSnapshot>): Matched {
  const origins = new Map<string, OperatorSnapshot>()
  const owners = new Map<string, string>()
  const doubts: PlanEntry[] = []
  for (const { name } of job.operators) {
    const origin = old.get(name)
    if (origin === undefined) continue
    origins.set(name, origin)
    owners.set(name, name)
  }
  for (const operator of job.operators) {
    const origin = operator.renamedFrom === undefined ? undefined : old.get(operator.renamedFrom)
    if (origin === undefined || origins.has(operator.name)) continue
    const owner = owners.get(origin.name)
    if (owner === undefined) {
      origins.set(operator.name, origin)
      owners.set(origin.name, operator.name)
    } else if (owner !== origin.name) {
      const reason = `'${owner}' also says { renamedFrom: '${origin.name}' }; only one can take over its state`
      doubts.push({ ...entryOf(operator, origin), verdict: 'refused', reason })
    }
  }
  return { origins, doubts }
}

function operatorEntries(
  operator: PlannedOperator,
  origin: OperatorSnapshot | undefined,
  takeId: () => number,
): PlanEntry[] {
  return [...connectorEntries(operator, origin), ...stateEntries(operator, origin, takeId)]
}

/** Sources and sinks: their positions and committables. */
function connectorEntries(operator: PlannedOperator, origin: OperatorSnapshot | undefined): PlanEntry[] {
  const entries: PlanEntry[] = []
  const isOldSource = origin?.source !== undefined
  const isOldSink = origin?.sink !== undefined
  if (operator.kind === 'source') entries.push(isOldSource ? taken(operator, origin) : added(operator))
  else if (isOldSource) entries.push(removedSource(origin))
  if (operator.kind === 'sink') entries.push(isOldSink ? takenSink(operator, origin) : added(operator))
  else if (isOldSink) entries.push(...removedSink(origin))
  return entries
}

function takenSink(operator: PlannedOperator, origin: OperatorSnapshot): PlanEntry {
  const { type, committables, states } = origin.sink!
  if (type === DRY_RUN_SINK && operator.sinkType !== DRY_RUN_SINK) {
    return {
      ...entryOf(operator, origin),
      verdict: 'refused',
      reason:
        'a dry run dropped its output up to here, so there would be a hole in it; start from a snapshot before the dry run',
    }
  }
  if (operator.sinkType === DRY_RUN_SINK && committables.length === 0) return taken(operator, origin)
  if (operator.sinkType === undefined || operator.sinkType === type) {
    const isRenamed = origin.name !== operator.name
    if (!isRenamed || committables.length === 0) return taken(operator, origin)
    return {
      ...entryOf(operator, origin),
      verdict: 'refused',
      reason: `${uncommitted(origin)} under its old name '${origin.name}'`,
    }
  }
  if (committables.length > 0) {
    return {
      ...entryOf(operator, origin),
      verdict: 'refused',
      reason: `${uncommitted(origin)}, and it was a ${type} sink`,
    }
  }
  if (states.length > 0)
    return { ...entryOf(operator, origin), verdict: 'refused', reason: `it was a ${type} sink and has its state` }
  return added(operator)
}

/** How a state is held: state of one way is never read as state of another. */
type Holding = 'keyed' | 'operator' | 'broadcast'

const HELD: { readonly [H in Holding]: string } = {
  keyed: 'keyed state',
  operator: 'a list without keys',
  broadcast: 'broadcast state',
}

function holdingOf({ kind }: PlannedOperator, state: { readonly kind: string }): Holding {
  if (state.kind === 'broadcast') return 'broadcast'
  return kind === 'process' ? 'operator' : 'keyed'
}

interface FoundState extends StoredForm, StoredTtl {
  readonly name: string
  readonly holding: Holding
  /** Of keyed state. A snapshot does not say whether a list is split or united on restore, and need not. */
  readonly kind: string | undefined
  readonly id: number | undefined
}

/** Those that users declared, and the engine's own that are keyed. Its marks, such as `~ended`, come and go with their operator. */
function statesIn({ states, operatorState = {}, broadcastState = {}, forms = {} }: OperatorSnapshot): FoundState[] {
  const unkeyed = (holding: Holding) => (name: string) => {
    const form = Object.hasOwn(forms, name) ? forms[name] : { schema: null }
    return { name, holding, kind: undefined, id: undefined, ...form }
  }
  return [
    ...states.map(state => ({ ...state, holding: 'keyed' as const })),
    ...Object.keys(operatorState)
      .filter(name => !name.startsWith('~'))
      .map(unkeyed('operator')),
    ...Object.keys(broadcastState).map(unkeyed('broadcast')),
  ]
}

function stateEntries(
  operator: PlannedOperator,
  origin: OperatorSnapshot | undefined,
  takeId: () => number,
): PlanEntry[] {
  const found = origin === undefined ? [] : statesIn(origin)
  const keys = keyChange(origin?.keySchema, operator.keySchema)
  const mayMissKeys = origin !== undefined && mayBeOtherKeys(origin, operator)
  const entries = operator.states.map((state): PlanEntry => {
    const holding = holdingOf(operator, state)
    const before = found.find(({ name }) => name === state.name)
    if (before === undefined) return { ...added(operator, state.name), id: holding === 'keyed' ? takeId() : undefined }
    const reason = refusal(before, holding, state.kind)
    if (reason !== undefined) return { ...entryOf(operator, origin, state.name), verdict: 'refused', reason }
    const form = formChange(before, state.values, holding === 'keyed' ? keys : undefined)
    const { refusals, converts, checks } = form
    if (refusals.length > 0)
      return { ...entryOf(operator, origin, state.name), verdict: 'refused', reason: refusals.join('; ') }
    const changes = [...form.changes, ...ttlChange(before, state)]
    const { reason: renamed, ...entry } = taken(operator, origin!, state.name)
    const isGuarded = mayMissKeys && holding === 'keyed'
    const reasons = [renamed, ...changes, isGuarded ? OTHER_KEYS : undefined].filter(each => each !== undefined)
    const allChecks = isGuarded ? [...checks, 'new-keys' as const] : checks
    return {
      ...entry,
      ...(changes.length > 0 && { verdict: 'migrated' }),
      id: before.id,
      reason: reasons.length === 0 ? undefined : reasons.join('; '),
      ...(converts && { converts }),
      ...(allChecks.length > 0 && { checks: allChecks }),
    }
  })
  const names = new Set(operator.states.map(({ name }) => name))
  const reason = `'${operator.name}' has no such state any more`
  const gone = found.filter(({ name }) => !names.has(name))
  return [...entries, ...gone.map(({ name, id }) => droppedState(origin!, name, id, reason))]
}

const OTHER_KEYS =
  'the function that makes its keys has changed; those of the first records must be of a type that keys of the snapshot have'

function refusal(before: FoundState, holding: Holding, kind: string): string | undefined {
  if (before.holding !== holding) return `it was ${HELD[before.holding]} and is ${HELD[holding]} now`
  if (before.kind === undefined || before.kind === kind) return undefined
  return `it was ${before.kind} and is ${kind} now`
}

/** An operator of the snapshot that nobody in the job takes over. */
function removedEntries(origin: OperatorSnapshot): PlanEntry[] {
  const reason = 'the job has no such operator any more'
  return [
    ...(origin.source === undefined ? [] : [removedSource(origin)]),
    ...(origin.sink === undefined ? [] : removedSink(origin)),
    ...statesIn(origin).map(({ name, id }) => droppedState(origin, name, id, reason)),
  ]
}

function removedSource(origin: OperatorSnapshot): PlanEntry {
  const count = origin.source!.splits.length
  const reason = `the job has no such source any more; ${count === 1 ? 'the position of its 1 split' : `the positions of its ${count} splits`} would be lost`
  return {
    verdict: 'dropped',
    what: 'source',
    operator: origin.name,
    state: undefined,
    id: undefined,
    from: origin.name,
    reason,
  }
}

/** A sink without state and without waiting output leaves nothing behind. */
function removedSink(origin: OperatorSnapshot): PlanEntry[] {
  const entry = { what: 'sink', operator: origin.name, state: undefined, id: undefined, from: origin.name } as const
  const { committables, states } = origin.sink!
  if (committables.length > 0)
    return [{ ...entry, verdict: 'refused', reason: `the job has no such sink any more, and ${uncommitted(origin)}` }]
  if (states.length > 0)
    return [{ ...entry, verdict: 'dropped', reason: 'the job has no such sink any more; its state would be lost' }]
  return []
}

function uncommitted(origin: OperatorSnapshot): string {
  const count = origin.sink!.committables.length
  return count === 1
    ? '1 piece of its output waits for its commit'
    : `${count} pieces of its output wait for their commit`
}

function droppedState(origin: OperatorSnapshot, state: string, id: number | undefined, reason: string): PlanEntry {
  return { verdict: 'dropped', what: 'state', operator: origin.name, state, id, from: origin.name, reason }
}

function taken(operator: PlannedOperator, origin: OperatorSnapshot, state?: string): PlanEntry {
  const isSame = origin.name === operator.name
  return {
    ...entryOf(operator, origin, state),
    verdict: isSame ? 'kept' : 'renamed',
    reason: isSame ? undefined : `renamed from '${origin.name}'`,
  }
}

function added(operator: PlannedOperator, state?: string): PlanEntry {
  return { ...entryOf(operator, undefined, state), verdict: 'new', reason: 'not in the snapshot' }
}

function entryOf(
  operator: PlannedOperator,
  origin: OperatorSnapshot | undefined,
  state?: string,
): Omit<PlanEntry, 'verdict' | 'reason'> {
  const what =
    state !== undefined ? 'state' : operator.kind === 'source' || operator.kind === 'sink' ? operator.kind : 'state'
  return { operator: operator.name, what, state, id: undefined, from: origin?.name }
}

function listed(entries: readonly PlanEntry[]): string {
  return entries
    .map(
      ({ what, operator, state, reason }) =>
        `${what} '${state === undefined ? operator : `${operator}.${state}`}' (${reason})`,
    )
    .join('; ')
}
