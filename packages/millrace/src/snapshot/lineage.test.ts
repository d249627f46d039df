import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { MillraceError } from '../base/errors.ts'
import { restored, sampleRunFacts } from '../testing/snapshot-samples.ts'
import { ancestry, isStray } from './lineage.ts'
import type { RunFacts } from './run-record.ts'

/** Run 1 makes 1…5; 5 is damaged, run 2 goes on from 4 and makes 6 and 7; run 3 goes on from 7. */
const fallback: RunFacts[] = [
  sampleRunFacts(1),
  sampleRunFacts(2, { firstCheckpointId: 6, ...restored(4, 1) }),
  sampleRunFacts(3, { firstCheckpointId: 8, ...restored(7, 2) }),
]
const RUN_ID = '0a1b2c3d'

const made = (id: number, run: number) => ({ kind: 'checkpoint', id, run, runId: RUN_ID }) as const

function included(runs: RunFacts[], run: number, makers: readonly number[]): string[] {
  const past = ancestry(runs, run)
  return makers.flatMap(maker =>
    Array.from({ length: 12 }, (_, i) => i + 1).flatMap(id =>
      past.includes(made(id, maker)) ? [`${maker}:${id}`] : [],
    ),
  )
}

test('invariant 6: the past of a run is its own snapshots and those up to the restored one of each run before', () => {
  assert.deepEqual(
    included(fallback.slice(0, 1), 1, [1, 2, 3]),
    Array.from({ length: 12 }, (_, i) => `1:${i + 1}`),
  )
  assert.deepEqual(included(fallback, 3, [1, 2, 3]), [
    '1:1',
    '1:2',
    '1:3',
    '1:4',
    '2:6',
    '2:7',
    '3:8',
    '3:9',
    '3:10',
    '3:11',
    '3:12',
  ])
})

test('invariant 5: output prepared for a checkpoint that a fallback skipped is not part of the past', () => {
  const past = ancestry(fallback, 3)
  const belongs = [1, 2, 3, 4, 5, 6, 7, 8].filter(id => past.includesOutput(RUN_ID, id))
  assert.deepEqual(belongs, [1, 2, 3, 4, 6, 7, 8])
  assert.equal(past.includesOutput('ffffffff', 3), false)
})

test('invariant 6: a fresh start has no past, and output of other run ids is none of its', () => {
  const runs = [...fallback, sampleRunFacts(4, { lineage: 2, runId: 'aaaaaaaa', firstCheckpointId: 9 })]
  const past = ancestry(runs, 4)
  assert.equal(past.includes(made(7, 2)), false)
  assert.equal(past.includesOutput(RUN_ID, 3), false)
  assert.equal(past.includesOutput('aaaaaaaa', 9), true)
})

test('a run may go back to a snapshot of an older lineage; what came between is not its past', () => {
  const runs = [
    ...fallback,
    sampleRunFacts(4, { lineage: 2, runId: 'aaaaaaaa', firstCheckpointId: 9 }),
    sampleRunFacts(5, { firstCheckpointId: 12, ...restored(6, 2) }),
  ]
  assert.deepEqual(included(runs, 5, [1, 2, 3, 4, 5]), ['1:1', '1:2', '1:3', '1:4', '2:6', '5:12'])
})

test('a restart within a run that went back to an older snapshot counts only up to that', () => {
  const past = ancestry(fallback, 3, 9)
  assert.deepEqual(
    [9, 10].map(id => past.includes(made(id, 3))),
    [true, false],
  )
  assert.deepEqual(
    [9, 10].map(id => past.includesOutput(RUN_ID, id)),
    [true, false],
  )
})

test('invariant 7: a snapshot that a fenced process wrote after the next run began is a stray and in nobody’s past', () => {
  const late = made(8, 2)
  assert.equal(ancestry(fallback, 3).includes(late), false)
  assert.equal(isStray(fallback, late), true)
  for (const snapshot of [made(8, 3), made(7, 2), made(5, 1)]) assert.equal(isStray(fallback, snapshot), false)
  assert.equal(isStray(fallback, made(6, 1)), true)
})

test('a snapshot known by its id alone may belong to the past only within the ranges of the chain', () => {
  const past = ancestry(fallback, 3)
  assert.deepEqual(
    [3, 4, 5, 6, 7, 8, 99].map(id => past.mayInclude(id)),
    [true, true, false, true, true, true, true],
  )
})

test('a record in the chain that cannot be read ends it, and hides no output before the restored snapshot', () => {
  const broken = new MillraceError('SNAPSHOT_DAMAGED', 'broken')
  const runs: RunFacts[] = [fallback[0], { run: 2, record: broken, end: undefined }, fallback[2]]
  const past = ancestry(runs, 3)
  assert.equal(past.includes(made(7, 2)), true)
  assert.equal(past.includes(made(8, 2)), false)
  assert.equal(past.includesOutput(RUN_ID, 2), true)
  const alone: RunFacts[] = [{ run: 1, record: broken, end: undefined }]
  assert.deepEqual(ancestry(alone, 1).output, [])
  // A snapshot that is named by the user says the run id itself.
  const named = ancestry(alone, 1, 4, RUN_ID)
  assert.deepEqual(
    [1, 4, 5].map(id => named.includesOutput(RUN_ID, id)),
    [true, true, false],
  )
})

test('invariant 6: the chain equals what following every snapshot to its maker gives', () => {
  // A random history: each run makes some snapshots, the next goes on from any earlier one, or starts fresh.
  const history = fc.array(fc.record({ made: fc.integer({ min: 0, max: 4 }), back: fc.nat({ max: 6 }) }), {
    minLength: 1,
    maxLength: 8,
  })
  fc.assert(
    fc.property(history, steps => {
      const runs: RunFacts[] = []
      const snapshots: { id: number; run: number; past: ReadonlySet<number> }[] = []
      let last: ReadonlySet<number> = new Set()
      steps.forEach(({ made, back }, i) => {
        const run = i + 1
        const from = snapshots.at(-1 - back)
        const first = snapshots.length + 1
        runs.push(
          sampleRunFacts(run, { firstCheckpointId: first, ...(from === undefined ? {} : restored(from.id, from.run)) }),
        )
        let past = new Set(from?.past)
        for (let j = 0; j < made; j += 1) {
          past = new Set(past).add(snapshots.length + 1)
          snapshots.push({ id: snapshots.length + 1, run, past })
        }
        last = past
      })
      const found = ancestry(runs, steps.length)
      assert.deepEqual(
        snapshots.filter(({ id, run }) => found.includes(made(id, run))).map(({ id }) => id),
        [...last].toSorted((a, b) => a - b),
      )
      assert.deepEqual(
        snapshots.filter(({ id }) => found.includesOutput(RUN_ID, id)).map(({ id }) => id),
        [...last].toSorted((a, b) => a - b),
      )
    }),
  )
})
