/** A job that takes checkpoint after checkpoint, with restarts, on a disk: nothing piles up. SOAK_CHECKPOINTS says how many. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { blackhole, count, defineJob, generator, run } from 'millrace'
import { fsck } from '../../packages/millrace/src/snapshot/fsck.ts'
import { localStorage } from '../../packages/millrace/src/store/local/index.ts'

const CHECKPOINTS = Number(process.env['SOAK_CHECKPOINTS'] ?? 10_000)
const STARTS = 10
const RETAIN = { last: 3, hourly: 2, daily: 2 }
/** Manifests that may be there at once: the ladder, and the checkpoint that has just been completed. */
const MANIFESTS = RETAIN.last + RETAIN.hourly + RETAIN.daily + 1
/** A list has at most 8 layers; with one slot each is one segment. One more is being written, one merged. */
const SEGMENTS = MANIFESTS * 8 + 2

const job = defineJob('soak', flow => {
  flow
    .source('numbers', generator({ next: i => i, rate: 20_000 }))
    .keyBy(i => i % 500)
    .aggregate('counts', count())
    .sink('out', blackhole())
})

interface Usage {
  readonly manifests: number
  readonly segments: number
  readonly bytes: number
}

function usageOf(folder: string): Usage {
  const files = (name: string): string[] => readdirSync(join(folder, name)).filter(file => !file.startsWith('.tmp-'))
  const sizeOf = (file: string): number =>
    statSync(join(folder, 'segments', file), { throwIfNoEntry: false })?.size ?? 0
  const segments = files('segments')
  return {
    manifests: files('manifests').length,
    segments: segments.length,
    bytes: segments.reduce((sum, file) => sum + sizeOf(file), 0),
  }
}

test(`files and bytes stay bounded over ${CHECKPOINTS} checkpoints and ${STARTS} starts`, async context => {
  const storage = mkdtempSync(join(tmpdir(), 'millrace-soak-'))
  context.after(() => rmSync(storage, { recursive: true, force: true }))
  const folder = join(storage, 'soak')
  const usages: Usage[] = []
  let done = 0
  for (let start = 1; start <= STARTS; start++) {
    const enough = Promise.withResolvers<void>()
    const handle = await run(job, {
      storage,
      checkpointing: { interval: 1, retain: RETAIN },
      onEvent: event => {
        if (event.type !== 'checkpoint' || event.outcome.outcome !== 'complete') return
        if (++done % 50 === 0) usages.push(usageOf(folder))
        if (done >= (CHECKPOINTS / STARTS) * start) enough.resolve()
      },
    })
    await enough.promise
    await handle.stop()
  }
  const most = (of: (usage: Usage) => number): number => Math.max(...usages.map(of))
  const found = { manifests: most(u => u.manifests), segments: most(u => u.segments), bytes: most(u => u.bytes) }
  context.diagnostic(JSON.stringify({ checkpoints: done, ...found, last: usageOf(folder) }))
  assert.ok(found.manifests <= MANIFESTS, JSON.stringify(found))
  assert.ok(found.segments <= SEGMENTS, JSON.stringify(found))
  // 500 counts are some 10 KB: a snapshot that kept what it should drop would have grown a thousandfold.
  assert.ok(found.bytes <= 4 * 1024 * 1024, JSON.stringify(found))
  const report = await fsck(localStorage(storage).job('soak'), 'soak')
  assert.deepEqual([report.intact, report.findings], [true, []])
})
