import assert from 'node:assert/strict'
import { test } from 'node:test'
import { restored, sampleRunFacts } from '../testing/snapshot-samples.ts'
import { decideRetention, type RetentionPolicy } from './retention.ts'
import type { RunFacts } from './run-record.ts'

type Facts = Parameters<typeof decideRetention>[0][number]

const chk = (id: number, run = 1, lineage = 1): Facts => ({ kind: 'checkpoint', id, run, lineage })
const sp = (id: number, run = 1, lineage = 1): Facts => ({ kind: 'savepoint', id, run, lineage })

function kept(
  snapshots: readonly Facts[],
  policy: Partial<RetentionPolicy> = {},
  runs: readonly RunFacts[] = [sampleRunFacts(1)],
): number[] {
  const verdicts = decideRetention(snapshots, runs, { retain: 2, previousLineage: undefined, pinned: [], ...policy })
  return snapshots.filter((_, i) => verdicts[i].keep).map(({ id }) => id)
}

test('the newest checkpoints stay, in whatever order they are given', () => {
  assert.deepEqual(kept([chk(1), chk(2), chk(3), chk(4)]), [3, 4])
  assert.deepEqual(kept([chk(4), chk(1), chk(3), chk(2)], { retain: 1 }), [4])
  assert.deepEqual(kept([]), [])
})

test('savepoints stay and are not counted', () => {
  assert.deepEqual(kept([sp(1), chk(2), chk(3), chk(4), sp(5)]), [1, 3, 4, 5])
})

test('what is pinned stays', () => {
  assert.deepEqual(kept([chk(1), chk(2), chk(3), chk(4)], { pinned: [{ id: 1 }] }), [1, 3, 4])
})

test('the newest checkpoint of the previous lineage stays when the new one has enough of its own', () => {
  const runs = [sampleRunFacts(1), sampleRunFacts(2, { lineage: 2, firstCheckpointId: 4 })]
  const snapshots = [chk(1), chk(2), chk(3), chk(4, 2, 2), chk(5, 2, 2), chk(6, 2, 2)]
  assert.deepEqual(kept(snapshots, { previousLineage: 1 }, runs), [3, 5, 6])
  assert.deepEqual(kept(snapshots.slice(0, 4), { previousLineage: 1 }, runs), [3, 4])
})

test('invariant 7: strays go, even savepoints, and take nobody’s place', () => {
  const runs = [sampleRunFacts(1), sampleRunFacts(2, { firstCheckpointId: 3, ...restored(2, 1) })]
  assert.deepEqual(kept([chk(1), chk(2), chk(3), sp(4)], { retain: 2 }, runs), [1, 2])
})

test('checkpoints of a run that ended without retaining them go, before others are counted; its savepoints stay', () => {
  const runs = [
    sampleRunFacts(1, {}, { end: 'cancelled', lastCheckpointId: 3, retained: false }),
    sampleRunFacts(2, { lineage: 2, firstCheckpointId: 4 }),
  ]
  assert.deepEqual(kept([chk(1), sp(2), chk(3), chk(4, 2, 2)], { previousLineage: 1 }, runs), [2, 4])
  assert.deepEqual(kept([chk(1), sp(2), chk(3)], {}, runs.slice(0, 1)), [2])
  // One that was published although it had seemed to fail.
  assert.deepEqual(kept([chk(1), sp(2), chk(3), chk(4)], {}, runs.slice(0, 1)), [2])
  // A later run that goes on from the savepoint keeps what it makes.
  const goesOn = [runs[0], sampleRunFacts(2, { firstCheckpointId: 4, ...restored(2, 1) })]
  assert.deepEqual(kept([sp(2), chk(3), chk(4, 2)], {}, goesOn), [2, 4])
})

test('at least one checkpoint is retained', () => {
  assert.throws(() => kept([chk(1)], { retain: 0 }), /assertion/)
})
