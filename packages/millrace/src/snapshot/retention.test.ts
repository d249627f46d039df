import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { restored, sampleRunFacts } from '../testing/snapshot-samples.ts'
import { decideRetention, periodicSavepointDueMs, type RetentionPolicy } from './retention.ts'
import type { RunFacts } from './run-record.ts'

type Facts = Parameters<typeof decideRetention>[0][number]

const made = { createdAtMs: 0, trigger: 'interval' } as const
const chk = (id: number, run = 1, lineage = 1): Facts => ({ kind: 'checkpoint', id, run, lineage, ...made })
const sp = (id: number, run = 1, lineage = 1): Facts => ({
  kind: 'savepoint',
  id,
  run,
  lineage,
  ...made,
  trigger: 'user',
})
const periodic = (id: number, run = 1, lineage = 1): Facts => ({ ...sp(id, run, lineage), trigger: 'interval' })

function kept(
  snapshots: readonly Facts[],
  { retain = 2, ...policy }: Partial<Omit<RetentionPolicy, 'retain'>> & { readonly retain?: number } = {},
  runs: readonly RunFacts[] = [sampleRunFacts(1)],
): number[] {
  const ladder = { last: retain, hourly: 0, daily: 0 }
  const defaults = { retain: ladder, keepSavepoints: 2, previousLineage: undefined, pinned: [] }
  const verdicts = decideRetention(snapshots, runs, { ...defaults, ...policy })
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

test('of periodic savepoints the newest stay, whatever the lineage; those of users are not counted with them', () => {
  const snapshots = [periodic(1), sp(2), periodic(3), periodic(4, 2, 2), chk(5, 2, 2), sp(6, 2, 2)]
  const runs = [sampleRunFacts(1), sampleRunFacts(2, { lineage: 2, firstCheckpointId: 4 })]
  assert.deepEqual(kept(snapshots, {}, runs), [2, 3, 4, 5, 6])
  assert.deepEqual(kept(snapshots, { keepSavepoints: 1 }, runs), [2, 4, 5, 6])
  assert.deepEqual(kept(snapshots, { keepSavepoints: 1, pinned: [{ id: 1 }] }, runs), [1, 2, 4, 5, 6])
  // A stray takes nobody's place.
  assert.deepEqual(kept([periodic(3), periodic(4)], { keepSavepoints: 1 }, [...runs.slice(0, 1), runs[1]]), [3])
})

test('a periodic savepoint is due so long after the newest one of the lineage, or after the lineage began', () => {
  const runs = [
    sampleRunFacts(1, { startedAtMs: 100 }),
    sampleRunFacts(2, { startedAtMs: 500, lineage: 2 }),
    sampleRunFacts(3, { startedAtMs: 900, lineage: 2 }),
  ]
  const made = (snapshot: Facts, createdAtMs: number) => ({ ...snapshot, createdAtMs })
  const before = [made(periodic(1), 150), made(sp(2, 2, 2), 600), made(chk(3, 2, 2), 700)]
  assert.equal(periodicSavepointDueMs(before, runs, 2, 1000), 1500)
  assert.equal(periodicSavepointDueMs([...before, made(periodic(4, 2, 2), 800)], runs, 2, 1000), 1800)
  assert.equal(periodicSavepointDueMs(before, runs, 1, 1000), 1150)
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

test('the ladder keeps the newest checkpoint of each of the last hours and days that have one', () => {
  const at = (id: number, time: string): Facts => ({ ...chk(id), createdAtMs: Date.parse(`2024-05-${time}:00Z`) })
  const snapshots = [
    at(1, '01T23:10'),
    at(2, '01T23:50'),
    at(3, '02T09:58'),
    at(4, '02T10:20'),
    at(5, '02T10:40'),
    at(6, '03T11:10'),
    at(7, '03T11:50'),
    at(8, '03T12:05'),
    at(9, '03T12:06'),
    at(10, '03T12:07'),
  ]
  const keptBy = (last: number, hourly: number, daily: number): string[] =>
    decideRetention(snapshots, [sampleRunFacts(1)], {
      retain: { last, hourly, daily },
      keepSavepoints: 1,
      previousLineage: undefined,
      pinned: [],
    }).flatMap(({ keep, reason }, i) => (keep ? [`${snapshots[i].id} ${reason}`] : []))
  assert.deepEqual(keptBy(2, 0, 0), ['9 recent', '10 recent'])
  assert.deepEqual(keptBy(2, 3, 0), ['5 hourly', '7 hourly', '9 recent', '10 recent'])
  assert.deepEqual(keptBy(1, 3, 3), ['2 daily', '5 hourly', '7 hourly', '10 recent'])
  assert.deepEqual(keptBy(1, 100, 100), ['2 hourly', '3 hourly', '5 hourly', '7 hourly', '10 recent'])
})

test('a ladder keeps at most last + hourly + daily checkpoints, the newest among them, and only ever loses more by time', () => {
  const gapsMs = fc.array(fc.integer({ min: 0, max: 30 * 3_600_000 }), { minLength: 1, maxLength: 60 })
  const ladder = fc.record({
    last: fc.integer({ min: 1, max: 4 }),
    hourly: fc.integer({ min: 0, max: 5 }),
    daily: fc.integer({ min: 0, max: 5 }),
  })
  fc.assert(
    fc.property(gapsMs, ladder, (gaps, retain) => {
      let nowMs = 0
      let left: Facts[] = []
      const all: Facts[] = []
      const decide = (snapshots: readonly Facts[]): Facts[] => {
        const verdicts = decideRetention(snapshots, [sampleRunFacts(1)], {
          retain,
          keepSavepoints: 1,
          previousLineage: undefined,
          pinned: [],
        })
        return snapshots.filter((_, i) => verdicts[i].keep)
      }
      for (const [index, gap] of gaps.entries()) {
        nowMs += gap
        const made = { ...chk(index + 1), createdAtMs: nowMs }
        all.push(made)
        left = decide([...left, made])
        assert.equal(left.at(-1), made)
        assert.ok(left.length <= retain.last + retain.hourly + retain.daily)
        // Dropping step by step comes to the same as deciding over all that ever were.
        assert.deepEqual(left, decide(all))
      }
    }),
    { numRuns: 200 },
  )
})
