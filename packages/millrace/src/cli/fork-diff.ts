/** `millrace fork diff A B DIR…`: whether a fork writes what its first job writes. */
import { resolve } from 'node:path'
import { diffJobOutputs } from '../host/job-outputs.ts'
import type { Answer } from './answer.ts'
import { FAILED } from './exit-codes.ts'
import { findJob, openStorage, type StorageFlags } from './storage.ts'
import { formatTable, oneLine } from './table.ts'
import { formatCount } from './units.ts'

export interface ForkDiffFlags extends StorageFlags {
  readonly header?: boolean
}

export async function forkDiff(a: string, b: string, dirs: readonly string[], flags: ForkDiffFlags): Promise<Answer> {
  const storage = await openStorage(flags)
  const jobs = [await findJob(storage, a), await findJob(storage, b)] as const
  const sinks = await diffJobOutputs({
    storage,
    jobs,
    dirs: dirs.map(dir => resolve(dir)),
    hasHeader: flags.header === true,
  })
  // Two that were not found are not the same.
  const isEqual = sinks.length > 0 && sinks.every(({ only }) => only[0] === 0 && only[1] === 0)
  const examples = sinks.flatMap(({ sink, examples: rows }) =>
    jobs.flatMap((job, side) => rows[side].map(row => `only ${job}, ${oneLine(sink)}: ${oneLine(row)}`)),
  )
  const verdict =
    sinks.length === 0 ? 'neither has output of its own there' : isEqual ? 'the same rows' : 'DIFFERENT rows'
  return {
    json: { jobs, equal: isEqual, sinks },
    text: [
      ...(sinks.length === 0 ? [] : [tableOf(jobs, sinks)]),
      ...examples.map(line => `${line}\n`),
      `${jobs.join(' and ')}: ${verdict}\n`,
    ].join(''),
    exitCode: isEqual ? 0 : FAILED,
  }
}

function tableOf([a, b]: readonly [string, string], sinks: Awaited<ReturnType<typeof diffJobOutputs>>): string {
  const right = true
  return formatTable(
    [
      { title: 'SINK' },
      { title: `ROWS OF ${a}`, right },
      { title: `ROWS OF ${b}`, right },
      { title: `ONLY ${a}`, right },
      { title: `ONLY ${b}`, right },
    ],
    sinks.map(({ sink, rows, only }) => [oneLine(sink), ...[...rows, ...only].map(formatCount)]),
  )
}
