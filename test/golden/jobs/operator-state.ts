/**
 * Operator state of both kinds in an operator that is not keyed, and what it emits when its input ends. The files differ in length, so
 * at a parallelism above 1 some subtasks have ended long before others.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compose, count, defineJob, files, global, list, sum, type, unionList } from 'millrace'
import { slowed } from '../../crash/pace.ts'
import { draw, numbered, PARAMS, type Golden } from '../golden-job.ts'

const LINES_OF_FILES = [1300, 300, 40, 0, 900]

interface Partial {
  readonly records: number
  readonly total: number
}
type Row = Partial | { readonly colour: string }

const COLOURS = ['red', 'green', 'blue', 'white', 'black', 'grey', 'pink']
const colourOf = (file: number, line: number) => `${COLOURS[draw(line, 7, file)]} ${Math.floor(line / 100)}`
const amountOf = (file: number, line: number) => draw(line, 500, 10 + file)
const lineOf = (file: number, line: number) => `${colourOf(file, line)}:${amountOf(file, line)}`

function added(parts: Iterable<Partial>): Partial {
  let [records, total] = [0, 0]
  for (const part of parts) {
    records += part.records
    total += part.total
  }
  return { records, total }
}

export default defineJob(
  'operator-state',
  flow => {
    const { dir, everyMs } = flow.params
    const rows = flow
      .source('lines', slowed(files.lines(`${dir}/input/amounts-*`), { records: 6, everyMs }))
      .process('partials', {
        emits: type<Row>(),
        state: { parts: list<Partial>(), colours: unionList<string>() },
        onRecord(line, ctx) {
          const { parts, colours } = ctx.state
          const [colour, amount] = line.split(':')
          parts.set([added([...parts.get(), { records: 1, total: Number(amount) }])])
          if (![...colours.get()].includes(colour)) colours.add(colour)
        },
        onEnd(ctx) {
          const { parts, colours } = ctx.state
          // What a subtask has emitted must not be given to another one.
          for (const part of parts.get()) ctx.emit(part)
          parts.clear()
          for (const colour of colours.get()) ctx.emit({ colour })
        },
      })
    rows
      .filter(row => 'records' in row)
      .keyBy(() => 'all')
      .window(global())
      .aggregate('sum', compose({ records: sum((p: Partial) => p.records), total: sum((p: Partial) => p.total) }))
      .map(({ value }) => value)
      .sink('sum-out', files.writeJson(`${dir}/out/sum`))
    // Every subtask that had all of the union list names its colours again.
    rows
      .filter(row => 'colour' in row)
      .keyBy(row => row.colour)
      .window(global())
      .aggregate('named', count())
      .map(({ key }) => key)
      .sink('colours-out', files.writeLines(`${dir}/out/colours`))
  },
  { params: PARAMS },
)

export const golden: Golden = {
  makeInput(dir) {
    for (const [file, count] of LINES_OF_FILES.entries())
      writeFileSync(join(dir, `amounts-${file}`), numbered(count, line => `${lineOf(file, line)}\n`).join(''))
  },
  expected() {
    const all = LINES_OF_FILES.flatMap((count, file) => numbered(count, line => ({ file, line })))
    const total = all.reduce((sum, { file, line }) => sum + amountOf(file, line), 0)
    return {
      sum: [{ records: all.length, total }],
      colours: [...new Set(all.map(({ file, line }) => colourOf(file, line)))],
    }
  },
}
