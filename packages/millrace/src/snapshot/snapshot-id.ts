/** How people name a snapshot: `chk-42`, `sp-43`, `JOB/chk-42`, `JOB/latest`, `latest`, or the path of a manifest file. */
import { MillraceError } from '../base/errors.ts'
import type { SnapshotKind } from './manifest-types.ts'
import { parseManifestName, prefixOf, type SnapshotId } from './object-names.ts'

/** A snapshot of a job's folder. `job` undefined: the command knows which job it is about. */
export type SnapshotRef =
  | { readonly kind: 'latest'; readonly job: string | undefined }
  | { readonly kind: 'id'; readonly job: string | undefined; readonly snapshot: SnapshotId }
  | { readonly kind: 'path'; readonly path: string; readonly snapshot: SnapshotId }

/** `chk-42` or `sp-43`. */
export function formatSnapshotId(kind: SnapshotKind, id: number): string {
  return `${prefixOf(kind)}-${id}`
}

/** `name`: of a snapshot, or what kind of one was looked for; `have`: what there is, the likeliest first. */
export function snapshotNotFound(job: string, name: string, have: readonly string[]): MillraceError {
  const message =
    have.length === 0
      ? `job '${job}' has no snapshots`
      : `job '${job}' has no ${name}; it has ${have.slice(0, 5).join(', ')}`
  return new MillraceError('SNAPSHOT_NOT_FOUND', message, { context: { job } })
}

const NAME = /^(?:([a-z0-9][a-z0-9._-]{0,63})\/)?(?:latest|(chk|sp)-0*([1-9]\d{0,14}))$/

/** Whether the text names a snapshot of a job's folder in the storage, and so is no path. */
export function isSnapshotName(text: string): boolean {
  return NAME.test(text)
}

/** Nothing is looked up: the snapshot need not exist. @throws SNAPSHOT_NOT_FOUND for a text that cannot name one */
export function parseSnapshotRef(text: string): SnapshotRef {
  const match = NAME.exec(text)
  if (match !== null) {
    const [, job, prefix, digits] = match
    if (prefix === undefined) return { kind: 'latest', job }
    return { kind: 'id', job, snapshot: { kind: prefix === 'chk' ? 'checkpoint' : 'savepoint', id: Number(digits) } }
  }
  const snapshot = parseManifestName(text.slice(Math.max(text.lastIndexOf('/'), text.lastIndexOf('\\')) + 1))
  if (snapshot !== undefined) return { kind: 'path', path: text, snapshot }
  const message = `'${text.slice(0, 200)}' is not the name of a snapshot: expected JOB/latest, JOB/chk-42, JOB/sp-43 or the path of a manifest`
  throw new MillraceError('SNAPSHOT_NOT_FOUND', message)
}
