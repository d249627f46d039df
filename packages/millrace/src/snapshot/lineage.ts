/**
 * Which snapshots and which output belong to the past of a run. Pure.
 *
 * A run's past is a chain: its own snapshots, those of the run it restored from up to the restored one, and so on to a fresh start.
 * Ids grow for ever and every run says where its own begin, so each link of the chain is one range of ids:
 *
 *     run 1 fresh      makes 1 2 3 4 5
 *     run 2 restored 4 makes 6 7        (5 was damaged)         chain of run 3: run 3 [8, …)  run 2 [6, 7]  run 1 [1, 4]
 *     run 3 restored 7 makes 8 …                                5 is not in it, nor a 6 that run 1 wrote after it was fenced
 *
 * A run that adopted a snapshot of another folder begins a chain too. Its output has a past all the same, which its record lists.
 */
import { isMillraceError } from '../base/errors.ts'
import type { OutputSpan, RunFacts, RunRecord } from './run-record.ts'

/** Snapshot ids of a run that belong to the past: from … through. */
export interface AncestryLink extends OutputSpan {
  readonly run: number
}

export interface Ancestry {
  /** Newest first. */
  readonly links: readonly AncestryLink[]
  /** All output that belongs to the past, newest first: of its runs, and of what they adopted. */
  readonly output: readonly OutputSpan[]
  /** Whether a snapshot with this id, made by this run, is one that the run descends from or made itself. */
  includes(snapshot: { readonly id: number; readonly run: number }): boolean
  /** Whether a snapshot of which only the id is known could be one: for manifests that cannot be read. */
  mayInclude(id: number): boolean
  /** Whether output that was prepared for this checkpoint under this run id is part of the past. */
  includesOutput(runId: string, checkpointId: number): boolean
}

/**
 * The past of a run. `through`: the newest of its own snapshots that counts; default all (a restart within a run that went back to
 * an older snapshot gives that one). Of a run whose record cannot be read, what it restored from is unknown: the chain ends with it,
 * and takes everything up to there for its own, since to hide output that counts would be worse than to leave some that does not.
 * `runId`: what a snapshot of the run says, for when the run's own record cannot be read.
 */
export function ancestry(runs: readonly RunFacts[], run: number, through = Infinity, runId?: string): Ancestry {
  const links = linksOf(runs, run, through, runId)
  const output = joined([...links, ...adoptedOutput(runs, links.at(-1)?.run)])
  return {
    links,
    output,
    includes: ({ id, run: maker }) => links.some(link => link.run === maker && inRange(link, id)),
    mayInclude: id => links.some(link => inRange(link, id)),
    includesOutput: (runId, id) => output.some(span => span.runId === runId && inRange(span, id)),
  }
}

function inRange({ from, through }: OutputSpan, id: number): boolean {
  return id >= from && id <= through
}

/** What the first run of a chain took over. */
function adoptedOutput(runs: readonly RunFacts[], first: number | undefined): readonly OutputSpan[] {
  const start = first === undefined ? undefined : recordsByRun(runs).get(first)?.start
  return start?.kind === 'adopted' ? start.past : []
}

/** Spans of one run id that follow each other without a gap are one, so that the list does not grow with every restart. */
function joined(newestFirst: readonly OutputSpan[]): OutputSpan[] {
  const spans: OutputSpan[] = []
  for (const { runId, from, through } of newestFirst) {
    const newer = spans.at(-1)
    if (newer?.runId === runId && newer.from === through + 1) spans[spans.length - 1] = { ...newer, from }
    else spans.push({ runId, from, through })
  }
  return spans
}

function linksOf(
  runs: readonly RunFacts[],
  newest: number,
  through: number,
  newestRunId: string | undefined,
): AncestryLink[] {
  const records = recordsByRun(runs)
  const links: AncestryLink[] = []
  let next: { run: number; through: number } | undefined = { run: newest, through }
  while (next !== undefined) {
    const record: RunRecord | undefined = records.get(next.run)
    if (record === undefined) {
      const runId: string | undefined = links.at(-1)?.runId ?? newestRunId
      if (runId !== undefined) links.push({ run: next.run, runId, from: 1, through: next.through })
      break
    }
    links.push({ run: next.run, runId: record.runId, from: record.firstCheckpointId, through: next.through })
    const { start } = record
    next = start.kind === 'restored' ? { run: start.snapshot.run, through: start.snapshot.id } : undefined
  }
  return links
}

/**
 * Whether a snapshot is a stray: written by a process after it was fenced. Its id lies where a later run's ids begin. It is in
 * nobody's past, and what it holds was never committed.
 */
export function isStray(runs: readonly RunFacts[], snapshot: { readonly id: number; readonly run: number }): boolean {
  return runs.some(
    ({ run, record }) => run > snapshot.run && !isMillraceError(record) && record.firstCheckpointId <= snapshot.id,
  )
}

export function recordsByRun(runs: readonly RunFacts[]): Map<number, RunRecord> {
  return new Map(runs.flatMap(({ run, record }) => (isMillraceError(record) ? [] : [[run, record] as const])))
}
