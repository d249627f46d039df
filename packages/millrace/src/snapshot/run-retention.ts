/**
 * Which run records stay, so that every decision is the same as with all that ever were. Pure. A bounded number: some for each snapshot that
 * is left, and a handful.
 *
 * - The newest: the next run's number, ids, past and beginning come from it. It also shows a process that was replaced before it could
 *   publish the record of its start that it comes too late (run-record.ts).
 * - Of each snapshot the run that made it, which says its past, and the run after that one, which says where strays begin. A later run
 *   knows which one it follows: where that one is gone, any checkpoint that still shows up of an earlier run is a stray (lineage.ts).
 * - For lineages: the first run of each that is left, since when a periodic savepoint is due; the newest that gave its checkpoints up; the
 *   lineage before, and the highest number, which is never used again.
 * - An end that names an id above those that the newest run began with: of a process that was replaced, and still had its say.
 * - What cannot be read: what it says is unknown.
 */
import { isMillraceError } from '../base/errors.ts'
import { recordsByRun } from './lineage.ts'
import type { SnapshotFacts } from './manifest-folder.ts'
import type { RunEnd, RunFacts, RunRecord } from './run-record.ts'

/** `runs` and `snapshots` are all that there are; each of the latter could be read. */
export function neededRuns(
  runs: readonly RunFacts[],
  snapshots: readonly Pick<SnapshotFacts, 'run' | 'lineage'>[],
): ReadonlySet<number> {
  const newest = runs.at(-1)?.record
  if (newest === undefined || isMillraceError(newest)) return new Set(runs.map(({ run }) => run))
  const records = [...recordsByRun(runs).values()]
  const lineages = new Set([newest.lineage, ...snapshots.map(({ lineage }) => lineage)])
  const needed = [
    newest,
    ...snapshots.flatMap(({ run }) => [
      records.find(record => record.run === run),
      records.find(record => record.run > run),
    ]),
    ...[...lineages].map(lineage => records.find(record => record.lineage === lineage)),
    records.findLast(({ lineage }) => lineage !== newest.lineage),
    records.reduce((highest, record) => (record.lineage >= highest.lineage ? record : highest)),
  ].flatMap(record => record?.run ?? [])
  const spoken = runs.filter(facts => isUnreadable(facts) || lastIdOf(facts.end) >= newest.firstCheckpointId)
  const givenUp = [...lineages].flatMap(lineage => newestGivenUp(runs, lineage) ?? [])
  return withTheirPast(new Set([...needed, ...spoken.map(({ run }) => run), ...givenUp]), recordsByRun(runs))
}

/** An end without a record is of a process that had been replaced, and can be read. */
function isUnreadable({ record, end }: RunFacts): boolean {
  return (isMillraceError(record) && record.code !== 'OBJECT_MISSING') || isMillraceError(end)
}

function lastIdOf(end: RunFacts['end']): number {
  return isEnd(end) ? Math.max(end.lastCheckpointId, end.lastSavepointId ?? 0) : 0
}

function newestGivenUp(runs: readonly RunFacts[], lineage: number): number | undefined {
  return runs.findLast(
    ({ record, end }) => !isMillraceError(record) && record.lineage === lineage && isEnd(end) && !end.retained,
  )?.run
}

function isEnd(end: RunFacts['end']): end is RunEnd {
  return end !== undefined && !isMillraceError(end)
}

/** Records of early versions have their past in the records of the runs before. */
function withTheirPast(needed: Set<number>, records: ReadonlyMap<number, RunRecord>): ReadonlySet<number> {
  for (const run of needed) {
    const start = records.get(run)?.start
    if (start?.kind === 'restored' && start.past === undefined) needed.add(start.snapshot.run)
  }
  return needed
}
