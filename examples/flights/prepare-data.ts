/**
 * Makes data/flights-2013.csv.gz from the table `flights` of nycflights13, and prints what data/README.md says of it.
 *
 *   npm exec -- node examples/flights/prepare-data.ts path/to/flights.csv.gz
 *
 * Three things are done, and nothing else: the days are put in calendar order (the original has October after January; the order within
 * a day stays as it is), the columns that the example does not read are left out, and the result is compressed again.
 */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'

const columns = [
  'year',
  'month',
  'day',
  'hour',
  'minute',
  'dep_time',
  'dep_delay',
  'arr_delay',
  'carrier',
  'flight',
  'tailnum',
  'origin',
  'dest',
]

const original = process.argv[2]
if (original === undefined) {
  console.error('usage: node examples/flights/prepare-data.ts path/to/flights.csv.gz')
  process.exit(2)
}

const [header, ...lines] = gunzipSync(readFileSync(original)).toString().trimEnd().split('\n')
const names = header.split(',')
const kept = columns.map(name => names.indexOf(name))
const dayOf = (fields: string[]) => Number(fields[names.indexOf('month')]) * 100 + Number(fields[names.indexOf('day')])

const rows = lines
  .map(line => line.split(','))
  .map(fields => ({ day: dayOf(fields), line: kept.map(index => fields[index]).join(',') }))
  .sort((a, b) => a.day - b.day)
const text = [columns.join(','), ...rows.map(({ line }) => line), ''].join('\n')
const compressed = gzipSync(text, { level: 9 })
writeFileSync(join(import.meta.dirname, 'data/flights-2013.csv.gz'), compressed)

console.log(`${rows.length} rows, ${text.length} bytes, ${compressed.length} compressed`)
console.log(`sha256 of the CSV: ${createHash('sha256').update(text).digest('hex')}`)
