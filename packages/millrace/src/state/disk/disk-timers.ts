/**
 * Timers of the disk backend. The first ones, in the order in which they fire, are in memory (`near`), the others in the store only, where
 * TIMES holds them in that order: by time, then by registration. Whatever is registered comes behind what has the same time, so where the
 * far ones begin is known by a time alone.
 */
import {
  ByteReader,
  ByteWriter,
  decodeKey,
  decodeNumber,
  encodeKey,
  encodeValue,
  keyIdentity,
} from '../../codec/index.ts'
import type { TimerStore } from '../contract.ts'
import type { Key } from '../declarations.ts'
import { NEVER } from '../entries/epochs.ts'
import { flatten } from '../entries/flatten.ts'
import { TimerQueue } from '../entries/timer-queue.ts'
import type { KeyContext } from '../key-context.ts'
import { DiskCell } from './disk-cell.ts'
import { DiskTable } from './disk-table.ts'
import { Unpacking } from './packed.ts'
import { ANY_VALUE } from './value-codec.ts'
import { TIMES, type WorkingSet } from './working-set.ts'

/** In memory at most: sorting them takes 2 ms, which is what a step may take. */
const NEAR_MAX = 8192
/** Of the far ones that are read in one go: about 1000. */
const PIECE_BYTES = 32 * 1024
/** Operations that wait to be written at most. */
const PENDING_MAX = 256

const timeKey = new ByteWriter(32)
const NOTHING = new Uint8Array(0)
const number = new ByteWriter(16)
const reader = new ByteReader()

export class DiskTimerTable extends DiskTable implements TimerStore {
  private readonly keys: KeyContext
  private readonly near = new TimerQueue<DiskCell>()
  private readonly nearMax: number
  private registrations = 0
  private farCount = 0
  /** No far timer is earlier, and whatever is registered for this time or a later one becomes one, while there are any. */
  private farTime = -Infinity

  constructor(stateId: number, working: WorkingSet, keys: KeyContext, nearMax = NEAR_MAX) {
    super(stateId, working, ANY_VALUE, undefined)
    this.keys = keys
    this.nearMax = nearMax
  }

  get earliest(): number | undefined {
    return this.near.earliest ?? (this.farCount > 0 ? this.farTime : undefined)
  }

  register(time: number): void {
    const { keys } = this
    keys.locate()
    if (this.near.get(time, keys.identity) !== undefined) return
    if (this.isFar(time)) return this.registerFar(time)
    const cell = new DiskCell(this, flatten(keys.key), time, keys.group)
    this.write(cell, ++this.registrations)
    this.near.put(cell, flatten(keys.identity))
    if (this.near.count > this.nearMax) this.spill()
  }

  delete(time: number): void {
    const { keys } = this
    keys.locate()
    const cell = this.near.delete(time, keys.identity)
    if (cell !== undefined) this.drop(cell)
    else if (this.isFar(time)) this.deleteFar(time)
  }

  pop(upTo: number): number | undefined {
    for (;;) {
      const cell = this.near.pop(upTo)
      if (cell !== undefined) {
        this.keys.bind(cell.key)
        this.drop(cell)
        return cell.sub as number
      }
      if (this.near.count > 0 || this.farCount === 0 || this.farTime > upTo) return undefined
      this.comeNear()
    }
  }

  private isFar(time: number): boolean {
    return this.farCount > 0 && time >= this.farTime
  }

  /** A near timer is gone. */
  private drop(cell: DiskCell): void {
    const { pending, cache } = this.working
    if (cell.isSaved) this.erase(cell.key, cell.sub as number, cell.group, cell.value as number)
    this.remove(cell)
    cell.isSaved = true
    if (cell.written === NEVER) this.unlist(cell)
    else {
      // What is left is that it was removed, until a snapshot says so.
      cell.isReferenced = false
      cache.add(cell)
    }
    if (pending.count >= PENDING_MAX) this.working.flush()
  }

  // -------------------------------------------------------------------------------------------------------- far ones

  private registerFar(time: number): void {
    const { key, group } = this.keys
    this.working.flush()
    if (this.working.store.get(this.storeKey(key, time, group)) !== undefined) return
    this.count++
    this.inscribe(key, time, group, ++this.registrations)
    this.working.markChanged(this.epochs.current, this.storeKey(key, time, group).subarray(1), this.working.pending)
    this.farCount++
  }

