/**
 * A snapshot store with a broken disk: wraps another one and fails when told to.
 *
 * Faults are armed from outside, take effect on later calls, and leave the store beneath in a state that a real disk could be in:
 * a failed call did nothing; a torn one did the first half; a publish whose reply is lost has happened.
 */
import { MillraceError } from '../base/errors.ts'
import type { MayRemove, ObjectWriter, SnapshotStore, Storage, StoredObject } from '../store/contract.ts'

export type StoreOperation =
  | 'create'
  | 'write'
  | 'finish'
  | 'publish'
  | 'replace'
  | 'copyFrom'
  | 'append'
  | 'read'
  | 'size'
  | 'list'
  | 'remove'
  | 'removeTemporary'

export type DiskError = 'ENOSPC' | 'EROFS' | 'EIO'

const WRITES: ReadonlySet<StoreOperation> = new Set([
  'create',
  'write',
  'finish',
  'publish',
  'replace',
  'copyFrom',
  'append',
])

/** How a call goes wrong: it does nothing, its first half, or all of it, and then fails. */
type Fault = { readonly kind: 'fail' | 'tear' | 'lose-reply'; readonly error: DiskError }

interface Armed extends Fault {
  readonly operation: StoreOperation
  readonly nameIncludes: string
  callsLeft: number
}

export interface FaultOptions {
  /** Which of the following calls of the operation fails: 1 is the next one (default). */
  readonly call?: number
  /** Only calls on objects whose name contains this count. */
  readonly nameIncludes?: string
  readonly error?: DiskError
}

export class FaultyStore implements SnapshotStore {
  readonly location: string
  /** Names of the operations called so far, in order, with the object: `publish manifests/chk-….json`. */
  readonly calls: string[] = []
  readonly #inner: SnapshotStore
  #armed: Armed[] = []
  #broken: DiskError | 'poisoned' | undefined

  constructor(inner: SnapshotStore) {
    this.#inner = inner
    this.location = inner.location
  }

  /** One coming call fails without having done anything. */
  fail(operation: StoreOperation, options: FaultOptions = {}): void {
    this.#arm('fail', operation, options)
  }

  /** One coming `write` or `append` does its first half, then fails; a torn `publish` or `replace` leaves no object, as on a disk. */
  tear(operation: 'write' | 'append' | 'publish' | 'replace', options: FaultOptions = {}): void {
    this.#arm('tear', operation, options)
  }

  /** One coming `publish` creates its object, but the caller sees an error (a connection that breaks after the server acted). */
  losePublishReply(options: FaultOptions = {}): void {
    this.#arm('lose-reply', 'publish', options)
  }

  /** Every write fails from now on, until `heal`: ENOSPC is a full disk, EROFS one that was mounted again read-only. Removing works on a full one. */
  failWrites(error: DiskError): void {
    this.#broken = error
  }

  /** As after a failed fsync: every write is STORE_POISONED. A real store never recovers from it; `heal` stands for a new process. */
  poison(): void {
    this.#broken = 'poisoned'
  }

  heal(): void {
    this.#broken = undefined
    this.#armed = []
  }

  async create(name: string): Promise<ObjectWriter> {
    this.#enter('create', name)
    const writer = await this.#inner.create(name)
    return {
      write: async bytes => {
        const fault = this.#enter('write', name)
        await writer.write(fault?.kind === 'tear' ? firstHalf(bytes) : bytes)
        if (fault !== undefined) throw this.#error('write', name, fault.error)
      },
      finish: async () => {
        this.#enter('finish', name)
        await writer.finish()
      },
      abandon: () => writer.abandon(),
    }
  }

  async publish(name: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    const fault = this.#enter('publish', name)
    if (fault?.kind === 'tear') throw this.#error('publish', name, fault.error)
    const outcome = await this.#inner.publish(name, bytes)
    if (fault?.kind === 'lose-reply') throw this.#error('publish', name, fault.error)
    return outcome
  }

