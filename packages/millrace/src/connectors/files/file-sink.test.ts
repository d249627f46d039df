import assert from 'node:assert/strict'
import fs, {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, mock, test } from 'node:test'
import { isMillraceError, type ErrorCode } from '../../base/errors.ts'
import { onFailpoint, type Failpoint } from '../../base/failpoint.ts'
import type { Json } from '../../base/json.ts'
import { CollectingOutput, restoredFrom, SinkDriver, SourceDriver } from '../../testing/connector-context.ts'
import { sinkContract, type SinkFixture } from '../../testing/sink-contract.ts'
import type { Prepared, RestoredSink, Sink } from '../contract.ts'
import type { FileSinkOptions } from './file-sinks.ts'
import { files } from './index.ts'
import { publishPart } from './part-files.ts'

const root = mkdtempSync(join(tmpdir(), 'millrace-sinks-'))
after(() => rmSync(root, { recursive: true }))
afterEach(() => {
  onFailpoint(undefined)
  mock.restoreAll()
  syncBuiltinESMExports()
})
let folders = 0
const folder = () => join(root, `out-${folders++}`)

const RUN = '0a1b2c3d'
const PART = (checkpoint: number, sequence = 0) =>
  `part-contract-sink-${RUN}-0-${String(checkpoint).padStart(12, '0')}-${String(sequence).padStart(4, '0')}`
const visibleNames = (dir: string) =>
  readdirSync(dir)
    .filter(name => !name.startsWith('.'))
    .sort()
const hiddenNames = (dir: string) =>
  readdirSync(dir)
    .filter(name => name.startsWith('.'))
    .sort()
const content = (dir: string) =>
  visibleNames(dir)
    .map(name => readFileSync(join(dir, name), 'utf8'))
    .join('')

function code(expected: ErrorCode, ...parts: string[]): (error: unknown) => boolean {
  return error => {
    assert.ok(isMillraceError(error, expected), String(error))
    for (const part of parts) assert.ok(error.message.includes(part), `'${error.message}' has '${part}' in it`)
    return true
  }
}

const open = (sink: Sink<any>, restored?: RestoredSink, driver = new SinkDriver(RUN), context = {}) =>
  sink.open(driver.context(context), restored ?? restoredFrom(RUN, undefined))
const snapshot = (checkpoint: number, prepared: Prepared, committed = true) =>
  restoredFrom(RUN, checkpoint, {
    states: prepared.state === undefined ? [] : [prepared.state],
    committables: committed ? [] : prepared.committables,
  })

// ------------------------------------------------------------------------------------------------------- the contract suite

/** Reads what a user of the directory would, and fails on half a line or an unexpected name. */
function reader(dir: string, parse: (part: string) => unknown[]): () => unknown[] {
  return () => {
    if (!existsSync(dir)) return []
    return visibleNames(dir).flatMap(name => {
      assert.match(name, /^part-/)
      const text = readFileSync(join(dir, name), 'utf8')
      assert.ok(text.endsWith('\n'), `${name} ends with a whole line`)
      return parse(text.slice(0, -1))
    })
  }
}

function fixture<T>(make: (dir: string) => Sink<T>, parse: (part: string) => unknown[]): SinkFixture<T> {
  const dir = folder()
  return {
    make: () => make(dir),
    visible: reader(dir, parse),
    cleanUp: () => rmSync(dir, { recursive: true, force: true }),
  }
}

