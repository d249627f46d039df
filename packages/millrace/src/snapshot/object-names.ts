/**
 * The names of the objects in a job's folder. Numbers in names have one spelling, so that a name and what it stands for are the same:
 *
 *     locks/lock-<token>                  runs/<run, 6 digits>.json    runs/<run, 6 digits>.end.json
 *     manifests/chk-<id, 12 digits>.json  manifests/sp-<id, 12 digits>.json
 *     segments/<token>-<number>.seg       log.jsonl
 *
 * The parsing functions take a name without its folder, as `list` returns it, and return undefined for any other name.
 */
import type { SnapshotKind } from './manifest-types.ts'

export const LOCKS = 'locks'
export const RUNS = 'runs'
export const MANIFESTS = 'manifests'
export const SEGMENTS = 'segments'
export const LOG = 'log.jsonl'

/** Tokens, runs, ids and segment numbers stay below: 15 digits are safe integers, with room for adding one. */
export const LARGEST_NUMBER = 999_999_999_999_999

export interface SnapshotId {
  readonly kind: SnapshotKind
  readonly id: number
}

export function manifestName({ kind, id }: SnapshotId): string {
  return `${MANIFESTS}/${prefixOf(kind)}-${padded(id, 12)}.json`
}

export function parseManifestName(name: string): SnapshotId | undefined {
  const match = /^(chk|sp)-(\d{12,15})\.json$/.exec(name)
  const id = numberOf(match?.[2], 12)
  return id === undefined ? undefined : { kind: match![1] === 'chk' ? 'checkpoint' : 'savepoint', id }
}

export function runName(run: number): string {
  return `${RUNS}/${padded(run, 6)}.json`
}

export function runEndName(run: number): string {
  return `${RUNS}/${padded(run, 6)}.end.json`
}

export function parseRunName(name: string): { readonly run: number; readonly end: boolean } | undefined {
  const match = /^(\d{6,15})(\.end)?\.json$/.exec(name)
  const run = numberOf(match?.[1], 6)
  return run === undefined ? undefined : { run, end: match![2] !== undefined }
}

export function segmentName(token: number, number: number): string {
  return `${SEGMENTS}/${token}-${number}.seg`
}

export function parseSegmentName(name: string): { readonly token: number; readonly number: number } | undefined {
  const match = /^(\d{1,15})-(\d{1,15})\.seg$/.exec(name)
  const token = numberOf(match?.[1], 1)
  const number = numberOf(match?.[2], 1)
  return token === undefined || number === undefined ? undefined : { token, number }
}

export function lockName(token: number): string {
  return `${LOCKS}/lock-${token}`
}

export function parseLockName(name: string): number | undefined {
  return numberOf(/^lock-(\d{1,15})$/.exec(name)?.[1], 1)
}

export function prefixOf(kind: SnapshotKind): 'chk' | 'sp' {
  return kind === 'checkpoint' ? 'chk' : 'sp'
}

function padded(value: number, digits: number): string {
  return String(value).padStart(digits, '0')
}

/** The number, if this is how it is written with at least so many digits. */
function numberOf(text: string | undefined, digits: number): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  return padded(value, digits) === text ? value : undefined
}