  async replace(name: string, bytes: Uint8Array): Promise<void> {
    const fault = this.#enter('replace', name)
    if (fault !== undefined) throw this.#error('replace', name, fault.error)
    await this.#inner.replace(name, bytes)
  }

  async copyFrom(source: SnapshotStore, from: string, name: string): Promise<void> {
    this.#enter('copyFrom', name)
    await this.#inner.copyFrom(source instanceof FaultyStore ? source.#inner : source, from, name)
  }

  async append(name: string, bytes: Uint8Array): Promise<void> {
    const fault = this.#enter('append', name)
    await this.#inner.append(name, fault?.kind === 'tear' ? firstHalf(bytes) : bytes)
    if (fault !== undefined) throw this.#error('append', name, fault.error)
  }

  async read(name: string, offset?: number, length?: number): Promise<Uint8Array> {
    this.#enter('read', name)
    return this.#inner.read(name, offset, length)
  }

  async size(name: string): Promise<number | undefined> {
    this.#enter('size', name)
    return this.#inner.size(name)
  }

  async list(folder: string): Promise<StoredObject[]> {
    this.#enter('list', folder)
    return this.#inner.list(folder)
  }

  async remove(name: string): Promise<void> {
    this.#enter('remove', name)
    await this.#inner.remove(name)
  }

  async removeTemporary(folder: string, mayRemove: MayRemove): Promise<number> {
    this.#enter('removeTemporary', folder)
    return this.#inner.removeTemporary(folder, mayRemove)
  }

  #arm(
    kind: Fault['kind'],
    operation: StoreOperation,
    { call = 1, nameIncludes = '', error = 'EIO' }: FaultOptions,
  ): void {
    this.#armed.push({ kind, operation, nameIncludes, error, callsLeft: call })
  }

  /** Counts the call. Throws when it is to fail without effect; returns the fault that the operation itself plays. */
  #enter(operation: StoreOperation, name: string): Fault | undefined {
    this.calls.push(`${operation} ${name}`)
    if (this.#broken === 'poisoned' && WRITES.has(operation)) {
      throw new MillraceError('STORE_POISONED', `${this.location} takes no more writes: an fsync failed`)
    }
    const refusesRemove = this.#broken === 'EROFS' && (operation === 'remove' || operation === 'removeTemporary')
    if (this.#broken !== undefined && this.#broken !== 'poisoned' && (WRITES.has(operation) || refusesRemove)) {
      throw this.#error(operation, name, this.#broken)
    }
    const fault = this.#nextFault(operation, name)
    if (fault?.kind === 'fail') throw this.#error(operation, name, fault.error)
    return fault
  }

  #nextFault(operation: StoreOperation, name: string): Fault | undefined {
    const matching = this.#armed.filter(fault => fault.operation === operation && name.includes(fault.nameIncludes))
    for (const fault of matching) fault.callsLeft -= 1
    const due = matching.find(fault => fault.callsLeft === 0)
    this.#armed = this.#armed.filter(fault => fault.callsLeft > 0)
    return due
  }

  #error(operation: StoreOperation, name: string, errno: DiskError): MillraceError {
    const path = `${this.location}/${name}`
    const cause = Object.assign(new Error(`${errno}: ${operation} '${path}'`), { code: errno })
    return new MillraceError('STORE_FAILED', `could not ${operation} ${path}: ${errno}`, {
      context: { path, errno },
      cause,
    })
  }
}

/** A storage whose jobs have faulty stores; `job(name)` returns the same one each time, so that faults can be armed before a run. */
export class FaultyStorage implements Storage {
  readonly kind = 'faulty'
  readonly location: string
  readonly #inner: Storage
  readonly #stores = new Map<string, FaultyStore>()

  constructor(inner: Storage) {
    this.#inner = inner
    this.location = inner.location
  }

  job(name: string): FaultyStore {
    const store = this.#stores.get(name) ?? new FaultyStore(this.#inner.job(name))
    this.#stores.set(name, store)
    return store
  }

  jobs(): Promise<string[]> {
    return this.#inner.jobs()
  }
}

function firstHalf(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, bytes.length >> 1)
}
