import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { MillraceError } from '../base/errors.ts'
import { restored, sampleRun, sampleRunFacts, sampleEnd } from '../testing/snapshot-samples.ts'
import { ancestry, isStray } from './lineage.ts'
import type { ManifestFile, SnapshotFacts } from './manifest-folder.ts'
import { manifestName } from './object-names.ts'
import {
  decideStart,
  newestRunOf,
  nextCheckpointId,
  nextLineage,
  nextRun,
  runRecordOf,
  type StartRequest,
} from './recover.ts'
import { decideRetention, periodicSavepointDueMs } from './retention.ts'
import type { RunEnd, RunFacts, RunRecord } from './run-record.ts'
import { neededRuns } from './run-retention.ts'

const sample = { parallelism: 1, label: undefined, manifestSizeBytes: 1, segments: [], durationMs: 0 } as const

type File = ManifestFile & { readonly facts: SnapshotFacts }

/** A job's folder twice: with all records there ever were, and with those that stay. */
class Folder {
  all: RunFacts[] = []
  left: RunFacts[] = []
  manifests: File[] = []
  /** The id that each run's process would use next, however late. */
  readonly #nextIds = new Map<number, number>()
  #nowMs = 0
  #runIds = 0
  most = 0

  /** Decides with both, which must be the same. */
  #same<T>(decide: (runs: readonly RunFacts[]) => T): T {
    const attempt = (runs: readonly RunFacts[]) => {
      try {
        return { decision: decide(runs) }
      } catch (error) {
        assert.ok(error instanceof MillraceError, String(error))
        return { error }
      }
    }
    const [withAll, withLeft] = [attempt(this.all), attempt(this.left)]
    assert.deepEqual(
      [withLeft.decision, withLeft.error?.code, withLeft.error?.message],
      [withAll.decision, withAll.error?.code, withAll.error?.message],
    )
    if (withLeft.error !== undefined) throw withLeft.error
    return withLeft.decision
  }

  start(request: StartRequest, sinksRetract = true): void {
    try {
      const decision = this.#same(runs =>
        decideStart({ job: 'job', runs, manifests: this.manifests, sinksRetract }, request),
      )
      if (decision.kind === 'finished') return
      const made = {
        ...sampleRun(decision.run),
        token: decision.run,
        runId: this.#newRunId(),
        startedAtMs: this.#tick(),
      }
      this.#begin({ ...made, ...runRecordOf(decision, made) })
    } catch (error) {
      assert.ok(error instanceof MillraceError, String(error))
    }
  }

  /** Takes over a snapshot of another folder; a crash may leave its manifest alone. */
  adopt(crashes: boolean, isSameJob: boolean): void {
    const { manifests } = this
    const runId = isSameJob ? (this.#newest()?.runId ?? this.#newRunId()) : this.#newRunId()
    const record = this.#same((runs): RunRecord => {
      const id = nextCheckpointId(runs, manifests) + 3
      return sampleRun(nextRun(runs, manifests), {
        runId,
        lineage: nextLineage(runs, manifests),
        follows: newestRunOf(runs),
        start: {
          kind: 'adopted',
          from: { job: 'job', kind: 'checkpoint', id: id - 1 },
          past: [{ runId, from: 1, through: id - 1 }],
        },
        firstCheckpointId: id,
      })
    })
    this.#add('checkpoint', record, record.firstCheckpointId)
    if (crashes) return
    this.#begin({ ...record, startedAtMs: this.#tick() })
    this.#nextIds.set(record.run, record.firstCheckpointId + 1)
    this.end({ end: 'stopped' })
  }

  snapshot(kind: SnapshotFacts['kind'], skippedIds: number, trigger: SnapshotFacts['trigger'] = 'interval'): void {
    const newest = this.#newest()
    if (newest === undefined || this.left.at(-1)?.end !== undefined) return
    this.#publish(kind, newest, this.#nextIds.get(newest.run)! + skippedIds, trigger)
  }

  /** A process that was replaced finds its slot free. */
  publishLate(back: number): void {
    const record = this.all.at(-2 - back)?.record
    if (record === undefined || record instanceof MillraceError) return
    // An adoption leaves ids out, of which one in between is in nobody's past, though no stray.
    const next = this.all.at(-1 - back)!.record as RunRecord
    const id = Math.max(this.#nextIds.get(record.run)!, next.firstCheckpointId)
    if (!this.manifests.some(manifest => manifest.id === id)) this.#publish('checkpoint', record, id, 'interval')
  }

  /** A process that was replaced says how its run ended. */
  endLate(back: number): void {
    const run = this.all.at(-2 - back)?.run
    if (run !== undefined) this.#putEnd(run, { lastCheckpointId: this.#nextIds.get(run)! - 1 })
  }

  end(changes: Partial<RunEnd>): void {
    const run = this.all.at(-1)?.run
    if (run !== undefined) this.#putEnd(run, { lastCheckpointId: this.#newestOwnId(run), ...changes })
  }

  retain(last: number): void {
    const newest = this.#newest()
    if (newest === undefined) return
    const lineages = new Set([newest.lineage, ...this.manifests.map(({ facts }) => facts.lineage)])
    for (const previousLineage of [undefined, ...lineages]) {
      const policy = { retain: { last, hourly: 0, daily: 0 }, keepSavepoints: 2, previousLineage, pinned: [] }
      const snapshots = this.manifests.map(({ facts }) => facts)
      const verdicts = this.#same(runs => decideRetention(snapshots, runs, policy))
      if (previousLineage === newest.lineage) this.manifests = this.manifests.filter((_, i) => verdicts[i].keep)
    }
  }

  deleteOne(nth: number): void {
    this.manifests.splice(nth % (this.manifests.length || 1), 1)
  }

  /** A process may die between any two removals, so any of those that need not stay may be left, without their ends. */
  prune(isRemoved: (run: number) => boolean, isEndRemoved: (run: number) => boolean): void {
    const needed = neededRuns(
      this.left,
      this.manifests.map(({ facts }) => facts),
    )
    this.left = this.left
      .filter(({ run }) => needed.has(run) || !isRemoved(run))
      .map(facts => (needed.has(facts.run) || !isEndRemoved(facts.run) ? facts : { ...facts, end: undefined }))
    const lineages = new Set(this.manifests.map(({ facts }) => facts.lineage))
    this.most = Math.max(this.most, needed.size - 2 * this.manifests.length - 2 * lineages.size)
  }

  /** All that is asked of run records, with one manifest damaged or none. */
  check(damagedNth: number): void {
    const error = new MillraceError('SNAPSHOT_DAMAGED', 'broken')
    const files = this.manifests.map(({ facts }) => facts)
    const damaged = this.manifests.map((file, i) => (i === damagedNth ? { ...file, facts: error } : file))
    for (const manifests of [this.manifests, damaged]) {
      const requests: StartRequest[] = [{}, { fresh: true }, { from: { kind: 'latest', job: undefined } }]
      for (const { kind, id } of files) requests.push({ from: { kind: 'id', job: undefined, snapshot: { kind, id } } })
      for (const request of requests) {
        for (const sinksRetract of [true, false]) {
          try {
            this.#same(runs => decideStart({ job: 'job', runs, manifests, sinksRetract }, request))
          } catch (error) {
            assert.ok(error instanceof MillraceError, String(error))
          }
        }
      }
    }
    const newest = this.#newest()
    if (newest === undefined) return
    this.#same(runs => {
      const past = ancestry(runs, newest.run)
      return [
        past.output,
        past.since,
        files.map(each => [isStray(runs, each), past.includes(each), past.mayInclude(each.id)]),
      ]
    })
    const usable = files.filter(each => !isStray(this.all, each))
    this.#same(runs => usable.map(({ run, id, runId }) => ancestry(runs, run, id, runId).output))
    const isKnown = (lineage: number) =>
      this.all.some(({ record }) => !(record instanceof MillraceError) && record.lineage === lineage)
    for (const lineage of new Set([newest.lineage, ...usable.map(each => each.lineage)])) {
      if (isKnown(lineage)) this.#same(runs => periodicSavepointDueMs(files, runs, lineage, 1000))
    }
  }

  #tick(): number {
    return ++this.#nowMs
  }

  #newRunId(): string {
    return (++this.#runIds).toString(16).padStart(8, '0')
  }

  #newest(): RunRecord | undefined {
    return this.all.at(-1)?.record as RunRecord | undefined
  }

  #newestOwnId(run: number): number {
    return Math.max(0, ...this.manifests.flatMap(({ facts }) => (facts.run === run ? [facts.id] : [])))
  }

  #begin(record: RunRecord): void {
    this.#nextIds.set(record.run, record.firstCheckpointId)
    for (const runs of [this.all, this.left]) runs.push({ run: record.run, record, end: undefined })
  }

  #publish(kind: SnapshotFacts['kind'], record: RunRecord, id: number, trigger: SnapshotFacts['trigger']): void {
    this.#nextIds.set(record.run, id + 1)
    this.#add(kind, record, id, trigger)
  }

  #add(
    kind: SnapshotFacts['kind'],
    { run, runId, lineage }: RunRecord,
    id: number,
    trigger: SnapshotFacts['trigger'] = 'interval',
  ): void {
    const facts: SnapshotFacts = { ...sample, kind, id, run, runId, lineage, trigger, createdAtMs: this.#tick() }
    this.manifests = [...this.manifests, { file: manifestName(facts), kind, id, facts }].toSorted((a, b) => a.id - b.id)
  }

  /** Said once. Of a run whose record is gone, the end stands alone. */
  #putEnd(run: number, changes: Partial<RunEnd>): void {
    const end = sampleEnd(run, changes)
    const isSaid = this.all.find(facts => facts.run === run)?.end !== undefined
    if (isSaid) return
    const record = new MillraceError('OBJECT_MISSING', 'gone')
    if (!this.left.some(facts => facts.run === run)) {
      this.left = [...this.left, { run, record, end: undefined }].toSorted((a, b) => a.run - b.run)
    }
    for (const list of ['all', 'left'] as const)
      this[list] = this[list].map(facts => (facts.run === run ? { ...facts, end } : facts))
  }
}

