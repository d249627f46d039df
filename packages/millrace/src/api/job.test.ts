import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import type { Schema } from '../codec/index.ts'
import type { Sink, Source } from '../connectors/contract.ts'
import type { StreamNode } from '../graph/index.ts'
import { global, tumbling } from '../time/index.ts'
import {
  broadcast,
  buildGraph,
  count,
  defineJob,
  isJobDefinition,
  list,
  map,
  outputTag,
  sum,
  type,
  value,
  type Flow,
  type KeyedStream,
  type Params,
  type Stream,
} from './index.ts'

const never = async (): Promise<never> => assert.fail('nothing runs while a graph is built')
const numbers: Source<number> = { type: 'numbers', bounded: true, enumerate: never, open: never }
const out: Sink<unknown> = { type: 'out', retracts: true, open: never }

function graphOf(build: (flow: Flow) => void, params: Params = {}) {
  return buildGraph(defineJob('job', build), params)
}
/** The graph of source `in`, what `build` adds, and sink `out`, without the source and the sink. */
function nodesOf(build: (stream: Stream<number>) => Stream<any>): StreamNode[] {
  const graph = graphOf(flow => build(flow.source('in', numbers)).sink('out', out))
  return graph.nodes.slice(1, -1)
}
function keyedNodesOf(build: (stream: KeyedStream<string, number>) => Stream<any>): StreamNode[] {
  return nodesOf(stream => build(stream.keyBy(String)))
}

test('defineJob only describes, and its result is known across copies of the package', () => {
  const job = defineJob('a.job-1_x', () => assert.fail('build must not run'), { parallelism: 1 })
  assert.equal(job.name, 'a.job-1_x')
  assert.deepEqual(job.options, { parallelism: 1 })
  assert.ok(isJobDefinition(job))
  assert.ok(isJobDefinition({ [Symbol.for('millrace.job')]: 1 }))
  for (const other of [undefined, null, 'job', {}, () => job, { name: 'x', build() {} }])
    assert.ok(!isJobDefinition(other))
})

test('a job name that is no folder name is refused', () => {
  for (const name of ['', 'A', '-a', '.a', 'a b', 'a/b', 'ä', 'a'.repeat(65), undefined, 7]) {
    assert.throws(() => defineJob(name as string, () => {}), { code: 'JOB_NAME_INVALID' }, String(name))
  }
  defineJob('a'.repeat(64), () => {})
})

test('the graph holds the operators in the order of their making, with their inputs', () => {
  const graph = graphOf(flow => {
    const a = flow.source('a', numbers)
    const b = flow.source('b', numbers, { renamedFrom: 'old-b' })
    a.filter(n => n > 1)
      .union(b)
      .sink('out', out)
  })
  assert.equal(graph.job, 'job')
  assert.deepEqual(
    graph.nodes.map(({ id, kind, name, inputs }) => ({ id, kind, name, inputs })),
    [
      { id: 0, kind: 'source', name: 'a', inputs: [] },
      { id: 1, kind: 'source', name: 'b', inputs: [] },
      { id: 2, kind: 'filter', name: 'filter-1', inputs: [{ from: 0 }] },
      { id: 3, kind: 'union', name: 'union-1', inputs: [{ from: 2 }, { from: 1 }] },
      { id: 4, kind: 'sink', name: 'out', inputs: [{ from: 3 }] },
    ],
  )
  assert.deepEqual(graph.nodes[1].options, { renamedFrom: 'old-b' })
})

test('stateless operators are numbered by kind, around the names that the job uses', () => {
  const nodes = nodesOf(s =>
    s
      .map(Number)
      .map(Number, { name: 'map-2' })
      .map(Number)
      .flatMap(n => [n])
      .rebalance(),
  )
  assert.deepEqual(
    nodes.map(node => node.name),
    ['map-1', 'map-2', 'map-3', 'flatMap-1', 'rebalance-1'],
  )
})

test('eventTime takes durations, and by default waits for every split', () => {
  const [first, second] = nodesOf(s =>
    s.eventTime(Number).eventTime(Number, { outOfOrderness: '2s', idleAfter: '1m', name: 'time' }),
  )
  assert.ok(first.kind === 'eventTime' && second.kind === 'eventTime')
  assert.deepEqual([first.outOfOrdernessMs, first.idleAfterMs], [0, undefined])
  assert.deepEqual([second.outOfOrdernessMs, second.idleAfterMs, second.name], [2000, 60_000, 'time'])
  assert.throws(() => nodesOf(s => s.eventTime(Number, { idleAfter: 'soon' as '1s' })), {
    code: 'OPTION_INVALID',
    message: /idleAfter of eventTime/,
  })
})

