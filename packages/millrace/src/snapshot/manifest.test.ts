import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type ErrorCode, isMillraceError } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import { sampleManifest, sampleSegment } from '../testing/snapshot-samples.ts'
import { decodeManifest, encodeManifest, needsFullBase } from './manifest.ts'
import type { Manifest } from './manifest-types.ts'
import { sealJson } from './sealed-json.ts'

const FILE = 'manifests/chk-000000000007.json'

const full: Manifest = sampleManifest({
  id: 7,
  nextStateId: 5,
  operators: [
    {
      name: 'lines',
      kind: 'source',
      parallelism: 2,
      states: [],
      source: {
        splits: [
          { id: 'a.txt', detail: { size: 10 }, position: 3, ended: false, subtask: 0 },
          { id: 'b.txt', detail: null, position: null, ended: true, subtask: 1 },
        ],
        records: 17,
        turns: [
          { split: 0, remaining: 5, active: true },
          { split: 0, remaining: 512, active: false },
        ],
      },
    },
    {
      name: 'counts',
      kind: 'keyedProcess',
      parallelism: 2,
      states: [
        { id: 3, name: 'value', kind: 'aggregating', schema: null },
        { id: 4, name: 'seen', kind: 'map', schema: { type: 'string' }, ttlMs: 1000 },
      ],
    },
    { name: 'spread', kind: 'process', parallelism: 2, states: [], operatorState: { list: [['AAE='], []] } },
    { name: 'ruled', kind: 'keyedBroadcastProcess', parallelism: 2, states: [], broadcastState: { rules: ['AAE='] } },
    {
      name: 'out',
      kind: 'sink',
      parallelism: 2,
      states: [],
      sink: {
        type: 'files.writeJson',
        retracts: true,
        states: [null, { open: 'part' }],
        committables: [
          { checkpoint: 6, value: 'part-1' },
          { checkpoint: 7, value: { a: [1] } },
        ],
      },
    },
  ],
  segments: [
    sampleSegment('segments/3-12.seg', { base: false, checkpoint: 7 }),
    sampleSegment('segments/3-11.seg', { base: false, checkpoint: 6 }),
    sampleSegment('segments/1-2.seg', { checkpoint: 2 }),
  ],
  watermarks: { 'time-1': { 'a.txt': 12, 'b.txt': null } },
})

/** Reads a manifest with changes that `Manifest` does not allow. */
function decode(changes: { readonly [name: string]: unknown }, job: string | undefined = 'job', file = FILE): Manifest {
  return decodeManifest(sealJson({ ...full, ...changes }), { job, file })
}

function refuses(code: ErrorCode, pattern: RegExp, changes: { readonly [name: string]: unknown }): void {
  assert.throws(
    () => decode(changes),
    error => {
      assert.ok(isMillraceError(error, code), `${String(error)} for ${JSON.stringify(changes).slice(0, 200)}`)
      assert.match(error.message, pattern)
      return true
    },
  )
}

test('a manifest is read as it was written', () => {
  assert.deepEqual(decodeManifest(encodeManifest(full), { job: 'job', file: FILE }), full)
  const small = sampleManifest()
  assert.deepEqual(decodeManifest(encodeManifest(small), { job: undefined, file: '/elsewhere/copy.json' }), small)
})

test('invariant 4: every changed byte and every truncation of a manifest is damage', () => {
  const bytes = encodeManifest(full)
  for (let i = 0; i < bytes.length; i += 1) {
    const flipped = bytes.slice()
    flipped[i] ^= 1 << (i % 8)
    for (const broken of [flipped, bytes.subarray(0, i)]) {
      assert.throws(
        () => decodeManifest(broken, { job: 'job', file: FILE }),
        error => isMillraceError(error, 'SNAPSHOT_DAMAGED'),
        `byte ${i}`,
      )
    }
  }
})

test('a newer version is named as such, not called damaged', () => {
  refuses('SNAPSHOT_VERSION', /version 2.*up to 1/, { version: 2 })
})

test('a manifest of another job is refused by both names', () => {
  assert.throws(
    () => decode({}, 'other'),
    error => isMillraceError(error, 'SNAPSHOT_WRONG_JOB') && /'job'.*'other'/.test(error.message),
  )
})