const small = fc.nat({ max: 7 })
/** What an ordinary run does, and then a sweep. */
const session = small.map(made => (folder: Folder) => {
  folder.start({})
  for (let n = 0; n < made % 3; n++) folder.snapshot('checkpoint', 0)
  if (made > 3) folder.retain(1)
  folder.prune(
    () => true,
    () => true,
  )
})

/** A run that has made nothing is cancelled, and nothing is swept before the next one begins. */
function giveUp(folder: Folder): void {
  folder.start({})
  folder.start({})
  folder.end({ end: 'cancelled', retained: false })
  folder.start({})
}

const step = fc.oneof(
  { weight: 8, arbitrary: session },
  { weight: 1, arbitrary: fc.constant(giveUp) },
  { weight: 6, arbitrary: fc.constant((folder: Folder) => folder.start({})) },
  { weight: 2, arbitrary: fc.constant((folder: Folder) => folder.start({ fresh: true })) },
  {
    weight: 3,
    arbitrary: small.map(nth => (folder: Folder) => {
      const { kind, id } = folder.manifests[nth % (folder.manifests.length || 1)] ?? { kind: 'checkpoint', id: 1 }
      folder.start({ from: { kind: 'id', job: undefined, snapshot: { kind, id } } })
    }),
  },
  { weight: 9, arbitrary: small.map(n => (folder: Folder) => folder.snapshot('checkpoint', n === 7 ? 1 : 0)) },
  {
    weight: 2,
    arbitrary: small.map(n => (folder: Folder) => folder.snapshot('savepoint', 0, n < 4 ? 'user' : 'interval')),
  },
  { weight: 2, arbitrary: small.map(n => (folder: Folder) => folder.adopt(n % 2 === 0, n % 4 < 2)) },
  { weight: 2, arbitrary: small.map(n => (folder: Folder) => folder.publishLate(n)) },
  { weight: 1, arbitrary: small.map(n => (folder: Folder) => folder.endLate(n)) },
  { weight: 2, arbitrary: fc.constant((folder: Folder) => folder.end({ end: 'stopped' })) },
  { weight: 1, arbitrary: fc.constant((folder: Folder) => folder.end({ end: 'cancelled', retained: false })) },
  { weight: 1, arbitrary: fc.constant((folder: Folder) => folder.end({ end: 'finished' })) },
  { weight: 4, arbitrary: small.map(n => (folder: Folder) => folder.retain(1 + (n % 3))) },
  { weight: 1, arbitrary: small.map(n => (folder: Folder) => folder.deleteOne(n)) },
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.nat({ max: 1023 }), fc.nat({ max: 1023 }), fc.boolean())
      .map(([bits, endBits, all]) => (folder: Folder) => {
        const isSet = (bits: number) => (run: number) => all || ((bits >> (run % 10)) & 1) === 1
        folder.prune(isSet(bits), isSet(endBits))
      }),
  },
)

