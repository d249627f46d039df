import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Sink, Source } from '../connectors/contract.ts'
import {
  describeGraph,
  EVENT_TIMERS,
  fingerprint,
  fingerprintDifference,
  graphWarnings,
  jobStates,
  planJob,
  PROCESSING_TIMERS,
  validateGraph,
  WINDOW_CONTENTS,
  type Edge,
  type StreamGraph,
  type StreamNode,
} from './index.ts'

const never = async (): Promise<never> => assert.fail('no connector is opened')
const source: Source<unknown> = { type: 'numbers', bounded: true, enumerate: never, open: never }
const sink: Sink<unknown> = { type: 'out', retracts: true, open: never }

type Draft<N> = N extends StreamNode
  ? Omit<N, 'id' | 'inputs' | 'name' | 'options'> & Partial<Pick<N, 'options'>>
  : never
type Input = string | { from: string; tag?: string; keyed?: true; broadcast?: true }

/** A graph in a few lines: name, inputs by name, the rest. */
function graph(...rows: readonly [name: string, inputs: readonly Input[], node: Draft<StreamNode>][]): StreamGraph {
  const nodes: StreamNode[] = []
  const edge = (input: Input): Edge => {
    const { from, tag, keyed, broadcast } = typeof input === 'string' ? { from: input } : input
    const id = nodes.findIndex(node => node.name === from)
    return {
      from: id,
      ...(tag !== undefined && { tag }),
      ...(keyed && { keyBy: String }),
      ...(broadcast && { broadcast }),
    }
  }
  for (const [name, inputs, node] of rows) {
    nodes.push({ options: {}, ...node, id: nodes.length, name, inputs: inputs.map(edge) })
  }
  return { job: 'job', nodes }
}

const SOURCE = { kind: 'source', source } as const
const SINK = { kind: 'sink', sink } as const
const MAP = { kind: 'map', fn: Number } as const
const UNION = { kind: 'union' } as const
const TIME = { kind: 'eventTime', timestamp: Number, outOfOrdernessMs: 0, idleAfterMs: undefined } as const
const KEYED = { kind: 'keyedProcess', state: {}, onRecord() {}, onTimer: undefined } as const
const PROCESS = { kind: 'process', state: {}, onRecord() {}, onEnd: undefined } as const
const BROADCAST = {
  kind: 'keyedBroadcastProcess',
  state: {},
  broadcastState: {},
  onRecord() {},
  onBroadcast() {},
  onTimer: undefined,
} as const
const WINDOW = {
  kind: 'window',
  assigner: { kind: 'tumbling', sizeMs: 1000, offsetMs: 0 },
  allowedLatenessMs: 0,
  lateTag: 'late',
  contents: { kind: 'reduce', fn: (a: unknown) => a },
} as const

const simple = (options: { renamedFrom?: string; parallelism?: number } = {}): StreamGraph =>
  graph(['in', [], SOURCE], ['count', [{ from: 'in', keyed: true }], { ...KEYED, options }], ['out', ['count'], SINK])

test('a graph with a source, a sink and distinct names is valid', () => {
  validateGraph(simple())
  validateGraph(simple({ renamedFrom: 'counts', parallelism: 1 }))
})

test('a graph without a source or without a sink is refused', () => {
  assert.throws(() => validateGraph(graph()), { code: 'GRAPH_INVALID', message: /has no source/ })
  assert.throws(() => validateGraph(graph(['in', [], SOURCE])), { code: 'GRAPH_INVALID', message: /has no sink/ })
})

test('two operators of one name are refused, display names included', () => {
  const twice = graph(['in', [], SOURCE], ['x', ['in'], MAP], ['x', ['x'], SINK])
  assert.throws(() => validateGraph(twice), {
    code: 'DUPLICATE_NAME',
    message: /two operators named 'x' \(map and sink\)/,
  })
})

test('state may only be renamed from a name that no other operator has or claims', () => {
  const invalid = (message: RegExp) => ({ code: 'GRAPH_INVALID', message })
  assert.throws(() => validateGraph(simple({ renamedFrom: 'in' })), invalid(/'count' says it was renamed from 'in'/))
  assert.throws(() => validateGraph(simple({ renamedFrom: 'count' })), invalid(/its own name/))
  assert.throws(() => validateGraph(simple({ renamedFrom: '' })), invalid(/the name of a keyedProcess is ""/))
  const both = graph(
    ['in', [], { ...SOURCE, options: { renamedFrom: 'old' } }],
    ['out', ['in'], { ...SINK, options: { renamedFrom: 'old' } }],
  )
  assert.throws(
    () => validateGraph(both),
    invalid(/'out' says it was renamed from 'old', but so does or is called 'in'/),
  )
})

