/**
 * A job with two exchanges, whose rows are a function of its input: each word's count when it is complete, and how many words came to
 * the same count. Through its parameters one slot throws, or its thread ends, once.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { count, defineJob, generator, memory } from 'millrace'

export const RECORDS = 30_000
const WORDS = 500

const wordOf = (i: number): string => `w${(i * 7919) % WORDS}`

/** What comes out, as texts, sorted. */
export function expectedRows(): string[] {
  const rows = Array.from({ length: WORDS }, (_, n) => JSON.stringify({ key: RECORDS / WORDS, value: n + 1 }))
  return rows.sort()
}

export default defineJob<{ rate: number; fault: '' | 'throw' | 'exit'; flag: string }>(
  'slots',
  flow => {
    const { rate, fault, flag } = flow.params
    const falter = (): void => {
      if (existsSync(flag)) return
      writeFileSync(flag, '')
      if (fault === 'throw') throw new Error('the slot falters')
      process.exit(7)
    }
    flow
      .source('words', generator({ count: RECORDS, splits: 8, rate, next: wordOf }))
      .keyBy(word => word)
      .process('counts', {
        state: {},
        onRecord(word, ctx) {
          if (fault !== '' && word === 'w250') falter()
          ctx.emit(word)
        },
      })
      .map(word => word as string)
      .keyBy(word => word)
      .aggregate('complete', count())
      .filter(({ value }) => value === RECORDS / WORDS)
      .keyBy(({ value }) => value)
      .aggregate('same', count())
      .sink('out', memory())
  },
  {
    params: { rate: 40_000, fault: '', flag: '' },
    checkpointing: { interval: '50ms' },
    restart: { initialDelay: 1 },
  },
)
