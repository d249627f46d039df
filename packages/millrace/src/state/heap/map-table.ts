/** Many entries per key, told apart by a key of their own: map state, and the windows of aggregators that need cells. */
import { NO_TOUCH } from '../../time/index.ts'
import { compareKeys, decodeKey, keyIdentity, type ByteReader } from '../../codec/index.ts'
import type { Aggregator, Key, MapState } from '../declarations.ts'
import type { KeyContext } from '../key-context.ts'
import type { WindowStore } from '../contract.ts'
import { ABSENT, type Cell, CellTable } from './cell-table.ts'
import { flatten } from '../entries/flatten.ts'

/** The entries of one key. */
class Entries {
  readonly cells = new Map<unknown, Cell>()
  /** In key order, made when somebody iterates; undefined after an entry came or went. */
  sorted: Cell[] | undefined
}

export class MapTable extends CellTable {
  private readonly groups: (Map<unknown, Entries> | undefined)[] = []
  private count = 0

  find(keys: KeyContext): Entries | undefined {
    keys.locate()
    return this.groups[keys.group]?.get(keys.identity)
  }

  findOrCreate(keys: KeyContext): Entries {
    const found = this.find(keys)
    if (found !== undefined) return found
    return this.entriesOf(keys.group, flatten(keys.identity))
  }

  cell(entries: Entries, sub: Key): Cell | undefined {
    const cell = entries.cells.get(keyIdentity(sub))
    if (cell !== undefined && this.ttl !== undefined && this.expired(cell)) {
      this.remove(entries, cell)
      return undefined
    }
    return cell
  }

  read(cell: Cell): unknown {
    this.readTouch(cell)
    return cell.value
  }

  set(keys: KeyContext, entries: Entries, sub: Key, value: unknown): void {
    // One that is expired stays too, with a new life: without its last entry the key would leave the table.
    const cell = entries.cells.get(keyIdentity(sub))
    if (cell !== undefined) {
      this.touch(cell)
      if (this.expired(cell)) cell.touchedMs = NO_TOUCH
      cell.value = flatten(value)
      this.changed(cell)
      return
    }
    const added = this.create(flatten(keys.key), flatten(sub), keys.group, flatten(value))
    entries.cells.set(keyIdentity(added.sub!), added)
    entries.sorted = undefined
    this.count++
  }

  /** Entries that become empty leave the table, or keys would pile up. */
  remove(entries: Entries, cell: Cell): void {
    entries.cells.delete(keyIdentity(cell.sub!))
    entries.sorted = undefined
    this.count--
    this.removed(cell)
    if (entries.cells.size === 0) this.groups[cell.group]!.delete(keyIdentity(cell.key))
  }

  sorted(entries: Entries): readonly Cell[] {
    return (entries.sorted ??= [...entries.cells.values()].sort((a, b) => compareKeys(a.sub!, b.sub!)))
  }

  isLive(cell: Cell): boolean {
    return cell.value !== ABSENT && !this.expired(cell)
  }

  protected *liveCells(group: number): Generator<Cell> {
    const keys = this.groups[group]
    if (keys !== undefined) for (const entries of keys.values()) yield* entries.cells.values()
  }

  protected *sweep(): Generator<void> {
    for (const keys of this.groups) {
      if (keys === undefined) continue
      let left = keys.size
      for (const entries of keys.values()) {
        // What comes meanwhile is young.
        if (left-- === 0) break
        let cellsLeft = entries.cells.size
        for (const cell of entries.cells.values()) {
          if (cellsLeft-- === 0) break
          if (this.expired(cell)) this.remove(entries, cell)
          yield
        }
      }
    }
  }

  restore(key: Key, group: number, sub: ByteReader, value: ByteReader, lastTouchMs: number): void {
    const cell = this.restored(key, decodeKey(sub), group, value, lastTouchMs)
    if (cell === undefined) return
    this.entriesOf(group, keyIdentity(key)).cells.set(keyIdentity(cell.sub!), cell)
    this.count++
  }

  entryCount(): number {
    return this.count
  }

  private entriesOf(group: number, identity: unknown): Entries {
    const keys = (this.groups[group] ??= new Map())
    let entries = keys.get(identity)
    if (entries === undefined) keys.set(identity, (entries = new Entries()))
    return entries
  }
}

class EntriesCursor {
  protected readonly context: KeyContext
  protected readonly table: MapTable
  private cached: Entries | undefined
  private version = -1

  constructor(context: KeyContext, table: MapTable) {
    this.context = context
    this.table = table
  }

  protected node(): Entries | undefined {
    if (this.version !== this.context.version) {
      this.cached = this.table.find(this.context)
      this.version = this.context.version
    }
    return this.cached
  }

  protected put(sub: Key, value: unknown): void {
    let entries = this.node()
    // Entries that became empty have left the table.
    if (entries === undefined || entries.cells.size === 0) entries = this.cached = this.table.findOrCreate(this.context)
    this.table.set(this.context, entries, sub, value)
  }
}

export class HeapMapState<K extends Key, V> extends EntriesCursor implements MapState<K, V> {
  get(key: K): V | undefined {
    const entries = this.node()
    const cell = entries === undefined ? undefined : this.table.cell(entries, key)
    return cell === undefined ? undefined : (this.table.read(cell) as V)
  }

  set(key: K, value: V): void {
    this.put(key, value)
  }

  has(key: K): boolean {
    const entries = this.node()
    return entries !== undefined && this.table.cell(entries, key) !== undefined
  }

  delete(key: K): void {
    const entries = this.node()
    const cell = entries === undefined ? undefined : this.table.cell(entries, key)
    if (cell !== undefined) this.table.remove(entries!, cell)
  }

  *entries(): Generator<[K, V]> {
    for (const cell of this.live()) yield [cell.sub as K, this.table.read(cell) as V]
  }

  *keys(): Generator<K> {
    for (const cell of this.live()) yield cell.sub as K
  }

  *values(): Generator<V> {
    for (const cell of this.live()) yield this.table.read(cell) as V
  }

  clear(): void {
    const entries = this.node()
    // A map's iterator survives that what it stands at is deleted.
    if (entries !== undefined) for (const cell of entries.cells.values()) this.table.remove(entries, cell)
  }

  private *live(): Generator<Cell> {
    const entries = this.node()
    if (entries === undefined) return
    for (const cell of this.table.sorted(entries)) if (this.table.isLive(cell)) yield cell
  }
}

/** Window contents in cells, for aggregators without a fixed-width accumulator. */
export class CellWindowStore extends EntriesCursor implements WindowStore {
  private readonly aggregator: Aggregator<any, any, any>

  constructor(context: KeyContext, table: MapTable, aggregator: Aggregator<any, any, any>) {
    super(context, table)
    this.aggregator = aggregator
  }

  has(windowStart: number): boolean {
    const entries = this.node()
    return entries !== undefined && this.table.cell(entries, windowStart) !== undefined
  }

  add(windowStart: number, record: unknown): boolean {
    const entries = this.node()
    const cell = entries === undefined ? undefined : this.table.cell(entries, windowStart)
    const accumulator = cell === undefined ? this.aggregator.create() : this.table.read(cell)
    this.put(windowStart, this.aggregator.add(accumulator, record))
    return cell === undefined
  }

  result(windowStart: number): unknown {
    const cell = this.table.cell(this.node()!, windowStart)!
    return this.aggregator.result(this.table.read(cell))
  }

  clear(windowStart: number): void {
    const entries = this.node()
    const cell = entries === undefined ? undefined : this.table.cell(entries, windowStart)
    if (cell !== undefined) this.table.remove(entries!, cell)
  }
}