const textLines = (part: string) => part.split('\n')
sinkContract<string>('files.writeLines', {
  make: () => fixture(dir => files.writeLines(dir), textLines),
  record: i => `row ${i} ü`,
})
sinkContract<unknown>('files.writeJson', {
  make: () =>
    fixture(
      dir => files.writeJson(dir),
      part => textLines(part).map(line => JSON.parse(line) as unknown),
    ),
  record: i => ({ id: i, text: 'two\nlines' }),
})
sinkContract<{ id: number; note: string }>('files.writeCsv', {
  make: () =>
    fixture(
      dir => files.writeCsv<{ id: number; note: string }>(dir),
      part => textLines(part).slice(1),
    ),
  record: i => ({ id: i, note: 'a, b' }),
  seen: record => `${record.id},"a, b"`,
})
const rolls: [string, FileSinkOptions['roll']][] = [
  ['by size', { size: 40 }],
  ['by a large size', { size: '64MB' }],
  ['by age', { every: '1h' }],
  ['at every checkpoint', { every: 0 }],
]
for (const [name, roll] of rolls) {
  sinkContract<string>(`files.writeLines that rolls ${name}`, {
    make: () => fixture(dir => files.writeLines(dir, { roll }), textLines),
    record: i => `row ${i}`,
    lags: true,
  })
}
sinkContract<{ id: number }>('files.writeCsv that rolls', {
  make: () =>
    fixture(
      dir => files.writeCsv<{ id: number }>(dir, { roll: { size: 30 } }),
      part => textLines(part).filter(line => line !== 'id'),
    ),
  record: i => ({ id: i }),
  seen: record => String(record.id),
  lags: true,
})

// --------------------------------------------------------------------------------------------------------------------- parts

test('a part is named by job, sink, run, subtask and checkpoint, and everything else starts with a dot', async () => {
  const dir = folder()
  const writer = await open(files.writeLines(dir))
  writer.write('a', 0)
  assert.deepEqual(hiddenNames(dir), [`.pending-contract-sink-${RUN}-0-1`])
  const prepared = await writer.prepareCommit(7, false)
  assert.deepEqual(prepared, { committables: [{ dir, pending: `.pending-contract-sink-${RUN}-0-1`, part: PART(7) }] })
  await writer.commit(prepared.committables)
  assert.deepEqual(readdirSync(dir), [PART(7)])
  await writer.commit((await writer.prepareCommit(8, true)).committables)
  assert.deepEqual(readdirSync(dir), [PART(7)], 'no part for a checkpoint without records')
  await writer.close()
})

test('a large checkpoint is written in full, in order', async () => {
  const dir = folder()
  const writer = await open(files.writeLines(dir))
  const rows = Array.from({ length: 100_000 }, (_, i) => `row ${i} – ü`)
  for (const row of rows) writer.write(row, 0)
  await writer.commit((await writer.prepareCommit(1, true)).committables)
  assert.equal(content(dir), rows.map(row => `${row}\n`).join(''))
  await writer.close()
})

test('what the file sources read is what the file sinks wrote', async () => {
  const dir = folder()
  const rows = [
    { id: 1, note: 'two\r\nlines, "quoted"' },
    { id: 2, note: '' },
  ]
  const writer = await open(files.writeCsv(dir))
  for (const row of rows) writer.write(row, 0)
  await writer.commit((await writer.prepareCommit(1, true)).committables)
  await writer.close()
  const source = files.csv(join(dir, '*'))
  const driver = new SourceDriver()
  const [split] = await source.enumerate(driver)
  const output = new CollectingOutput<Record<string, string>>()
  const read = await source.open(split, undefined, driver)
  await driver.read(read, output, Infinity, 10)
  await read.close()
  assert.deepEqual(
    output.records,
    rows.map(row => ({ id: String(row.id), note: row.note })),
  )
})

test('a part that grows beyond roll.size is closed in between, and each checkpoint numbers its parts', async () => {
  const dir = folder()
  const writer = await open(files.writeLines(dir, { roll: { size: 10 } }))
  for (const row of ['aaaa', 'bbbb', 'cccc', 'dddd', 'eeee']) writer.write(row, 0)
  const prepared = await writer.prepareCommit(3, false)
  await writer.commit(prepared.committables)
  assert.deepEqual(visibleNames(dir), [PART(3, 0), PART(3, 1)])
  assert.equal(content(dir), 'aaaa\nbbbb\ncccc\ndddd\n')
  assert.deepEqual((prepared.state as { length: number }).length, 5)
  await writer.commit((await writer.prepareCommit(4, true)).committables)
  assert.equal(readFileSync(join(dir, PART(4)), 'utf8'), 'eeee\n')
  await writer.close()
})

