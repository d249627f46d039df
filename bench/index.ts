/**
 * `npm run bench -- NAME [options]`: one run of a benchmark in this process, its line of JSON on stdout. The exit status is 1 when its
 * checksum is not the one that every engine gets.
 */
import { enableCompileCache } from 'node:module'
import { parseOptions, USAGE } from './args.ts'
import { benchPlain, MICRO, WORKLOADS } from './benchmarks.ts'
import type { Result } from './meter.ts'

// As the command does.
enableCompileCache()

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  console.error(error)
  process.exitCode = 1
}

async function main(args: readonly string[]): Promise<number> {
  let parsed: ReturnType<typeof parseOptions>
  try {
    parsed = parseOptions(args)
  } catch (error) {
    return usage((error as Error).message)
  }
  const {
    names: [name, ...more],
    options,
  } = parsed
  if (name === undefined || more.length > 0) return usage('the name of one benchmark is wanted')
  if (name in MICRO) {
    console.log(JSON.stringify({ bench: name, ...(await MICRO[name](options)) }))
    return 0
  }
  if (!(name in WORKLOADS)) return usage(`there is no benchmark '${name}'`)
  return report(await (options.plain ? benchPlain(name, options) : WORKLOADS[name](options)))
}

function report({ line, expected }: Result): number {
  console.log(JSON.stringify(line))
  if (expected === undefined || expected === line.checksum) return 0
  console.error(`${line.workload}: the checksum is ${line.checksum}, but must be ${expected}`)
  return 1
}

function usage(problem: string): number {
  const names = [...Object.keys(WORKLOADS), ...Object.keys(MICRO)].join(' | ')
  console.error(`${problem}\nusage: npm run bench -- ${names}\n  ${USAGE}\nbench/WORKLOADS.md says what they compute`)
  return 2
}
