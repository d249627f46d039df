/**
 * Puts an output directory right at the start of an attempt: it then holds what belongs to the restored snapshot, and nothing else
 * of this sink. Files that are not this sink's by name are not looked at. Above parallelism 1 each subtask cares for the files of the
 * subtasks that are its own modulo the parallelism.
 *
 * In this order, so that a crash in between changes nothing for the next attempt:
 * 1. parts in `.superseded/` that are in the past of this attempt, which went back before and now forward again, are moved back;
 * 2. open parts of the snapshot get their pending file back, if they became parts after the snapshot;
 * 3. visible parts that are not in the past of this attempt are moved to `.superseded/`;
 * 4. pending files that the snapshot does not name are removed.
 */
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { MillraceError } from '../../base/errors.ts'
import { failpoint } from '../../base/failpoint.ts'
import type { RestoredSink, SinkContext } from '../contract.ts'
import { readCommittable, readOpenPart, type OpenPart } from './committable.ts'
import { copyBeginning, reinstate, removeName, statOf, supersede, SUPERSEDED, supersededIn } from './part-files.ts'
import { numberOf } from './number-of.ts'
import { parsePartName, parsePendingName, pendingName, type PartName, type PartOwner } from './part-name.ts'

export interface RestoredDirectory {
  /** In order of age; their files are there and long enough. */
  readonly openParts: readonly OpenPart[]
  /** No pending file, of the past or carried in a snapshot, has this number or a higher one. */
  readonly nextNumber: number
}

export function restoreDirectory(dir: string, context: SinkContext, restored: RestoredSink): RestoredDirectory {
  const owner = { job: context.job, sink: context.operator }
  const isMine = (subtask: number) => subtask % context.parallelism === context.subtask
  const committables = restored.all.committables.map(json => readCommittable(json, owner))
  const openParts = restored.all.states.map(json => readOpenPart(json, owner)).filter(part => part !== undefined)
  const named = [...committables, ...openParts].map(file => file.pending)

  const isPast = (part: PartName) => restored.isAncestor(part.runId, part.checkpoint)
  const partsIn = (files: readonly string[], wanted: (part: PartName) => boolean): readonly string[] =>
    files.filter(file => {
      const part = parsePartName(owner, file)
      return part !== undefined && isMine(part.subtask) && wanted(part)
    })

  const visible = new Set(readdirSync(dir))
  const back = partsIn(supersededIn(dir), isPast).filter(file => !visible.has(file))
  if (back.length > 0) {
    reinstate(dir, back)
    context.log.info(
      `sink '${context.operator}': moved ${numberOf(back.length, 'part')} of its past back from ${aside(dir)}`,
    )
  }

  const found = readdirSync(dir)
  const pending = [...found, ...named].map(name => parsePendingName(owner, name)).filter(name => name !== undefined)
  let nextNumber = 1 + pending.reduce((highest, name) => Math.max(highest, name.number), 0)

  const mine = openParts.filter(part => isMine(parsePendingName(owner, part.pending)!.subtask)).sort(byNumber(owner))
  for (const part of mine) {
    const temporary = pendingName(owner, { runId: context.runId, subtask: context.subtask, number: nextNumber++ })
    reopen(dir, owner, part, restored.checkpointId ?? 0, found, temporary)
  }

  const parts = partsIn(found, part => !isPast(part))
  if (parts.length > 0) {
    failpoint('sink.before-supersede')
    supersede(dir, parts.toSorted())
    failpoint('sink.after-supersede')
    const text = `moved ${numberOf(parts.length, 'part')} of an abandoned past to ${aside(dir)}`
    context.log.info(`sink '${context.operator}': ${text}`)
  }

  const keep = new Set(named)
  for (const file of found) {
    const name = parsePendingName(owner, file)
    if (name !== undefined && isMine(name.subtask) && !keep.has(file)) removeName(dir, file)
  }
  return { openParts: mine, nextNumber }
}

function aside(dir: string): string {
  return join(dir, SUPERSEDED)
}

/**
 * Sees to it that the pending file of an open part can be cut and continued. After a fallback to an older snapshot it may have
 * become a part meanwhile. What readers see must not be cut, so its beginning is copied back. That part is the first one that its
 * subtask sealed after the snapshot, since a writer seals in order.
 */
function reopen(
  dir: string,
  owner: PartOwner,
  part: OpenPart,
  checkpointId: number,
  found: readonly string[],
  temporary: string,
): void {
  const pending = statOf(join(dir, part.pending))
  if (pending !== undefined && pending.nlink === 1 && pending.size >= part.length) return
  const { runId, subtask } = parsePendingName(owner, part.pending)!
  const later = found
    .map(file => ({ file, name: parsePartName(owner, file) }))
    .filter(
      (part): part is { file: string; name: PartName } => part.name?.runId === runId && part.name.subtask === subtask,
    )
    .filter(part => part.name.checkpoint > checkpointId)
    .sort((a, b) => a.name.checkpoint - b.name.checkpoint || a.name.sequence - b.name.sequence)
  const source = later[0]?.file
  const sizeBytes = source === undefined ? 0 : (statOf(join(dir, source))?.size ?? 0)
  if (source === undefined || sizeBytes < part.length) throw missing(dir, owner, part, pending?.size)
  copyBeginning(dir, source, part.length, temporary, part.pending)
}

function missing(dir: string, owner: PartOwner, part: OpenPart, sizeBytes: number | undefined): MillraceError {
  const elsewhere = resolve(part.dir) === dir ? '' : ` (it was written to ${resolve(part.dir)})`
  const fact = sizeBytes === undefined ? 'is missing' : `has ${sizeBytes} bytes`
  return new MillraceError(
    'SINK_FAILED',
    `sink '${owner.sink}': the open part ${part.pending} in ${dir} ${fact}, but the snapshot needs its first ${part.length} bytes${elsewhere}. ` +
      'Put the file back, start from another snapshot with --from, or start over with --fresh',
    { context: { path: join(dir, part.pending) } },
  )
}

function byNumber(owner: PartOwner): (a: OpenPart, b: OpenPart) => number {
  const numberOf = (part: OpenPart) => parsePendingName(owner, part.pending)!.number
  return (a, b) => numberOf(a) - numberOf(b)
}
