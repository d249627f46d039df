/**
 * `node bench/w1/index.ts [--bytes N] [--runs N] [--interval MS]`: W1 on Millrace (exactly-once, a checkpoint every second), on
 * Millrace without checkpoints in between, and as a plain Node script, in turn; CPU time per token of whole processes, and ratios.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { fnv, RowSum } from '../arithmetic.ts'
import { ensureText, type Text } from './text.ts'

export interface W1Result {
  readonly tokens: number
  readonly checksum: string
  readonly plainChecksum: string
  /** Nanoseconds of CPU a token, each run. */
  readonly millraceNs: readonly number[]
  readonly withoutCheckpointsNs: readonly number[]
  readonly plainNs: readonly number[]
  readonly checkpoints: number
  readonly longestCheckpointMs: number
}

const NEVER_MS = 3_600_000

export function benchW1(text: Text, runs: number, intervalMs: number): W1Result {
  const work = mkdtempSync(join(tmpdir(), 'millrace-w1-'))
  try {
    const millraceNs: number[] = []
    const withoutCheckpointsNs: number[] = []
    const plainNs: number[] = []
    let last = { cpuSeconds: 0, checkpoints: 0, longestCheckpointMs: 0 }
    let checksum = ''
    let plainChecksum = ''
    const perToken = (cpuSeconds: number) => (cpuSeconds * 1e9) / text.tokens
    for (let run = 0; run < runs; run++) {
      const out = (name: string) => join(work, `${name}-${run}`)
      last = script('millrace.ts', text.dir, out('out'), out('store'), String(intervalMs))
      millraceNs.push(perToken(last.cpuSeconds))
      checksum = checksumOf(out('out'))
      plainNs.push(perToken(script('plain.ts', text.dir, out('plain')).cpuSeconds))
      plainChecksum = checksumOf(out('plain'))
      const calm = script('millrace.ts', text.dir, out('calm'), out('calm-store'), String(NEVER_MS))
      withoutCheckpointsNs.push(perToken(calm.cpuSeconds))
    }
    const { checkpoints, longestCheckpointMs } = last
    return {
      tokens: text.tokens,
      checksum,
      plainChecksum,
      millraceNs,
      withoutCheckpointsNs,
      plainNs,
      checkpoints,
      longestCheckpointMs,
    }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function script(
  name: string,
  ...args: string[]
): { cpuSeconds: number; checkpoints: number; longestCheckpointMs: number } {
  const stdout = execFileSync(process.execPath, [join(import.meta.dirname, name), ...args], { encoding: 'utf8' })
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as {
    cpuSeconds: number
    checkpoints: number
    longestCheckpointMs: number
  }
}

function checksumOf(dir: string): string {
  const sum = new RowSum()
  for (const file of readdirSync(dir).filter(name => name.startsWith('part-'))) {
    for (const line of readFileSync(join(dir, file), 'utf8').split('\n')) {
      if (line === '') continue
      const space = line.indexOf(' ')
      sum.add(fnv(line.slice(0, space)), Number(line.slice(space + 1)))
    }
  }
  return String(sum)
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({
    options: { bytes: { type: 'string' }, runs: { type: 'string' }, interval: { type: 'string' } },
  })
  const bytes = Number(values.bytes ?? 200e6)
  const text = ensureText(join(tmpdir(), `millrace-text-${bytes}`), bytes)
  const result = benchW1(text, Number(values.runs ?? 3), Number(values.interval ?? 1000))
  const ratio = median(result.millraceNs) / median(result.plainNs)
  const cost = median(result.millraceNs) / median(result.withoutCheckpointsNs) - 1
  console.log(JSON.stringify({ bench: 'w1', ...result, ratioToPlain: ratio, costOfCheckpoints: cost }))
}
