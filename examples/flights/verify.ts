/**
 * What flights.ts has to write, computed once more: a plain script over the whole file in memory, without Millrace and without sharing
 * any code with the job. Output and expectation are compared as text, byte by byte, rows in order.
 *
 *   npm exec -- node examples/flights/verify.ts examples/flights/demo/out
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

export const dataFile = join(import.meta.dirname, 'data/flights-2013.csv.gz')

export interface Verdict {
  readonly result: string
  readonly rows: number
  /** Undefined: identical. */
  readonly difference: string | undefined
}

/** @param out the folder with the outputs `daily` and `turnarounds` */
export function verify(out: string, data: string = dataFile): Verdict[] {
  const table = readTable(data)
  return [
    compare('daily', expectedDaily(table), readOutput(join(out, 'daily'))),
    compare('turnarounds', expectedTurnarounds(table), readOutput(join(out, 'turnarounds'))),
  ]
}

/** The rows of an output: the visible files, one after the other, in the order of their names. */
export function readOutput(folder: string): string {
  if (!existsSync(folder)) return ''
  const parts = readdirSync(folder).filter(name => !name.startsWith('.'))
  return parts
    .sort()
    .map(name => readFileSync(join(folder, name), 'utf8'))
    .join('')
}

type Row = { readonly [column: string]: string }

function readTable(path: string): Row[] {
  const [header, ...lines] = gunzipSync(readFileSync(path)).toString().trimEnd().split('\n')
  const columns = header.split(',')
  return lines.map(line => {
    const fields = line.split(',')
    return Object.fromEntries(columns.map((column, i) => [column, fields[i]]))
  })
}

/** `2013-01-31T05:15`. */
function scheduledOf(row: Row): string {
  const two = (column: string) => row[column].padStart(2, '0')
  return `${row.year}-${two('month')}-${two('day')}T${two('hour')}:${two('minute')}`
}

/** In order of days; the airports of a day in the order in which the file has them first. */
function expectedDaily(table: readonly Row[]): object[] {
  const groups = Map.groupBy(table, row => `${scheduledOf(row).slice(0, 10)} ${row.origin}`)
  return [...groups].map(([group, all]) => {
    const [day, origin] = group.split(' ')
    const departed = all.filter(row => row.dep_delay !== 'NA').map(row => Number(row.dep_delay))
    const total = departed.reduce((sum, delay) => sum + delay, 0)
    return {
      day,
      origin,
      departures: departed.length,
      cancelled: all.length - departed.length,
      meanDelay: departed.length === 0 ? null : Math.round((total / departed.length) * 10) / 10,
      worstDelay: departed.length === 0 ? null : Math.max(...departed),
    }
  })
}

/** In order of the second leg's scheduled departure; at the same minute in the order in which the file has the aircraft. */
function expectedTurnarounds(table: readonly Row[]): object[] {
  const departed = table.filter(row => row.dep_delay !== 'NA')
  const legs = [...Map.groupBy(departed, row => `${scheduledOf(row)} ${row.tailnum}`).values()]
    .map(rows => ({ time: Date.parse(`${scheduledOf(rows[0])}Z`), rows }))
    .sort((a, b) => a.time - b.time)
    .flatMap(({ rows }) => rows)
  const last = new Map<string, Row>()
  const found: object[] = []
  for (const leg of legs) {
    const before = last.get(leg.tailnum)
    last.set(leg.tailnum, leg)
    if (before === undefined || before.arr_delay === 'NA') continue
    const hours = (Date.parse(`${scheduledOf(leg)}Z`) - Date.parse(`${scheduledOf(before)}Z`)) / 3_600_000
    if (Number(before.arr_delay) < 15 || Number(leg.dep_delay) < 15 || hours > 24) continue
    found.push({
      aircraft: leg.tailnum,
      from: {
        flight: `${before.carrier}${before.flight}`,
        destination: before.dest,
        arrivalDelay: Number(before.arr_delay),
      },
      to: {
        flight: `${leg.carrier}${leg.flight}`,
        scheduled: scheduledOf(leg),
        departureDelay: Number(leg.dep_delay),
      },
    })
  }
  return found
}

function compare(result: string, expected: readonly object[], found: string): Verdict {
  const lines = expected.map(row => JSON.stringify(row))
  if (found === lines.map(line => `${line}\n`).join('')) return { result, rows: lines.length, difference: undefined }
  const foundLines = found.split('\n')
  const at = lines.findIndex((line, i) => line !== foundLines[i])
  const difference =
    at === -1
      ? `there are ${lines.length} rows to expect, and the output goes on: ${foundLines[lines.length]}`
      : `row ${at + 1} is ${foundLines[at] || 'missing'}, expected ${lines[at]}`
  return { result, rows: lines.length, difference }
}

if (import.meta.main) {
  const verdicts = verify(process.argv[2] ?? 'out')
  for (const { result, rows, difference } of verdicts) {
    console.log(`${result}: ${difference ?? `${rows} rows identical`}`)
  }
  process.exitCode = verdicts.some(({ difference }) => difference !== undefined) ? 1 : 0
}