test('reduce and aggregate are keyed process operators with one state, which emit after every record', () => {
  const [reduced] = keyedNodesOf(s => s.reduce('reduced', (a, b) => a + b))
  const [counted] = keyedNodesOf(s => s.aggregate('counted', count()))
  assert.ok(reduced.kind === 'keyedProcess' && counted.kind === 'keyedProcess')
  assert.equal(reduced.state['value'].kind, 'reducing')
  assert.equal(counted.state['value'].kind, 'aggregating')
  assert.equal(reduced.inputs[0].keyBy!(7), '7')

  const added: unknown[] = []
  const emitted: unknown[] = []
  const ctx = {
    key: 'k',
    state: { value: { add: (record: unknown) => added.push(record), get: () => added.length } },
    emit: (record: unknown) => emitted.push(record),
  }
  reduced.onRecord(5, ctx)
  counted.onRecord(6, ctx)
  assert.deepEqual(added, [5, 6])
  assert.deepEqual(emitted, [1, { key: 'k', value: 2 }])
})

test('a process operator keeps its state declarations and its own this', () => {
  class Doubling {
    readonly factor = 2
    readonly emits = type<number>()
    readonly state = { last: value<number>(), log: list<number>() }
    onRecord(record: number, ctx: { emit(n: number): void }): void {
      ctx.emit(record * this.factor)
    }
    onTimer(time: number, ctx: { emit(n: number): void }): void {
      ctx.emit(time * this.factor)
    }
  }
  const [node] = keyedNodesOf(s => s.process('double', new Doubling(), { renamedFrom: 'twice' }))
  assert.ok(node.kind === 'keyedProcess')
  assert.deepEqual(Object.keys(node.state), ['last', 'log'])
  assert.deepEqual(node.options, { renamedFrom: 'twice' })
  const emitted: number[] = []
  node.onRecord(4, { emit: (n: number) => emitted.push(n) })
  node.onTimer!(5, { emit: (n: number) => emitted.push(n) })
  assert.deepEqual(emitted, [8, 10])
})

test('a window collects its settings without changing the stream it came from', () => {
  const late = outputTag<number>('late')
  const nodes = keyedNodesOf(s => {
    const hours = s.window(tumbling('1h'))
    const patient = hours.allowedLateness('5m').lateOutput(late)
    return hours
      .aggregate('plain', count())
      .map(String)
      .union(patient.reduce('patient', Math.max).sideOutput(late).map(String))
  })
  const windows = nodes.filter(node => node.kind === 'window')
  assert.deepEqual(
    windows.map(({ name, assigner, allowedLatenessMs, lateTag, contents }) => [
      name,
      assigner,
      allowedLatenessMs,
      lateTag,
      contents.kind,
    ]),
    [
      ['plain', tumbling('1h'), 0, undefined, 'aggregate'],
      ['patient', tumbling('1h'), 300_000, 'late', 'reduce'],
    ],
  )
  assert.deepEqual(nodes.at(-2)!.inputs, [{ from: 3, tag: 'late' }])
})

test('a side output of a side output is of the same operator', () => {
  const [a, b] = [outputTag<string>('a'), outputTag<number>('b')]
  const graph = graphOf(flow =>
    flow
      .source('in', numbers)
      .process('p', { onRecord: (_n, ctx) => ctx.output(a, 'x') })
      .sideOutput(a)
      .sideOutput(b)
      .sink('out', out),
  )
  assert.deepEqual(graph.nodes[2].inputs, [{ from: 1, tag: 'b' }])
})