test('a manifest under the name of another one is damage', () => {
  for (const file of ['manifests/chk-000000000008.json', 'manifests/sp-000000000007.json']) {
    assert.throws(
      () => decode({}, 'job', file),
      error => isMillraceError(error, 'SNAPSHOT_DAMAGED') && error.message.includes(file),
    )
  }
})

test('references that lead out of the folder are BAD_REFERENCE', () => {
  for (const file of [
    '../other/segments/1-1.seg',
    '/etc/passwd',
    'segments/../../x',
    'segments/1-1.seg/..',
    'segments//1-1.seg',
    'segments/1-1.seg\0',
  ]) {
    refuses('BAD_REFERENCE', /refers to/, { segments: [sampleSegment(file)] })
  }
})

test('references that are no segments of the job are damage', () => {
  for (const file of [
    'segments/x.seg',
    'manifests/chk-000000000001.json',
    'segments/01-1.seg',
    'segments/1-1.seg.bak',
    'segments/1-1/1-1.seg',
    '1-1.seg',
  ]) {
    refuses('SNAPSHOT_DAMAGED', /segments\[0\]\.file/, { segments: [sampleSegment(file)] })
  }
})

test('where an adopted snapshot comes from is checked if it is said', () => {
  const from = { job: 'first', kind: 'checkpoint', id: 42 }
  assert.deepEqual(decode({ forkedFrom: from }).forkedFrom, from)
  for (const wrong of [null, {}, { ...from, id: 0 }, { ...from, kind: 'fork' }, { ...from, job: '' }])
    refuses('SNAPSHOT_DAMAGED', /forkedFrom/, { forkedFrom: wrong })
})

describe('every field is checked for its type and range:', () => {
  const cases: readonly (readonly [field: string, values: readonly unknown[]])[] = [
    ['format', ['other', 1]],
    ['version', [0, '1', 1.5, null]],
    ['id', [0, -1, 1.5, 1e15, '7', null]],
    ['kind', ['fork', null]],
    ['job', ['', 1]],
    ['run', [0, null]],
    ['runId', ['', 'XYZ', '0a1b2c3d4', 7]],
    ['lineage', [0]],
    ['token', [0, '1']],
    ['createdAtMs', [-1, 'now']],
    ['durationMs', [-1, null, '1']],
    ['trigger', ['boredom', null]],
    ['millrace', [1]],
    ['parallelism', [0, 70_000]],
    ['maxParallelism', [0, 70_000, 64]],
    ['hashVersion', [0, 2]],
    ['nextStateId', [-1, 4, 70_000]],
    ['operators', [null, {}, [1], [{ name: 'a', kind: 'sink' }]]],
    ['segments', [null, {}, ['x']]],
    ['watermarks', [null, [], { a: 1 }, { a: { b: 'x' } }]],
  ]
  for (const [field, values] of cases) {
    test(field, () => {
      for (const value of values)
        refuses('SNAPSHOT_DAMAGED', new RegExp(field === 'maxParallelism' ? 'arallelism' : `${field}|state`, 'u'), {
          [field]: value,
        })
      const { [field as 'id']: _, ...without } = full
      assert.throws(
        () => decodeManifest(sealJson(without), { job: 'job', file: FILE }),
        error => isMillraceError(error, 'SNAPSHOT_DAMAGED'),
      )
    })
  }
})

