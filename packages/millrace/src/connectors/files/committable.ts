/** What a file sink puts into manifests, checked when it comes back: names of its own files, without a way out of the directory. */
import { MillraceError } from '../../base/errors.ts'
import { isJsonObject, type Json } from '../../base/json.ts'
import { isPendingOfJob, parsePartName, parsePendingName, type PartOwner } from './part-name.ts'

/** A sealed file and the part it becomes. */
export interface Committable {
  /** As the user gave it then; only to tell whether the sink writes elsewhere now. */
  readonly dir: string
  readonly pending: string
  readonly part: string
}

/** A part that stays open: its first `length` bytes are part of the snapshot. */
export interface OpenPart {
  readonly dir: string
  readonly pending: string
  readonly length: number
  readonly openedAtMs: number
  /** Of the row format. */
  readonly format: Json
}

/** @throws SNAPSHOT_DAMAGED when it is none, or names files that are not this sink's */
export function readCommittable(json: Json, owner: PartOwner): Committable {
  if (isJsonObject(json)) {
    const { dir, pending, part } = json
    const strings = typeof dir === 'string' && typeof pending === 'string' && typeof part === 'string'
    if (strings && parsePendingName(owner, pending) !== undefined && parsePartName(owner, part) !== undefined)
      return { dir, pending, part }
  }
  throw damaged(owner, 'committable', json)
}

/** Undefined: it belongs to the job this one was forked from, which will commit it. */
export function readOpenPart(json: Json, owner: PartOwner): OpenPart | undefined {
  if (isJsonObject(json)) {
    const { dir, pending, length, openedAtMs, format = null } = json
    const named = typeof dir === 'string' && typeof pending === 'string' && pending.startsWith('.pending-')
    if (named && isByteCount(length) && typeof openedAtMs === 'number') {
      if (parsePendingName(owner, pending) !== undefined) return { dir, pending, length, openedAtMs, format }
      if (isPendingOfJob(owner.job, pending)) throw renamed(owner, pending)
      return undefined
    }
  }
  throw damaged(owner, 'open part', json)
}

function isByteCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function renamed(owner: PartOwner, pending: string): MillraceError {
  return new MillraceError(
    'SINK_FAILED',
    `sink '${owner.sink}' would have to go on with the open part ${pending} of another sink. A sink with an open part cannot be renamed: ` +
      'give it its old name back, or start over with --fresh',
  )
}

function damaged(owner: PartOwner, what: string, json: Json): MillraceError {
  return new MillraceError(
    'SNAPSHOT_DAMAGED',
    `the snapshot holds a ${what} of sink '${owner.sink}' that is none of its own: ${JSON.stringify(json)?.slice(0, 300)}`,
  )
}
