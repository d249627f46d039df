/** Jobs in several threads: one slot that fails, one that dies, and another number of slots while the job runs. */
import assert from 'node:assert/strict'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { run, type JobEvent, type JobHandle } from 'millrace'
import job, { expectedRows } from './job.ts'

const module = new URL('./job.ts', import.meta.url).href

function directory(): string {
  return mkdtempSync(join(tmpdir(), 'millrace-slots-'))
}

async function rowsOf(handle: JobHandle): Promise<string[]> {
  assert.equal(await handle.finished, 'finished')
  return handle
    .rows('out')
    .map(row => JSON.stringify(row))
    .sort()
}

/** Resolves once so many checkpoints are complete. */
function checkpoints(wanted: number): { readonly done: Promise<void>; onEvent(event: JobEvent): void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  let complete = 0
  return {
    done: promise,
    onEvent(event) {
      if (event.type === 'checkpoint' && event.outcome.outcome === 'complete' && ++complete === wanted) resolve()
    },
  }
}

for (const fault of ['throw', 'exit'] as const) {
  const what = fault === 'throw' ? 'that throws' : 'whose thread ends'
  test(`a slot ${what} restarts the whole job from its latest checkpoint, and nothing is lost or doubled`, async () => {
    const storage = directory()
    const events: JobEvent[] = []
    const handle = await run(job, {
      parallelism: 3,
      module,
      storage,
      params: { ...job.options.params!, fault, flag: join(storage, 'faltered') },
      onEvent: event => events.push(event),
    })
    assert.deepEqual(await rowsOf(handle), expectedRows())
    const restarts = events.flatMap(event => (event.type === 'restarting' ? event.error.message : []))
    assert.equal(restarts.length, 1)
    assert.match(
      restarts[0],
      fault === 'throw' ? /'counts' threw the slot falters, key 'w250'/ : /thread ended with code 7/,
    )
  })
}

test('a running job goes on at one parallelism after another, and nothing is lost or doubled', async () => {
  const { done, onEvent } = checkpoints(2)
  const handle = await run(job, { parallelism: 2, module, storage: directory(), onEvent })
  await done
  for (const parallelism of [3, 1, 4]) {
    const rescaled = await handle.rescale(parallelism)
    assert.equal(rescaled.parallelism, parallelism)
    assert.equal(handle.status().parallelism, parallelism)
  }
  assert.deepEqual(await rowsOf(handle), expectedRows())
})

test('a parallelism that cannot be is refused, and the job goes on as it was', async () => {
  const handle = await run(job, { parallelism: 2, module, storage: directory() })
  for (const parallelism of [0, 1.5, NaN, 129]) {
    await assert.rejects(handle.rescale(parallelism), { code: 'OPTION_INVALID' })
  }
  assert.equal(handle.status().parallelism, 2)
  assert.deepEqual(await rowsOf(handle), expectedRows())
  await assert.rejects(handle.rescale(3), { code: 'JOB_NOT_RUNNING' })
})

test('a stopped job starts again at another parallelism and another max parallelism from where it stopped', async () => {
  const storage = directory()
  const rows: string[] = []
  const rowsSoFar = (handle: JobHandle) => handle.rows('out').map(row => JSON.stringify(row))
  for (const [parallelism, maxParallelism] of [
    [2, 128],
    [4, 128],
    [3, 7],
    [1, 1],
  ] as const) {
    const { done, onEvent } = checkpoints(1)
    const handle = await run(job, {
      parallelism,
      maxParallelism,
      module,
      storage,
      params: { ...job.options.params!, rate: 20_000 },
      onEvent,
    })
    await done
    await handle.stop()
    assert.equal(await handle.finished, 'stopped')
    rows.push(...rowsSoFar(handle))
  }
  const handle = await run(job, { parallelism: 2, module, storage, params: { ...job.options.params!, rate: 1e6 } })
  assert.equal(await handle.finished, 'finished')
  rows.push(...rowsSoFar(handle))
  assert.deepEqual(rows.sort(), expectedRows())
})

test('a job whose snapshots are in memory runs in threads too, and goes on from them after a failure', async () => {
  const handle = await run(job, {
    parallelism: 2,
    module,
    params: { ...job.options.params!, fault: 'throw', flag: join(directory(), 'faltered') },
  })
  assert.equal(await handle.finished, 'finished')
  assert.equal(handle.status().restarts, 1)
  assert.deepEqual(await rowsOf(handle), expectedRows())
})

test('above parallelism 1 a job needs its module, since its threads import it', async () => {
  await assert.rejects(run(job, { parallelism: 2 }), { code: 'OPTION_INVALID', message: /module: import\.meta\.url/ })
})