test('the parallelism of an operator is a whole number from 1 up', () => {
  validateGraph(simple({ parallelism: 2 }))
  for (const parallelism of [0, 1.5, NaN]) {
    assert.throws(() => validateGraph(simple({ parallelism })), { code: 'OPTION_INVALID' })
  }
})

test('state names of the engine, and state of the wrong kind, are refused', () => {
  const withState = (node: typeof KEYED | typeof PROCESS, state: object) =>
    validateGraph(
      graph(['in', [], SOURCE], ['p', ['in'], { ...node, state } as Draft<StreamNode>], ['out', ['p'], SINK]),
    )
  const value = { kind: 'value', options: {} }
  const unionList = { kind: 'unionList', options: {} }
  withState(KEYED, { value })
  withState(PROCESS, { unionList })
  assert.throws(() => withState(PROCESS, { all: { kind: 'list', options: { ttl: '1h' } } }), {
    code: 'GRAPH_INVALID',
    message: /state 'all' of '.*' has a ttl; only state of keyed operators expires/,
  })
  assert.throws(() => withState(KEYED, { '~timers': value }), { code: 'GRAPH_INVALID', message: /begin with ~/ })
  assert.throws(() => withState(KEYED, { '': value }), { code: 'GRAPH_INVALID', message: /name of a state of 'p'/ })
  assert.throws(() => withState(KEYED, { all: unionList }), {
    code: 'GRAPH_INVALID',
    message: /is unionList\(\); a keyed operator takes value/,
  })
  assert.throws(() => withState(PROCESS, { value }), {
    code: 'GRAPH_INVALID',
    message: /'value' of 'p' is value\(\); an operator that is not keyed/,
  })
  assert.throws(() => withState(KEYED, { x: 5 }), { code: 'GRAPH_INVALID', message: /not a declaration of state/ })
})

test('broadcast state is declared as such, apart from keyed state, and the two share no name', () => {
  const withStates = (state: object, broadcastState: object) =>
    validateGraph(
      graph(
        ['in', [], SOURCE],
        [
          'p',
          [
            { from: 'in', keyed: true },
            { from: 'in', broadcast: true },
          ],
          { ...BROADCAST, state, broadcastState } as Draft<StreamNode>,
        ],
        ['out', ['p', { from: 'p', tag: 'any' }], SINK],
      ),
    )
  const value = { kind: 'value', options: {} }
  const rules = { kind: 'broadcast', options: {} }
  withStates({ value }, { rules })
  const invalid = (message: RegExp) => ({ code: 'GRAPH_INVALID', message })
  assert.throws(
    () => withStates({ rules }, {}),
    invalid(/'rules' of 'p' is broadcast\(\); a keyed operator takes value/),
  )
  assert.throws(
    () => withStates({}, { value }),
    invalid(/'value' of 'p' is value\(\); broadcastState takes broadcast\(\)/),
  )
  assert.throws(() => withStates({}, { '~x': rules }), invalid(/begin with ~/))
  assert.throws(
    () => withStates({ rules: value }, { rules }),
    invalid(/'p' has 'rules' in state and in broadcastState/),
  )
})

test('a side output is taken from an operator that may write to it', () => {
  const from = (node: Draft<StreamNode>, tag: string) =>
    validateGraph(graph(['in', [], SOURCE], ['x', ['in'], node], ['out', [{ from: 'x', tag }], SINK]))
  from(SOURCE, 'malformed')
  from(PROCESS, 'a')
  from(KEYED, 'a')
  from(WINDOW, 'late')
  from({ ...WINDOW, contents: { kind: 'process', fn() {} } }, 'other')
  assert.throws(() => from(WINDOW, 'other'), {
    code: 'GRAPH_INVALID',
    message: /window 'x' never writes to side output 'other'/,
  })
  assert.throws(() => from(MAP, 'a'), { code: 'GRAPH_INVALID', message: /map 'x' never writes/ })
})

test('outputs that nothing reads are warnings, not errors', () => {
  const loose = graph(
    ['in', [], SOURCE],
    ['lost', ['in'], MAP],
    ['hours', [{ from: 'in', keyed: true }], WINDOW],
    ['only-late', [{ from: 'in', keyed: true }], WINDOW],
    ['out', ['hours', { from: 'only-late', tag: 'late' }], SINK],
  )
  validateGraph(loose)
  assert.deepEqual(graphWarnings(loose), [
    `nothing reads the stream of map 'lost'`,
    `nothing reads late output 'late' of window 'hours'`,
  ])
  assert.deepEqual(graphWarnings(simple()), [])
})