test('a part stays open until it is older than roll.every when a checkpoint comes, and its age survives a restart', async () => {
  const dir = folder()
  const driver = new SinkDriver(RUN)
  const sink = files.writeLines(dir, { roll: { every: '1m' } })
  const writer = await open(sink, undefined, driver)
  writer.write('a', 0)
  driver.timeMs += 40_000
  const prepared = await writer.prepareCommit(1, false)
  assert.deepEqual(prepared.committables, [])
  const restarted = await open(sink, snapshot(1, prepared), driver)
  driver.timeMs += 20_000
  restarted.write('b', 0)
  const rolled = await restarted.prepareCommit(2, false)
  await restarted.commit(rolled.committables)
  assert.equal(rolled.state, undefined)
  assert.equal(content(dir), 'a\nb\n')
  await writer.close()
  await restarted.close()
})

// -------------------------------------------------------------------------------------------------------------------- restore

test('an open part is cut to its length in the snapshot and continued, with its CSV columns', async () => {
  const dir = folder()
  const sink = files.writeCsv(dir, { roll: { size: '1MB' } })
  const writer = await open(sink)
  writer.write({ a: 1, b: 2 }, 0)
  const prepared = await writer.prepareCommit(1, false)
  writer.write({ a: 'lost', b: 'lost' }, 0)
  await writer.prepareCommit(2, false)
  const restarted = await open(sink, snapshot(1, prepared))
  restarted.write({ b: 4, a: 3 }, 0)
  await restarted.commit((await restarted.prepareCommit(3, true)).committables)
  assert.equal(content(dir), 'a,b\n1,2\n3,4\n')
  await writer.close()
  await restarted.close()
})

test('an open part that is missing or too short is SINK_FAILED, with what to do', async () => {
  for (const damage of [(path: string) => rmSync(path), (path: string) => truncateSync(path, 1)]) {
    const dir = folder()
    const sink = files.writeLines(dir, { roll: { size: '1MB' } })
    const writer = await open(sink)
    writer.write('abc', 0)
    const prepared = await writer.prepareCommit(1, false)
    await writer.close()
    damage(join(dir, (prepared.state as { pending: string }).pending))
    await assert.rejects(open(sink, snapshot(1, prepared)), code('SINK_FAILED', 'first 4 bytes', '--fresh'))
  }
})

test('an open part that became visible after the snapshot is copied back, and readers never see a part change', async () => {
  for (const crashAfterLink of [false, true]) {
    const dir = folder()
    const sink = files.writeLines(dir, { roll: { size: '1MB' } })
    const writer = await open(sink)
    writer.write('kept', 0)
    const prepared = await writer.prepareCommit(1, false)
    writer.write('later', 0)
    const last = await writer.prepareCommit(2, true)
    if (crashAfterLink) {
      onFailpoint(name => assert.notEqual(name, 'sink.after-commit-link'))
      await assert.rejects(writer.commit(last.committables))
      onFailpoint(undefined)
    } else {
      await writer.commit(last.committables)
    }
    const seen = fs.openSync(join(dir, PART(2)), 'r')
    const attempts = [await open(sink, snapshot(1, prepared)), await open(sink, snapshot(1, prepared))]
    assert.equal(readFileSync(seen, 'utf8'), 'kept\nlater\n')
    assert.deepEqual(readdirSync(join(dir, '.superseded')), [PART(2)])
    attempts[1].write('again', 0)
    await attempts[1].commit((await attempts[1].prepareCommit(3, true)).committables)
    assert.equal(content(dir), 'kept\nagain\n')
    assert.deepEqual(hiddenNames(dir), ['.superseded'])
    fs.closeSync(seen)
    for (const opened of [writer, ...attempts]) await opened.close()
  }
})

test('of several parts that became visible after the snapshot, the first one holds the beginning of the open part', async () => {
  const dir = folder()
  const sink = files.writeLines(dir, { roll: { size: 14 } })
  const writer = await open(sink)
  writer.write('kept', 0)
  const prepared = await writer.prepareCommit(1, false)
  for (const checkpoint of [2, 3, 4]) {
    writer.write(`later ${checkpoint} ${'x'.repeat(20)}`, 0)
    writer.write(`more ${checkpoint}`, 0)
    await writer.commit((await writer.prepareCommit(checkpoint, checkpoint === 4)).committables)
  }
  const restarted = await open(sink, snapshot(1, prepared))
  await restarted.commit((await restarted.prepareCommit(5, true)).committables)
  assert.equal(content(dir), 'kept\n')
  await writer.close()
  await restarted.close()
})

