/**
 * Stored snapshots of a run that was killed, damaged in one place at a time: what is damaged is noticed, reported and passed over for
 * an older snapshot, and the output still is that of an undisturbed run. Where nothing usable is left, nothing starts and nothing
 * is deleted.
 */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import {
  defineJob,
  generator,
  isMillraceError,
  run,
  type JobEvent,
  type MillraceError,
  type RunOptions,
} from 'millrace'
import type { Sink } from 'millrace/connector'
import type { JobDefinition } from '../../packages/millrace/src/api/index.ts'
import { FOOTER_BYTES, HEADER_BYTES, INDEX_ROW_BYTES } from '../../packages/millrace/src/snapshot/segment-format.ts'
import { sealJson, unsealJson } from '../../packages/millrace/src/snapshot/sealed-json.ts'
import { runOnce } from '../../packages/millrace/src/testing/crash-runner.ts'
import {
  assertSameText,
  commandOf,
  jobFile,
  makeFixture,
  readOutput,
  SHORT_LIVES,
  TRIPS,
  undisturbedOutput,
  type CrashJob,
} from './fixture.ts'

const RETAIN = 4

interface Ended {
  /** Of the snapshot it was restored from; undefined: none. */
  readonly restored: number | undefined
  readonly skipped: readonly number[]
  readonly warnings: readonly string[]
  readonly error: MillraceError | undefined
}

const home = process.cwd()
const work = mkdtempSync(join(tmpdir(), 'millrace-corruption-'))
after(() => {
  process.chdir(home)
  rmSync(work, { recursive: true, force: true })
})

/** A folder of a killed run, and a working copy of it that each test damages. */
class Killed {
  readonly job: CrashJob
  template = ''
  readonly dir: string

  constructor(job: CrashJob) {
    this.job = job
    this.dir = join(work, job.name)
  }

  async make(): Promise<void> {
    this.template = makeFixture(this.job)
    const options = { checkpointing: { retain: RETAIN } }
    await runOnce(commandOf(this.job, this.template, options), { at: 'checkpoint.after-commit', pass: 9 })
    await undisturbedOutput(this.job)
  }

  copy(): void {
    process.chdir(home)
    rmSync(this.dir, { recursive: true, force: true })
    cpSync(this.template, this.dir, { recursive: true })
    process.chdir(this.dir)
  }

  path(name: string): string {
    return join(this.dir, 'store', this.job.name, name)
  }

  list(folder: string): string[] {
    return readdirSync(this.path(folder)).sort()
  }

  /** Oldest first. */
  get snapshots(): { readonly id: number; readonly file: string; readonly segments: readonly string[] }[] {
    return this.list('manifests').map(name => {
      const manifest = this.readManifest(`manifests/${name}`)
      return {
        id: manifest.id,
        file: `manifests/${name}`,
        segments: manifest.segments.map(({ file }: { file: string }) => file),
      }
    })
  }

  readManifest(file: string): any {
    return unsealJson(readFileSync(this.path(file)), file)
  }

  damage(file: string, change: (bytes: Buffer) => Uint8Array | void): void {
    const bytes = readFileSync(this.path(file))
    const changed = change(bytes) ?? bytes
    // The file may have a second name, as after a crash: only this one is damaged.
    rmSync(this.path(file))
    writeFileSync(this.path(file), changed)
  }

  /** Runs the job in this process to its end. */
  async finish(options: Partial<RunOptions> = {}): Promise<Ended> {
    const events: JobEvent[] = []
    const { default: definition }: { readonly default: JobDefinition<any> } = await import(jobFile(this.job))
    const error = await run(definition, {
      storage: 'store',
      params: { everyMs: 0 },
      checkpointing: { interval: '1h', retain: RETAIN },
      onEvent: event => void events.push(event),
      ...options,
    })
      .then(handle => handle.finished)
      .then(
        () => undefined,
        (error: unknown) => error as MillraceError,
      )
    const started = events.find(event => event.type === 'started')
    return {
      restored: started?.manifest?.id,
      skipped: started?.decision.kind === 'restore' ? started.decision.skipped.map(({ id }) => id) : [],
      warnings: events.flatMap(event => (event.type === 'log' && event.level === 'warn' ? [event.message] : [])),
      error,
    }
  }

