/**
 * The snapshot store of a simulation. There is one disk, which outlives processes, and a way to it from each process and slot, over
 * which calls are delayed, fail or lose their answer. The disk tells a witness what really happened to it.
 */
import { MillraceError } from '../../base/errors.ts'
import type { MayRemove, ObjectWriter, SnapshotStore, StoredObject } from '../../store/contract.ts'
import { MemoryStore } from '../../store/memory/index.ts'
import { PLANTED, type Outside } from './outside.ts'
import type { Owner } from './scheduler.ts'

export interface DiskWitness {
  /** A segment (without `bytes`) or a published object exists from now on. */
  created(name: string, bytes: Uint8Array | undefined): void
  removed(name: string): void
}

export class Disk extends MemoryStore {
  witness: DiskWitness = { created: () => undefined, removed: () => undefined }
  /** Whose call is taking effect, or was the last to. */
  actor: Owner | undefined
  private readonly names = new Set<string>()

  override async create(name: string): Promise<ObjectWriter> {
    const writer = await super.create(name)
    const finish = async (): Promise<void> => {
      await writer.finish()
      this.add(name)
    }
    return { ...writer, finish }
  }

  override async publish(name: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    const outcome = await super.publish(name, bytes)
    if (outcome === 'created') this.add(name, bytes)
    return outcome
  }

  override async remove(name: string): Promise<void> {
    await super.remove(name)
    if (this.names.delete(name)) this.witness.removed(name)
  }

  private add(name: string, bytes?: Uint8Array): void {
    this.names.add(name)
    this.witness.created(name, bytes)
  }
}

/** Of one process and all its slots: a failed fsync ends them all. */
export class DiskHealth {
  isPoisoned = false
}

export class SimulatedStore implements SnapshotStore {
  readonly location: string
  private readonly disk: Disk
  private readonly owner: Owner
  private readonly outside: Outside
  private readonly health: DiskHealth

  constructor(disk: Disk, owner: Owner, outside: Outside, health: DiskHealth) {
    this.location = disk.location
    this.disk = disk
    this.owner = owner
    this.outside = outside
    this.health = health
  }

  async create(name: string): Promise<ObjectWriter> {
    const writer = await this.write(`create ${name}`, () => this.disk.create(name))
    return {
      write: bytes => this.write(`write ${name}`, () => writer.write(bytes)),
      finish: () => this.write(`finish ${name}`, () => writer.finish()),
      abandon: () => this.call(`abandon ${name}`, () => writer.abandon(), true),
    }
  }

  publish(name: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    return this.write(`publish ${name}`, () => this.disk.publish(name, bytes))
  }

  replace(name: string, bytes: Uint8Array): Promise<void> {
    return this.write(`replace ${name}`, () => this.disk.replace(name, bytes))
  }

  copyFrom(source: SnapshotStore, from: string, name: string): Promise<void> {
    return this.write(`copy ${name}`, () => this.disk.copyFrom(source, from, name))
  }

  append(name: string, bytes: Uint8Array): Promise<void> {
    return this.write(`append ${name}`, () => this.disk.append(name, bytes))
  }

  read(name: string, offset?: number, length?: number): Promise<Uint8Array> {
    return this.call(`read ${name}`, () => this.disk.read(name, offset, length))
  }

  size(name: string): Promise<number | undefined> {
    return this.call(`size ${name}`, () => this.disk.size(name))
  }

  list(folder: string): Promise<StoredObject[]> {
    return this.call(`list ${folder}`, () => this.disk.list(folder))
  }

  remove(name: string): Promise<void> {
    return this.call(`remove ${name}`, () => this.disk.remove(name))
  }

  removeTemporary(folder: string, mayRemove: MayRemove): Promise<number> {
    return this.call(`remove temporary ${folder}`, () => this.disk.removeTemporary(folder, mayRemove))
  }

  private async write<T>(label: string, effect: () => Promise<T>): Promise<T> {
    if (this.health.isPoisoned) throw new MillraceError('STORE_POISONED', `${PLANTED}: no more writes`)
    return this.call(label, effect)
  }

  private call<T>(label: string, effect: () => Promise<T>, isSafe = false): Promise<T> {
    const error = (what: string) => new MillraceError('STORE_FAILED', what)
    const act = (): Promise<T> => {
      this.disk.actor = this.owner
      return effect()
    }
    return this.outside.call({ owner: this.owner, label, effect: act, error, isSafe })
  }
}
