/** Rows that sinks have committed and handed to the program that runs the job: of each committable once, over all attempts. */
import type { FromSlot } from '../checkpoint/mail.ts'
import { ByteReader, decodeValue } from '../codec/index.ts'

export class DeliveredRows {
  private readonly sinks = new Map<string, { readonly seen: Set<string>; readonly rows: unknown[] }>()

  add({ sink, committable, rows }: Extract<FromSlot, { type: 'rows' }>): void {
    let delivered = this.sinks.get(sink)
    if (delivered === undefined) this.sinks.set(sink, (delivered = { seen: new Set(), rows: [] }))
    if (delivered.seen.has(committable)) return
    delivered.seen.add(committable)
    delivered.rows.push(...(decodeValue(new ByteReader(rows)) as unknown[]))
  }

  of(sink: string): readonly unknown[] {
    return this.sinks.get(sink)?.rows ?? []
  }
}