test('a fork leaves the open part of the job it came from alone, and a renamed sink is refused', async () => {
  const dir = folder()
  const sink = files.writeLines(dir, { roll: { size: '1MB' } })
  const writer = await open(sink)
  writer.write('a', 0)
  const prepared = await writer.prepareCommit(1, false)
  const restored = { ...snapshot(1, prepared), isAncestor: () => false }
  const fork = await open(sink, restored, new SinkDriver('ffffffff'), { job: 'fork' })
  fork.write('b', 0)
  await fork.commit((await fork.prepareCommit(2, true)).committables)
  assert.deepEqual(visibleNames(dir), ['part-fork-sink-ffffffff-0-000000000002-0000'])
  await writer.commit((await writer.prepareCommit(2, true)).committables)
  assert.equal(readFileSync(join(dir, PART(2)), 'utf8'), 'a\n')
  await assert.rejects(
    open(sink, snapshot(1, prepared), undefined, { operator: 'renamed' }),
    code('SINK_FAILED', 'renamed'),
  )
  await writer.close()
  await fork.close()
})

test('only leftovers of this job and sink are touched at the start, and parts of the past stay', async () => {
  const dir = folder()
  mkdirSync(dir)
  const foreign = [
    'notes.txt',
    '.hidden',
    `part-contract-other-${RUN}-0-000000000009-0000`,
    `part-contract-sink-${RUN}-0-000000000009-0000.bak`,
    `.pending-contract-sink2-${RUN}-0-1`,
    `.pending-other-sink-${RUN}-0-1`,
  ]
  const carried = { dir, pending: `.pending-contract-sink-${RUN}-0-5`, part: PART(2) }
  const leftover = [`.pending-contract-sink-${RUN}-0-8`, '.pending-contract-sink-ffffffff-0-3']
  for (const name of [
    ...foreign,
    ...leftover,
    carried.pending,
    PART(1),
    PART(3),
    'part-contract-sink-ffffffff-0-000000000001-0000',
  ]) {
    writeFileSync(join(dir, name), `${name}\n`)
  }
  mkdirSync(join(dir, '.superseded'))
  writeFileSync(join(dir, '.superseded', PART(3)), 'older\n')
  const points: Failpoint[] = []
  onFailpoint(name => points.push(name))
  const writer = await open(files.writeLines(dir), restoredFrom(RUN, 2, { committables: [carried] }))
  assert.deepEqual(points, ['sink.before-supersede', 'sink.after-supersede'])
  assert.deepEqual(readdirSync(dir).sort(), [...foreign, carried.pending, '.superseded', PART(1)].sort())
  assert.deepEqual(
    readdirSync(join(dir, '.superseded')).sort(),
    ['part-contract-sink-ffffffff-0-000000000001-0000', PART(3), `${PART(3)}.2`].sort(),
  )
  assert.equal(readFileSync(join(dir, '.superseded', PART(3)), 'utf8'), 'older\n')
  await writer.commit([carried])
  writer.write('new', 0)
  assert.deepEqual(
    hiddenNames(dir).filter(name => name.startsWith('.pending-contract-sink-')),
    [`.pending-contract-sink-${RUN}-0-9`],
    'a number is never used again',
  )
  await writer.close()
})

test('who goes back to an older snapshot, and then forward again, has the parts of that past again', async () => {
  const dir = folder()
  const sink = files.writeLines(dir)
  const writer = await open(sink)
  for (const checkpoint of [1, 2, 3, 4]) {
    writer.write(`${checkpoint}`, 0)
    await writer.commit((await writer.prepareCommit(checkpoint, false)).committables)
  }
  await writer.close()
  const back = await open(sink, restoredFrom(RUN, 1))
  assert.equal(content(dir), '1\n')
  await back.close()
  // A process that died on the way forward has moved one back; and a reader may take what it sees.
  renameSync(join(dir, '.superseded', PART(2)), join(dir, PART(2)))
  const forward = await open(sink, restoredFrom(RUN, 3))
  assert.equal(content(dir), '1\n2\n3\n')
  assert.deepEqual(readdirSync(join(dir, '.superseded')), [PART(4)])
  await forward.close()
})

