import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isMillraceError, MillraceError } from '../base/errors.ts'
import { type Failpoint, onFailpoint } from '../base/failpoint.ts'
import { memoryStorage } from '../store/memory/index.ts'
import { FaultyStore } from '../testing/faulty-store.ts'
import {
  putRuns,
  putSnapshots,
  restored,
  sampleManifest,
  sampleRun,
  sampleRunFacts,
  sampleSegment,
} from '../testing/snapshot-samples.ts'
import { fsck } from './fsck.ts'
import { ManifestFolder } from './manifest-folder.ts'
import { encodeManifest } from './manifest.ts'
import { manifestName } from './object-names.ts'
import { decideStart, runRecordOf } from './recover.ts'
import { decideRetention } from './retention.ts'
import { publishRunEnd, publishRunRecord, readRuns, type RunFacts } from './run-record.ts'
import { sealJson } from './sealed-json.ts'
import { sweep, type SweepOptions, type SweepReport } from './sweep.ts'

const TOKEN = 5

const makeStore = (): FaultyStore => new FaultyStore(memoryStorage().job('job'))

async function names(store: FaultyStore): Promise<string[]> {
  const found = await Promise.all(
    ['locks', 'manifests', 'segments'].map(async folder =>
      (await store.list(folder)).map(({ name }) => `${folder}/${name}`),
    ),
  )
  return found.flat()
}

async function run(store: FaultyStore, options: Partial<SweepOptions> = {}): Promise<SweepReport> {
  return sweep(store, {
    token: TOKEN,
    confirm: async () => undefined,
    folder: new ManifestFolder(store, 'job'),
    decide: snapshots => snapshots.map(() => ({ keep: true })),
    liveSegments: new Set(),
    ...options,
  })
}

/** Checkpoint n names segment n and its base, segment 1. */
function checkpoint(id: number, token = TOKEN): ReturnType<typeof sampleManifest> {
  const base = sampleSegment('segments/5-1.seg', { checkpoint: 1 })
  const own = sampleSegment(`segments/${token}-${id}.seg`, { checkpoint: id, base: false })
  return sampleManifest({ id, token, segments: id === 1 ? [base] : [own, base] })
}

const keepFrom =
  (id: number): SweepOptions['decide'] =>
  snapshots =>
    snapshots.map(snapshot => ({ keep: snapshot.id >= id }))

test('dropped manifests go, and the segments that only they named', async () => {
  const store = makeStore()
  await putSnapshots(store, [checkpoint(1), checkpoint(2), checkpoint(3)])
  const report = await run(store, { decide: keepFrom(3) })
  assert.deepEqual(await names(store), ['manifests/chk-000000000003.json', 'segments/5-1.seg', 'segments/5-3.seg'])
  assert.deepEqual(report.removedManifests, ['manifests/chk-000000000001.json', 'manifests/chk-000000000002.json'])
  assert.deepEqual(report.removedSegments, ['segments/5-2.seg'])
  assert.equal(report.freedBytes, 100 + encodeManifest(checkpoint(1)).length + encodeManifest(checkpoint(2)).length)
})

test('a manifest that takes the name of one that was removed is another one, though it has the same size and time', async () => {
  const store = makeStore()
  const folder = new ManifestFolder(store, 'job')
  const decide: SweepOptions['decide'] = snapshots => snapshots.map(({ run }) => ({ keep: run === 2 }))
  const old = { ...checkpoint(1), run: 1, durationMs: 100 }
  await putSnapshots(store, [old])
  await run(store, { folder, decide })
  const sameSize = Array.from({ length: 100 }, (_, i) => ({ ...checkpoint(1), run: 2, durationMs: 100 + i })).find(
    manifest => encodeManifest(manifest).length === encodeManifest(old).length,
  )
  await putSnapshots(store, [sameSize!])
  await run(store, { folder, decide })
  assert.deepEqual(await names(store), ['manifests/chk-000000000001.json', 'segments/5-1.seg'])
})

