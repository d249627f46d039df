import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type ErrorCode, isMillraceError, MillraceError } from '../base/errors.ts'
import { memoryStorage } from '../store/memory/index.ts'
import {
  putRuns,
  putSnapshots,
  restored,
  sampleManifest,
  sampleRunFacts,
  sampleSegment,
} from '../testing/snapshot-samples.ts'
import { ancestry } from './lineage.ts'
import type { ManifestFile, SnapshotFacts } from './manifest-folder.ts'
import { manifestName } from './object-names.ts'
import {
  decideStart,
  nextCheckpointId,
  recover,
  runRecordOf,
  type StartDecision,
  type StartFacts,
  type StartRequest,
} from './recover.ts'
import { publishRunRecord, readRuns, type RunFacts } from './run-record.ts'
import { parseSnapshotRef } from './snapshot-id.ts'

const broken = new MillraceError('SNAPSHOT_DAMAGED', 'its bytes are wrong')

function snapshot(id: number, run: number, changes: Partial<SnapshotFacts> = {}): ManifestFile {
  const kind = changes.kind ?? 'checkpoint'
  const facts: SnapshotFacts = {
    kind,
    id,
    run,
    runId: '0a1b2c3d',
    lineage: 1,
    createdAtMs: 0,
    durationMs: 0,
    parallelism: 1,
    trigger: 'interval',
    label: undefined,
    manifestSizeBytes: 1,
    segments: [],
    ...changes,
  }
  return { file: manifestName({ kind, id }), kind, id, facts }
}

function damaged(id: number, error = broken): ManifestFile {
  return { file: manifestName({ kind: 'checkpoint', id }), kind: 'checkpoint', id, facts: error }
}

function decide(
  runs: readonly RunFacts[],
  manifests: readonly ManifestFile[],
  request: StartRequest = {},
  sinksRetract = true,
): StartDecision {
  const facts: StartFacts = { job: 'job', runs, manifests, sinksRetract }
  return decideStart(facts, request)
}

function refuses(code: ErrorCode, pattern: RegExp, act: () => unknown): void {
  assert.throws(act, error => {
    assert.ok(isMillraceError(error, code), String(error))
    assert.match(error.message, pattern)
    return true
  })
}

/** The parts of a decision that most tests are about. */
function gist(decision: StartDecision): object {
  if (decision.kind === 'finished') return { finished: decision.end.run }
  const { run, lineage, inheritedRunId, firstCheckpointId, previousLineage } = decision
  const common = { run, lineage, inheritedRunId, firstCheckpointId, previousLineage }
  if (decision.kind === 'fresh') return { fresh: decision.reason, ...common }
  return { restore: decision.snapshot.id, skipped: decision.skipped.map(({ id }) => id), ...common }
}

const RUN_ID = '0a1b2c3d'

test('without anything a job starts fresh', () => {
  const start = {
    fresh: 'first',
    run: 1,
    lineage: 1,
    inheritedRunId: undefined,
    firstCheckpointId: 1,
    previousLineage: undefined,
  }
  assert.deepEqual(gist(decide([], [])), start)
  assert.deepEqual(gist(decide([], [], { fresh: true })), start)
})

test('a plain start goes on from the newest snapshot, whatever its kind', () => {
  const manifests = [snapshot(1, 1), snapshot(2, 1), snapshot(3, 1, { kind: 'savepoint' })]
  assert.deepEqual(gist(decide([sampleRunFacts(1)], manifests)), {
    restore: 3,
    skipped: [],
    run: 2,
    lineage: 1,
    inheritedRunId: RUN_ID,
    firstCheckpointId: 4,
    previousLineage: undefined,
  })
})

test('invariant 6: a start that crashed before its first snapshot is continued under its run id', () => {
  const runs = [sampleRunFacts(1), sampleRunFacts(2, { lineage: 2, runId: 'aaaaaaaa', firstCheckpointId: 3 })]
  assert.deepEqual(gist(decide(runs, [snapshot(1, 1), snapshot(2, 1)])), {
    fresh: 'continued',
    run: 3,
    lineage: 2,
    inheritedRunId: 'aaaaaaaa',
    firstCheckpointId: 3,
    previousLineage: 1,
  })
})

