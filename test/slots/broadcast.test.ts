/** Broadcast streams over several slots: every subtask applies every record once, whatever happens in between. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { run, type JobEvent, type JobHandle } from 'millrace'
import job, { KEYS, RECORDS, RULE_IDS, RULES, SETTINGS, type Row } from './broadcast-job.ts'

const module = new URL('./broadcast-job.ts', import.meta.url).href
const params = (which: string, seconds = 0) => ({ params: { which, seconds } })

function assertAudited(handle: JobHandle): void {
  const rows = (handle.rows('out') as Row[]).toSorted((a, b) => a.key - b.key)
  const rules = Array.from({ length: RULE_IDS }, (_, id) => [id, Math.ceil((RULES - id) / RULE_IDS)] as const)
  const expected = Array.from({ length: KEYS }, (_, key) => ({
    key,
    records: Math.ceil((RECORDS - key) / KEYS),
    rules,
  }))
  assert.deepEqual(rows, expected)
}

for (const parallelism of [1, 2, 4]) {
  test(`at parallelism ${parallelism} every subtask gets every broadcast record once`, async () => {
    const handle = await run(job, { parallelism, module, ...params('audit'), checkpointing: { interval: 5 } })
    assert.equal(await handle.finished, 'finished')
    assertAudited(handle)
  })
}

/** Until the second checkpoint. At this rate the whole would take 10 s: enough for four rounds, also on a busy machine. */
async function startUntilCheckpoint(parallelism: number, storage: string): Promise<JobHandle> {
  const { promise, resolve } = Promise.withResolvers<void>()
  let complete = 0
  const onEvent = (event: JobEvent): void => {
    if (event.type === 'checkpoint' && event.outcome.outcome === 'complete' && ++complete === 2) resolve()
  }
  const checkpointing = { interval: 15 }
  const handle = await run(job, { parallelism, module, ...params('audit', 10), storage, checkpointing, onEvent })
  await Promise.race([promise, handle.finished])
  return handle
}

async function folder(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-broadcast-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return directory
}

test('a job that is stopped and killed in turn, and restored at other parallelisms, has applied every broadcast record once', async t => {
  const storage = await folder(t)
  for (const [round, parallelism] of [1, 4, 2, 3].entries()) {
    const handle = await startUntilCheckpoint(parallelism, storage)
    // Cancelled: what came after the last checkpoint is lost, as with kill -9.
    await (round % 2 === 0 ? handle.cancel() : handle.stop())
    const manifests = join(storage, 'broadcast/manifests')
    const newest = (await readdir(manifests)).toSorted().at(-1)!
    const manifest = JSON.parse(await readFile(join(manifests, newest), 'utf8'))
    const operator = manifest.operators.find(({ name }: { name: string }) => name === 'audit')
    assert.equal(operator.parallelism, parallelism)
    assert.deepEqual(Object.keys(operator.broadcastState), ['seen'])
    assert.ok(operator.broadcastState.seen.length <= RULE_IDS, 'one copy, whatever the parallelism')
  }
  const last = await run(job, { parallelism: 4, module, ...params('audit'), storage })
  assert.equal(await last.finished, 'finished')
  assertAudited(last)
})

test('records of one subtask of the source come to every subtask in its order', async () => {
  const handle = await run(job, { parallelism: 3, module, ...params('ordered'), checkpointing: { interval: 2 } })
  assert.equal(await handle.finished, 'finished')
  const last = SETTINGS - 1
  assert.deepEqual(handle.rows('out'), [last, last, last], 'what onBroadcast emits is emitted by every subtask')
})

test('an idle broadcast stream does not hold back the watermark', async t => {
  for (const parallelism of [1, 2]) {
    const handle = await run(job, { parallelism, module, ...params('idle') })
    t.after(() => handle.cancel())
    // The streams have no end, so rows come by checkpoints: one that held the watermark back would let none through.
    while (handle.rows('out').length < 3) await handle.checkpoint()
    assert.ok((handle.rows('out') as number[]).every(time => time >= 10))
  }
})
