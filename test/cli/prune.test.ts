/** Clearing up: prune, and that savepoints go by their name only. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { before, test } from 'node:test'
import { sealJson, unsealJson } from '../../packages/millrace/src/snapshot/sealed-json.ts'
import { ENDLESS, Sandbox } from './sandbox.ts'

const source = new Sandbox()
/** Newest first: three checkpoints and, made of the oldest, a savepoint. */
let checkpoints: string[] = []
let savepoint = ''

before(async () => {
  const running = source.start(
    `run ${source.job('endless.ts', ENDLESS)} --verbose --set checkpointing.incremental=false`,
  )
  await running.until(/checkpoint chk-4 complete/)
  assert.equal((await running.end('SIGINT')).code, 0)
  const { snapshots } = await source.json('snapshots endless')
  checkpoints = snapshots.map(({ name }: { name: string }) => name)
  savepoint = pinned(checkpoints.at(-1)!)
})

/** A savepoint with the files of a checkpoint. */
function pinned(checkpoint: string): string {
  const id = checkpoint.slice(4).padStart(12, '0')
  const file = source.path(`.millrace/endless/manifests/chk-${id}.json`)
  const manifest = { ...(unsealJson(readFileSync(file), file) as object), kind: 'savepoint' }
  writeFileSync(source.path(`.millrace/endless/manifests/sp-${id}.json`), sealJson(manifest))
  return `sp-${checkpoint.slice(4)}`
}

function copyOf(): Sandbox {
  const sandbox = new Sandbox()
  cpSync(source.path('.millrace'), sandbox.path('.millrace'), { recursive: true })
  sandbox.job('endless.ts', ENDLESS)
  return sandbox
}

async function namesIn(sandbox: Sandbox): Promise<string[]> {
  return (await sandbox.json('snapshots endless')).snapshots.map(({ name }: { name: string }) => name).toSorted()
}

test('prune --dry-run lists what would go and why, and touches nothing', async () => {
  const sandbox = copyOf()
  writeFileSync(sandbox.path('.millrace/endless/segments/1-999.seg'), 'x')
  const files = readdirSync(sandbox.path('.millrace'), { recursive: true })
  const { stdout, code } = await sandbox.run('prune endless --retain 1 --dry-run')
  assert.equal(code, 0)
  assert.match(stdout, /^FILE +SIZE +WHY\n/)
  assert.match(stdout, new RegExp(`\n${checkpoints[1]} +[\\d.]+ \\w+ +beyond the newest that are retained\n`))
  assert.match(stdout, /\nsegments\/1-999\.seg +1 B +no snapshot that stays needs it\n/)
  assert.match(stdout, /\nwould delete 2 snapshots and \d+ segments? \(/)
  assert.deepEqual(readdirSync(sandbox.path('.millrace'), { recursive: true }), files)
})

test('without --retain all checkpoints stay: only what nothing needs goes', async () => {
  const sandbox = copyOf()
  writeFileSync(sandbox.path('.millrace/endless/segments/1-999.seg'), 'x')
  const { items } = await sandbox.json('prune endless --yes')
  assert.deepEqual(
    items.map(({ file }: { file: string }) => file),
    ['segments/1-999.seg'],
  )
  assert.ok(!existsSync(sandbox.path('.millrace/endless/segments/1-999.seg')))
  assert.equal((await sandbox.run('prune endless --dry-run')).stdout, 'endless: nothing to clear up\n')
})

test('temporary files that a crash left are listed before they go, under their own names, by prune and fsck', async () => {
  const sandbox = copyOf()
  const left = ['segments/.tmp-1-999.seg-77-1', 'manifests/.tmp-chk-000000000099.json-77-2']
  for (const file of left) writeFileSync(sandbox.path('.millrace/endless', file), 'x')
  const { findings } = await sandbox.json('fsck endless')
  assert.deepEqual(findings.map(({ file }: { file: string }) => file).toSorted(), left.toSorted())
  const { stdout } = await sandbox.run('prune endless --dry-run')
  assert.match(stdout, /\nsegments\/\.tmp-1-999\.seg-77-1 +1 B +a temporary file of an unfinished write\n/)
  assert.ok(stdout.endsWith('\nwould delete 0 snapshots, 0 segments and 2 temporary files (2 B)\n'), stdout)
  assert.equal((await sandbox.run('prune endless')).code, 2)
  const { items } = await sandbox.json('prune endless --yes')
  assert.deepEqual(
    items.map(({ file }: { file: string }) => file),
    left,
  )
  assert.ok(left.every(file => !existsSync(sandbox.path('.millrace/endless', file))))
  assert.equal((await sandbox.run('prune endless --dry-run')).stdout, 'endless: nothing to clear up\n')
})

test('prune --retain keeps the newest checkpoints and every savepoint, whole, and the job goes on from the newest', async () => {
  const sandbox = copyOf()
  const { stdout } = await sandbox.run('prune endless --retain 1 --yes')
  assert.match(stdout, /\ndeleted 2 snapshots and \d+ segments? \(/)
  assert.deepEqual(await namesIn(sandbox), [checkpoints[0], savepoint].toSorted())
  const { intact, findings } = await sandbox.json('fsck endless')
  assert.deepEqual([intact, findings], [true, []])
  const running = sandbox.start('run endless.ts')
  await running.until(new RegExp(`^resumed from checkpoint ${checkpoints[0]} `))
  assert.equal((await running.end('SIGINT')).code, 0)
})

test('a savepoint goes by its name only, with the segments that nothing else needs', async () => {
  const sandbox = copyOf()
  await sandbox.run('prune endless --retain 1 --yes')
  const { removedSegments } = await sandbox.json(`delete endless/${savepoint} --yes`)
  assert.ok(removedSegments.length > 0)
  assert.deepEqual(await namesIn(sandbox), [checkpoints[0]])
  assert.deepEqual((await sandbox.json('fsck endless')).findings, [])
})

test('prune asks, and is refused for a running job, an unknown one and a number that is none', async () => {
  const sandbox = copyOf()
  const unasked = await sandbox.run('prune endless --retain 1')
  assert.equal(unasked.code, 2)
  assert.match(unasked.stderr, /^error CONFIRMATION_NEEDED: clearing up 'endless' needs a confirmation/)
  assert.equal((await sandbox.run('prune endless --retain 0 --yes')).code, 2)
  assert.equal((await sandbox.run('prune other --yes')).code, 3)
  const running = sandbox.start('run endless.ts')
  await running.until(/^resumed/)
  const locked = await sandbox.run('prune endless --retain 1 --yes')
  assert.equal(locked.code, 3)
  assert.match(locked.stderr, /^error JOB_LOCKED: /)
  await running.end('SIGINT')
})

test('while a manifest cannot be read nothing is cleared up', async () => {
  const sandbox = copyOf()
  writeFileSync(sandbox.path('.millrace/endless/segments/1-999.seg'), 'x')
  writeFileSync(sandbox.path('.millrace/endless/manifests/chk-000000000099.json'), 'torn')
  const { code, stderr } = await sandbox.run('prune endless --yes')
  assert.equal(code, 3)
  assert.match(stderr, /^error SNAPSHOT_DAMAGED: manifests\/chk-000000000099\.json/)
  assert.ok(existsSync(sandbox.path('.millrace/endless/segments/1-999.seg')))
})
