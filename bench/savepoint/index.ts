/**
 * What a savepoint costs beyond its checkpoint: `npm run bench -- savepoint --keys N`
 *
 * The job runs in a thread and has N keys. `pin` is from the completion of the checkpoint to that of the savepoint, `checkpoint` the
 * checkpoint that it pins, `folder` what `to` takes beyond the savepoint: a merge of all of the state, while the job goes on. Medians of
 * ROUNDS; the folder once. Milliseconds and bytes.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { run, type JobEvent } from 'millrace'
import { withDirectory } from '../directory.ts'
import { median } from '../meter.ts'
import job from './job.ts'

const ROUNDS = 15

export async function benchSavepoint(keys: number): Promise<{ readonly [measure: string]: number }> {
  return withDirectory(async directory => {
    let checkpointMs = 0
    let completeAtMs = 0
    let pinnedAtMs = 0
    const loaded = Promise.withResolvers<void>()
    const onEvent = (event: JobEvent): void => {
      if (event.type === 'checkpoint') {
        checkpointMs = event.outcome.durationMs
        completeAtMs = performance.now()
      } else if (event.type === 'savepoint') pinnedAtMs = performance.now()
      else if (event.type === 'progress' && event.progress.entries >= keys) loaded.resolve()
    }
    const handle = await run(job, {
      module: new URL('./job.ts', import.meta.url).href,
      storage: join(directory, 'store'),
      params: { keys },
      checkpointing: { interval: '1h' },
      onEvent,
    })
    await loaded.promise
    await handle.checkpoint()
    const checkpoints: number[] = []
    const pins: number[] = []
    let manifest = ''
    for (let round = 0; round < ROUNDS; round++) {
      const { id } = await handle.savepoint()
      checkpoints.push(checkpointMs)
      pins.push(pinnedAtMs - completeAtMs)
      manifest = join(directory, `store/savepoint/manifests/sp-${id.slice(3).padStart(12, '0')}.json`)
    }
    await handle.savepoint({ to: join(directory, 'folder') })
    const folderMs = performance.now() - pinnedAtMs
    const { size } = await stat(join(directory, 'folder/segments/0-1.seg'))
    await handle.cancel()
    return {
      keys,
      checkpoint: median(checkpoints),
      pin: median(pins),
      pinMax: Math.max(...pins),
      pinBytes: (await stat(manifest)).size,
      folder: folderMs,
      folderBytes: size,
      peakRssBytes: process.resourceUsage().maxRSS * 1024,
    }
  })
}
