import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Command } from 'commander'
import { startDelays } from '../host/restart-strategy.ts'
import { commandLine } from './commands.ts'
import { childArguments, deathJson, deathLine, decideNext, type ProcessEnd } from './supervision.ts'

const OPTIONS = {
  strategy: 'none',
  initialDelayMs: 100,
  maxDelayMs: 350,
  multiplier: 2,
  jitter: 0.1,
  resetAfterMs: 10_000,
} as const
const OUTPUT = { json: false, verbose: false }

const exited = (code: number): ProcessEnd => ({ code, signal: null })
const killed = (signal: NodeJS.Signals): ProcessEnd => ({ code: null, signal })
const next = (end: ProcessEnd, isStopping = false) =>
  decideNext(end, isStopping, OPTIONS, startDelays(OPTIONS, 0), 0, 0.5)

test('an end of the command itself is passed through, also while it is being stopped', () => {
  for (const isStopping of [false, true]) {
    for (const status of [0, 1, 2, 3, 130, 143]) {
      assert.deepEqual(next(exited(status), isStopping), { kind: 'exit', status })
    }
    assert.deepEqual(next(killed('SIGINT'), isStopping), { kind: 'exit', status: 130 })
    assert.deepEqual(next(killed('SIGTERM'), isStopping), { kind: 'exit', status: 143 })
  }
})

const DEATHS = [
  killed('SIGKILL'),
  killed('SIGABRT'),
  killed('SIGSEGV'),
  exited(134),
  exited(137),
  exited(42),
  { ...killed('SIGKILL'), signal: null, error: 'spawn EAGAIN' },
]

test('after any other end the next start comes after the delay, whatever the strategy for failures of the job', () => {
  for (const end of DEATHS) {
    const decision = next(end)
    assert.deepEqual(decision, { kind: 'restart', delayMs: 100, delays: { delayMs: 200, runningSinceMs: 0 } })
  }
})

test('a process that dies while it is being stopped is not started again, and that is no success', () => {
  for (const end of DEATHS) assert.deepEqual(next(end, true), { kind: 'give-up', status: 1 })
})

test('delays grow up to the limit without end, are varied by the jitter, and begin again after a calm time', () => {
  let delays = startDelays(OPTIONS, 0)
  const shown: number[] = []
  const die = (nowMs: number, random: number): number => {
    const decision = decideNext(killed('SIGKILL'), false, OPTIONS, delays, nowMs, random)
    assert.ok(decision.kind === 'restart')
    delays = decision.delays
    return decision.delayMs
  }
  for (let i = 0; i < 100; i++) shown.push(die(i, 0.5))
  assert.deepEqual(shown.slice(0, 4), [100, 200, 350, 350])
  assert.deepEqual(new Set(shown.slice(2)), new Set([350]))
  assert.equal(die(100, 0), 315)
  assert.equal(die(10_100, 0.5), 100)
  // The job's own options are known only once its process has got so far.
  const lower = decideNext(killed('SIGKILL'), false, { ...OPTIONS, maxDelayMs: 10 }, delays, 10_200, 0.5)
  assert.deepEqual(lower, { kind: 'restart', delayMs: 10, delays: { delayMs: 10, runningSinceMs: 10_200 } })
})

test('a death is told in one line, or as an event', () => {
  assert.equal(deathLine(killed('SIGKILL'), 1234), "the job's process was killed by SIGKILL; starting again in 1.2 s")
  assert.equal(deathLine(exited(134), undefined), "the job's process died with exit status 134; run again to go on")
  const failed = { code: null, signal: null, error: 'spawn EAGAIN' }
  assert.equal(deathLine(failed, 100), 'no process could be started: spawn EAGAIN; starting again in 100 ms')
  assert.deepEqual(deathJson(killed('SIGKILL'), 100), {
    type: 'died',
    signal: 'SIGKILL',
    exitStatus: null,
    error: null,
    delayMs: 100,
  })
  assert.deepEqual(deathJson(exited(134), undefined), {
    type: 'died',
    signal: null,
    exitStatus: 134,
    error: null,
    delayMs: null,
  })
})

test('the next process gets the same arguments; the choice of what to start from is made until it is durable', () => {
  assert.deepEqual(childArguments('job.ts', { ...OUTPUT, fresh: true, set: [] }, false), [
    'run',
    '--fresh',
    '--',
    'job.ts',
  ])
  assert.deepEqual(childArguments('job.ts', { ...OUTPUT, fresh: true, set: [] }, true), ['run', '--', 'job.ts'])
  assert.deepEqual(childArguments('job.ts', { ...OUTPUT, from: 'chk-1' }, false), [
    'run',
    '--from=chk-1',
    '--',
    'job.ts',
  ])
  assert.deepEqual(childArguments('job.ts', { ...OUTPUT, from: 'chk-1' }, true), ['run', '--', 'job.ts'])
  const flags = {
    json: true,
    verbose: true,
    checkpointInterval: '5s',
    allowDroppedState: true,
    set: ['params.x=', 'b=2'],
  }
  assert.deepEqual(childArguments('-job.ts', flags, true), [
    'run',
    '--json',
    '--verbose',
    '--checkpoint-interval=5s',
    '--allow-dropped-state',
    '--set=params.x=',
    '--set=b=2',
    '--',
    '-job.ts',
  ])
})

test('every flag of run but --supervise is one that the next process understands as it was given', async () => {
  const parse = async (args: readonly string[]): Promise<readonly unknown[]> => {
    const program = commandLine(() => undefined)
    let parsed: readonly unknown[] = []
    runOf(program).action((file: string, flags: object) => void (parsed = [file, flags]))
    await program.parseAsync(args, { from: 'user' })
    return parsed
  }
  const options = runOf(commandLine(() => undefined)).options.filter(({ long }) => long !== '--help')
  for (const omitted of ['--fresh', '--from']) {
    const given = options.filter(({ long }) => long !== omitted && long !== '--supervise')
    assert.ok(given.length >= 10)
    const args = given.flatMap(({ long, required, argChoices }) =>
      required ? [long!, argChoices?.at(-1) ?? '--fresh'] : [long!],
    )
    const [file, flags] = await parse(['run', ...args, '--', '--from'])
    const again = await parse(childArguments(file as string, flags as typeof OUTPUT, false))
    assert.deepEqual(again, [file, flags])
  }
})

function runOf(program: Command): Command {
  return program.commands.find(command => command.name() === 'run')!
}
