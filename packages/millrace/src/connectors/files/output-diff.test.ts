import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import * as fc from 'fast-check'
import { isMillraceError } from '../../base/errors.ts'
import { diffOutputs, type OutputDiffOptions, type OutputOwner } from './output-diff.ts'
import { partName } from './part-name.ts'

const shares = (_runId: string, _checkpoint: number): boolean => false
const A: OutputOwner = { job: 'first', isShared: shares }
const B: OutputOwner = { job: 'tri-al', isShared: shares }

class Outputs {
  readonly dir = mkdtempSync(join(tmpdir(), 'millrace-diff-'))

  constructor(context: TestContext) {
    context.after(() => rmSync(this.dir, { recursive: true, force: true }))
  }

  part(job: string, checkpoint: number, rows: readonly string[], sink = 'out', runId = 'aaaaaaaa'): void {
    const name = partName({ job, sink }, { runId, subtask: 0, checkpoint, sequence: 0 })
    writeFileSync(join(this.dir, name), rows.map(row => `${row}\n`).join(''))
  }

  diff(options: Partial<OutputDiffOptions> = {}): ReturnType<typeof diffOutputs> {
    return diffOutputs({ dirs: [this.dir], owners: [A, B], hasHeader: false, ...options })
  }
}

test('rows are compared as a multiset, whatever their order and their parts', async context => {
  const outputs = new Outputs(context)
  outputs.part('first', 1, ['x', 'y', 'x'])
  outputs.part('first', 2, ['z\u2028z'])
  outputs.part('tri-al', 9, ['z\u2028z', 'x', 'y', 'x'])
  assert.deepEqual(await outputs.diff(), [
    { sink: 'out', parts: [2, 1], rows: [4, 4], only: [0, 0], examples: [[], []] },
  ])
})

test('rows that only one job wrote, or wrote more often, are counted and shown, sink by sink', async context => {
  const outputs = new Outputs(context)
  outputs.part('first', 1, ['x', 'x', 'y'], 'a sink')
  outputs.part('tri-al', 1, ['x', 'z'], 'a sink')
  outputs.part('first', 1, ['x'], 'b-é')
  assert.deepEqual(await outputs.diff(), [
    { sink: 'a sink', parts: [1, 1], rows: [3, 2], only: [2, 1], examples: [['x', 'y'], ['z']] },
    { sink: 'b-é', parts: [1, 0], rows: [1, 0], only: [1, 0], examples: [['x'], []] },
  ])
})

test('what both have in their past is left out, as are files of others and what is not visible', async context => {
  const outputs = new Outputs(context)
  outputs.part('first', 1, ['before'])
  outputs.part('first', 2, ['after'])
  outputs.part('tri-al', 3, ['after'], 'out', 'bbbbbbbb')
  outputs.part('first-2', 3, ['other'])
  writeFileSync(join(outputs.dir, '.pending-first-out-aaaaaaaa-0-3'), 'pending\n')
  mkdirSync(join(outputs.dir, '.superseded'))
  const isShared = (runId: string, checkpoint: number): boolean => runId === 'aaaaaaaa' && checkpoint <= 1
  const [diff] = await outputs.diff({ owners: [{ ...A, isShared }, B] })
  assert.deepEqual(
    [diff.rows, diff.only],
    [
      [1, 1],
      [0, 0],
    ],
  )
})

test('a header of each part is no row', async context => {
  const outputs = new Outputs(context)
  outputs.part('first', 1, ['name', 'x'])
  outputs.part('first', 2, ['name', 'y'])
  outputs.part('tri-al', 1, ['name', 'x', 'y'])
  const [diff] = await outputs.diff({ hasHeader: true })
  assert.deepEqual(
    [diff.rows, diff.only],
    [
      [2, 2],
      [0, 0],
    ],
  )
})

test('however many passes it takes, the result is that of counting all at once', async context => {
  const row = fc.integer({ min: 0, max: 30 }).map(n => `row ${n}`)
  const rows = fc.array(row, { maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(rows, rows, fc.integer({ min: 1, max: 400 }), async (a, b, passBytes) => {
      const outputs = new Outputs(context)
      outputs.part('first', 1, a)
      outputs.part('tri-al', 1, b)
      const counts = new Map<string, number>()
      for (const each of a) counts.set(each, (counts.get(each) ?? 0) + 1)
      for (const each of b) counts.set(each, (counts.get(each) ?? 0) - 1)
      const sum = (pick: (count: number) => number): number => [...counts.values()].reduce((s, n) => s + pick(n), 0)
      const [diff] = await outputs.diff({ passBytes })
      assert.deepEqual(
        [diff.rows, diff.only],
        [
          [a.length, b.length],
          [sum(n => Math.max(0, n)), sum(n => Math.max(0, -n))],
        ],
      )
    }),
    { numRuns: 60 },
  )
})

test('a directory that is not there is an error that names it', async context => {
  const outputs = new Outputs(context)
  await assert.rejects(
    outputs.diff({ dirs: [join(outputs.dir, 'nowhere')] }),
    error => isMillraceError(error, 'USAGE') && /nowhere cannot be read: ENOENT/.test(error.message),
  )
})
