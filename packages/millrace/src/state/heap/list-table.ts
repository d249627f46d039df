/** List state: one cell per element, told apart by its index, so that adding to a long list writes only what was added. */
import { keyIdentity, type ByteReader } from '../../codec/index.ts'
import type { Key, ListState } from '../declarations.ts'
import type { KeyContext } from '../key-context.ts'
import { ABSENT, type Cell, CellTable } from './cell-table.ts'
import type { EntryGroup } from '../entries/entry-group.ts'
import { flatten } from '../entries/flatten.ts'

export class ListTable extends CellTable {
  private readonly groups: (Map<unknown, Cell[]> | undefined)[] = []
  private count = 0

  find(keys: KeyContext): Cell[] | undefined {
    keys.locate()
    return this.groups[keys.group]?.get(keys.identity)
  }

  add(keys: KeyContext, value: unknown): void {
    let list = this.find(keys)
    if (list === undefined) (this.groups[keys.group] ??= new Map()).set(flatten(keys.identity), (list = []))
    // Elements that expired leave gaps: an index is used once.
    const index = list.length === 0 ? 0 : (list[list.length - 1].sub as number) + 1
    list.push(this.create(flatten(keys.key), index, keys.group, flatten(value)))
    this.count++
  }

  /** The elements that have not expired, oldest first. */
  *read(list: readonly Cell[]): Generator {
    for (const cell of list) {
      if (cell.value === ABSENT || this.expired(cell)) continue
      this.readTouch(cell)
      yield cell.value
    }
  }

  clear(keys: KeyContext): void {
    const list = this.find(keys)
    if (list === undefined) return
    this.groups[keys.group]!.delete(keys.identity)
    for (const cell of list) if (cell.value !== ABSENT) this.remove(cell)
  }

  private remove(cell: Cell): void {
    this.count--
    this.removed(cell)
  }

  protected override encodeSub(cell: Cell, into: EntryGroup): void {
    into.bytes.u32be(cell.sub as number)
  }

  protected *liveCells(group: number): Generator<Cell> {
    const lists = this.groups[group]
    if (lists !== undefined) for (const list of lists.values()) yield* list
  }

  protected *sweep(): Generator<void> {
    for (const [group, lists] of this.groups.entries()) {
      if (lists === undefined) continue
      // What comes meanwhile is young.
      let left = lists.size
      for (const [identity, list] of lists) {
        if (left-- === 0) break
        yield* this.sweepList(list)
        // It may be another list by now.
        if (list.length === 0 && lists.get(identity) === list) this.groups[group]!.delete(identity)
      }
    }
  }

  /** An element at a time is taken out of the state; they leave the array together, since whoever moved one would move all behind it. */
  private *sweepList(list: Cell[]): Generator<void> {
    let holes = 0
    for (let i = 0, end = list.length; i < end; i++) {
      const cell = list[i]
      if (cell.value !== ABSENT && this.expired(cell)) this.remove(cell)
      if (cell.value === ABSENT) holes++
      yield
    }
    if (holes > 0) closeHoles(list)
  }

  restore(key: Key, group: number, sub: ByteReader, value: ByteReader, lastTouchMs: number): void {
    const cell = this.restored(key, sub.u32be(), group, value, lastTouchMs)
    if (cell === undefined) return
    const lists = (this.groups[group] ??= new Map())
    const identity = keyIdentity(key)
    let list = lists.get(identity)
    if (list === undefined) lists.set(identity, (list = []))
    list.push(cell)
    this.count++
  }

  entryCount(): number {
    return this.count
  }
}

function closeHoles(list: Cell[]): void {
  let kept = 0
  for (const cell of list) if (cell.value !== ABSENT) list[kept++] = cell
  list.length = kept
}

export class HeapListState<T> implements ListState<T> {
  private readonly context: KeyContext
  private readonly table: ListTable

  constructor(context: KeyContext, table: ListTable) {
    this.context = context
    this.table = table
  }

  get(): Iterable<T> {
    const list = this.table.find(this.context)
    return list === undefined ? [] : (this.table.read([...list]) as Iterable<T>)
  }

  add(value: T): void {
    this.table.add(this.context, value)
  }

  set(values: Iterable<T>): void {
    const next = [...values]
    this.table.clear(this.context)
    for (const value of next) this.table.add(this.context, value)
  }

  clear(): void {
    this.table.clear(this.context)
  }
}