test('segments that no manifest names go, but not those being written or merged', async () => {
  const store = makeStore()
  await putSnapshots(store, [checkpoint(1)])
  for (const name of ['segments/5-8.seg', 'segments/5-9.seg', 'segments/notes.txt'])
    await store.publish(name, new Uint8Array(1))
  await run(store, { liveSegments: new Set(['segments/5-9.seg']) })
  assert.deepEqual(await names(store), [
    'manifests/chk-000000000001.json',
    'segments/5-1.seg',
    'segments/5-9.seg',
    'segments/notes.txt',
  ])
})

test('a segment whose manifest is published while the sweep runs is not garbage', async () => {
  const store = makeStore()
  await putSnapshots(store, [checkpoint(1)])
  const live = new Set(['segments/5-2.seg'])
  await store.publish('segments/5-2.seg', new Uint8Array(100))
  const folder = new ManifestFolder(store, 'job')
  const read = folder.read.bind(folder)
  // The checkpoint completes right after the manifests were listed.
  folder.read = async () => {
    const listing = await read()
    await putSnapshots(store, [checkpoint(2)])
    live.delete('segments/5-2.seg')
    return listing
  }
  await run(store, { folder, liveSegments: live })
  assert.ok((await names(store)).includes('segments/5-2.seg'))
})

test('invariant 7: only files with the own token or a lower one are deleted', async () => {
  const store = makeStore()
  for (const token of [3, 5, 6, 10]) {
    await store.publish(`segments/${token}-1.seg`, new Uint8Array(1))
    await store.publish(`locks/lock-${token}`, new Uint8Array(1))
    await (await store.create(`segments/${token}-2.seg`)).write(new Uint8Array(1))
    await (await store.create(`locks/lock-${token}`)).write(new Uint8Array(1))
  }
  const report = await run(store, { leftovers: { runs: [] } })
  assert.deepEqual(await names(store), [
    'locks/lock-10',
    'locks/lock-5',
    'locks/lock-6',
    'segments/10-1.seg',
    'segments/6-1.seg',
  ])
  assert.deepEqual(report.removedLocks, ['locks/lock-3'])
  // Of the locks too: one of the own token was left by a process that died while taking it, and so never owned it.
  assert.equal(report.removedTemporaries, 4)
})

test('invariant 7: a sweeper that is not the owner any more deletes nothing', async () => {
  const store = makeStore()
  await putSnapshots(store, [checkpoint(1), checkpoint(2)])
  await store.publish('segments/4-9.seg', new Uint8Array(1))
  const before = await names(store)
  const confirm = (): Promise<void> =>
    Promise.reject(new MillraceError('FENCED', `${store.location} has another owner`))
  await assert.rejects(run(store, { confirm, decide: keepFrom(2), leftovers: { runs: [] } }), error =>
    isMillraceError(error, 'FENCED'),
  )
  await assert.rejects(run(store, { confirm }), error => isMillraceError(error, 'FENCED'))
  assert.deepEqual(await names(store), before)
})

const unreadable: readonly (readonly [string, (bytes: Uint8Array) => Uint8Array])[] = [
  ['is damaged', bytes => bytes.with(30, bytes[30] ^ 1)],
  ['is cut', bytes => bytes.subarray(0, 100)],
  ['is of a newer version', () => sealJson({ ...checkpoint(2), version: 2 })],
]

for (const [what, change] of unreadable) {
  test(`invariant 8: a manifest that ${what} stops the sweep, and the report names it`, async () => {
    const store = makeStore()
    await putSnapshots(store, [checkpoint(1), checkpoint(2), checkpoint(3)])
    await store.publish('segments/5-9.seg', new Uint8Array(1))
    await store.replace(manifestName(checkpoint(2)), change(encodeManifest(checkpoint(2))))
    const before = await names(store)
    const report = await run(store, { decide: keepFrom(3), leftovers: { runs: [] } })
    assert.equal(report.stopped?.file, 'manifests/chk-000000000002.json')
    assert.equal(report.stopped.error.code, what.includes('newer') ? 'SNAPSHOT_VERSION' : 'SNAPSHOT_DAMAGED')
    assert.deepEqual(await names(store), before)
  })
}

