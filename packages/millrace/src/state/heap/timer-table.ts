/**
 * Timers: a timer is a cell whose sub is the time and whose value is its registration number, so that after a restore timers fire in the
 * same order as without one.
 */
import { decodeNumber, keyIdentity, type ByteReader } from '../../codec/index.ts'
import type { Key } from '../declarations.ts'
import type { TimerStore } from '../contract.ts'
import type { KeyContext } from '../key-context.ts'
import { ABSENT, Cell, CellTable } from './cell-table.ts'
import type { EntryGroup } from '../entries/entry-group.ts'
import type { Epochs } from '../entries/epochs.ts'
import { flatten } from '../entries/flatten.ts'
import { TimerQueue } from '../entries/timer-queue.ts'

export class TimerTable extends CellTable implements TimerStore {
  private readonly keys: KeyContext
  private readonly queue = new TimerQueue<Cell>()
  private registrations = 0

  constructor(stateId: number, epochs: Epochs, keys: KeyContext) {
    super(stateId, epochs)
    this.keys = keys
  }

  get earliest(): number | undefined {
    return this.queue.earliest
  }

  register(time: number): void {
    const keys = this.keys
    keys.locate()
    if (this.queue.get(time, keys.identity) !== undefined) return
    this.queue.put(this.create(flatten(keys.key), time, keys.group, ++this.registrations), flatten(keys.identity))
  }

  delete(time: number): void {
    this.keys.locate()
    const cell = this.queue.delete(time, this.keys.identity)
    if (cell !== undefined) this.drop(cell)
  }

  pop(upTo: number): number | undefined {
    const cell = this.queue.pop(upTo)
    if (cell === undefined) return undefined
    this.keys.bind(cell.key)
    this.drop(cell)
    return cell.sub as number
  }

  protected override encodeSub(cell: Cell, into: EntryGroup): void {
    into.bytes.orderedF64(cell.sub as number)
  }

  /** Timers are not held by key group: for a full snapshot they are dealt out to theirs first, as many a step as are serialised. */
  private dealing: Iterator<Cell> | undefined
  private readonly dealt: Cell[][] = []

  override collect(group: number, into: EntryGroup, max: number): boolean {
    return (!this.epochs.full || this.deal(max)) && super.collect(group, into, max)
  }

  /** What comes while it walks is newer than the snapshot, and what goes is serialised before. */
  private deal(max: number): boolean {
    this.dealing ??= this.queue[Symbol.iterator]()
    for (; max > 0; max--) {
      const next = this.dealing.next()
      if (next.done === true) return true
      ;(this.dealt[next.value.group] ??= []).push(next.value)
    }
    return false
  }

  protected liveCells(group: number): Iterator<Cell> {
    return (this.dealt[group] ?? []).values()
  }

  /** Timers do not expire. */
  protected sweep(): Iterator<void> {
    return [].values()
  }

  override thaw(): void {
    super.thaw()
    this.dealing = undefined
    this.dealt.length = 0
  }

  restore(key: Key, group: number, sub: ByteReader, value: ByteReader): void {
    this.waiting.push(new Cell(key, sub.orderedF64(), group, decodeNumber(value), 0, 0))
  }

  /** Entries come in key order; they are registered again in the order of their first registration. */
  private waiting: Cell[] = []

  override restoreEnd(): void {
    this.waiting.sort((a, b) => (a.value as number) - (b.value as number))
    for (const cell of this.waiting) {
      this.queue.put(cell, keyIdentity(cell.key))
      this.registrations = Math.max(this.registrations, cell.value as number)
    }
    this.waiting = []
  }

  entryCount(): number {
    return this.queue.count
  }

  private drop(cell: Cell): void {
    if (cell.value !== ABSENT) this.removed(cell)
  }
}
