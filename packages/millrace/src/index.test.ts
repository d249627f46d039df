import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { buildGraph } from './api/index.ts'
import * as connector from './connector.ts'
import * as millrace from './index.ts'
import {
  blackhole,
  collection,
  compose,
  console,
  count,
  defineJob,
  files,
  generator,
  max,
  memory,
  outputTag,
  sum,
  tumbling,
  type MalformedLine,
  type Stream,
} from './index.ts'

test('the door has the names of the documented API', () => {
  const names =
    'aggregating avg blackhole broadcast collect collection compose console count defineJob distinct files generator global ' +
    'isMillraceError list map max memory min MillraceError outputTag readSnapshot reducing sum topK tumbling type unionList value'
  const missing = names.split(' ').filter(name => !(name in millrace))
  assert.deepEqual(missing, [])
  assert.deepEqual(Object.keys(connector).toSorted(), ['MillraceError', 'isMillraceError', 'parseDuration'])
})

test('a job over the connectors of the package compiles and describes its graph', () => {
  interface Order {
    shop: string
    amount: number
    at: number
  }
  const malformed = outputTag<MalformedLine>('malformed')
  const job = defineJob('all', flow => {
    flow
      .source('lines', files.lines('corpus/*.txt'))
      .flatMap(line => line.toLowerCase().match(/\p{L}+/gu) ?? [])
      .keyBy(word => word)
      .aggregate('counts', count())
      .sink('words', files.writeJson('out/counts'))

    const orders = flow.source('orders', files.json<Order>('orders/*.json', { malformed }))
    orders
      .sideOutput(malformed)
      .map(line => line.reason)
      .sink('bad', files.writeLines('out/bad'))
    orders
      .eventTime(o => o.at, { outOfOrderness: '5s' })
      .keyBy(o => o.shop)
      .window(tumbling('1h'))
      .aggregate('hours', compose({ orders: count(), revenue: sum(o => o.amount), largest: max(o => o.amount) }))
      .map(({ key, window, value }) => ({ shop: key, hour: window.start, ...value }))
      .sink('revenue', files.writeCsv('out/revenue'))

    const checked: Stream<{ id: number }> = flow.source(
      'checked',
      files.json('in.json', { schema: z.object({ id: z.number() }) }),
    )
    checked.sink('screen', console())
    const numbers: Stream<number> = flow.source('numbers', generator({ count: 10, next: i => i }))
    numbers.union(flow.source('few', collection([1, 2]))).sink('rows', memory())
    numbers.sink('nowhere', blackhole())
    numbers.sink('texts', files.writeLines('out/texts'))
  })
  assert.equal(buildGraph(job, {}).nodes.filter(node => node.kind === 'sink').length, 7)
})