  async assertOutput(): Promise<void> {
    const expected = await undisturbedOutput(this.job)
    const found = readOutput(this.job, this.dir)
    for (const output of this.job.outputs) assertSameText(found[output], expected[output], `output ${output}`)
  }

  /** Every file of the storage but locks and the log, with what is in it. */
  contents(): { [name: string]: string } {
    const names = ['manifests', 'segments', 'runs'].flatMap(folder =>
      this.list(folder).map(name => `${folder}/${name}`),
    )
    return Object.fromEntries(names.map(name => [name, readFileSync(this.path(name)).toString('latin1')]))
  }
}

const flip = (at: number) => (bytes: Buffer) => {
  const index = at < 0 ? bytes.length + at : at
  bytes[index] = bytes[index] ^ 0x10
}
const cut = (at: number) => (bytes: Buffer) => bytes.subarray(0, at < 0 ? bytes.length + at : at)

/** Where the parts of a segment begin; the layout is in snapshot/segment-writer.ts. */
function partsOf(bytes: Buffer): { [part: string]: number } {
  const footer = bytes.length - FOOTER_BYTES
  const index = Number(bytes.readBigUInt64LE(footer))
  const rows = bytes.readUInt32LE(footer + 8)
  const firstBlock = HEADER_BYTES
  const middleRow = index + (rows >> 1) * INDEX_ROW_BYTES
  const middleBlock = Number(bytes.readBigUInt64LE(middleRow + 8))
  const lastRow = index + (rows - 1) * INDEX_ROW_BYTES
  const dictionary = Number(bytes.readBigUInt64LE(lastRow + 8)) + Number(bytes.readBigUInt64LE(lastRow + 16))
  return { footer, index, firstBlock, middleBlock, middleRow, lastRow, dictionary }
}

const SEGMENT_DAMAGE: { readonly [what: string]: (bytes: Buffer) => Uint8Array | void } = {
  'the magic of its header': flip(0),
  'the version in its header': flip(8),
  'the segment id in its header': flip(16),
  'the checkpoint id in its header': flip(24),
  'the zeros of its header': flip(40),
  'the checksum of its header': flip(60),
  'the length of its first block': bytes => flip(partsOf(bytes).firstBlock)(bytes),
  'a huge length of its first block': bytes => void bytes.writeUInt32LE(0xffff_fff0, HEADER_BYTES),
  'the flags of its first block': bytes => flip(partsOf(bytes).firstBlock + 4)(bytes),
  'an entry of its first block': bytes => flip(partsOf(bytes).firstBlock + 12)(bytes),
  'an entry of a block in the middle': bytes => flip(partsOf(bytes).middleBlock + 12)(bytes),
  'the checksum of the last block': bytes => flip(partsOf(bytes).dictionary - 1)(bytes),
  'the length of its dictionary': bytes => flip(partsOf(bytes).dictionary)(bytes),
  'a letter in its dictionary': bytes => flip(partsOf(bytes).dictionary + 20)(bytes),
  'the checksum of its dictionary': bytes => flip(partsOf(bytes).index - 1)(bytes),
  'the first row of its index': bytes => flip(partsOf(bytes).index)(bytes),
  'a row in the middle of its index': bytes => flip(partsOf(bytes).middleRow + 9)(bytes),
  'the last row of its index': bytes => flip(partsOf(bytes).lastRow + 4)(bytes),
  'the index offset in its footer': flip(-48),
  'the number of rows in its footer': flip(-40),
  'the index checksum in its footer': flip(-36),
  'the entries in its footer': flip(-32),
  'the tombstones in its footer': flip(-24),
  'the checksum of blocks in its footer': flip(-16),
  'the checksum of its footer': flip(-12),
  'the magic of its footer': flip(-1),
  'everything cut off': cut(0),
  'all but its header cut off': cut(HEADER_BYTES),
  'its second half cut off': bytes => cut(bytes.length >> 1)(bytes),
  'its footer cut off': cut(-FOOTER_BYTES),
  'its last byte cut off': cut(-1),
  'a byte too many': bytes => Buffer.concat([bytes, Buffer.from([0])]),
}