test('invariant 6: a start from an older snapshot that crashed at once is continued, not the newest snapshot', () => {
  const runs = [sampleRunFacts(1), sampleRunFacts(2, { firstCheckpointId: 4, ...restored(1, 1) })]
  const decision = decide(runs, [snapshot(1, 1), snapshot(2, 1), snapshot(3, 1)])
  assert.deepEqual(gist(decision), {
    restore: 1,
    skipped: [],
    run: 3,
    lineage: 1,
    inheritedRunId: RUN_ID,
    firstCheckpointId: 4,
    previousLineage: undefined,
  })
})

test('--fresh opens the next lineage and knows the one before', () => {
  const runs = [sampleRunFacts(1), sampleRunFacts(2, { lineage: 2, firstCheckpointId: 3 })]
  const manifests = [snapshot(1, 1), snapshot(2, 1), snapshot(3, 2, { lineage: 2 })]
  const start = {
    fresh: 'asked',
    run: 3,
    lineage: 3,
    inheritedRunId: undefined,
    firstCheckpointId: 4,
    previousLineage: 2,
  }
  assert.deepEqual(gist(decide(runs, manifests, { fresh: true })), start)
  assert.deepEqual(gist(decide(runs, [...manifests.slice(0, 2), damaged(3)], { fresh: true })), start)
})

test('--from goes on with the lineage and run id of the snapshot it names', () => {
  const runs = [sampleRunFacts(1), sampleRunFacts(2, { lineage: 2, runId: 'aaaaaaaa', firstCheckpointId: 3 })]
  const manifests = [snapshot(1, 1), snapshot(2, 1), snapshot(3, 2, { lineage: 2, runId: 'aaaaaaaa' })]
  const start = {
    restore: 1,
    skipped: [],
    run: 3,
    lineage: 1,
    inheritedRunId: RUN_ID,
    firstCheckpointId: 4,
    previousLineage: 2,
  }
  for (const name of ['chk-1', 'job/chk-1', '/x/job/manifests/chk-000000000001.json']) {
    assert.deepEqual(gist(decide(runs, manifests, { from: parseSnapshotRef(name) })), start)
  }
  assert.deepEqual(gist(decide(runs, manifests, { from: parseSnapshotRef('latest') })), {
    ...start,
    restore: 3,
    lineage: 2,
    inheritedRunId: 'aaaaaaaa',
    previousLineage: 1,
  })
})

test('--from says so when there is no such snapshot, it is damaged, or it belongs to another job', () => {
  const runs = [sampleRunFacts(1)]
  const manifests = [snapshot(1, 1), damaged(2)]
  const from = (name: string) => () => decide(runs, manifests, { from: parseSnapshotRef(name) })
  refuses('SNAPSHOT_NOT_FOUND', /no chk-9; it has chk-2, chk-1/, from('chk-9'))
  refuses('SNAPSHOT_NOT_FOUND', /no sp-1/, from('sp-1'))
  refuses('SNAPSHOT_DAMAGED', /bytes are wrong/, from('chk-2'))
  refuses('SNAPSHOT_DAMAGED', /bytes are wrong/, from('latest'))
  refuses('SNAPSHOT_WRONG_JOB', /'other'.*'job'/, from('other/chk-1'))
  refuses('SNAPSHOT_NOT_FOUND', /^job 'job' has no snapshots$/, () =>
    decide([], [], { from: parseSnapshotRef('latest') }),
  )
})

test('a job that finished does nothing until it is told otherwise', () => {
  const runs = [sampleRunFacts(1, {}, { end: 'finished', lastCheckpointId: 2 })]
  assert.deepEqual(gist(decide(runs, [snapshot(2, 1)])), { finished: 1 })
  assert.deepEqual(gist(decide(runs, [])), { finished: 1 })
  assert.equal(decide(runs, [], { fresh: true }).kind, 'fresh')
  assert.equal(decide(runs, [snapshot(2, 1)], { from: parseSnapshotRef('chk-2') }).kind, 'restore')
})

for (const end of ['stopped', 'failed', 'cancelled'] as const) {
  test(`a job that was ${end} goes on from its newest snapshot`, () => {
    assert.equal(
      decide([sampleRunFacts(1, {}, { end, lastCheckpointId: 2 })], [snapshot(1, 1), snapshot(2, 1)]).kind,
      'restore',
    )
  })
}

