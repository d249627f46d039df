/** W1: word count, from files to files. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Options } from '../args.ts'
import { fnv, RowSum } from '../arithmetic.ts'
import { expectedW1 } from '../full-size.ts'
import type { Result } from '../meter.ts'
import { runWorkload } from '../run.ts'
import { withDirectory } from '../directory.ts'
import { textAndMeter } from './text.ts'

const INTERVAL_MS = 1000

export async function benchW1(options: Options, cache?: string): Promise<Result> {
  const { text, meter } = textAndMeter(options.bytes, cache)
  return withDirectory(async directory => {
    const out = join(directory, 'out')
    const workload = {
      name: 'w1',
      module: new URL('./job.ts', import.meta.url).href,
      params: { text: text.dir, out },
      events: text.tokens,
      intervalMs: INTERVAL_MS,
    }
    const { line } = await runWorkload(workload, options, join(directory, 'storage'), meter)
    return { line: line(checksumOf(out)), expected: expectedW1(text.md5) }
  })
}

function checksumOf(out: string): string {
  const sum = new RowSum()
  for (const file of readdirSync(out).filter(name => name.startsWith('part-'))) {
    for (const line of readFileSync(join(out, file), 'utf8').split('\n')) {
      if (line === '') continue
      const space = line.indexOf(' ')
      sum.add(fnv(line.slice(0, space)), Number(line.slice(space + 1)))
    }
  }
  return String(sum)
}