test('operators, splits, states and state ids occur once, and ids lie below the next free one', () => {
  const [source, counts, , , sink] = full.operators
  const state = { id: 1, name: 'a', kind: 'value', schema: null }
  const splits = source.source!.splits
  refuses('SNAPSHOT_DAMAGED', /operator 'lines' twice/, { operators: [source, source] })
  refuses('SNAPSHOT_DAMAGED', /state id 3 twice/, { operators: [counts, { ...counts, name: 'other' }] })
  refuses('SNAPSHOT_DAMAGED', /state 'a' twice/, { operators: [{ ...counts, states: [state, { ...state, id: 2 }] }] })
  refuses('SNAPSHOT_DAMAGED', /states\[0\]\.id/, { operators: [{ ...counts, states: [{ ...state, id: 5 }] }] })
  refuses('SNAPSHOT_DAMAGED', /split 'a.txt' twice/, {
    operators: [{ ...source, source: { ...source.source, splits: [splits[0], splits[0]] } }],
  })
  refuses('SNAPSHOT_DAMAGED', /ttlTime/, { operators: [{ ...counts, states: [{ ...state, ttlTime: 'noon' }] }] })
  refuses('SNAPSHOT_DAMAGED', /watermark/, { operators: [{ ...counts, watermark: 'high' }] })
  refuses('SNAPSHOT_DAMAGED', /ttlMs/, { operators: [{ ...counts, states: [{ ...state, ttlMs: -1 }] }] })
  refuses('SNAPSHOT_DAMAGED', /committables\[0\]\.checkpoint/, {
    operators: [{ ...sink, sink: { ...sink.sink, committables: [{ checkpoint: 8, value: 1 }] } }],
  })
  refuses('SNAPSHOT_DAMAGED', /operatorState\.x/, {
    operators: [{ ...counts, operatorState: { x: ['not a list of lists'] } }],
  })
  refuses('SNAPSHOT_DAMAGED', /broadcastState\.x/, { operators: [{ ...counts, broadcastState: { x: [['AA==']] } }] })
})

test('what belongs to a subtask belongs to one that the operator has', () => {
  const [source, , process, , sink] = full.operators
  const { splits, turns } = source.source!
  const refusesSource = (pattern: RegExp, changes: object): void =>
    refuses('SNAPSHOT_DAMAGED', pattern, { operators: [{ ...source, source: { ...source.source, ...changes } }] })
  refusesSource(/splits\[1\]\.subtask/, { splits: [splits[0], { ...splits[1], subtask: 2 }] })
  refusesSource(/splits\[0\]\.subtask/, { splits: [{ ...splits[0], subtask: -1 }] })
  refusesSource(/source\.turns: expected at most one/, { turns: [...turns, turns[0]] })
  refusesSource(/turns\[0\]\.remaining/, { turns: [{ split: 0, remaining: null, active: true }] })
  refusesSource(/turns\[0\]\.split/, { turns: [{ ...turns[0], split: 1 }] })
  refusesSource(/turns\[1\]\.split/, { splits: [splits[0]], turns: [turns[0], { ...turns[1], split: 1 }] })
  refuses('SNAPSHOT_DAMAGED', /operators\[0\]\.parallelism/, { operators: [{ ...source, parallelism: 0 }] })
  refuses('SNAPSHOT_DAMAGED', /operators\[0\]\.parallelism/, { operators: [{ ...source, parallelism: 70_000 }] })
  refuses('SNAPSHOT_DAMAGED', /operatorState\.list: expected at most/, {
    operators: [{ ...process, operatorState: { list: [[], [], []] } }],
  })
  refuses('SNAPSHOT_DAMAGED', /sink\.states: expected at most/, { operators: [{ ...sink, parallelism: 1 }] })
})

test('segments are newest first, each once, and none is newer than the manifest', () => {
  const [a, b, base] = full.segments
  refuses('SNAPSHOT_DAMAGED', /twice/, { segments: [a, a, base] })
  refuses('SNAPSHOT_DAMAGED', /segments\[1\]\.checkpoint/, { segments: [b, a, base] })
  refuses('SNAPSHOT_DAMAGED', /segments\[0\]\.checkpoint/, { segments: [{ ...base, checkpoint: 8 }] })
  refuses('SNAPSHOT_DAMAGED', /sizeBytes/, { segments: [{ ...base, sizeBytes: 0 }] })
  refuses('SNAPSHOT_DAMAGED', /checksum/, { segments: [{ ...base, checksum: 2 ** 32 }] })
  refuses('SNAPSHOT_DAMAGED', /segments\[0\]\.base/, { segments: [{ ...base, base: 1 }] })
  for (const keyGroups of [undefined, [0], [0, 129], [-1, 5], [5, 5], [0, 1, 2], ['0', 1], [0.5, 1]])
    refuses('SNAPSHOT_DAMAGED', /segments\[0\]\.keyGroups/, { segments: [{ ...base, keyGroups }] })
  // A first checkpoint without state has no segment, so the next one is a delta with nothing below it.
  for (const segments of [[], [a]]) assert.deepEqual(decode({ segments }).segments, segments)
})