test('invariant 8: a manifest under a name that only a newer version knows stops the sweep; other files do not', async () => {
  const store = makeStore()
  await store.publish('segments/5-9.seg', new Uint8Array(1))
  await store.publish('manifests/.DS_Store', new Uint8Array(1))
  await store.publish('manifests/fork-000000000001.json', new Uint8Array(1))
  const report = await run(store)
  assert.equal(report.stopped?.file, 'manifests/fork-000000000001.json')
  await store.remove('manifests/fork-000000000001.json')
  assert.deepEqual((await run(store)).removedSegments, ['segments/5-9.seg'])
})

test('a manifest is read once, and again when the file was changed', async () => {
  let now = 0
  const store = new FaultyStore(memoryStorage({ now: () => now }).job('job'))
  await putSnapshots(store, [checkpoint(1), checkpoint(2)])
  const folder = new ManifestFolder(store, 'job')
  const reads = (): string[] => store.calls.filter(call => call.startsWith('read '))
  await run(store, { folder })
  assert.equal(reads().length, 2)
  await putSnapshots(store, [checkpoint(3)])
  await run(store, { folder })
  assert.equal(reads().length, 3)
  now = 1
  await store.replace(manifestName(checkpoint(2)), new Uint8Array(encodeManifest(checkpoint(2)).length))
  assert.equal((await run(store, { folder })).stopped?.file, manifestName(checkpoint(2)))
})

test('manifests are deleted before the segments they named, each between its failpoints', async context => {
  const store = makeStore()
  await putSnapshots(store, [checkpoint(1), checkpoint(2), checkpoint(3)])
  const passed: (Failpoint | string)[] = []
  onFailpoint(name => void passed.push(name))
  context.after(() => onFailpoint(undefined))
  await run(store, { decide: snapshots => snapshots.map(({ id }) => ({ keep: id !== 2 })) })
  assert.deepEqual(passed, [
    'retention.before-manifest-delete',
    'retention.after-manifest-delete',
    'sweep.before-delete',
    'sweep.after-delete',
  ])
})

test('a sweep that breaks off anywhere leaves nothing dangling, and the next one finishes it', async () => {
  for (let call = 1; call <= 6; call += 1) {
    const store = makeStore()
    await putSnapshots(store, [checkpoint(1), checkpoint(2), checkpoint(3), checkpoint(4)])
    store.fail('remove', { call })
    await run(store, { decide: keepFrom(4) }).catch((error: unknown) =>
      assert.ok(isMillraceError(error, 'STORE_FAILED')),
    )
    store.heal()
    const { manifests } = await new ManifestFolder(store, 'job').read()
    for (const { facts } of manifests) {
      assert.ok(!isMillraceError(facts))
      for (const { file } of facts.segments)
        assert.notEqual(await store.size(file), undefined, `${file} after a break at ${call}`)
    }
    await run(store, { decide: keepFrom(4) })
    assert.deepEqual(await names(store), ['manifests/chk-000000000004.json', 'segments/5-1.seg', 'segments/5-4.seg'])
  }
})

