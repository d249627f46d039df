/**
 * Many entries per key, told apart by a key of their own: what map state, list state and windows have in common.
 *
 * Of a key's entries those are in memory that somebody asked for. To iterate, they are read from the store in pieces, in their order, and
 * never all at once, unless they come in one piece: then they stay in memory, and the next iteration does not touch the store.
 *
 * An iteration goes over the entries that exist when it begins. What comes later is not seen, what went is skipped, what was changed has
 * its new value.
 */
import { ByteReader, decodeKey, keyIdentity, type ByteWriter, type Key } from '../../codec/index.ts'
import { flatten } from '../entries/flatten.ts'
import type { KeyContext } from '../key-context.ts'
import { ABSENT, type DiskCell } from './disk-cell.ts'
import { DiskTable } from './disk-table.ts'
import { keyAfter, Unpacking } from './packed.ts'

/** Of what an iteration reads in one go, and of entries that stay in memory because they were. */
const PIECE_BYTES = 32 * 1024

/** The entries of one key that are in memory. */
export class KeyEntries {
  readonly key: Key
  readonly group: number
  readonly cells = new Map<unknown, DiskCell>()
  /** The table finds it under its key; otherwise it holds nothing, and another one may be found there. */
  isKnown = true
  /** Every entry of the key that exists is in memory. */
  isComplete = false
  /** The existing ones in order; undefined when that has to be made anew. */
  sorted: DiskCell[] | undefined
  /** Grows with every change, and with every cell that is evicted. */
  version = 0
  readonly iterations = new Set<Iteration>()

  constructor(key: Key, group: number) {
    this.key = key
    this.group = group
  }
}

/** One iteration that has begun: entries that came since, by identity. */
interface Iteration {
  readonly later: Set<unknown>
}

export abstract class DiskEntriesTable extends DiskTable {
  private readonly groups: (Map<unknown, KeyEntries> | undefined)[] = []

  protected abstract override writeSub(sub: Key | undefined, out: ByteWriter): void
  protected abstract readSub(from: ByteReader): Key
  protected abstract compareSubs(a: Key, b: Key): number

  /** Of the bound key. To be given back by `release`, or keys that have no entries would pile up. */
  find(keys: KeyContext): KeyEntries {
    keys.locate()
    return this.entriesAt(keys.key, keys.group, keys.identity)
  }

  release(entries: KeyEntries): void {
    if (entries.cells.size > 0 || entries.iterations.size > 0) return
    const identity = keyIdentity(entries.key)
    const group = this.groups[entries.group]!
    if (group.get(identity) !== entries) return
    group.delete(identity)
    entries.isKnown = false
  }

  private entriesAt(key: Key, index: number, identity: unknown): KeyEntries {
    const group = (this.groups[index] ??= new Map())
    let entries = group.get(identity)
    if (entries === undefined) {
      entries = new KeyEntries(flatten(key), index)
      group.set(flatten(identity), entries)
    }
    return entries
  }

  /** The entry's cell, present or absent. Any other cell may be gone afterwards. */
  cell(entries: KeyEntries, sub: Key): DiskCell {
    const found = entries.cells.get(keyIdentity(sub))
    return found ?? this.keep(entries, this.loadOf(entries, sub))
  }

  private loadOf(entries: KeyEntries, sub: Key): DiskCell {
    if (entries.isComplete) return this.admit(entries.key, sub, entries.group, undefined)
    return this.load(entries.key, sub, entries.group)
  }

  protected keep(entries: KeyEntries, cell: DiskCell): DiskCell {
    entries.cells.set(keyIdentity(cell.sub!), cell)
    if (!entries.isKnown) {
      // Making room has just put all others out of memory, and with them the key.
      this.groups[entries.group]!.set(flatten(keyIdentity(entries.key)), entries)
      entries.isKnown = true
    }
    return cell
  }

  set(entries: KeyEntries, sub: Key, value: unknown): void {
    this.put(entries, this.cell(entries, sub), value)
  }

  protected put(entries: KeyEntries, cell: DiskCell, value: unknown): void {
    const isNew = !this.exists(cell)
    this.write(cell, value)
    entries.version++
    if (!isNew) return
    entries.sorted = undefined
    for (const { later } of entries.iterations) later.add(keyIdentity(cell.sub!))
  }

  drop(entries: KeyEntries, sub: Key): void {
    const cell = this.cell(entries, sub)
    if (this.exists(cell)) this.remove(cell)
  }

  override remove(cell: DiskCell): void {
    super.remove(cell)
    const entries = this.groups[cell.group]!.get(keyIdentity(cell.key))!
    entries.sorted = undefined
    entries.version++
  }

  clear(entries: KeyEntries): void {
    for (const sub of this.iterate(entries, false)) this.drop(entries, sub as Key)
  }

  // ------------------------------------------------------------------------------------------------------ iteration

