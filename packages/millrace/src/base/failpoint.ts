/**
 * Named points of the snapshot and commit path. The crash runner kills the process at each of them.
 * `failpoint()` is called per checkpoint, per file or per command, never per record.
 */
export const FAILPOINTS = [
  'lock.before-create',
  'lock.after-create',
  'run.before-publish',
  'run.after-publish',
  'restore.after-load',
  'sink.before-supersede',
  'sink.after-supersede',
  'checkpoint.after-trigger',
  'checkpoint.after-freeze',
  'sink.before-prepare-flush',
  'sink.before-prepare-fsync',
  'sink.after-prepare-fsync',
  'segment.before-create',
  'segment.after-create',
  'segment.after-write',
  'segment.before-fsync',
  'segment.after-fsync',
  'segment.before-rename',
  'segment.after-rename',
  'segment.after-directory-fsync',
  'checkpoint.after-acknowledge',
  'manifest.before-write',
  'manifest.before-fsync',
  'manifest.before-link',
  'manifest.after-link',
  'manifest.after-directory-fsync',
  'checkpoint.before-confirm',
  'checkpoint.before-notify',
  'savepoint.before-publish',
  'savepoint.before-confirm',
  'savepoint.before-folder-publish',
  'sink.before-commit-link',
  'sink.after-commit-link',
  'sink.after-commit-unlink',
  'sink.after-commit-directory-fsync',
  'checkpoint.after-commit',
  'retention.before-manifest-delete',
  'retention.after-manifest-delete',
  'sweep.before-delete',
  'sweep.after-delete',
  'sweep.before-run-delete',
  'sweep.after-run-delete',
  'merge.before-finish',
  'merge.after-finish',
  'end.before-record',
  'end.after-record',
  'end.after-delete',
] as const

export type Failpoint = (typeof FAILPOINTS)[number]

let handler: ((name: Failpoint) => void) | undefined

/** Called by the host when a crash test names a failpoint. */
export function onFailpoint(next: ((name: Failpoint) => void) | undefined): void {
  handler = next
}

export function failpoint(name: Failpoint): void {
  if (handler !== undefined) handler(name)
}