describe('after a cancellation that deletes the checkpoints', () => {
  const runs = [sampleRunFacts(1, {}, { end: 'cancelled', lastCheckpointId: 3, retained: false })]

  test('a plain start is fresh, even if a crash left some of them', () => {
    for (const manifests of [[], [snapshot(3, 1)], [damaged(3)]]) {
      const decision = decide(runs, manifests)
      assert.deepEqual(gist(decision), {
        fresh: 'deleted',
        run: 2,
        lineage: 2,
        inheritedRunId: undefined,
        firstCheckpointId: 4,
        previousLineage: 1,
      })
    }
  })

  test('a savepoint still is something to go on from', () => {
    const manifests = [snapshot(2, 1, { kind: 'savepoint' }), snapshot(3, 1)]
    assert.deepEqual(gist(decide(runs, manifests)), {
      restore: 2,
      skipped: [3],
      run: 2,
      lineage: 1,
      inheritedRunId: RUN_ID,
      firstCheckpointId: 4,
      previousLineage: undefined,
    })
  })
})

test('a damaged newest snapshot is skipped, and named with the reason', () => {
  const decision = decide([sampleRunFacts(1)], [snapshot(1, 1), snapshot(2, 1), damaged(3), damaged(4)])
  assert.ok(decision.kind === 'restore')
  assert.equal(decision.snapshot.id, 2)
  assert.deepEqual(decision.skipped, [
    { kind: 'checkpoint', id: 4, reason: 'its bytes are wrong' },
    { kind: 'checkpoint', id: 3, reason: 'its bytes are wrong' },
  ])
  assert.equal(decision.firstCheckpointId, 5)
})

test('damage older than what is restored is no reason to worry', () => {
  const decision = decide([sampleRunFacts(1)], [damaged(1), snapshot(2, 1)], {}, false)
  assert.ok(decision.kind === 'restore' && decision.skipped.length === 0)
})

test('snapshots that a fallback skipped are not reported again by the run after', () => {
  const runs = [sampleRunFacts(1), sampleRunFacts(2, { firstCheckpointId: 6, ...restored(4, 1) })]
  const decision = decide(runs, [snapshot(4, 1), damaged(5)])
  assert.deepEqual(gist(decision), {
    restore: 4,
    skipped: [],
    run: 3,
    lineage: 1,
    inheritedRunId: RUN_ID,
    firstCheckpointId: 6,
    previousLineage: undefined,
  })
})

test('when no snapshot is usable nothing starts', () => {
  refuses('NO_USABLE_SNAPSHOT', /: chk-2, chk-1 \(its bytes are wrong\)$/, () =>
    decide([sampleRunFacts(1)], [damaged(1), damaged(2)]),
  )
})

test('a snapshot that is known to have been there and is gone is not silently forgotten', () => {
  const run2 = sampleRunFacts(2, { firstCheckpointId: 4, ...restored(3, 1) })
  refuses('NO_USABLE_SNAPSHOT', /chk-3 \(its manifest is gone\)/, () => decide([sampleRunFacts(1), run2], []))
  const decision = decide([sampleRunFacts(1), run2], [snapshot(2, 1)])
  assert.ok(decision.kind === 'restore' && decision.skipped[0]?.id === 3)
  refuses('NO_USABLE_SNAPSHOT', /chk-5/, () =>
    decide([sampleRunFacts(1, {}, { end: 'stopped', lastCheckpointId: 5 })], []),
  )
})

test('invariant 5: a fallback is refused when a sink cannot take back what it committed, unless --from asks for it', () => {
  const runs = [sampleRunFacts(1)]
  const manifests = [snapshot(1, 1), damaged(2)]
  refuses('FALLBACK_REFUSED', /chk-1.*chk-2 \(its bytes are wrong\)/, () => decide(runs, manifests, {}, false))
  assert.equal(decide(runs, manifests, { from: parseSnapshotRef('chk-1') }, false).kind, 'restore')
  assert.equal(decide(runs, manifests, { fresh: true }, false).kind, 'fresh')
  assert.equal(decide(runs, [snapshot(1, 1), snapshot(2, 1)], {}, false).kind, 'restore')
})

test('a snapshot of a newer version is not gone behind by itself', () => {
  const newer = new MillraceError('SNAPSHOT_VERSION', 'version 2')
  refuses('SNAPSHOT_VERSION', /version 2/, () => decide([sampleRunFacts(1)], [snapshot(1, 1), damaged(2, newer)]))
})

