/** `millrace state scan SNAPSHOT OPERATOR STATE`: the entries of a state, one JSON object a line, with and without --json. */
import { entriesToJson } from '../reading/index.ts'
import { MillraceError } from '../base/errors.ts'
import { writeJsonLines } from './json-lines.ts'
import { type FilterFlags, parseFilter, type StateArguments, withState } from './state-arguments.ts'
import type { StorageFlags } from './storage.ts'

export interface ScanFlags extends StorageFlags, FilterFlags {
  readonly limit?: string
}

export async function stateScan(from: StateArguments, flags: ScanFlags): Promise<void> {
  const filter = parseFilter(flags)
  const limit = parseLimit(flags.limit)
  await withState(flags, from, async state => writeJsonLines(entriesToJson(first(state.entries(filter), limit))))
  process.exitCode = 0
}

function parseLimit(text: string | undefined): number {
  if (text === undefined) return Infinity
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new MillraceError('USAGE', `--limit ${text} is not a number of entries`)
}

async function* first<T>(items: AsyncIterable<T>, limit: number): AsyncGenerator<T> {
  let left = limit
  if (left === 0) return
  for await (const item of items) {
    yield item
    if (--left === 0) return
  }
}
