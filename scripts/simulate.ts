/**
 * Runs simulations (packages/millrace/src/testing/simulation): `npm run simulate -- --seeds 1000`. Progress goes to stderr. A seed that
 * finds something is printed with the commit and its last actions, and the exit status is 1.
 *
 *   --seeds N     how many (default 1000), from --from S on (default: what the clock says)
 *   --minutes M   until so much time has passed, whatever --seeds says
 *   --seed N      one, twice, and both times must be the same; --trace prints all that happens
 */
import { execFileSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { simulate, turn, type SimulationReport } from '../packages/millrace/src/testing/simulation/index.ts'

const { values: options } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string' },
    minutes: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
})

/** A seed that is found by another commit may be none there. */
function commit(): string {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' }).trim()
  return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain') === '' ? '' : ' with changes')
}

function tell(report: SimulationReport): void {
  const { seed, violation, actions, trace } = report
  console.log(trace.join('\n'))
  console.log(`\nseed ${seed} at commit ${commit()}, action ${actions}: ${violation}`)
  console.log(`npm run simulate -- --seed ${seed} --trace`)
  process.exitCode = 1
}

async function one(seed: number): Promise<void> {
  const first = await simulate({ seed, turn })
  const second = await simulate({ seed, turn, ...(options.trace && { onLine: line => console.log(line) }) })
  if (first.hash !== second.hash || first.actions !== second.actions) {
    console.log(`seed ${seed} went two ways: ${first.actions} and ${second.actions} actions`)
    process.exitCode = 1
  }
  if (second.violation !== undefined) return tell(second)
  const { actions, processes, checkpoints } = second
  console.log(`seed ${seed}: ${actions} actions, ${processes} processes, ${checkpoints} checkpoints; nothing was found`)
}

async function many(): Promise<void> {
  const from = Number(options.from ?? Date.now() % 1_000_000_000)
  const seeds = options.minutes === undefined ? Number(options.seeds) : Infinity
  const endMs = options.minutes === undefined ? Infinity : performance.now() + Number(options.minutes) * 60_000
  const startMs = performance.now()
  let [done, found, actions, toldMs] = [0, 0, 0, startMs]
  for (; done < seeds && performance.now() < endMs; done++) {
    const report = await simulate({ seed: from + done, turn })
    actions += report.actions
    if (report.violation !== undefined) {
      found++
      tell(report)
    }
    if (performance.now() - toldMs < 10_000) continue
    toldMs = performance.now()
    console.error(`${done + 1} seeds, ${found} found something, ${Math.round((toldMs - startMs) / 1000)} s`)
  }
  const seconds = (performance.now() - startMs) / 1000
  console.log(
    `${done} seeds from ${from} at commit ${commit()}: ${found} found something; ${actions} actions in ${seconds.toFixed(0)} s`,
  )
}

process.on('unhandledRejection', error => {
  console.log('a promise was rejected and nobody noticed:', error)
  process.exitCode = 1
})
await (options.seed === undefined ? many() : one(Number(options.seed)))