  /** Subs, or pairs of sub and value, in the order of the subs. */
  *iterate(found: KeyEntries, withValues: boolean): Generator {
    const entries = this.entriesAt(found.key, found.group, keyIdentity(found.key))
    const iteration: Iteration = { later: new Set() }
    entries.iterations.add(iteration)
    try {
      const first = this.firstPiece(entries)
      if (first !== undefined) yield* this.iterateStore(entries, first, iteration, withValues)
      else {
        for (const { sub } of (entries.sorted ??= this.sort(entries))) {
          if (iteration.later.has(keyIdentity(sub!))) continue
          const cell = this.cell(entries, sub!)
          if (this.exists(cell)) yield withValues ? [sub, this.read(cell)] : sub
        }
      }
    } finally {
      entries.iterations.delete(iteration)
      this.release(entries)
    }
  }

  private sort(entries: KeyEntries): DiskCell[] {
    const existing = [...entries.cells.values()].filter(cell => cell.value !== ABSENT)
    return existing.sort((a, b) => this.compareSubs(a.sub!, b.sub!))
  }

  /** Undefined: all entries are in memory. */
  private firstPiece(entries: KeyEntries): Unpacking | undefined {
    if (entries.isComplete) return undefined
    this.saveAll(entries)
    const [from, to] = this.rangeOf(entries)
    const piece = this.working.store.scan(from, to, PIECE_BYTES)
    if (piece.length >= PIECE_BYTES) return new Unpacking(piece)
    this.admitAll(entries, new Unpacking(piece))
    return entries.isComplete ? undefined : new Unpacking(piece)
  }

  private admitAll(entries: KeyEntries, piece: Unpacking): void {
    entries.isComplete = true
    while (!piece.atEnd) {
      const sub = this.subAt(entries, piece)
      piece.next()
      // Evicting one of them while the others are admitted ends the completeness.
      if (!entries.cells.has(keyIdentity(sub))) {
        this.keep(entries, this.admit(entries.key, sub, entries.group, new Uint8Array(piece.current)))
      }
    }
    entries.sorted = undefined
  }

  private *iterateStore(entries: KeyEntries, first: Unpacking, { later }: Iteration, withValues: boolean): Generator {
    const [, to] = this.rangeOf(entries)
    for (let piece = first; !piece.atEnd;) {
      const { version } = entries
      let last = piece.bytes
      while (!piece.atEnd) {
        const sub = this.subAt(entries, piece)
        last = piece.current
        piece.next()
        if (later.has(keyIdentity(sub))) continue
        const known = entries.cells.get(keyIdentity(sub))
        if (known === undefined && version === entries.version && this.ttl === undefined) {
          yield withValues ? [sub, this.codec.given(this.decode(piece.current))] : sub
        } else {
          const cell = known ?? this.cell(entries, sub)
          if (this.exists(cell)) yield withValues ? [sub, this.read(cell)] : sub
        }
      }
      this.saveAll(entries)
      piece = new Unpacking(this.working.store.scan(keyAfter(last), to, PIECE_BYTES))
    }
  }

  /** Makes the store hold what is in memory of the key. */
  protected saveAll(entries: KeyEntries): void {
    for (const cell of entries.cells.values()) this.save(cell, this.working.pending)
    this.working.flush()
  }

  protected subAt(entries: KeyEntries, piece: Unpacking): Key {
    piece.next()
    subReader.reset(piece.bytes, piece.start + this.prefixBytes(entries), piece.end)
    return this.readSub(subReader)
  }

  private decode(stored: Uint8Array): unknown {
    valueReader.reset(stored)
    return this.codec.decode(valueReader)
  }

  private prefixBytes(entries: KeyEntries): number {
    return this.storeKey(entries.key, undefined, entries.group).length
  }

  protected rangeOf(entries: KeyEntries): [from: Uint8Array, to: Uint8Array] {
    const from = new Uint8Array(this.storeKey(entries.key, undefined, entries.group))
    return [from, successorOf(from)]
  }

  // --------------------------------------------------------------------------------------------------------- cells

  protected *cellsOf(group: number): Generator<DiskCell> {
    const keys = this.groups[group]
    if (keys !== undefined) for (const entries of keys.values()) yield* entries.cells.values()
  }

  protected cellInMemory(group: number, key: ByteReader): DiskCell | undefined {
    const entries = this.groups[group]?.get(keyIdentity(decodeKey(key)))
    return entries?.cells.get(keyIdentity(this.readSub(key)))
  }

  protected forget(cell: DiskCell): void {
    const group = this.groups[cell.group]!
    const identity = keyIdentity(cell.key)
    const entries = group.get(identity)!
    entries.cells.delete(keyIdentity(cell.sub!))
    entries.version++
    if (cell.value !== ABSENT) {
      entries.isComplete = false
      entries.sorted = undefined
    }
    this.release(entries)
  }
}

const subReader = new ByteReader()
const valueReader = new ByteReader()

/** The first key behind all that begin with `prefix`. */
function successorOf(prefix: Uint8Array): Uint8Array {
  const successor = new Uint8Array(prefix)
  let i = successor.length - 1
  while (successor[i] === 0xff) i--
  successor[i]++
  return successor.subarray(0, i + 1)
}