  private deleteFar(time: number): void {
    const { key, group } = this.keys
    this.working.flush()
    const stored = this.working.store.get(this.storeKey(key, time, group))
    if (stored === undefined) return
    reader.reset(stored)
    this.erase(key, time, group, decodeNumber(reader))
    this.working.markChanged(this.epochs.current, this.storeKey(key, time, group).subarray(1), this.working.pending)
    this.count--
    this.farCount--
  }

  private inscribe(key: Key, time: number, group: number, registration: number): void {
    const { pending } = this.working
    number.reset()
    encodeValue(registration, number)
    pending.put(this.storeKey(key, time, group), number.view())
    pending.put(this.timeKey(key, time, group, registration), NOTHING)
  }

  private erase(key: Key, time: number, group: number, registration: number): void {
    const { pending } = this.working
    pending.delete(this.storeKey(key, time, group))
    pending.delete(this.timeKey(key, time, group, registration))
  }

  /** Numbers of registration are a subtask's own, and another one may have had the same: the key tells them apart. */
  private timeKey(key: Key, time: number, group: number, registration: number): Uint8Array {
    timeKey.reset()
    timeKey.u8(TIMES)
    timeKey.u16be(this.stateId)
    timeKey.orderedF64(time)
    timeKey.orderedF64(registration)
    timeKey.u16be(group)
    encodeKey(key, timeKey)
    return timeKey.view()
  }

  /** Makes the later half of the near ones far. */
  private spill(): void {
    const cells = [...this.near].sort(
      (a, b) => (a.sub as number) - (b.sub as number) || (a.value as number) - (b.value as number),
    )
    const far = cells.slice(cells.length >> 1)
    this.farTime = far[0].sub as number
    for (const cell of far) {
      this.near.delete(cell.sub as number, keyIdentity(cell.key))
      this.evict(cell, this.working.pending)
      this.farCount++
    }
    this.working.flush()
  }

  /** Reads the first of the far ones, while none is near. */
  private comeNear(): void {
    this.working.flush()
    const from = Uint8Array.of(TIMES, this.stateId >> 8, this.stateId)
    const to = Uint8Array.of(TIMES, (this.stateId + 1) >> 8, this.stateId + 1)
    const piece = new Unpacking(this.working.store.scan(from, to, PIECE_BYTES))
    while (!piece.atEnd) {
      piece.next()
      reader.reset(piece.bytes, piece.start + from.length, piece.end)
      const time = reader.orderedF64()
      const registration = reader.orderedF64()
      const group = reader.u16be()
      const cell = new DiskCell(this, decodeKey(reader), time, group)
      piece.next()
      cell.value = registration
      cell.written = 0
      this.near.put(cell, keyIdentity(cell.key))
      this.farCount--
      this.farTime = time
    }
  }

  // ------------------------------------------------------------------------------------------------- for the table

  protected override writeSub(sub: Key | undefined, out: ByteWriter): void {
    if (sub !== undefined) out.orderedF64(sub as number)
  }

  /** There are few. What is gone stands in the store as gone. */
  protected *cellsOf(group: number): Generator<DiskCell> {
    for (const cell of this.near) if (cell.group === group) yield cell
  }

  /** Timers do not expire. */
  protected cellInMemory(): undefined {}

  protected forget(): void {}

  protected override save(cell: DiskCell): void {
    if (cell.isSaved) return
    this.beforeChange(cell)
    this.inscribe(cell.key, cell.sub as number, cell.group, cell.value as number)
    if (cell.written === NEVER) cell.written = 0
    cell.isSaved = true
  }

  override restore(key: ByteReader, group: number, value: ByteReader): boolean {
    const decoded = decodeKey(key)
    const time = key.orderedF64()
    const registration = decodeNumber(value)
    this.inscribe(decoded, time, group, registration)
    if (this.working.pending.count >= PENDING_MAX) this.working.flush()
    this.registrations = Math.max(this.registrations, registration)
    this.count++
    this.farCount++
    return false
  }

  override restoreEnd(): void {
    if (this.farCount > 0) this.comeNear()
  }
}