test('above parallelism 1 a subtask leaves the files of the others alone', async () => {
  const dir = folder()
  mkdirSync(dir)
  const names = [0, 1, 2, 3].flatMap(subtask => [
    `.pending-contract-sink-${RUN}-${subtask}-1`,
    `part-contract-sink-${RUN}-${subtask}-000000000009-0000`,
  ])
  for (const name of names) writeFileSync(join(dir, name), 'x\n')
  const writer = await open(files.writeLines(dir), undefined, undefined, { subtask: 1, parallelism: 2 })
  assert.deepEqual(readdirSync(dir).sort(), ['.superseded', ...names.filter(name => /-[02]-\d/.test(name))].sort())
  await writer.close()
})

test('an open part survives changes of parallelism, and a fallback to a snapshot before them', async () => {
  const dir = folder()
  const sink = files.writeLines(dir, { roll: { size: '1MB' } })
  const openAt = (subtask: number, parallelism: number, all: RestoredSink['all'], checkpoint: number) =>
    open(sink, restoredFrom(RUN, checkpoint, { all }), undefined, { subtask, parallelism })
  const first = await open(sink, undefined, undefined, { subtask: 3, parallelism: 4 })
  first.write('kept', 0)
  const { state } = await first.prepareCommit(1, false)
  const all = { states: [state!], committables: [] }
  // Whoever takes it over, by its name, the others leave it alone.
  const others = [await openAt(0, 2, all, 1), await openAt(0, 3, all, 1), await openAt(1, 3, all, 1)]
  const second = await openAt(1, 2, all, 1)
  second.write('later', 0)
  await second.commit((await second.prepareCommit(2, true)).committables)
  assert.equal(content(dir), 'kept\nlater\n')
  const again = await openAt(3, 4, all, 1)
  again.write('again', 0)
  await again.commit((await again.prepareCommit(3, true)).committables)
  assert.equal(content(dir), 'kept\nagain\n')
  for (const writer of [first, second, again, ...others]) await writer.close()
})

// --------------------------------------------------------------------------------------------------------------------- commit

test('a commit goes on from every point where it can crash', async () => {
  const points: Failpoint[] = [
    'sink.before-commit-link',
    'sink.after-commit-link',
    'sink.after-commit-directory-fsync',
    'sink.after-commit-unlink',
  ]
  for (const point of points) {
    const dir = folder()
    const writer = await open(files.writeLines(dir))
    const committables: Json[] = []
    for (const checkpoint of [1, 2]) {
      writer.write(`row ${checkpoint}`, 0)
      committables.push(...(await writer.prepareCommit(checkpoint, false)).committables)
    }
    let crashed = false
    onFailpoint(name => {
      if (name !== point) return
      crashed = true
      throw new Error('crash')
    })
    await assert.rejects(writer.commit(committables), /crash/)
    assert.ok(crashed)
    onFailpoint(undefined)
    const restarted = await open(files.writeLines(dir), restoredFrom(RUN, 2, { committables }))
    await restarted.commit(committables)
    assert.equal(content(dir), 'row 1\nrow 2\n')
    assert.deepEqual(readdirSync(dir).sort(), [PART(1), PART(2)])
    await writer.close()
    await restarted.close()
  }
})

test('a part that a reader has taken is warned of once and not made again', async () => {
  const dir = folder()
  const driver = new SinkDriver(RUN)
  const writer = await open(files.writeLines(dir), undefined, driver)
  const committables: Json[] = []
  for (const checkpoint of [1, 2]) {
    writer.write('x', 0)
    committables.push(...(await writer.prepareCommit(checkpoint, false)).committables)
  }
  await writer.commit(committables)
  for (const name of visibleNames(dir)) rmSync(join(dir, name))
  await writer.commit(committables)
  await writer.commit(committables)
  assert.deepEqual(readdirSync(dir), [])
  assert.equal(driver.warnings.length, 1)
  assert.ok(driver.warnings[0].includes(PART(1)))
  await writer.close()
})

