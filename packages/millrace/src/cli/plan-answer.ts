/** What `millrace plan` has found, as data and as text. */
import type { ExecutionPlan } from '../graph/index.ts'
import type { Manifest, OperatorSnapshot } from '../snapshot/manifest-types.ts'
import type { StartDecision } from '../snapshot/recover.ts'
import type { PlanEntry, RestorePlan } from '../snapshot/restore-plan.ts'
import { estimateRestoreBytes } from '../snapshot/restore-size.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import type { Answer } from './answer.ts'
import { REFUSED } from './exit-codes.ts'
import { formatTable } from './table.ts'
import { formatBytes, formatNumberOf } from './units.ts'

export interface StartPlan {
  readonly job: string
  readonly storage: string
  readonly decision: StartDecision['kind']
  /** Undefined: nothing is restored. */
  readonly manifest: Manifest | undefined
  /** Why newer snapshots cannot be used. */
  readonly skipped: readonly string[]
  readonly restore: RestorePlan
  readonly execution: ExecutionPlan
}

interface Change {
  readonly before: number | null
  readonly after: number
}

export function describePlan(plan: StartPlan): Answer {
  const { job, storage, decision, manifest, skipped, restore, execution } = plan
  const isAccepted = decision === 'finished' || restore.accepted
  const snapshot = manifest === undefined ? null : `${manifest.job}/${formatSnapshotId(manifest.kind, manifest.id)}`
  const parallelism: Change = { before: manifest?.parallelism ?? null, after: execution.parallelism }
  const maxParallelism: Change = { before: manifest?.maxParallelism ?? null, after: execution.maxParallelism }
  const bytesToRead = manifest === undefined ? 0 : estimateRestoreBytes(manifest, execution)
  const entries = decision === 'finished' ? [] : restore.entries.map(entry => entryAsJson(entry, plan))
  const rows = entries.map(({ verdict, what, operator, state, detail }) => [
    verdict,
    what,
    state === null ? operator : `${operator}.${state}`,
    detail,
  ])
  const head =
    decision === 'finished'
      ? `${job} has finished: a run does nothing until --fresh\n`
      : snapshot === null
        ? `${job} would start fresh\n`
        : `${job} would start from ${snapshot}: ${changeText('parallelism', parallelism)}, ${changeText('max parallelism', maxParallelism)}, about ${formatBytes(bytesToRead)} to read\n`
  const verdict = decision === 'finished' ? '' : isAccepted ? `${acceptedText(restore)}\n` : `${refusalText(restore)}\n`
  return {
    json: {
      job,
      storage,
      decision,
      snapshot,
      accepted: isAccepted,
      parallelism,
      maxParallelism,
      bytesToRead,
      skipped,
      entries,
    },
    text: head + (rows.length === 0 ? '' : formatTable(COLUMNS, rows)) + verdict,
    notes: skipped.map(reason => `a newer snapshot cannot be used: ${reason}`),
    exitCode: isAccepted ? 0 : REFUSED,
  }
}

const COLUMNS = [{ title: 'VERDICT' }, { title: 'WHAT' }, { title: 'NAME' }, { title: 'DETAIL' }]

function changeText(what: string, { before, after }: Change): string {
  return before === after ? `${what} ${after}` : `${what} ${before} -> ${after}`
}

function acceptedText({ entries }: RestorePlan): string {
  const checks = new Set(entries.flatMap(entry => entry.checks ?? []))
  const loaded = (['keys', 'values'] as const).filter(each => checks.has(each))
  const conditions = [
    ...(loaded.length === 0
      ? []
      : [`if all ${loaded.join(' and ')} fit their new schema: run checks them one by one as it loads them`]),
    ...(checks.has('new-keys')
      ? ['if keys are still of the types that the snapshot has: run checks those of the first records']
      : []),
  ]
  return conditions.length === 0 ? 'accepted: run would go on with it' : `accepted, ${conditions.join('; and ')}`
}

function refusalText({ entries }: RestorePlan): string {
  return entries.some(({ verdict }) => verdict === 'refused')
    ? 'REFUSED: run would not start from it'
    : 'REFUSED: run would need --allow-dropped-state; what is dropped stays in the old snapshot'
}

function entryAsJson(entry: PlanEntry, { manifest, execution }: StartPlan) {
  const { verdict, operator, what, state, id, from, reason, checks } = entry
  const origin = manifest?.operators.find(({ name }) => name === from)
  const node = execution.job.graph.nodes.find(({ name }) => name === operator)
  const parallelism = {
    before: origin?.parallelism ?? null,
    after: node === undefined || verdict === 'dropped' ? null : execution.subtasks[node.id],
  }
  const position = what === 'state' || origin === undefined ? undefined : positionText(origin)
  const subtasks =
    state === undefined &&
    parallelism.before !== null &&
    parallelism.before !== (parallelism.after ?? parallelism.before)
      ? `parallelism ${parallelism.before} -> ${parallelism.after}`
      : undefined
  const detail = [reason, position, subtasks].filter(text => text !== undefined).join('; ')
  return {
    verdict,
    what,
    operator,
    state: state ?? null,
    id: id ?? null,
    from: from ?? null,
    reason: reason ?? null,
    checks: checks ?? [],
    parallelism,
    ...(what === 'source' && { splits: origin?.source?.splits ?? [] }),
    ...(what === 'sink' && { uncommitted: origin?.sink?.committables.length ?? 0 }),
    detail,
  }
}

/** How far a source had come, or what a sink still has to commit. */
function positionText({ source, sink }: OperatorSnapshot): string | undefined {
  if (source !== undefined) {
    const ended = source.splits.filter(split => split.ended).length
    return `${formatNumberOf(source.records, 'record')} read, ${formatNumberOf(source.splits.length, 'split')}, ${ended} ended`
  }
  return sink === undefined ? undefined : `${formatNumberOf(sink.committables.length, 'piece')} of output to commit`
}