test('a name left out is refused at run time too', () => {
  const wrong: ((stream: any, keyed: any) => unknown)[] = [
    s => s.sink(out),
    s => s.process({ onRecord() {} }),
    (_s, k) => k.process({ onRecord() {} }),
    (_s, k) => k.aggregate(count()),
    (_s, k) => k.reduce((a: number) => a),
    (_s, k) => k.window(global()).aggregate(count()),
    (_s, k) => k.window(global()).reduce((a: number) => a),
    (_s, k) => k.window(global()).process(() => {}),
    s => s.sink('', out),
    s => s.sink('a\nb', out),
    s => s.sink('\ud800', out),
    s => s.sink('x'.repeat(101), out),
    s => s.map(Number, { name: '' }),
  ]
  for (const use of wrong) {
    const build = (flow: Flow) => {
      const stream = flow.source('in', numbers)
      use(stream, stream.keyBy(String))
    }
    assert.throws(() => graphOf(build), { code: 'GRAPH_INVALID', message: /the name of a/ }, String(use))
  }
  assert.throws(() => graphOf(flow => (flow as any).source(numbers)), {
    code: 'GRAPH_INVALID',
    message: /name of a source/,
  })
  nodesOf(s => s.map(Number, { name: 'x'.repeat(100) }))
})

test('what is no source, sink, function, operator, aggregator, assigner or tag is refused where it is given', () => {
  const wrong: [RegExp, (stream: any, keyed: any, flow: any) => unknown][] = [
    [/source 's' was given no source/, (_s, _k, flow) => flow.source('s', [1, 2])],
    [/sink 'o' was given no sink/, s => s.sink('o', {})],
    [/map needs a function, but got undefined/, s => s.map()],
    [/filter 'f' needs a function, but got a string/, s => s.filter('x', { name: 'f' })],
    [/keyBy needs a function/, s => s.keyBy('user')],
    [/process 'p' needs an operator/, s => s.process('p', () => {})],
    [/onRecord of process 'p' needs a function/, s => s.process('p', { onTimer() {} })],
    [/onTimer of process 'p' needs a function/, (_s, k) => k.process('p', { onRecord() {}, onTimer: 5 })],
    [/aggregate 'a' needs an aggregator/, (_s, k) => k.aggregate('a', count)],
    [/add of aggregate 'a' needs a function/, (_s, k) => k.aggregate('a', { create: () => 0 })],
    [/window needs an assigner/, (_s, k) => k.window('1h')],
    [/sideOutput needs a tag/, s => s.sideOutput('late')],
    [/lateOutput needs a tag/, (_s, k) => k.window(global()).lateOutput()],
    [/union was given a stream of another job, or no stream/, s => s.union(numbers)],
    [/connect was given a stream of another job, or one that is not broadcast/, (s, k) => k.connect(s)],
    [/connect was given a stream of another job/, (_s, k) => k.connect()],
    [/process 'p' needs an operator/, (s, k) => k.connect(s.broadcast()).process('p')],
    [/onBroadcast of process 'p' needs a function/, (s, k) => k.connect(s.broadcast()).process('p', { onRecord() {} })],
    [/name of a process is/, (s, k) => k.connect(s.broadcast()).process({ onRecord() {}, onBroadcast() {} })],
    [/never writes to side output 't'/, s => s.map(Number).sideOutput(outputTag('t')).sink('o', out)],
    [/state 's' of 'p' is value\(\)/, s => s.process('p', { state: { s: value() }, onRecord() {} })],
  ]
  for (const [message, use] of wrong) {
    const build = (flow: Flow) => {
      const stream = flow.source('in', numbers)
      stream.sink('out', out)
      use(stream, stream.keyBy(String), flow)
    }
    assert.throws(() => graphOf(build), { code: 'GRAPH_INVALID', message }, String(use))
  }
})

test('async functions are refused when the graph is built, everywhere', () => {
  const wrong: ((stream: any, keyed: any) => unknown)[] = [
    s => s.map(async () => 1),
    s => s.filter(async () => true),
    s => s.flatMap(async () => []),
    s => s.flatMap(async function* () {}),
    s => s.eventTime(async () => 1),
    s => s.keyBy(async () => 1),
    s => s.process('p', { async onRecord() {} }),
    s => s.process('p', { onRecord() {}, async onEnd() {} }),
    (_s, k) => k.process('p', { async onRecord() {} }),
    (_s, k) => k.process('p', { onRecord() {}, async onTimer() {} }),
    (s, k) => k.connect(s.broadcast()).process('p', { onRecord() {}, async onBroadcast() {} }),
    (_s, k) => k.reduce('r', async () => 1),
    (_s, k) => k.aggregate('a', { ...count(), merge: async () => 0 }),
    (_s, k) => k.window(global()).process('w', async () => {}),
    (_s, k) => k.window(global()).reduce('w', async () => 1),
    (_s, k) => k.window(global()).aggregate('w', { ...count(), add: async () => 0 }),
  ]
  for (const use of wrong) {
    const build = (flow: Flow) => {
      const stream = flow.source('in', numbers)
      use(stream, stream.keyBy(String))
    }
    assert.throws(() => graphOf(build), { code: 'ASYNC_FUNCTION', message: /mapAsync/ }, String(use))
  }
  assert.throws(() => graphOf(async () => {}), {
    code: 'ASYNC_FUNCTION',
    message: /build function of job 'job' is async/,
  })
})