test('another file with the name of a part is SINK_CONFLICT and stays as it is', async () => {
  const dir = folder()
  const writer = await open(files.writeLines(dir))
  writer.write('mine', 0)
  const { committables } = await writer.prepareCommit(1, false)
  writeFileSync(join(dir, PART(1)), 'theirs\n')
  await assert.rejects(writer.commit(committables), code('SINK_CONFLICT', PART(1)))
  assert.equal(content(dir), 'theirs\n')
  await writer.close()
})

test('on a file system without hard links a part appears by a rename that replaces nothing', () => {
  const dir = folder()
  mkdirSync(dir)
  const link = () => {
    throw Object.assign(new Error('EPERM: operation not permitted, link'), { code: 'EPERM' })
  }
  writeFileSync(join(dir, '.pending'), 'a\n')
  assert.equal(publishPart(dir, '.pending', 'part', link), 'done')
  assert.equal(publishPart(dir, '.pending', 'part', link), 'done')
  assert.deepEqual(readdirSync(dir), ['part'])
  writeFileSync(join(dir, '.pending'), 'b\n')
  assert.throws(() => publishPart(dir, '.pending', 'part', link), code('SINK_CONFLICT'))
  assert.equal(readFileSync(join(dir, 'part'), 'utf8'), 'a\n')
})

test('a committable that names files outside the directory or of another sink is SNAPSHOT_DAMAGED', async () => {
  const dir = folder()
  const sink = files.writeLines(dir)
  const writer = await open(sink)
  const pending = `.pending-contract-sink-${RUN}-0-1`
  const bad: Json[] = [
    null,
    {},
    { dir, pending, part: '../part' },
    { dir, pending: '/etc/passwd', part: PART(1) },
    { dir, pending, part: `part-contract-other-${RUN}-0-000000000001-0000` },
    { dir, pending: `../${pending}`, part: PART(1) },
  ]
  for (const committable of bad) {
    await assert.rejects(writer.commit([committable]), code('SNAPSHOT_DAMAGED', 'sink'))
    await assert.rejects(open(sink, restoredFrom(RUN, 1, { committables: [committable] })), code('SNAPSHOT_DAMAGED'))
  }
  const states: Json[] = [
    null,
    {},
    { dir, pending, length: -1, openedAtMs: 0 },
    { dir, pending: '../x', length: 1, openedAtMs: 0 },
  ]
  for (const state of states) {
    await assert.rejects(open(sink, restoredFrom(RUN, 1, { states: [state] })), code('SNAPSHOT_DAMAGED'))
  }
  await writer.close()
})

test('a sink whose directory was changed refuses to forget uncommitted output, but one that was moved finds it', async () => {
  const dir = folder()
  const writer = await open(files.writeLines(dir))
  writer.write('a', 0)
  const { committables } = await writer.prepareCommit(1, false)
  await writer.close()
  const elsewhere = await open(files.writeLines(folder()), restoredFrom(RUN, 1, { committables }))
  await assert.rejects(elsewhere.commit(committables), code('SINK_FAILED', dir, 'old directory'))
  await elsewhere.close()
  const moved = folder()
  renameSync(dir, moved)
  const found = await open(files.writeLines(moved), restoredFrom(RUN, 1, { committables }))
  await found.commit(committables)
  assert.equal(content(moved), 'a\n')
  await found.close()
})

// -------------------------------------------------------------------------------------------------------------------- failure

test('an output directory that is a file, or below one, is SINK_FAILED', async () => {
  const dir = folder()
  mkdirSync(dir)
  const file = join(dir, 'file')
  writeFileSync(file, '')
  await assert.rejects(open(files.writeLines(file)), code('SINK_FAILED', file, 'is a file'))
  await assert.rejects(open(files.writeLines(join(file, 'out'))), code('SINK_FAILED', file))
})

test('an output directory is made with everything above it', async () => {
  const dir = join(folder(), 'a', 'b')
  const writer = await open(files.writeLines(dir))
  assert.ok(statSync(dir).isDirectory())
  await writer.close()
})

/** Makes a function of node:fs fail for the code under test. */
function failing(name: 'writeSync' | 'fsync', errno: string): () => void {
  const error = Object.assign(new Error(`${errno}: it failed, ${name}`), { code: errno })
  const mocked = mock.method(fs, name, (...args: unknown[]) => {
    const callback = args.at(-1)
    if (typeof callback !== 'function') throw error
    callback(error)
  })
  syncBuiltinESMExports()
  return () => {
    mocked.mock.restore()
    syncBuiltinESMExports()
  }
}

