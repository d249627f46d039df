/** A sink that drops everything, for measuring what comes before it. */
import type { Sink, SinkWriter } from '../contract.ts'

class BlackholeWriter implements SinkWriter<unknown> {
  write(): void {}

  async prepareCommit(): Promise<{ committables: [] }> {
    return { committables: [] }
  }

  async commit(): Promise<void> {}

  async close(): Promise<void> {}
}

/**
 * Drops every record.
 *
 * @example
 * stream.sink('nowhere', blackhole())
 */
export function blackhole(): Sink<unknown> {
  return {
    type: 'blackhole',
    retracts: true,
    async open() {
      return new BlackholeWriter()
    },
  }
}
