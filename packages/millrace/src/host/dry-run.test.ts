import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineJob } from '../api/index.ts'
import { isMillraceError } from '../base/errors.ts'
import { collection } from '../connectors/collection/index.ts'
import { memory } from '../connectors/memory/index.ts'
import { run } from '../control/index.ts'
import { sinkContract } from '../testing/sink-contract.ts'
import { memoryStorage } from '../store/memory/index.ts'
import { buildGraph } from '../api/index.ts'
import { withDrySinks } from './dry-run.ts'

const job = defineJob('job', flow => {
  flow.source('in', collection(['a', 'b', 'c'])).sink('out', memory())
})

sinkContract('the sink of a dry run', {
  make: () => {
    const node = withDrySinks(buildGraph(job, {})).nodes.find(({ kind }) => kind === 'sink')
    return { make: () => (node as Extract<typeof node, { kind: 'sink' }>).sink, visible: () => [] }
  },
  record: i => i,
  guarantee: 'none',
})

test('a dry run counts what its sinks would have written, and writes nothing', async () => {
  const handle = await run(job, { sinks: 'dry-run' })
  assert.equal(await handle.finished, 'finished')
  assert.deepEqual(handle.rows('out'), [])
  assert.equal(handle.status().progress?.counters['out']?.['discarded'], 3)
})

test('what a dry run has read is not written by a later run: that is refused, since it would leave a hole in the output', async () => {
  const storage = memoryStorage()
  const first = await run(job, { storage, sinks: 'dry-run', checkpointing: { onFinish: 'retain' } })
  await first.finished
  await assert.rejects(run(job, { storage, from: 'latest' }), error => {
    assert.ok(isMillraceError(error, 'STATE_INCOMPATIBLE'))
    assert.match(error.message, /sink 'out' \(a dry run dropped its output/)
    return true
  })
  // Dry again, or from the beginning, it goes.
  await (
    await run(job, { storage, sinks: 'dry-run', from: 'latest' })
  ).finished
  const fresh = await run(job, { storage, fresh: true })
  await fresh.finished
  assert.deepEqual(fresh.rows('out'), ['a', 'b', 'c'])
})
