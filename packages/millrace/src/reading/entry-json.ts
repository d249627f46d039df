/** Entries and differences as JSON documents: the names of their members as they are, keys and values as json-value.ts writes them. */
import type { Json, JsonObject } from '../base/json.ts'
import { valueToJson } from './json-value.ts'
import type { Difference } from './diff-snapshots.ts'
import type { StateEntry } from './state-entry.ts'

/** Members whose values are the state's own; all others are numbers and texts of ours. */
const OWN: ReadonlySet<string> = new Set(['key', 'mapKey', 'window', 'value', 'before', 'after'])

function entryToJson(entry: StateEntry | Difference): JsonObject {
  return Object.fromEntries(
    Object.entries(entry).map(([name, held]) => [name, OWN.has(name) ? valueToJson(held) : (held as Json)]),
  )
}

export async function* entriesToJson(entries: AsyncIterable<StateEntry | Difference>): AsyncGenerator<JsonObject> {
  for await (const entry of entries) yield entryToJson(entry)
}
