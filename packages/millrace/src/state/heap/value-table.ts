/** One value per key: value, reducing and aggregating state in cells. */
import { keyIdentity, type ByteReader } from '../../codec/index.ts'
import type { Aggregator, AggregatingState, Key, ReducingState, ValueState } from '../declarations.ts'
import type { KeyContext } from '../key-context.ts'
import { type Cell, CellTable } from './cell-table.ts'
import { flatten } from '../entries/flatten.ts'

export class ValueTable extends CellTable {
  private readonly groups: (Map<unknown, Cell> | undefined)[] = []

  find(keys: KeyContext): Cell | undefined {
    keys.locate()
    return this.living(this.groups[keys.group]?.get(keys.identity))
  }

  /** Undefined for a cell that is expired, which leaves the table. */
  living(cell: Cell | undefined): Cell | undefined {
    if (cell === undefined || this.ttl === undefined || !this.expired(cell)) return cell
    this.remove(cell)
    return undefined
  }

  /** The cell's value, for user code. */
  read(cell: Cell): unknown {
    this.readTouch(cell)
    return cell.value
  }

  insert(keys: KeyContext, value: unknown): Cell {
    keys.locate()
    const cell = this.create(flatten(keys.key), undefined, keys.group, flatten(value))
    ;(this.groups[keys.group] ??= new Map()).set(flatten(keys.identity), cell)
    return cell
  }

  write(cell: Cell, value: unknown): void {
    this.touch(cell)
    cell.value = flatten(value)
    this.changed(cell)
  }

  remove(cell: Cell): void {
    const group = this.groups[cell.group]!
    group.delete(keyIdentity(cell.key))
    this.removed(cell)
  }

  protected liveCells(group: number): Iterator<Cell> {
    return this.groups[group]?.values() ?? [].values()
  }

  protected *sweep(): Generator<void> {
    for (const group of this.groups) {
      if (group === undefined) continue
      // What comes meanwhile is young.
      let left = group.size
      for (const cell of group.values()) {
        if (left-- === 0) break
        if (this.expired(cell)) this.remove(cell)
        yield
      }
    }
  }

  restore(key: Key, group: number, _sub: ByteReader, value: ByteReader, lastTouchMs: number): void {
    const cell = this.restored(key, undefined, group, value, lastTouchMs)
    if (cell !== undefined) (this.groups[group] ??= new Map()).set(keyIdentity(key), cell)
  }

  entryCount(): number {
    return this.groups.reduce((sum, group) => sum + (group?.size ?? 0), 0)
  }
}

/** Finds the bound key's cell once per bind. */
class CellCursor {
  protected readonly keys: KeyContext
  protected readonly table: ValueTable
  private cached: Cell | undefined
  private version = -1

  constructor(keys: KeyContext, table: ValueTable) {
    this.keys = keys
    this.table = table
  }

  protected cell(): Cell | undefined {
    if (this.version !== this.keys.version) {
      this.cached = this.table.find(this.keys)
      this.version = this.keys.version
    } else if (this.table.ttl !== undefined) this.cached = this.table.living(this.cached)
    return this.cached
  }

  protected put(value: unknown): void {
    const cell = this.cell()
    if (cell === undefined) this.cached = this.table.insert(this.keys, value)
    else this.table.write(cell, value)
  }

  clear(): void {
    const cell = this.cell()
    if (cell === undefined) return
    this.table.remove(cell)
    this.cached = undefined
  }
}

export class HeapValueState<T> extends CellCursor implements ValueState<T> {
  private readonly fallback: T | undefined

  constructor(keys: KeyContext, table: ValueTable, fallback: T | undefined) {
    super(keys, table)
    this.fallback = fallback
  }

  get(): T | undefined {
    const cell = this.cell()
    return cell === undefined ? this.fallback : (this.table.read(cell) as T)
  }

  set(value: T): void {
    this.put(value)
  }
}

export class HeapReducingState<T> extends CellCursor implements ReducingState<T> {
  private readonly reduce: (a: T, b: T) => T

  constructor(keys: KeyContext, table: ValueTable, reduce: (a: T, b: T) => T) {
    super(keys, table)
    this.reduce = reduce
  }

  get(): T | undefined {
    const cell = this.cell()
    return cell === undefined ? undefined : (this.table.read(cell) as T)
  }

  add(value: T): void {
    const cell = this.cell()
    this.put(cell === undefined ? value : this.reduce(this.table.read(cell) as T, value))
  }
}

export class HeapAggregatingState<T, A, R> extends CellCursor implements AggregatingState<T, R> {
  private readonly aggregator: Aggregator<T, A, R>

  constructor(keys: KeyContext, table: ValueTable, aggregator: Aggregator<T, A, R>) {
    super(keys, table)
    this.aggregator = aggregator
  }

  get(): R {
    const cell = this.cell()
    return this.aggregator.result(cell === undefined ? this.aggregator.create() : (this.table.read(cell) as A))
  }

  add(value: T): void {
    const cell = this.cell()
    const accumulator = cell === undefined ? this.aggregator.create() : (this.table.read(cell) as A)
    this.put(this.aggregator.add(accumulator, value))
  }
}