test('whatever is kept stays complete, and nothing else stays', async () => {
  const shape = fc.array(
    fc.record({ segments: fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { maxLength: 4 }), keep: fc.boolean() }),
    { maxLength: 8 },
  )
  await fc.assert(
    fc.asyncProperty(shape, fc.uniqueArray(fc.integer({ min: 1, max: 12 })), async (plan, live) => {
      const store = makeStore()
      for (let n = 1; n <= 12; n += 1) await store.publish(`segments/${TOKEN}-${n}.seg`, new Uint8Array(100))
      const manifests = plan.map(({ segments }, i) =>
        sampleManifest({
          id: i + 1,
          segments: segments.map(n => sampleSegment(`segments/${TOKEN}-${n}.seg`, { checkpoint: 1 })),
        }),
      )
      await putSnapshots(store, manifests)
      const liveSegments = new Set(live.map(n => `segments/${TOKEN}-${n}.seg`))
      await run(store, {
        liveSegments,
        decide: snapshots => snapshots.map(({ id }) => ({ keep: plan[id - 1].keep })),
      })
      const wanted = new Set([
        ...liveSegments,
        ...plan.flatMap(({ segments, keep }) => (keep ? segments.map(n => `segments/${TOKEN}-${n}.seg`) : [])),
      ])
      const left = (await store.list('segments')).map(({ name }) => `segments/${name}`)
      assert.deepEqual(new Set(left), wanted)
    }),
    { numRuns: 50 },
  )
})

test('a process that dies at any point of a sweep leaves all of the garbage or less, and never a file missing', async context => {
  context.after(() => onFailpoint(undefined))
  const garbage = async (store: FaultyStore): Promise<string[]> => {
    const { intact, findings } = await fsck(store, 'job', { verify: (folder, ref) => folder.read(ref.file) })
    assert.equal(intact, true)
    return findings.map(({ file }) => file)
  }
  let deaths = 0
  for (let hasDied = true; hasDied; deaths += 1) {
    const store = makeStore()
    await putSnapshots(store, [checkpoint(1), checkpoint(2), checkpoint(3), checkpoint(4)])
    for (const name of ['segments/5-8.seg', 'segments/5-9.seg']) await store.publish(name, new Uint8Array(1))
    const before = await names(store)
    let left = deaths
    hasDied = false
    onFailpoint(() => {
      if (left-- > 0) return
      hasDied = true
      throw new Error('died')
    })
    await run(store, { decide: keepFrom(4) }).catch((error: Error) => assert.equal(error.message, 'died'))
    onFailpoint(undefined)
    const after = await names(store)
    assert.ok(after.every(name => before.includes(name)))
    await garbage(store)
    await run(store, { decide: keepFrom(4) })
    assert.deepEqual(await garbage(store), [])
    assert.deepEqual(await names(store), ['manifests/chk-000000000004.json', 'segments/5-1.seg', 'segments/5-4.seg'])
  }
  // Two points for each of three manifests and four segments, and the sweep that nothing disturbed.
  assert.equal(deaths, 2 * (3 + 4) + 1)
})

test('files and bytes stay bounded over 10,000 checkpoints with a ladder, savepoints and crashes', async () => {
  const store = makeStore()
  const ladder = { last: 3, hourly: 5, daily: 2 }
  const runs: RunFacts[] = []
  const EVERY_MS = 60_000
  const SAVEPOINTS = 4
  let folder = new ManifestFolder(store, 'job')
  let layers: ReturnType<typeof sampleSegment>[] = []
  let most = { manifests: 0, segments: 0, bytes: 0 }
  for (let id = 1; id <= 10_000; id += 1) {
    const token = 1 + Math.floor(id / 500)
    // Every 500th one is the first after a crash, which left a segment behind that nobody names.
    if (id % 500 === 0 || id === 1) {
      runs.push(sampleRunFacts(token, { firstCheckpointId: id, ...(id > 1 && restored(id - 1, token - 1)) }))
      folder = new ManifestFolder(store, 'job')
      await store.publish(`segments/${token}-${id + 20_000}.seg`, new Uint8Array(1000))
    }
    const own = sampleSegment(`segments/${token}-${id}.seg`, { checkpoint: id, base: id % 8 === 1 })
    layers = own.base ? [own] : [own, ...layers]
    const manifest = { ...sampleManifest({ id, token, run: token, segments: layers }), createdAtMs: id * EVERY_MS }
    const isSavepoint = id % (10_000 / SAVEPOINTS) === 0
    await putSnapshots(store, [isSavepoint ? { ...manifest, kind: 'savepoint' } : manifest])
    const policy = { retain: ladder, keepSavepoints: Infinity, previousLineage: undefined, pinned: [] }
    await run(store, { token, folder, decide: snapshots => decideRetention(snapshots, runs, policy) })
    if (id % 100 === 0) {
      const segments = await store.list('segments')
      most = {
        manifests: Math.max(most.manifests, (await store.list('manifests')).length),
        segments: Math.max(most.segments, segments.length),
        bytes: Math.max(
          most.bytes,
          segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
        ),
      }
    }
  }
  const snapshots = ladder.last + ladder.hourly + ladder.daily + SAVEPOINTS
  assert.ok(most.manifests <= snapshots, JSON.stringify(most))
  assert.ok(most.segments <= snapshots * 8, JSON.stringify(most))
  assert.ok(most.bytes <= snapshots * 8 * 100, JSON.stringify(most))
  const report = await fsck(store, 'job', { verify: (from, ref) => from.read(ref.file) })
  assert.deepEqual([report.findings, report.checked.manifests], [[], 12])
})

