/** One value per key: value, reducing and aggregating state. */
import { type ByteReader, decodeKey, keyIdentity } from '../../codec/index.ts'
import type { Aggregator, AggregatingState, Key, ReducingState, ValueState } from '../declarations.ts'
import { flatten } from '../entries/flatten.ts'
import type { KeyContext } from '../key-context.ts'
import { type DiskCell, NOWHERE } from './disk-cell.ts'
import { DiskTable } from './disk-table.ts'
import { Packing, Unpacking } from './packed.ts'

export class DiskValueTable extends DiskTable {
  private readonly groups: (Map<unknown, DiskCell> | undefined)[] = []
  private readonly missing = new Packing()
  private readonly missingKeys: Key[] = []

  /** The bound key's cell, present or absent. */
  find(keys: KeyContext): DiskCell {
    keys.locate()
    const cells = (this.groups[keys.group] ??= new Map())
    let cell = cells.get(keys.identity)
    if (cell === undefined) {
      cell = this.load(keys.key, undefined, keys.group)
      cells.set(flatten(keys.identity), cell)
    }
    return cell
  }

  /** Reads in one call what is not in memory of these keys. */
  prefetch(context: KeyContext, keys: readonly Key[], hashes: Int32Array, count: number): void {
    const { missing, missingKeys } = this
    missing.reset()
    missingKeys.length = 0
    for (let i = 0; i < count; i++) {
      context.bindHashed(keys[i], hashes[i])
      context.locate()
      if (this.groups[context.group]?.has(context.identity) === true) continue
      missing.string(this.storeKey(keys[i], undefined, context.group))
      missingKeys.push(keys[i])
    }
    if (missing.count < 2) return
    const values = new Unpacking(this.working.store.multiGet(missing.bytes, missing.count))
    for (const key of missingKeys) {
      values.next()
      context.bind(key)
      context.locate()
      const cells = (this.groups[context.group] ??= new Map())
      if (cells.has(context.identity)) continue
      const cell = this.admit(key, undefined, context.group, values.isMissing ? undefined : values.current)
      cells.set(flatten(context.identity), cell)
    }
  }

  protected cellsOf(group: number): Iterator<DiskCell> {
    return this.groups[group]?.values() ?? [].values()
  }

  protected cellInMemory(group: number, key: ByteReader): DiskCell | undefined {
    return this.groups[group]?.get(keyIdentity(decodeKey(key)))
  }

  protected forget(cell: DiskCell): void {
    this.groups[cell.group]!.delete(keyIdentity(cell.key))
  }
}

/** Finds the bound key's cell once per bind, and anew when it was evicted. */
class CellCursor {
  protected readonly keys: KeyContext
  protected readonly table: DiskValueTable
  private cached: DiskCell | undefined
  private version = -1

  constructor(keys: KeyContext, table: DiskValueTable) {
    this.keys = keys
    this.table = table
  }

  protected cell(): DiskCell {
    if (this.version !== this.keys.version || this.cached!.ringAt === NOWHERE) {
      this.cached = this.table.find(this.keys)
      this.version = this.keys.version
    }
    return this.cached!
  }

  protected valueOr(otherwise: () => unknown): unknown {
    const cell = this.cell()
    return this.table.exists(cell) ? this.table.read(cell) : otherwise()
  }

  clear(): void {
    this.table.remove(this.cell())
  }
}

export class DiskValueState<T> extends CellCursor implements ValueState<T> {
  private readonly fallback: () => T | undefined

  constructor(keys: KeyContext, table: DiskValueTable, fallback: () => T | undefined) {
    super(keys, table)
    this.fallback = fallback
  }

  get(): T | undefined {
    return this.valueOr(this.fallback) as T | undefined
  }

  set(value: T): void {
    this.table.write(this.cell(), value)
  }
}

export class DiskReducingState<T> extends CellCursor implements ReducingState<T> {
  private readonly reduce: (a: T, b: T) => T

  constructor(keys: KeyContext, table: DiskValueTable, reduce: (a: T, b: T) => T) {
    super(keys, table)
    this.reduce = reduce
  }

  get(): T | undefined {
    return this.valueOr(nothing) as T | undefined
  }

  add(value: T): void {
    const cell = this.cell()
    const reduced = this.table.exists(cell) ? this.reduce(this.table.read(cell) as T, value) : value
    // What `reduce` did may have put the cell out of memory.
    this.table.write(this.cell(), reduced)
  }
}

export class DiskAggregatingState<T, A, R> extends CellCursor implements AggregatingState<T, R> {
  private readonly aggregator: Aggregator<T, A, R>

  constructor(keys: KeyContext, table: DiskValueTable, aggregator: Aggregator<T, A, R>) {
    super(keys, table)
    this.aggregator = aggregator
  }

  get(): R {
    return this.aggregator.result(this.accumulator())
  }

  add(value: T): void {
    const after = this.aggregator.add(this.accumulator(), value)
    this.table.write(this.cell(), after)
  }

  private accumulator(): A {
    return this.valueOr(() => this.aggregator.create()) as A
  }
}

function nothing(): undefined {}
