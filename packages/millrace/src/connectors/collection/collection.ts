/** A source over values in memory. */
import { MillraceError } from '../../base/errors.ts'
import type { Json } from '../../base/json.ts'
import type { ReadResult, Source, SourceOutput, SplitReader } from '../contract.ts'

/**
 * A bounded source of the given items, in order, in one split. The position is the index of the next item, so the items must be the
 * same again after a restart.
 *
 * @example
 * flow.source('numbers', collection([1, 2, 3]))
 */
export function collection<T>(items: readonly T[]): Source<T> {
  if (!Array.isArray(items))
    throw new MillraceError('OPTION_INVALID', `collection needs an array; it was given ${typeof items}`)
  return {
    type: 'collection',
    bounded: true,
    async enumerate() {
      return [{ id: 'items', detail: { count: items.length } }]
    },
    async open(_split, position) {
      return new CollectionReader(items, position === undefined ? 0 : checkedIndex(position, items.length))
    },
  }
}

class CollectionReader<T> implements SplitReader<T> {
  private readonly items: readonly T[]
  private next: number

  constructor(items: readonly T[], next: number) {
    this.items = items
    this.next = next
  }

  read(output: SourceOutput<T>, maxRecords: number): ReadResult {
    const items = this.items
    for (let count = 0; count < maxRecords && this.next < items.length; count++) output.record(items[this.next++])
    return this.next < items.length ? 'more' : 'end'
  }

  position(): Json {
    return this.next
  }

  progress(): { done: number; total: number; unit: 'records' } {
    return { done: this.next, total: this.items.length, unit: 'records' }
  }

  async close(): Promise<void> {}
}

function checkedIndex(position: Json, count: number): number {
  if (Number.isSafeInteger(position) && (position as number) >= 0 && (position as number) <= count)
    return position as number
  throw new MillraceError(
    'SOURCE_FILE_CHANGED',
    `the collection has ${count} items, but the snapshot goes on at item ${JSON.stringify(position)}`,
  )
}