test('the plan names every reader of every output', () => {
  const { outputs } = planJob(
    graph(
      ['in', [], SOURCE],
      ['p', [{ from: 'in', keyed: true }], KEYED],
      ['both', ['in', 'p'], UNION],
      ['out', ['both'], SINK],
      ['late', [{ from: 'p', tag: 'late' }], SINK],
    ),
  )
  assert.deepEqual(outputs, [
    [
      { node: 1, inputIndex: 0, tag: undefined, keyed: true },
      { node: 2, inputIndex: 0, tag: undefined, keyed: false },
    ],
    [
      { node: 2, inputIndex: 1, tag: undefined, keyed: false },
      { node: 4, inputIndex: 0, tag: 'late', keyed: false },
    ],
    [{ node: 3, inputIndex: 0, tag: undefined, keyed: false }],
    [],
    [],
  ])
})

test('event time follows the splits of sources that are reached through stateless operators only', () => {
  const { eventTimes } = planJob(
    graph(
      ['b', [], SOURCE],
      ['a', [], SOURCE],
      ['m', ['b'], MAP],
      ['one', ['m'], TIME],
      ['both', ['one', { from: 'a', tag: 'malformed' }], UNION],
      ['two', ['both'], TIME],
      ['p', [{ from: 'b', keyed: true }], KEYED],
      ['after', ['p'], TIME],
      ['mixed', ['p', 'a'], UNION],
      ['three', ['mixed'], TIME],
      ['out', ['two', 'after', 'three'], SINK],
    ),
  )
  assert.deepEqual(eventTimes, [
    { node: 3, id: 'b/0', splitSources: [0], hasOtherInput: false },
    { node: 5, id: 'a,b/0', splitSources: [0, 1], hasOtherInput: false },
    { node: 7, id: 'b/1', splitSources: [], hasOtherInput: true },
    { node: 9, id: 'a,b/1', splitSources: [1], hasOtherInput: true },
  ])
})

test('what comes out of an operator with a broadcast input has no split, and names the sources of both inputs', () => {
  const { eventTimes } = planJob(
    graph(
      ['in', [], SOURCE],
      ['rules', [], SOURCE],
      [
        'p',
        [
          { from: 'in', keyed: true },
          { from: 'rules', broadcast: true },
        ],
        BROADCAST,
      ],
      ['after', ['p'], TIME],
      ['out', ['after'], SINK],
    ),
  )
  assert.deepEqual(eventTimes, [{ node: 3, id: 'in,rules/0', splitSources: [], hasOtherInput: true }])
})

test('the ids of event-time transformations do not change when other operators come or go', () => {
  const before = graph(['a', [], SOURCE], ['t', ['a'], TIME], ['out', ['t'], SINK])
  const after = graph(
    ['new', [], SOURCE],
    ['t0', ['new'], TIME],
    ['a', [], SOURCE],
    ['m', ['a'], MAP],
    ['t', ['m'], TIME],
    ['out', ['t', 't0'], SINK],
  )
  const idsOf = (g: StreamGraph) => planJob(g).eventTimes.map(({ id }) => id)
  assert.deepEqual(idsOf(before), ['a/0'])
  assert.deepEqual(idsOf(after), ['new/0', 'a/0'])
})

const rich = (): StreamGraph =>
  graph(
    ['in', [], SOURCE],
    ['time', ['in'], TIME],
    [
      'sessions',
      [{ from: 'time', keyed: true }],
      {
        ...KEYED,
        state: { cart: { kind: 'value', options: {} }, seen: { kind: 'map', options: {} } },
        onTimer() {},
        options: { renamedFrom: 'carts' },
      },
    ],
    ['plain', ['sessions'], { ...PROCESS, state: { all: { kind: 'unionList', options: {} } } }],
    ['hours', [{ from: 'time', keyed: true }], WINDOW],
    ['out', ['plain', { from: 'hours', tag: 'late' }], SINK],
  )

/** Of a state of which its declaration says nothing. */
const UNSAID = { schema: null, version: 1, migrations: [] }

test('the states of a job are its declared ones and the engine’s own', () => {
  assert.deepEqual(jobStates(rich()), {
    operators: [
      { name: 'in', kind: 'source', states: [] },
      {
        name: 'sessions',
        renamedFrom: 'carts',
        kind: 'keyedProcess',
        states: [
          { name: 'cart', kind: 'value', values: UNSAID },
          { name: 'seen', kind: 'map', values: UNSAID },
          { name: EVENT_TIMERS, kind: 'timers' },
          { name: PROCESSING_TIMERS, kind: 'timers' },
        ],
      },
      { name: 'plain', kind: 'process', states: [{ name: 'all', kind: 'unionList', values: UNSAID }] },
      {
        name: 'hours',
        kind: 'window',
        states: [
          { name: WINDOW_CONTENTS, kind: 'window-reduce' },
          { name: EVENT_TIMERS, kind: 'timers' },
        ],
      },
      { name: 'out', kind: 'sink', states: [] },
    ],
  })
  assert.deepEqual(jobStates(simple()).operators[1].states, [], 'without onTimer there are no timers')
  const broadcast = graph([
    'p',
    [],
    {
      ...BROADCAST,
      state: { cart: { kind: 'value', options: {} } },
      broadcastState: { rules: { kind: 'broadcast', options: {} } },
      onTimer() {},
    },
  ])
  assert.deepEqual(jobStates(broadcast).operators[0].states, [
    { name: 'cart', kind: 'value', values: UNSAID },
    { name: 'rules', kind: 'broadcast', values: UNSAID },
    { name: EVENT_TIMERS, kind: 'timers' },
    { name: PROCESSING_TIMERS, kind: 'timers' },
  ])
})

