/**
 * A sink for tests and embedding: committed rows are handed to the program that runs the job. The rows themselves are the
 * committable, in the value encoding and base64, so they go through manifests like any committable: not for large outputs.
 *
 *   committable = { id: "<run id>-<subtask>-<checkpoint>", count, rows: base64 of the encoded rows, one after the other }
 */
import { MillraceError } from '../../base/errors.ts'
import { isJsonObject, type Json } from '../../base/json.ts'
import { ByteReader, ByteWriter, decodeValue, encodeValue } from '../../codec/index.ts'
import type { Prepared, Sink, SinkContext, SinkWriter } from '../contract.ts'

/**
 * Collects records in memory; committed ones are read as `handle.rows('name')`. Exactly-once. It cannot take back rows that it has
 * handed over, so a fallback to an older snapshot is refused.
 *
 * @example
 * stream.sink('out', memory())
 */
export function memory(): Sink<unknown> {
  return {
    type: 'memory',
    retracts: false,
    async open(context) {
      return new MemoryWriter(context)
    },
  }
}

class MemoryWriter implements SinkWriter<unknown> {
  private readonly context: SinkContext
  private readonly encoded = new ByteWriter()
  private count = 0
  private readonly delivered = new Set<string>()

  constructor(context: SinkContext) {
    this.context = context
  }

  /** Encoded at once: what happens to the record later is not part of it. */
  write(record: unknown): void {
    encodeValue(record, this.encoded)
    this.count++
  }

  async prepareCommit(checkpointId: number): Promise<Prepared> {
    if (this.count === 0) return { committables: [] }
    const id = `${this.context.runId}-${this.context.subtask}-${checkpointId}`
    const rows = Buffer.from(this.encoded.view()).toString('base64')
    const committable = { id, count: this.count, rows }
    this.encoded.reset()
    this.count = 0
    return { committables: [committable] }
  }

  async commit(committables: readonly Json[]): Promise<void> {
    for (const json of committables) {
      const { id, rows } = decodeCommittable(json, this.context.operator)
      if (this.delivered.has(id)) continue
      this.delivered.add(id)
      this.context.deliver(id, rows)
    }
  }

  async close(): Promise<void> {}
}

function decodeCommittable(json: Json, sink: string): { id: string; rows: unknown[] } {
  if (isJsonObject(json)) {
    const { id, count, rows } = json
    if (typeof id === 'string' && Number.isSafeInteger(count) && typeof rows === 'string')
      return { id, rows: decodeRows(rows, count as number) }
  }
  throw new MillraceError(
    'SNAPSHOT_DAMAGED',
    `the snapshot holds a committable of sink '${sink}' that is none: ${JSON.stringify(json)?.slice(0, 200)}`,
  )
}

function decodeRows(base64: string, count: number): unknown[] {
  const reader = new ByteReader(Buffer.from(base64, 'base64'))
  const rows: unknown[] = []
  for (let row = 0; row < count; row++) rows.push(decodeValue(reader))
  if (reader.remaining() > 0)
    throw new MillraceError(
      'SNAPSHOT_DAMAGED',
      `a committable has ${reader.remaining()} bytes more than its ${count} rows`,
    )
  return rows
}
