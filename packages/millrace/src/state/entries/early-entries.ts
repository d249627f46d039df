/**
 * Entries that were touched before their turn in the snapshot being written: serialised at once, by key group. The buffers are kept
 * from snapshot to snapshot: making them anew cost more than filling them.
 */
import { EntryGroup } from './entry-group.ts'

/** Most key groups have few. */
const FIRST_ENTRIES = 64

export class EarlyEntries {
  private readonly groups = new Map<number, EntryGroup>()
  private readonly spare: EntryGroup[] = []

  of(group: number): EntryGroup {
    let entries = this.groups.get(group)
    if (entries === undefined) this.groups.set(group, (entries = this.spare.pop() ?? new EntryGroup(FIRST_ENTRIES)))
    return entries
  }

  /** Moves a key group's entries to where the others of the group are. */
  moveTo(into: EntryGroup, group: number): void {
    const entries = this.groups.get(group)
    if (entries === undefined) return
    into.append(entries)
    this.groups.delete(group)
    this.release(entries)
  }

  clear(): void {
    for (const entries of this.groups.values()) this.release(entries)
    this.groups.clear()
  }

  private release(entries: EntryGroup): void {
    entries.reset()
    this.spare.push(entries)
  }
}