test('a full disk is SINK_FAILED with path and errno, and nothing more is taken after it', async () => {
  const dir = folder()
  const writer = await open(files.writeLines(dir))
  writer.write('a', 0)
  const mend = failing('writeSync', 'ENOSPC')
  await assert.rejects(
    writer.prepareCommit(1, false),
    error =>
      code('SINK_FAILED', dir, 'ENOSPC')(error) &&
      (error as { context: { errno?: unknown } }).context.errno === 'ENOSPC',
  )
  mend()
  assert.throws(() => writer.write('b', 0), code('SINK_FAILED', 'ENOSPC'))
  await assert.rejects(writer.prepareCommit(2, false), code('SINK_FAILED', 'ENOSPC'))
  await writer.close()
})

test('a write that the disk takes only in part is continued', async () => {
  const dir = folder()
  const writer = await open(files.writeLines(dir))
  writer.write('0123456789', 0)
  const whole = fs.writeSync
  mock.method(fs, 'writeSync', (fd: number, bytes: Buffer, offset: number, length: number, position: number) =>
    whole(fd, bytes, offset, Math.min(length, 3), position),
  )
  syncBuiltinESMExports()
  await writer.commit((await writer.prepareCommit(1, true)).committables)
  assert.equal(content(dir), '0123456789\n')
  await writer.close()
})

test('a directory that is removed while the job runs is SINK_FAILED', async () => {
  const dir = folder()
  const writer = await open(files.writeLines(dir))
  rmSync(dir, { recursive: true })
  assert.throws(() => writer.write('a', 0), code('SINK_FAILED', dir, 'ENOENT'))
  await writer.close()
})

test(
  'a directory without write permission is SINK_FAILED at the start',
  { skip: process.getuid?.() === 0 && 'root may write anywhere' },
  async () => {
    const dir = folder()
    mkdirSync(dir)
    chmodSync(dir, 0o500)
    await assert.rejects(open(files.writeLines(dir)), code('SINK_FAILED', dir, 'EACCES'))
  },
)

test('close waits for a checkpoint that is still syncing', async () => {
  const dir = folder()
  const writer = await open(files.writeLines(dir, { roll: { size: '1MB' } }))
  writer.write('a', 0)
  const preparing = writer.prepareCommit(1, false)
  await writer.close()
  const prepared = await preparing
  assert.equal((prepared.state as { length: number }).length, 2)
})

test('the failpoints of a checkpoint come in order', async () => {
  const points: Failpoint[] = []
  onFailpoint(name => points.push(name))
  const writer = await open(files.writeLines(folder()))
  writer.write('a', 0)
  const { committables } = await writer.prepareCommit(1, false)
  await writer.commit(committables)
  assert.deepEqual(points, [
    'sink.before-prepare-flush',
    'sink.before-prepare-fsync',
    'sink.after-prepare-fsync',
    'sink.before-commit-link',
    'sink.after-commit-link',
    'sink.after-commit-directory-fsync',
    'sink.after-commit-unlink',
  ])
  await writer.close()
})

test('options that make no sense are refused when the sink is made', () => {
  assert.throws(() => files.writeLines(''), code('OPTION_INVALID'))
  assert.throws(() => files.writeLines('x', { roll: {} }), code('OPTION_INVALID', 'roll'))
  assert.throws(() => files.writeJson('x', { roll: { size: '64' as '64B' } }), code('OPTION_INVALID', 'roll.size'))
  assert.throws(() => files.writeJson('x', { roll: { every: 'soon' as '1s' } }), code('OPTION_INVALID', 'roll.every'))
  assert.throws(() => files.writeCsv('x', { columns: [] }), code('OPTION_INVALID', 'columns'))
  assert.throws(() => files.writeCsv('x', { columns: ['a', 'a'] }), code('OPTION_INVALID', 'twice'))
  assert.throws(() => files.writeCsv('x', { delimiter: '"' }), code('OPTION_INVALID', 'delimiter'))
})