test('invariants 5-7: every decision with the records that stay is the one with all that there ever were', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(step, small), { minLength: 10, maxLength: 60 }), steps => {
      const folder = new Folder()
      for (const [act, damagedNth] of steps) {
        act(folder)
        folder.check(damagedNth)
      }
      assert.ok(folder.most <= 8, `${folder.most} records beside those of snapshots and lineages`)
    }),
    { numRuns: 400 },
  )
})

test('10,000 starts, which go back now and then, leave a bounded number of records, each of a bounded size', () => {
  const folder = new Folder()
  let [most, mostSpans] = [0, 0]
  for (let start = 1; start <= 10_000; start += 1) {
    const back = folder.manifests.at(-2)
    folder.start(
      start % 5 === 0 && back !== undefined ? { from: { ...back, kind: 'id', job: undefined, snapshot: back } } : {},
    )
    folder.snapshot('checkpoint', 0)
    folder.snapshot('checkpoint', 0)
    folder.retain(3)
    folder.prune(
      () => true,
      () => true,
    )
    folder.all = folder.left
    most = Math.max(most, folder.left.length)
    mostSpans = Math.max(mostSpans, ancestry(folder.left, folder.left.at(-1)!.run).output.length)
  }
  assert.ok(most <= 10, `${most} records`)
  assert.equal(mostSpans, 256)
})

const sorted = (runs: ReadonlySet<number>) => [...runs].toSorted((a, b) => a - b)

test('a record that cannot be read stays, and with a newest one that cannot be read all do', () => {
  const broken = (run: number): RunFacts => ({
    run,
    record: new MillraceError('SNAPSHOT_DAMAGED', 'broken'),
    end: undefined,
  })
  const later = (run: number) => sampleRunFacts(run, { follows: run - 1, firstCheckpointId: run })
  const runs = [1, 2, 3, 4, 5].map(later)
  assert.deepEqual(sorted(neededRuns(runs, [])), [1, 5])
  assert.deepEqual(sorted(neededRuns(runs.with(2, broken(3)), [])), [1, 3, 5])
  assert.deepEqual(sorted(neededRuns(runs.with(4, broken(5)), [])), [1, 2, 3, 4, 5])
})

test('records of early versions, which do not say their past, keep those that do', () => {
  const runs = [1, 2, 3, 4].map(run =>
    sampleRunFacts(run, run === 1 ? {} : { firstCheckpointId: run, ...restored(run - 1, run - 1) }),
  )
  assert.deepEqual(sorted(neededRuns(runs, [])), [1, 2, 3, 4])
})
