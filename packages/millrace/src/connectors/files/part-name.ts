/**
 * Names of the files in an output directory. They say who made a file, so that a sink knows its own and touches nothing else.
 *
 *   pending   .pending-<job>-<sink>-<run id>-<subtask>-<number>
 *   part      part-<job>-<sink>-<run id>-<subtask>-<checkpoint, 12 digits>-<sequence, 4 digits>
 *
 * In a job or sink name `-` is written `~` and every byte outside `[A-Za-z0-9._]` as `%XX`, so that two names can never run into each
 * other. A name that gets too long for a file system is cut and ends in `%%` and a hash. The parts of one subtask sort by age.
 */
import { createHash } from 'node:crypto'

export interface PartOwner {
  readonly job: string
  readonly sink: string
}

export interface PendingName {
  readonly runId: string
  readonly subtask: number
  readonly number: number
}

export interface PartName {
  readonly runId: string
  readonly subtask: number
  readonly checkpoint: number
  readonly sequence: number
}

/** With it, the longest name stays below the 255 bytes of common file systems, and leaves room for a suffix. */
const LONGEST_COMPONENT = 96
const PENDING = /^([0-9a-f]{8})-(\d{1,6})-(\d{1,15})$/
const PART = /^([0-9a-f]{8})-(\d{1,6})-(\d{12,15})-(\d{4,9})$/

export function pendingName(owner: PartOwner, name: PendingName): string {
  return `${pendingPrefix(owner)}${name.runId}-${name.subtask}-${name.number}`
}

export function partName(owner: PartOwner, name: PartName): string {
  const checkpoint = String(name.checkpoint).padStart(12, '0')
  return `${partPrefix(owner)}${name.runId}-${name.subtask}-${checkpoint}-${String(name.sequence).padStart(4, '0')}`
}

/** Undefined: not a pending file of this sink. */
export function parsePendingName(owner: PartOwner, fileName: string): PendingName | undefined {
  const match = PENDING.exec(withoutPrefix(pendingPrefix(owner), fileName))
  return match === null ? undefined : { runId: match[1], subtask: Number(match[2]), number: Number(match[3]) }
}

/** Undefined: not a part of this sink. */
export function parsePartName(owner: PartOwner, fileName: string): PartName | undefined {
  return matchPart(withoutPrefix(partPrefix(owner), fileName))
}

function matchPart(rest: string): PartName | undefined {
  const match = PART.exec(rest)
  if (match === null) return undefined
  return { runId: match[1], subtask: Number(match[2]), checkpoint: Number(match[3]), sequence: Number(match[4]) }
}

/** Undefined: not a part of this job. The sink as it stands in the name: one that is too long for it is cut. */
export function parsePartOfJob(job: string, fileName: string): (PartName & { readonly sink: string }) | undefined {
  const rest = withoutPrefix(`part-${component(job)}-`, fileName)
  const escaped = /^[^-]+(?=-)/.exec(rest)?.[0]
  const name = escaped === undefined ? undefined : matchPart(rest.slice(escaped.length + 1))
  return name && { ...name, sink: unescaped(escaped!) }
}

/** Whether a pending file was made by this job, whatever its sink. */
export function isPendingOfJob(job: string, fileName: string): boolean {
  return fileName.startsWith(`.pending-${component(job)}-`)
}

function pendingPrefix(owner: PartOwner): string {
  return `.pending-${component(owner.job)}-${component(owner.sink)}-`
}

function partPrefix(owner: PartOwner): string {
  return `part-${component(owner.job)}-${component(owner.sink)}-`
}

function withoutPrefix(prefix: string, name: string): string {
  return name.startsWith(prefix) ? name.slice(prefix.length) : ''
}

function component(name: string): string {
  let escaped = ''
  for (const byte of Buffer.from(name, 'utf8')) {
    const character = String.fromCharCode(byte)
    if (character === '-') escaped += '~'
    else if (/[A-Za-z0-9._]/.test(character)) escaped += character
    else escaped += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  if (escaped.length <= LONGEST_COMPONENT) return escaped
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 16)
  return `${escaped.slice(0, LONGEST_COMPONENT - 18)}%%${hash}`
}

function unescaped(component: string): string {
  const bytes = component.replaceAll('~', '-').replaceAll(/%([0-9A-F]{2})/g, (_, hex: string) => {
    return String.fromCharCode(Number.parseInt(hex, 16))
  })
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