test('a described graph is JSON that names operators, inputs, states and windows', () => {
  const described: any = describeGraph(rich())
  assert.deepEqual(JSON.parse(JSON.stringify(described)), described)
  assert.equal(described.job, 'job')
  assert.deepEqual(described.operators[0], {
    kind: 'source',
    name: 'in',
    inputs: [],
    type: 'numbers',
    bounded: true,
    states: [],
  })
  assert.deepEqual(described.operators[4], {
    kind: 'window',
    name: 'hours',
    inputs: [{ from: 'time', keyed: true }],
    assigner: { kind: 'tumbling', sizeMs: 1000, offsetMs: 0 },
    contents: 'reduce',
    allowedLatenessMs: 0,
    lateTag: 'late',
    states: [
      { name: WINDOW_CONTENTS, kind: 'window-reduce' },
      { name: EVENT_TIMERS, kind: 'timers' },
    ],
  })
  assert.deepEqual(described.operators[5].inputs, [
    { from: 'plain', keyed: false },
    { from: 'hours', tag: 'late', keyed: false },
  ])
})

test('the fingerprint is the same for the same structure and differs with each part of it', () => {
  const base = graph(['in', [], SOURCE], ['w', [{ from: 'in', keyed: true }], WINDOW], ['out', ['w'], SINK])
  const change = (index: number, with_: object): StreamGraph => ({
    ...base,
    nodes: base.nodes.map((node, i) => (i === index ? { ...node, ...with_ } : node)),
  })
  const same = change(1, {
    contents: { kind: 'reduce', fn: (_a: unknown, b: unknown) => b },
    inputs: [{ from: 0, keyBy: Number }],
  })
  assert.equal(fingerprint(same), fingerprint(base), 'functions are not part of it')
  const others = [
    change(1, { name: 'v' }),
    change(1, { inputs: [{ from: 0 }] }),
    change(1, { inputs: [{ from: 0, tag: 'x', keyBy: String }] }),
    change(1, { inputs: [{ from: 0, broadcast: true }] }),
    change(1, { assigner: { kind: 'global' } }),
    change(1, { assigner: { kind: 'tumbling', sizeMs: 2000, offsetMs: 0 } }),
    change(1, { allowedLatenessMs: 1 }),
    change(1, { lateTag: undefined }),
    change(1, { contents: { kind: 'process', fn() {} } }),
    change(1, { options: { renamedFrom: 'x' } }),
    change(1, KEYED),
    change(1, { ...KEYED, state: { a: { kind: 'value', options: {} } } }),
    change(1, { ...KEYED, state: { a: { kind: 'list', options: {} } } }),
    change(1, { ...KEYED, state: { b: { kind: 'list', options: {} } } }),
    change(1, { ...KEYED, onTimer() {} }),
    change(1, BROADCAST),
    change(1, { ...BROADCAST, broadcastState: { a: { kind: 'broadcast', options: {} } } }),
    change(1, { ...BROADCAST, onTimer() {} }),
    change(0, { source: { ...source, bounded: false } }),
    change(2, { sink: { ...sink, type: 'other' } }),
    { ...base, nodes: base.nodes.slice(0, 2) },
  ]
  const all = new Set([base, ...others].map(fingerprint))
  assert.equal(all.size, others.length + 1)
})

test('a difference of fingerprints is shown by the first operator that differs', () => {
  const [a, b] = [fingerprint(simple()), fingerprint(simple({ renamedFrom: 'x' }))]
  assert.equal(fingerprintDifference(a, a), undefined)
  const difference = fingerprintDifference(a, b)!
  assert.ok(difference.a.includes('"name":"count"') && !difference.a.includes('renamedFrom'))
  assert.ok(difference.b.includes('"renamedFrom":"x"'))
  const shorter = a.split('\n').slice(0, 2).join('\n')
  assert.equal(fingerprintDifference(shorter, a)!.a, 'no such operator')
})
