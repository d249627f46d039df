/**
 * The history of a job's snapshots: `log.jsonl`, one line per snapshot that was tried, completed or not. For people and dashboards:
 * nothing is decided from it, it is not synced, and a torn last line after a crash is skipped.
 */
import { isMillraceError } from '../base/errors.ts'
import { isJsonObject } from '../base/json.ts'
import type { SnapshotStore } from '../store/contract.ts'
import type { SnapshotKind } from './manifest-types.ts'
import { LOG } from './object-names.ts'

/** Ten thousand lines are a day of checkpoints every nine seconds, at some 3 MB. */
export const HISTORY_LIMIT = 10_000
const READ_LIMIT_BYTES = 16 * 1024 * 1024
const ERROR_LENGTH_LIMIT = 500
const NEWLINE = 0x0a

export interface HistoryEntry {
  readonly atMs: number
  readonly kind: SnapshotKind
  readonly id: number
  readonly run: number
  readonly trigger: 'interval' | 'user' | 'stop' | 'finish' | 'rescale'
  readonly outcome: 'completed' | 'failed' | 'expired'
  readonly durationMs: number
  /** What this snapshot wrote. */
  readonly newBytes?: number
  readonly totalBytes?: number
  /** The longest that a slot waited for the barrier on its channels. */
  readonly alignmentMs?: number
  readonly error?: string
}

/** Never fails a snapshot: false when the line could not be written. */
export async function appendHistory(store: SnapshotStore, entry: HistoryEntry): Promise<boolean> {
  const error = entry.error === undefined ? {} : { error: entry.error.slice(0, ERROR_LENGTH_LIMIT) }
  try {
    await store.append(LOG, new TextEncoder().encode(`${JSON.stringify({ ...entry, ...error })}\n`))
    return true
  } catch (failure) {
    if (isMillraceError(failure)) return false
    throw failure
  }
}

/** The last entries, oldest first. Lines that are torn or foreign are left out. */
export async function readHistory(store: SnapshotStore, limit = HISTORY_LIMIT): Promise<HistoryEntry[]> {
  const { lines } = await readLines(store)
  return lines.slice(-limit).flatMap(line => {
    try {
      const value: unknown = JSON.parse(line)
      return isJsonObject(value) && typeof value['id'] === 'number' ? [value as unknown as HistoryEntry] : []
    } catch {
      return []
    }
  })
}

/** At start: keep the last entries, and mend a torn last line, so that the next one does not become part of it. */
export async function trimHistory(store: SnapshotStore, limit = HISTORY_LIMIT): Promise<void> {
  const { lines, isWhole } = await readLines(store)
  if (isWhole && lines.length <= limit) return
  const kept = lines.slice(-limit)
  await store.replace(LOG, new TextEncoder().encode(kept.map(line => `${line}\n`).join('')))
}

interface Lines {
  readonly lines: readonly string[]
  /** The file was read to its beginning and ends with a newline. */
  readonly isWhole: boolean
}

/** Complete lines at the end of the log, as many as fit the limit. */
async function readLines(store: SnapshotStore): Promise<Lines> {
  const size = (await store.size(LOG)) ?? 0
  if (size === 0) return { lines: [], isWhole: true }
  const from = Math.max(0, size - READ_LIMIT_BYTES)
  const bytes = await store.read(LOG, from, size - from)
  const start = from === 0 ? 0 : bytes.indexOf(NEWLINE) + 1
  const end = bytes.lastIndexOf(NEWLINE) + 1
  const text = new TextDecoder().decode(bytes.subarray(Math.min(start, end), end))
  return { lines: text.split('\n').slice(0, -1), isWhole: from === 0 && end === bytes.length }
}
