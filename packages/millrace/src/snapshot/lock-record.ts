/**
 * What is in a lock file, `locks/lock-<token>`: sealed JSON that says which process owns the job. The highest token is the owner; the
 * protocol is in host/lock.ts. A file that cannot be decoded still counts by its token, but nothing in it is believed.
 */
import type { SnapshotStore } from '../store/contract.ts'
import { Fields } from './fields.ts'
import { checkVersion } from './manifest.ts'
import { lockName } from './object-names.ts'
import { damaged, sealJson, unsealJson } from './sealed-json.ts'

const FORMAT = 'millrace-lock'
const VERSION = 1
/** A lock has some 500 bytes. A longer file was put there by something else. */
export const LOCK_SIZE_LIMIT = 64 * 1024

/** What tells a process from every other one. Null: the platform does not say, so that a pid proves nothing. */
export interface ProcessIdentity {
  readonly pid: number
  readonly host: string
  readonly bootId: string | null
  readonly pidNamespace: string | null
  /** When the process started, in the platform's own unit: a reused pid has another one. */
  readonly processStart: string | null
}

export interface LockRecord extends ProcessIdentity {
  readonly token: number
  readonly acquiredAtMs: number
  readonly leaseUntilMs: number
  /** Address of the control API, once it listens. */
  readonly control?: string
  readonly released: boolean
}

export function encodeLock(record: LockRecord): Uint8Array {
  return sealJson({ format: FORMAT, version: VERSION, ...record })
}

/** @throws SNAPSHOT_DAMAGED, SNAPSHOT_VERSION */
export function decodeLock(bytes: Uint8Array, token: number): LockRecord {
  const file = lockName(token)
  if (bytes.length > LOCK_SIZE_LIMIT) throw damaged(file, `has more than ${LOCK_SIZE_LIMIT} bytes, so it is no lock`)
  const fields = new Fields(unsealJson(bytes, file), file)
  checkVersion(fields, file, FORMAT, VERSION)
  const control = fields.has('control') ? { control: fields.text('control') } : {}
  return {
    token: fields.integer('token', token, token),
    pid: fields.integer('pid', 1),
    host: fields.text('host', 0),
    bootId: fields.optionalText('bootId'),
    pidNamespace: fields.optionalText('pidNamespace'),
    processStart: fields.optionalText('processStart'),
    acquiredAtMs: fields.integer('acquiredAtMs'),
    leaseUntilMs: fields.integer('leaseUntilMs'),
    ...control,
    released: fields.boolean('released'),
  }
}

/** @throws OBJECT_MISSING, SNAPSHOT_DAMAGED, SNAPSHOT_VERSION */
export async function readLockRecord(store: SnapshotStore, token: number): Promise<LockRecord> {
  return decodeLock(await store.read(lockName(token), 0, LOCK_SIZE_LIMIT + 1), token)
}