test('the segments of one checkpoint are one layer: all of them are a base, or none', () => {
  const base = full.segments[2]
  const half = { ...base, file: 'segments/1-3.seg', keyGroups: [0, 64] as const }
  const other = { ...base, keyGroups: [64, 128] as const }
  assert.deepEqual(decode({ segments: [half, other] }).segments, [half, other])
  refuses('SNAPSHOT_DAMAGED', /segments\[1\]\.base/, { segments: [half, { ...other, base: false }] })
})

test('invariant 4: segments of another max parallelism are not mixed in one manifest', () => {
  refuses('SNAPSHOT_DAMAGED', /segments\[2\]\.maxParallelism/, {
    segments: [...full.segments.slice(0, 2), { ...full.segments[2], maxParallelism: 64 }],
  })
})

test('invariant 4: the first checkpoint, and the first after a change of max parallelism, is a full base', () => {
  const { operators } = full
  assert.equal(needsFullBase(undefined, full), true)
  assert.equal(needsFullBase(full, full), false)
  assert.equal(needsFullBase(full, { maxParallelism: 64, operators }), true)
  assert.equal(needsFullBase(full, full, 2), true)
})

test('invariant 4: where the rows of a state change or go, the next checkpoint is a full base', () => {
  const isFull = (before: Json, after: Json) => {
    const withSchema = (schema: Json) => {
      const states = [{ id: 7, name: 'position', kind: 'value', schema }]
      return { ...full, operators: [{ name: 'trades', kind: 'keyedProcess', parallelism: 1, states }] }
    }
    return needsFullBase(withSchema(before), withSchema(after))
  }
  const object = (properties: { readonly [name: string]: Json }) => ({
    type: 'object',
    properties,
    required: Object.keys(properties),
  })
  const [byte, number] = [{ type: 'integer', minimum: 0, maximum: 255 }, { type: 'number' }]
  const before = object({ row: byte, price: number })
  assert.equal(isFull(before, before), false)
  assert.equal(isFull(before, object({ price: number, row: byte })), false, 'the order of properties says nothing')
  assert.equal(isFull(before, object({ row: { ...byte, maximum: 100 }, price: number })), false, 'it still is a byte')
  assert.equal(isFull(before, object({ row: { ...byte, maximum: 256 }, price: number })), true)
  assert.equal(isFull(before, object({ row: byte, price: { type: 'integer' } })), true)
  assert.equal(isFull(before, object({ row: byte, cost: number })), true)
  assert.equal(isFull(before, object({ row: byte })), true)
  assert.equal(isFull(before, null), true)
  assert.equal(isFull(number, object({ '': number })), true)
  assert.equal(isFull(null, before), false, 'values without a schema describe themselves')
  assert.equal(isFull({ type: 'string' }, before), false)
  assert.equal(isFull({ '~standard': null, type: 'number' }, null), false, 'any JSON may stand there')
  assert.equal(needsFullBase({ ...full, operators: [] }, full), false)
})

test('where entries come to be touched, or are touched in another time, the next checkpoint is a full base', () => {
  const isFull = (before: object, after: object) => {
    const withTtl = (ttl: object) => {
      const states = [{ id: 7, name: 'seen', kind: 'value', schema: null, ...ttl }]
      return { ...full, operators: [{ name: 'visits', kind: 'keyedProcess', parallelism: 1, states }] }
    }
    return needsFullBase(withTtl(before), withTtl(after))
  }
  const event = { ttlMs: 10, ttlTime: 'event' }
  assert.equal(isFull({}, { ttlMs: 10 }), true)
  assert.equal(isFull({ ttlMs: 10 }, {}), true)
  assert.equal(isFull({ ttlMs: 10 }, event), true)
  assert.equal(isFull(event, { ttlMs: 10 }), true)
  assert.equal(isFull(event, { ...event, ttlMs: 20 }), false)
  assert.equal(isFull({ ttlMs: 10 }, { ttlMs: 20, ttlTime: 'processing' }), false)
})

test('names from a manifest do not reach the prototype of objects', () => {
  const states = JSON.parse('{"__proto__": [["AA=="]]}') as Json
  const decoded = decode({
    operators: [{ name: '__proto__', kind: 'process', parallelism: 1, states: [], operatorState: states }],
  })
  assert.equal(({} as { polluted?: unknown }).polluted, undefined)
  assert.deepEqual(Object.keys(decoded.operators[0].operatorState!), ['__proto__'])
})