test('invariant 7: a stray of a fenced process is not restored, and its id is not used again', () => {
  const runs = [sampleRunFacts(1), sampleRunFacts(2, { firstCheckpointId: 4, ...restored(3, 1) })]
  const manifests = [snapshot(3, 1), snapshot(4, 1)]
  assert.deepEqual(gist(decide(runs, manifests)), {
    restore: 3,
    skipped: [],
    run: 3,
    lineage: 1,
    inheritedRunId: RUN_ID,
    firstCheckpointId: 5,
    previousLineage: undefined,
  })
  assert.deepEqual(gist(decide(runs, manifests, { from: parseSnapshotRef('latest') })), {
    restore: 3,
    skipped: [],
    run: 3,
    lineage: 1,
    inheritedRunId: RUN_ID,
    firstCheckpointId: 5,
    previousLineage: undefined,
  })
})

test('a folder that holds a savepoint alone is started from it by name, as a run after the one that made it', () => {
  const facts: StartFacts = {
    job: 'job',
    runs: [],
    manifests: [snapshot(8, 5, { kind: 'savepoint' })],
    sinksRetract: true,
  }
  const decision = decideStart(facts, { from: parseSnapshotRef('sp-8') })
  assert.ok(decision.kind === 'restore')
  assert.deepEqual([decision.run, decision.firstCheckpointId, decision.snapshot.run], [6, 9, 5])
})

test('ids go on above every name, readable or not, and above what was deleted', () => {
  assert.equal(nextCheckpointId([], []), 1)
  assert.equal(nextCheckpointId([], [damaged(9), snapshot(3, 1)]), 10)
  assert.equal(nextCheckpointId([sampleRunFacts(1, { firstCheckpointId: 12 })], [snapshot(3, 1)]), 12)
  assert.equal(nextCheckpointId([sampleRunFacts(1, {}, { lastCheckpointId: 20 })], [snapshot(3, 1)]), 21)
  const end = { lastCheckpointId: 20, lastSavepointId: 21 }
  assert.equal(nextCheckpointId([sampleRunFacts(1, {}, end)], [snapshot(3, 1)]), 22)
})

test('invariant 7: a stray is nothing to go on from, though it is named', () => {
  const runs = [sampleRunFacts(1), sampleRunFacts(2, { firstCheckpointId: 2, ...restored(1, 1) })]
  const manifests = [snapshot(1, 1), snapshot(2, 1), snapshot(3, 2)]
  refuses('SNAPSHOT_NOT_FOUND', /chk-2 was written by a process that had been replaced/, () =>
    decide(runs, manifests, { from: parseSnapshotRef('chk-2') }),
  )
})

test('when the newest run record or its end cannot be read, only --from and --fresh start', () => {
  const unreadable: RunFacts[][] = [
    [sampleRunFacts(1), { run: 2, record: broken, end: undefined }],
    [sampleRunFacts(1), { ...sampleRunFacts(2, { firstCheckpointId: 2 }), end: broken }],
  ]
  for (const runs of unreadable) {
    refuses('SNAPSHOT_DAMAGED', /newest run \(2\).*bytes are wrong/, () => decide(runs, [snapshot(1, 1)]))
    assert.deepEqual(gist(decide(runs, [snapshot(1, 1)], { fresh: true })), {
      fresh: 'asked',
      run: 3,
      lineage: 2,
      inheritedRunId: undefined,
      firstCheckpointId: 2,
      previousLineage: 1,
    })
    assert.equal(decide(runs, [snapshot(1, 1)], { from: parseSnapshotRef('chk-1') }).kind, 'restore')
  }
  refuses('SNAPSHOT_DAMAGED', /no record of a run/, () => decide([], [snapshot(1, 1)]))
})

const failingWith = (code: ErrorCode) => async (): Promise<void> => {
  throw new MillraceError(code, 'as told')
}

