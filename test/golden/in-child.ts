/** Attempts of a golden job in a process of its own, which is killed with SIGKILL when its end says so. */
import assert from 'node:assert/strict'
import { runOnce, type Doom } from '../../packages/millrace/src/testing/crash-runner.ts'
import { commandOf } from '../crash/fixture.ts'
import type { AttemptReport, GoldenAttempt, GoldenJob } from './golden.ts'

export async function runInChild(job: GoldenJob, dir: string, attempt: GoldenAttempt): Promise<AttemptReport> {
  const { end, afterCheckpoints, delayMs, ...options } = attempt
  const command = commandOf(job, dir, {
    ...options,
    ...(end === 'stop' && { stopAfter: afterCheckpoints }),
    ...(end === 'cancel' && { cancelAfter: afterCheckpoints }),
  })
  const after = afterCheckpoints === 0 ? 'started' : `completed ${afterCheckpoints}`
  const doom: Doom | undefined = end === 'kill' ? { after, delayMs } : undefined
  const { died, code, lines, stderr } = await runOnce(command, doom)
  assert.ok(died || code === 0, [`exit ${code}`, ...lines.slice(-20), stderr].join('\n'))
  const complaints = lines.filter(line => line.startsWith('warn') || line.startsWith('restarting'))
  assert.deepEqual(complaints, [], 'nothing is damaged and nothing fails, so nothing is said of it')
  const start = lines.find(line => line.startsWith('started '))
  return { outcome: died ? 'killed' : outcomeOf(lines), restored: start?.startsWith('started restore ') }
}

function outcomeOf(lines: readonly string[]): AttemptReport['outcome'] {
  const outcome = lines.at(-1)!.replace('outcome ', '')
  return outcome === 'already-finished' ? 'finished' : (outcome as AttemptReport['outcome'])
}
