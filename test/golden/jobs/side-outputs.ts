/** Side outputs of a source (lines that are no JSON), of a process and of a keyed process; four sinks of all formats. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { defineJob, files, outputTag, type, value, type MalformedLine } from 'millrace'
import { slowed } from '../../crash/pace.ts'
import { draw, numbered, PARAMS, type Golden } from '../golden-job.ts'

const LINES_OF_FILES = [1500, 900, 200, 1400]

interface Order {
  readonly id: string
  readonly customer: number
  readonly amount: number
}
const malformed = outputTag<MalformedLine>('malformed')
const large = outputTag<Order>('large')
const first = outputTag<{ readonly customer: number }>('first')

const isBroken = (file: number, line: number) => draw(line, 20, file) === 0
const orderOf = (file: number, line: number): Order => ({
  id: `${file}-${line}`,
  customer: draw(line, 300, 10 + file),
  amount: draw(line, 1000, 20 + file),
})
const lineOf = (file: number, line: number) =>
  isBroken(file, line) ? `{ "id": "${file}-${line}", broken` : JSON.stringify(orderOf(file, line))
const linesOf = (file: number) => numbered(LINES_OF_FILES[file], line => lineOf(file, line))
const isLarge = (order: Order) => order.amount >= 900

export default defineJob(
  'side-outputs',
  flow => {
    const { dir, everyMs } = flow.params
    const orders = flow.source(
      'orders',
      slowed(files.json<Order>(`${dir}/input/orders-*`, { malformed }), { records: 10, everyMs }),
    )
    orders
      .sideOutput(malformed)
      .map(line => line.text)
      .sink('malformed-out', files.writeLines(`${dir}/out/malformed`))
    const usual = orders.process('sort', {
      emits: type<Order>(),
      onRecord(order, ctx) {
        if (isLarge(order)) ctx.output(large, order)
        else ctx.emit(order)
      },
    })
    usual.sideOutput(large).sink('large-out', files.writeCsv<Order>(`${dir}/out/large`, { header: false }))
    const counted = usual
      .keyBy(order => order.customer)
      .process('counted', {
        emits: type<{ readonly customer: number; readonly orders: number }>(),
        state: { orders: value({ default: 0 }) },
        onRecord(_order, ctx) {
          const n = ctx.state.orders.get() + 1
          ctx.state.orders.set(n)
          if (n === 1) ctx.output(first, { customer: ctx.key })
          ctx.emit({ customer: ctx.key, orders: n })
        },
      })
    counted.sink('counted-out', files.writeJson(`${dir}/out/counted`))
    counted.sideOutput(first).sink('first-out', files.writeJson(`${dir}/out/first`))
  },
  { params: PARAMS },
)

export const golden: Golden = {
  makeInput(dir) {
    for (const [file] of LINES_OF_FILES.entries()) {
      const text = `${linesOf(file).join('\n')}\n`
      if (file === 3) writeFileSync(join(dir, `orders-${file}.ndjson.gz`), gzipSync(text))
      else writeFileSync(join(dir, `orders-${file}.ndjson`), text)
    }
  },
  expected() {
    const all = LINES_OF_FILES.flatMap((count, file) => numbered(count, line => ({ file, line })))
    const orders = all.filter(({ file, line }) => !isBroken(file, line)).map(({ file, line }) => orderOf(file, line))
    const customers = Object.values(
      Object.groupBy(
        orders.filter(order => !isLarge(order)),
        order => order.customer,
      ),
    ).map(each => each!)
    return {
      malformed: all.filter(({ file, line }) => isBroken(file, line)).map(({ file, line }) => lineOf(file, line)),
      large: orders.filter(isLarge).map(({ id, customer, amount }) => `${id},${customer},${amount}`),
      counted: customers.flatMap(own => own.map(({ customer }, i) => ({ customer, orders: i + 1 }))),
      first: customers.map(([{ customer }]) => ({ customer })),
    }
  },
}