describe('recover', () => {
  const manifests = [1, 2, 3].map(id =>
    sampleManifest({ id, segments: [sampleSegment(`segments/1-${id}.seg`, { checkpoint: id })] }),
  )

  test('reads what is there, verifies the chosen snapshot and falls back over one whose files are damaged', async () => {
    const store = memoryStorage().job('job')
    await putRuns(store, [sampleRunFacts(1)])
    await putSnapshots(store, manifests)
    const verified: number[] = []
    const { decision, manifest, runs } = await recover(store, {
      job: 'job',
      request: {},
      sinksRetract: true,
      verify: async (_, { id }) => {
        verified.push(id)
        if (id === 3) throw new MillraceError('OBJECT_MISSING', 'segments/1-3.seg is missing')
      },
    })
    assert.deepEqual(verified, [3, 2])
    assert.ok(decision.kind === 'restore')
    assert.deepEqual(decision.skipped, [{ kind: 'checkpoint', id: 3, reason: 'segments/1-3.seg is missing' }])
    assert.deepEqual(manifest, manifests[1])
    assert.equal(runs.length, 1)
  })

  test('verifies real files: segments that are no segments are found', async () => {
    const store = memoryStorage().job('job')
    await putRuns(store, [sampleRunFacts(1)])
    await putSnapshots(store, manifests)
    await assert.rejects(recover(store, { job: 'job', request: {}, sinksRetract: true }), error =>
      isMillraceError(error, 'NO_USABLE_SNAPSHOT'),
    )
  })

  test('a named snapshot whose files are damaged is an error, not a fallback; a failing store is one too', async () => {
    const store = memoryStorage().job('job')
    await putRuns(store, [sampleRunFacts(1)])
    await putSnapshots(store, manifests)
    const request = { from: parseSnapshotRef('chk-2') }
    for (const code of ['SNAPSHOT_DAMAGED', 'OBJECT_MISSING', 'STORE_FAILED'] as const) {
      await assert.rejects(
        recover(store, { job: 'job', request, sinksRetract: true, verify: failingWith(code) }),
        error => isMillraceError(error, code),
      )
    }
    await assert.rejects(
      recover(store, { job: 'job', request: {}, sinksRetract: true, verify: failingWith('STORE_FAILED') }),
      error => isMillraceError(error, 'STORE_FAILED'),
    )
  })

  test('invariant 6: starts follow each other through their records', async () => {
    const store = memoryStorage().job('job')
    const start = async (request: StartRequest, runId: string): Promise<StartDecision> => {
      const { decision } = await recover(store, {
        job: 'job',
        request,
        sinksRetract: true,
        verify: async () => undefined,
      })
      assert.ok(decision.kind !== 'finished')
      const made = { job: 'job', token: decision.run, runId, startedAtMs: 0, millrace: '0.1.0', maxParallelism: 128 }
      await publishRunRecord(store, runRecordOf(decision, made))
      return decision
    }
    await start({}, 'aaaaaaaa')
    await start({}, 'bbbbbbbb')
    await putSnapshots(store, [
      sampleManifest({ id: 1, run: 2, runId: 'aaaaaaaa' }),
      sampleManifest({ id: 2, run: 2, runId: 'aaaaaaaa' }),
    ])
    assert.equal((await start({}, 'cccccccc')).kind, 'restore')
    // Late words of run 2, which was fenced; then run 3 makes its own, under the next id.
    await putSnapshots(store, [
      sampleManifest({ id: 3, run: 2, runId: 'aaaaaaaa' }),
      sampleManifest({ id: 4, run: 3, runId: 'aaaaaaaa' }),
    ])
    const fourth = await start({}, 'dddddddd')
    assert.deepEqual(gist(fourth), {
      restore: 4,
      skipped: [],
      run: 4,
      lineage: 1,
      inheritedRunId: 'aaaaaaaa',
      firstCheckpointId: 5,
      previousLineage: undefined,
    })
    const records = await readRuns(store, 'job')
    // Every run but the first goes on under the first one's run id.
    for (const { record } of records) assert.ok('runId' in record && record.runId === 'aaaaaaaa')
    const past = ancestry(records, 4)
    assert.deepEqual(
      [past.since, past.output, records.map(({ record }) => 'follows' in record && record.follows)],
      [1, [{ runId: 'aaaaaaaa', from: 1, through: Infinity }], [0, 1, 2, 3]],
    )
    const made = { kind: 'checkpoint', runId: 'aaaaaaaa' } as const
    assert.equal(past.includes({ ...made, id: 3, run: 2 }), false)
    assert.equal(past.includes({ ...made, id: 2, run: 2 }), true)
  })
})