test('streams of another job, and streams used after the build, are refused', () => {
  let leaked: Stream<number>
  graphOf(flow => {
    leaked = flow.source('in', numbers)
    leaked.sink('out', out)
  })
  assert.throws(() => leaked.map(Number), { code: 'GRAPH_INVALID', message: /after the build function had returned/ })
  const foreign = { code: 'GRAPH_INVALID', message: /stream of another job/ }
  assert.throws(() => nodesOf(s => s.union(leaked)), foreign)
  assert.throws(() => keyedNodesOf((k): any => k.connect(leaked.broadcast())), foreign)
})

test('what the build function throws keeps its cause; an error of Millrace stays what it is', () => {
  const cause = new Error('no config')
  const thrown = (fn: () => void) => () => graphOf(fn)
  assert.throws(
    thrown(() => {
      throw cause
    }),
    (error: any) => error.code === 'GRAPH_INVALID' && error.message.includes('no config') && error.cause === cause,
  )
  assert.throws(
    thrown(() => {
      outputTag('')
    }),
    { code: 'GRAPH_INVALID', message: /the name of a side output is ""/ },
  )
})

test('flow.params is what was resolved', () => {
  let seen: unknown
  graphOf(
    flow => {
      seen = flow.params['limit']
      flow.source('in', numbers).sink('out', out)
    },
    { limit: 9 },
  )
  assert.equal(seen, 9)
})

test('state declarations check their options', () => {
  assert.throws(() => map({ ttl: 'soon' as '1s' }), { code: 'OPTION_INVALID', message: /ttl of map\(\)/ })
  assert.throws(() => value({ ttl: { ttl: -1 } }), { code: 'OPTION_INVALID', message: /ttl of value\(\)/ })
  assert.throws(() => value({ ttl: '0s' }), { code: 'OPTION_INVALID', message: /1 ms or more/ })
  assert.throws(() => list({ ttl: { ttl: 1, time: 'noon' } as {} as '1s' }), { message: /time in the ttl of list\(\)/ })
  assert.throws(() => list({ ttl: { ttl: 1, updateOn: 'read' } as {} as '1s' }), {
    message: /'write' or 'read-and-write'/,
  })
  assert.throws(() => list({ ttl: { ttl: 1, update: 'read' } as {} as '1s' }), { message: /has no option 'update'/ })
  assert.throws(() => broadcast({ ttl: '1h' } as {}), { code: 'GRAPH_INVALID', message: /broadcast\(\) takes no ttl/ })
  assert.deepEqual(value({ default: 3, ttl: '1h' }).options, { default: 3, ttl: '1h' })
  assert.throws(() => list({ schema: 'number' as never }), { code: 'OPTION_INVALID', message: /schema of list\(\)/ })
  const schemas: Schema<unknown>[] = [type<number>(), z.string(), { type: 'string' }]
  for (const schema of schemas) assert.equal(value({ schema }).options.schema, schema)
  assert.equal(sum().create(), 0)
})

test('a default must fit the schema of its state where that is checked', () => {
  const schema = z.object({ n: z.int() })
  const described = (n: number) => () =>
    graphOf(flow => {
      const state = { held: value({ schema, default: { n } }) }
      const keyed = flow.source('in', numbers).keyBy(i => i)
      keyed.process('sums', { state, onRecord: () => undefined }).sink('out', out)
    })
  assert.doesNotThrow(described(1))
  assert.throws(described(1.5), {
    code: 'GRAPH_INVALID',
    message: /^the default of state 'held' of 'sums' does not fit its schema: property 'n' is 1\.5, not an integer/,
  })
})

test('type<T>() is a Standard Schema that lets everything pass', () => {
  const schema = type<{ a: number }>()
  assert.equal(schema['~standard'].version, 1)
  assert.deepEqual(schema['~standard'].validate({ a: 1 }), { value: { a: 1 } })
})
