/** `npm run bench -- w1 | nexmark | state | chain | codec | rows`: a benchmark by name, its options behind it. Each prints lines of JSON. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const BENCHMARKS: { readonly [name: string]: string } = {
  w1: 'w1/index.ts',
  nexmark: 'nexmark/index.ts',
  state: 'state/index.ts',
  chain: 'chain.ts',
  codec: 'codec.ts',
  rows: 'rows.ts',
}

const [name = '', ...options] = process.argv.slice(2)
const script = BENCHMARKS[name.toLowerCase()]
if (script === undefined) {
  console.error(
    `usage: npm run bench -- ${Object.keys(BENCHMARKS).join(' | ')} [options]; docs/benchmarks.md says what they measure`,
  )
  process.exitCode = 2
} else {
  const { status } = spawnSync(process.execPath, [join(import.meta.dirname, script), ...options], { stdio: 'inherit' })
  process.exitCode = status ?? 1
}