const runFiles = async (store: FaultyStore): Promise<string[]> => (await store.list('runs')).map(({ name }) => name)

test('records of runs that nothing needs go, the end of each before its beginning, and what dies in between is done by the next sweep', async () => {
  const facts = [1, 2, 3, 4].map(run =>
    sampleRunFacts(run, { follows: run - 1, firstCheckpointId: run }, { lastCheckpointId: 0 }),
  )
  for (let death = 1; death <= 8; death += 1) {
    const store = makeStore()
    await putRuns(store, facts)
    let passed = 0
    onFailpoint(() => {
      if (++passed === death) throw new Error('died')
    })
    await run(store, { leftovers: { runs: facts } }).catch((error: Error) => assert.equal(error.message, 'died'))
    onFailpoint(undefined)
    const left = await runFiles(store)
    assert.ok(!left.includes('000002.end.json') || left.includes('000002.json'))
    await run(store, { leftovers: { runs: await readRuns(store, 'job') } })
    assert.deepEqual(await runFiles(store), ['000001.end.json', '000001.json', '000004.end.json', '000004.json'])
  }
})

test('1,000 starts leave a bounded number of files of runs', async () => {
  const store = makeStore()
  const folder = new ManifestFolder(store, 'job')
  let most = 0
  for (let start = 1; start <= 1000; start += 1) {
    const { manifests } = await folder.read()
    const facts = { job: 'job', runs: await readRuns(store, 'job'), manifests, sinksRetract: true }
    const decision = decideStart(facts, { fresh: start % 50 === 0 })
    assert.ok(decision.kind !== 'finished')
    const record = runRecordOf(decision, { ...sampleRun(decision.run), token: start })
    await publishRunRecord(store, record)
    const runs = await readRuns(store, 'job')
    const { previousLineage } = decision
    const retain = { last: 3, hourly: 0, daily: 0 }
    const policy = { retain, keepSavepoints: Infinity, previousLineage, pinned: [] }
    const decide: SweepOptions['decide'] = snapshots => decideRetention(snapshots, runs, policy)
    await run(store, { token: start, folder, decide, leftovers: { runs } })
    // Every third crashes before it has made anything.
    if (start % 3 !== 0) {
      const { runId, lineage, firstCheckpointId: id } = record
      await putSnapshots(store, [sampleManifest({ id, run: record.run, runId, lineage, token: start })])
      const end = {
        job: 'job',
        run: record.run,
        end: 'stopped',
        atMs: 0,
        lastCheckpointId: id,
        retained: true,
      } as const
      await publishRunEnd(store, end)
    }
    most = Math.max(most, (await runFiles(store)).length)
  }
  // Two runs for each of up to 5 manifests, and those of lineages; each with its end.
  assert.ok(most <= 2 * (2 * 5 + 4), `${most} files`)
})
