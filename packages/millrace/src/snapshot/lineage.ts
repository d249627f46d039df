/**
 * Which snapshots and which output belong to the past of a run. Pure.
 *
 * A run's past is a chain: its own snapshots, those of the run it restored from up to the restored one, and so on to a fresh start.
 * Ids grow for ever and every run says where its own begin, so each link of the chain is one range of ids:
 *
 *     run 1 fresh      makes 1 2 3 4 5
 *     run 2 restored 4 makes 6 7        (5 was damaged)         past of run 3: [8, …)  [6, 7]  [1, 4]
 *     run 3 restored 7 makes 8 …                                5 is not in it, nor a 6 that run 1 wrote after it was fenced
 *
 * A record holds these ranges as they were when its run began, as far as they go back: the records of the runs before are not read.
 * A run that adopted a snapshot of another folder begins a chain too. Its output has a past all the same, which its record lists.
 */
import { isMillraceError } from '../base/errors.ts'
import type { SnapshotKind } from './manifest-types.ts'
import type { OutputSpan, Past, RunFacts, RunRecord } from './run-record.ts'

export interface Ancestry extends Past {
  /** Whether it is a snapshot that the run descends from or made itself. */
  includes(snapshot: MadeSnapshot & { readonly runId: string }): boolean
  /** Whether a snapshot of which only the id is known could be one: for manifests that cannot be read. */
  mayInclude(id: number): boolean
  /** Whether output that was prepared for this checkpoint under this run id is part of the past. */
  includesOutput(runId: string, checkpointId: number): boolean
}

/** A snapshot, and the run that made it. */
export interface MadeSnapshot {
  readonly kind: SnapshotKind
  readonly id: number
  readonly run: number
}

/**
 * The past of a run. `through`: the newest of its own snapshots that counts; default all (a restart within a run that went back to
 * an older snapshot gives that one). Of a run whose record cannot be read, what it restored from is unknown: the chain ends with it,
 * and takes all output up to there for its own, since to hide output that counts would be worse than to leave some that does not.
 * `runId`: what a snapshot of the run says, for when the run's own record cannot be read.
 */
export function ancestry(runs: readonly RunFacts[], run: number, through = Infinity, runId?: string): Ancestry {
  const { since, output } = pastOf(runs, run, through, runId)
  const includesOutput = (runId: string, id: number): boolean =>
    output.some(span => span.runId === runId && isWithin(span, id))
  return {
    since,
    output,
    includes: snapshot =>
      snapshot.run <= run &&
      snapshot.id >= since &&
      includesOutput(snapshot.runId, snapshot.id) &&
      isOwnId(runs, snapshot),
    mayInclude: id => id >= since && output.some(span => isWithin(span, id)),
    includesOutput,
  }
}

function isWithin({ from, through }: OutputSpan, id: number): boolean {
  return id >= from && id <= through
}

function pastOf(runs: readonly RunFacts[], newest: number, newestThrough: number, newestRunId?: string): Past {
  const records = recordsByRun(runs)
  const spans: OutputSpan[] = []
  for (let run = newest, through = newestThrough; ;) {
    const record: RunRecord | undefined = records.get(run)
    if (record === undefined) {
      const runId = spans.at(-1)?.runId ?? newestRunId
      if (runId !== undefined) spans.push({ runId, from: 1, through })
      return { since: through, output: joined(spans) }
    }
    const { runId, firstCheckpointId, start } = record
    spans.push({ runId, from: firstCheckpointId, through })
    if (start.kind === 'fresh') return { since: firstCheckpointId, output: joined(spans) }
    if (start.kind === 'adopted') return { since: firstCheckpointId, output: joined([...spans, ...start.past]) }
    const { past, snapshot } = start
    if (past !== undefined) return { since: past.since, output: joined([...spans, ...past.output]) }
    run = snapshot.run
    through = snapshot.id
  }
}

/** So many gaps in the past of one run id are kept. */
const EXACT_SPANS = 256

/**
 * Spans of one run id that follow each other without a gap are one, so that the list does not grow with every restart. Starts that went
 * back leave gaps, and of many only the newest are kept: what lay in an old one was moved away by the start that made it.
 */
function joined(newestFirst: readonly OutputSpan[]): OutputSpan[] {
  const spans: OutputSpan[] = []
  for (const { runId, from, through } of newestFirst) {
    const newer = spans.at(-1)
    if (newer?.runId === runId && (newer.from === through + 1 || spans.length >= EXACT_SPANS))
      spans[spans.length - 1] = { ...newer, from }
    else spans.push({ runId, from, through })
  }
  return spans
}

/**
 * Whether a snapshot is a stray: written by a process after it was fenced. It is in nobody's past, and what it holds was never committed.
 * Its id lies where a later run's ids begin, or its run had none left. A savepoint is none for the latter reason alone: its owner may
 * have put it back.
 */
export function isStray(runs: readonly RunFacts[], snapshot: MadeSnapshot): boolean {
  return isLate(runs, snapshot) || (snapshot.kind === 'checkpoint' && isSpent(runs, snapshot.run))
}

/** Whether the id is one of those that the run had for its own: each is one snapshot's, strays aside. */
function isOwnId(runs: readonly RunFacts[], snapshot: Pick<MadeSnapshot, 'id' | 'run'>): boolean {
  const first = recordsByRun(runs).get(snapshot.run)?.firstCheckpointId ?? 1
  return snapshot.id >= first && !isLate(runs, snapshot) && !isSpent(runs, snapshot.run)
}

function isLate(runs: readonly RunFacts[], snapshot: Pick<MadeSnapshot, 'id' | 'run'>): boolean {
  return runs.some(
    ({ run, record }) => run > snapshot.run && !isMillraceError(record) && record.firstCheckpointId <= snapshot.id,
  )
}

/** Whether the record of the run that came after this one was removed, which it is only when no snapshot of this one is left. */
function isSpent(runs: readonly RunFacts[], maker: number): boolean {
  const next = runs.find(({ run, record }) => run > maker && !isMillraceError(record, 'OBJECT_MISSING'))
  return next !== undefined && !isMillraceError(next.record) && (next.record.follows ?? 0) > maker
}

export function recordsByRun(runs: readonly RunFacts[]): Map<number, RunRecord> {
  return new Map(runs.flatMap(({ run, record }) => (isMillraceError(record) ? [] : [[run, record] as const])))
}

/** The lineage that ran last before this one. */
export function previousLineage(runs: readonly RunFacts[], lineage: number): number | undefined {
  const before = [...recordsByRun(runs).values()].filter(record => record.lineage !== lineage)
  return before.toSorted((a, b) => a.run - b.run).at(-1)?.lineage
}
