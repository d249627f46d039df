/**
 * Where snapshots live: one folder of named, durable objects per job, on a disk or an object store.
 *
 * Names are relative, `/`-separated, made of `[A-Za-z0-9._-]` components, never `.` or `..` (checked by `assertObjectName`).
 * An object is immutable once it exists, except for those written by `replace` and `append`.
 */
import { MillraceError } from '../base/errors.ts'

export interface SnapshotStore {
  /** For messages: a path or URL. */
  readonly location: string

  /** Begin a streamed object. It is invisible until `finish` resolves; an abandoned one is a temporary file that `removeTemporary` clears. */
  create(name: string): Promise<ObjectWriter>

  /** Atomically create a small object if no object of that name exists. Durable (file and directory) once it resolves. */
  publish(name: string, bytes: Uint8Array): Promise<'created' | 'exists'>

  /** Atomically create or overwrite a small object. A reader sees the old or the new bytes, never a mix. Durable once it resolves. */
  replace(name: string, bytes: Uint8Array): Promise<void>

  /**
   * The object `from` of another folder becomes `name` in this one: a second name of the same bytes where one file system holds both,
   * else a copy. From then on neither folder depends on the other. Durable once it resolves. Throws `OBJECT_MISSING`, and
   * `STORE_FAILED` where the name is taken.
   */
  copyFrom(source: SnapshotStore, from: string, name: string): Promise<void>

  /** Append to a log object. Best effort: not synced; a torn last line is possible and readers skip it. */
  append(name: string, bytes: Uint8Array): Promise<void>

  /** Read `length` bytes from `offset` (default: all). Throws `OBJECT_MISSING`; returns fewer bytes only at the end of the object. */
  read(name: string, offset?: number, length?: number): Promise<Uint8Array>

  /** Size in bytes, or undefined when there is no such object. */
  size(name: string): Promise<number | undefined>

  /** Objects directly in `folder` ('' is the job's folder), without temporary ones, sorted by name. A missing folder is empty. */
  list(folder: string): Promise<StoredObject[]>

  /** Remove an object; one that is missing already is no error. */
  remove(name: string): Promise<void>

  /**
   * Remove temporary files of unfinished writes for which `mayRemove` says yes, told the name that the file was to get and its own. Only
   * the lock's holder calls it, or who says no to all.
   */
  removeTemporary(folder: string, mayRemove: MayRemove): Promise<number>
}

/** `file`: the name of the temporary file, for people; both without the folder. */
export type MayRemove = (name: string, file: string) => boolean

/** What reading segments takes of a store. */
export type ReadableStore = Pick<SnapshotStore, 'location' | 'read' | 'size'>

/** What writing and reading segments takes of a store. */
export type SegmentStore = ReadableStore & Pick<SnapshotStore, 'create'>

export interface StoredObject {
  /** Without the folder. */
  readonly name: string
  readonly sizeBytes: number
  readonly modifiedAtMs: number
}

/** A streamed object in the making. Calls are sequential: await each before the next. */
export interface ObjectWriter {
  write(bytes: Uint8Array): Promise<void>
  /** fsync, rename to its name, fsync the directory: the object exists and is durable once this resolves. */
  finish(): Promise<void>
  /** Give up: the bytes are removed. Never throws. */
  abandon(): Promise<void>
}

/** A storage holds a folder per job. */
export interface Storage {
  /** Which implementation: a slot's thread opens a 'local' one itself. */
  readonly kind: 'local' | 'memory' | 'faulty'
  readonly location: string
  job(name: string): SnapshotStore
  /** Names of the jobs that have a folder, sorted. */
  jobs(): Promise<string[]>
}

const COMPONENT = /^[A-Za-z0-9._-]{1,200}$/

/** Throws `BAD_REFERENCE` for a name that could leave the job's folder. */
export function assertObjectName(name: string): void {
  const bad = name.length > 400 || name.split('/').some(part => !COMPONENT.test(part) || part === '.' || part === '..')
  if (bad) throw new MillraceError('BAD_REFERENCE', `'${name.slice(0, 200)}' is not a name inside the job's folder`)
}