/** Flips one byte within the first match. */
const flipIn = (pattern: RegExp) => (bytes: Buffer) => {
  const match = pattern.exec(bytes.toString('latin1'))
  assert.ok(match, `the manifest has ${pattern}`)
  flip(match.index + match[0].length - 1)(bytes)
}

const MANIFEST_DAMAGE: { readonly [what: string]: (bytes: Buffer) => Uint8Array | void } = {
  'its format': flipIn(/"format": "mill/),
  'its version': flipIn(/"version": 1/),
  'its id': flipIn(/"id": \d/),
  'its run id': flipIn(/"runId": "\w/),
  'its lineage': flipIn(/"lineage": \d/),
  'the name of an operator': flipIn(/"name": "\w/),
  'a position of a source': flipIn(/"position": /),
  'a state id': flipIn(/"states": \[\s*\{\s*"id": \d/),
  'a committable': flipIn(/"committables": \[/),
  'the name of a segment': flipIn(/"file": "segments\/\d/),
  'the size of a segment': flipIn(/"sizeBytes": \d/),
  'the checksum of a segment': flipIn(/"checksum": \d/),
  'a watermark or the end of its fields': flipIn(/"watermarks": \{/),
  'its checksum': bytes => flip(bytes.lastIndexOf('"checksum": ') + 12)(bytes),
  'everything cut off': cut(0),
  'its second half cut off': bytes => cut(bytes.length >> 1)(bytes),
  'its last byte cut off': cut(-1),
  'a byte too many': bytes => Buffer.concat([bytes, Buffer.from('\n')]),
  'zeros instead of everything': bytes => void bytes.fill(0),
}

/** Well sealed, and yet not to be believed. */
const FORGED: { readonly [what: string]: (manifest: any) => void } = {
  'a segment outside of the job': manifest => void (manifest.segments[0].file = '../../elsewhere/1-1.seg'),
  'an absolute reference': manifest => void (manifest.segments[0].file = '/etc/passwd'),
  'a segment of ten gigabytes': manifest => void (manifest.segments[0].sizeBytes = 10_000_000_000),
  'another checksum of a segment': manifest => void (manifest.segments[0].checksum ^= 1),
  'more entries than the segment has': manifest => void (manifest.segments[0].entries += 1),
  'no segments at all, in a word': manifest => void (manifest.segments = 'none'),
}

for (const job of [SHORT_LIVES, TRIPS]) {
  const killed = new Killed(job)
  describe(`a snapshot of ${job.name} with one damage is reported and an older one used:`, () => {
    before(() => killed.make())
    beforeEach(() => killed.copy())

    const fallsBack = async (): Promise<void> => {
      const [older, newest] = killed.snapshots.slice(-2)
      await fallsBackFrom(newest.id, older.id)
    }
    const fallsBackFrom = async (newest: number, older: number): Promise<void> => {
      const { restored, skipped, warnings, error } = await killed.finish()
      assert.equal(error, undefined)
      assert.equal(restored, older)
      assert.deepEqual(skipped, [newest])
      assert.ok(
        warnings.some(warning => warning.includes(`checkpoint ${newest} `)),
        warnings.join('\n'),
      )
      await killed.assertOutput()
    }

    for (const [what, change] of Object.entries(SEGMENT_DAMAGE)) {
      test(`segment: ${what}`, async () => {
        const [older, newest] = killed.snapshots.slice(-2)
        killed.damage(
          newest.segments.find(file => !older.segments.includes(file))!,
          change,
        )
        await fallsBack()
      })
    }

    test('segment: it is gone', async () => {
      const [older, newest] = killed.snapshots.slice(-2)
      rmSync(killed.path(newest.segments.find(file => !older.segments.includes(file))!))
      await fallsBack()
    })

    // A manifest is the same thing whatever the job.
    if (job !== TRIPS) return
    for (const [what, change] of Object.entries(MANIFEST_DAMAGE)) {
      test(`manifest: ${what}`, async () => {
        const [older, newest] = killed.snapshots.slice(-2)
        killed.damage(newest.file, change)
        await fallsBackFrom(newest.id, older.id)
      })
    }

    for (const [what, change] of Object.entries(FORGED)) {
      test(`manifest: ${what}`, async () => {
        const [older, newest] = killed.snapshots.slice(-2)
        const manifest = killed.readManifest(newest.file)
        change(manifest)
        killed.damage(newest.file, () => sealJson(manifest))
        await fallsBackFrom(newest.id, older.id)
      })
    }
  })
}

describe('what is damaged in the folder of a killed run:', () => {
  const killed = new Killed(SHORT_LIVES)
  before(() => killed.make())
  beforeEach(() => killed.copy())

  test('two damaged snapshots are both reported, and the third is used', async () => {
    const [third, second, first] = killed.snapshots.slice(-3)
    killed.damage(first.file, flip(50))
    killed.damage(second.file, cut(-1))
    const { restored, skipped } = await killed.finish()
    assert.equal(restored, third.id)
    assert.deepEqual(skipped, [first.id, second.id])
    await killed.assertOutput()
  })

  test('all damaged: nothing starts, and nothing is deleted', async () => {
    for (const { file } of killed.snapshots) killed.damage(file, flip(-3))
    const files = killed.contents()
    const output = readOutput(killed.job, killed.dir)
    const { error } = await killed.finish()
    assert.ok(isMillraceError(error, 'NO_USABLE_SNAPSHOT'), String(error))
    for (const name of killed.list('manifests')) assert.ok(error.message.includes(String(Number(/\d+/.exec(name)![0]))))
    assert.deepEqual(killed.contents(), files)
    assert.deepEqual(readOutput(killed.job, killed.dir), output)
  })

  test('the base of every snapshot, often one for all: nothing starts, and nothing is deleted', async () => {
    for (const base of new Set(killed.snapshots.map(({ segments }) => segments.at(-1)!))) killed.damage(base, flip(100))
    const files = killed.contents()
    const { error } = await killed.finish()
    assert.ok(isMillraceError(error, 'NO_USABLE_SNAPSHOT'), String(error))
    assert.deepEqual(killed.contents(), files)
  })

  test('nothing usable: a fresh start works, and its output is whole', async () => {
    for (const { file } of killed.snapshots) killed.damage(file, flip(-3))
    const { error } = await killed.finish({ fresh: true })
    assert.equal(error, undefined)
    await killed.assertOutput()
  })

  test('invariant 8: while a manifest cannot be read nothing is swept, and the job says so', async () => {
    const newest = killed.snapshots.at(-1)!
    killed.damage(newest.file, flip(-3))
    const before = Object.keys(killed.contents())
    const { warnings } = await killed.finish()
    const left = Object.keys(killed.contents())
    assert.deepEqual(
      before.filter(name => !left.includes(name)),
      [],
    )
    assert.ok(
      warnings.some(warning => warning.includes('nothing is cleared up') && warning.includes(newest.file)),
      warnings.join('\n'),
    )
  })

  test('a manifest of a newer format is no damage: it is not passed over', async () => {
    const newest = killed.snapshots.at(-1)!
    killed.damage(newest.file, () => sealJson({ ...killed.readManifest(newest.file), version: 2 }))
    const files = killed.contents()
    const { error } = await killed.finish()
    assert.ok(isMillraceError(error, 'SNAPSHOT_VERSION'), String(error))
    assert.deepEqual(killed.contents(), files)
  })

  test('a manifest of another job is refused', async () => {
    const newest = killed.snapshots.at(-1)!
    killed.damage(newest.file, () => sealJson({ ...killed.readManifest(newest.file), job: 'other' }))
    const { error, skipped } = await killed.finish()
    assert.ok(
      error === undefined ? skipped.includes(newest.id) : isMillraceError(error, 'SNAPSHOT_WRONG_JOB'),
      String(error),
    )
    if (error === undefined) await killed.assertOutput()
  })

  for (const [what, change] of Object.entries({
    'a flipped byte': flip(60),
    'its end cut off': cut(-9),
    'nothing in it': cut(0),
  })) {
    test(`the record of the newest run has ${what}: the job asks what to go on from, and does so`, async () => {
      killed.damage(`runs/${killed.list('runs').at(-1)!}`, change)
      const files = killed.contents()
      const { error } = await killed.finish()
      assert.ok(isMillraceError(error, 'SNAPSHOT_DAMAGED'), String(error))
      assert.match(error.message, /newest run/)
      assert.deepEqual(killed.contents(), files)
      const id = killed.snapshots.at(-1)!.id
      assert.equal((await killed.finish({ from: `chk-${id}` })).restored, id)
      await killed.assertOutput()
    })

    test(`the lock has ${what}: it is not believed, and the job starts when its lease is over`, async () => {
      const [name] = killed.list('locks')
      killed.damage(`locks/${name}`, change)
      const anHourAgo = Date.now() / 1000 - 3600
      utimesSync(killed.path(`locks/${name}`), anHourAgo, anHourAgo)
      const { error, skipped } = await killed.finish()
      assert.equal(error, undefined)
      assert.deepEqual(skipped, [])
      await killed.assertOutput()
    })
  }

  test('torn lines of the log and files that are not Millrace’s hurt nobody', async () => {
    writeFileSync(killed.path('log.jsonl'), '{"torn": \n\0\0{}\n{"at')
    writeFileSync(killed.path('manifests/.tmp-chk-000000000099.json-1-1'), 'torn')
    writeFileSync(killed.path('segments/.tmp-1-99.seg-1-1'), Buffer.alloc(4096))
    writeFileSync(killed.path('runs/notes.txt'), 'mine')
    const { error, warnings } = await killed.finish()
    assert.equal(error, undefined)
    assert.deepEqual(warnings, [])
    await killed.assertOutput()
    assert.ok(existsSync(killed.path('runs/notes.txt')))
    assert.ok(!existsSync(killed.path('manifests/.tmp-chk-000000000099.json-1-1')))
  })
})

describe('a sink that cannot take back what it committed:', () => {
  const written: number[] = []
  const oneWay: Sink<number> = {
    type: 'one-way',
    retracts: false,
    open: async () => ({
      write: record => void written.push(record),
      prepareCommit: async () => ({ committables: [] }),
      commit: async () => undefined,
      close: async () => undefined,
    }),
  }
  const job = defineJob('one-way', flow => {
    const numbers = flow.source('numbers', generator({ next: i => i, rate: 5000 }))
    numbers
      .keyBy(i => i % 10)
      .reduce('sums', (a, b) => a + b)
      .sink('out', oneWay)
  })

  test('invariant 5: it is not led back behind a checkpoint unless asked to', async () => {
    const storage = join(work, 'one-way-store')
    const first = await run(job, { storage, checkpointing: { interval: '1h' } })
    for (let i = 0; i < 3; i++) await first.checkpoint()
    await first.stop()
    const manifests = join(storage, 'one-way', 'manifests')
    const [older, newest] = readdirSync(manifests).sort().slice(-2)
    const path = join(manifests, newest)
    writeFileSync(path, readFileSync(path).subarray(0, -1))
    await assert.rejects(run(job, { storage }), error => isMillraceError(error, 'FALLBACK_REFUSED'))
    assert.deepEqual(readdirSync(manifests).includes(newest), true)
    const from = `chk-${Number(/\d+/.exec(older)![0])}`
    const second = await run(job, { storage, from })
    await second.stop()
  })
})
