/** `millrace plan` against `millrace run`: what a changed job takes over of a snapshot, told before and done after. */
import assert from 'node:assert/strict'
import { cpSync, readdirSync, readFileSync } from 'node:fs'
import { before, test } from 'node:test'
import { Sandbox } from './sandbox.ts'

const source = new Sandbox()

/** Stopped after a few checkpoints; `body` is what lies between the source and its sink. */
function jobText(body: string, options = ''): string {
  return `
export default defineJob('shop', flow => {
  const numbers = flow.source('numbers', generator({ next: i => i, rate: 2000 }))
  ${body}
}, { checkpointing: { interval: 50 }${options} })`
}

const COUNTS = (name: string, state: string, more = '') => `.keyBy(i => i % 10).process('${name}', {
    state: { ${state} },
    onRecord(i, ctx) { for (const state of Object.values(ctx.state)) state.set(i); ctx.emit({ key: ctx.key, ${more} }) },
  }`

const FIRST = `numbers${COUNTS('totals', 'total: value()')}).sink('out', blackhole())
  numbers${COUNTS('extra', 'note: value()')}).sink('notes', blackhole())`

before(async () => {
  const running = source.start(`run ${source.job('shop.ts', jobText(FIRST))} --verbose`)
  await running.until(/checkpoint chk-2 complete/)
  assert.equal((await running.end('SIGINT')).code, 0)
})

function changed(body: string, options = ''): Sandbox {
  const sandbox = new Sandbox()
  cpSync(source.path('.millrace'), sandbox.path('.millrace'), { recursive: true })
  sandbox.job('shop.ts', jobText(body, options))
  return sandbox
}

const verdicts = ({ entries }: any): string[] =>
  entries.map(
    ({ verdict, what, operator, state }: any) => `${verdict} ${what} ${operator}${state === null ? '' : `.${state}`}`,
  )

/** Whether `run` starts. */
async function starts(sandbox: Sandbox, flags = ''): Promise<boolean> {
  const running = sandbox.start(`run shop.ts ${flags} --json`)
  await running.until(/"(started|error)"/)
  await running.end('SIGINT')
  return running.stdout.includes('"started"')
}

test('an unchanged job keeps everything, and planning leaves the storage as it was', async () => {
  const files = () => readdirSync(source.path('.millrace'), { recursive: true }).map(String).sort()
  const before = files()
  const plan = await source.json('plan shop.ts')
  assert.deepEqual(verdicts(plan), [
    'kept source numbers',
    'kept state totals.total',
    'kept sink out',
    'kept state extra.note',
    'kept sink notes',
  ])
  assert.equal(plan.accepted, true)
  assert.match(plan.snapshot, /^shop\/chk-\d+$/)
  assert.ok(plan.bytesToRead > 0)
  assert.equal(plan.entries[0].splits.length, 1)
  assert.deepEqual(files(), before)
})

test('operators renamed, reordered, added and rechained are told, and run takes them over', async () => {
  const sandbox = changed(
    `numbers.map(i => i)${COUNTS('comments', 'note: value(), more: value()')}, { renamedFrom: 'extra' }).sink('notes', blackhole())
  numbers.rebalance()${COUNTS('totals', 'total: value()')}).sink('out', blackhole())
  numbers${COUNTS('fresh', 'x: value()')}).sink('third', blackhole())`,
    ', parallelism: 2, maxParallelism: 64',
  )
  const { code, stdout } = await sandbox.run('plan shop.ts')
  assert.equal(code, 0)
  assert.match(stdout, /parallelism 1 -> 2, max parallelism 128 -> 64, about .* to read/)
  assert.match(stdout, /renamed +state +comments\.note +renamed from 'extra'/)
  assert.match(stdout, /kept +state +totals\.total/)
  assert.match(stdout, /new +state +fresh\.x/)
  assert.match(stdout, /kept +source +numbers +[\d,]+ records read, 1 split, 0 ended/)
  assert.match(stdout, /accepted/)
  assert.equal(await starts(sandbox), true)
})

test('what is dropped needs leave, exit status 3 without', async () => {
  const sandbox = changed(`numbers${COUNTS('totals', 'total: value()')}).sink('out', blackhole())`)
  const refused = await sandbox.json('plan shop.ts', 3)
  assert.ok(verdicts(refused).includes('dropped state extra.note'))
  assert.equal(refused.accepted, false)
  assert.equal(await starts(sandbox), false)
  assert.equal((await sandbox.json('plan shop.ts --allow-dropped-state')).accepted, true)
  assert.equal(await starts(sandbox, '--allow-dropped-state'), true)
})

test('a state of another kind is refused, with the reason', async () => {
  const sandbox = changed(FIRST.replace('total: value()', 'total: list()'))
  sandbox.write('shop.ts', `import { list } from 'millrace'\n${readFileSync(sandbox.path('shop.ts'), 'utf8')}`)
  const { code, stdout } = await sandbox.run('plan shop.ts --allow-dropped-state')
  assert.equal(code, 3)
  assert.match(stdout, /refused +state +totals\.total +it was value and is list now/)
  assert.equal(await starts(sandbox, '--allow-dropped-state'), false)
})

test('--from and --fresh are planned as run would take them', async () => {
  const { snapshots } = await source.json('snapshots shop')
  const oldest = snapshots.at(-1)
  assert.equal((await source.json(`plan shop.ts --from ${oldest.name}`)).snapshot, `shop/${oldest.name}`)
  assert.equal((await source.json(`plan shop.ts --from .millrace/shop/${oldest.file}`)).snapshot, `shop/${oldest.name}`)
  const fresh = await source.json('plan shop.ts --fresh')
  assert.deepEqual([fresh.snapshot, fresh.bytesToRead], [null, 0])
  assert.ok(fresh.entries.every(({ verdict }: any) => verdict === 'new'))
  assert.equal((await source.run('plan shop.ts --from chk-999')).code, 3)
})

test('a start from another job or a folder is planned as run would take it over', async () => {
  const sandbox = changed(FIRST)
  const [{ name, file }] = (await sandbox.json('snapshots shop')).snapshots
  const folder = 'apart'
  cpSync(sandbox.path('.millrace/shop/segments'), sandbox.path(folder, 'segments'), { recursive: true })
  cpSync(sandbox.path('.millrace/shop', file), sandbox.path(folder, file))
  for (const flags of [`--from ./${folder}`, `--from ${folder} --as second`, `--from shop/${name} --as second`]) {
    const { snapshot, accepted } = await sandbox.json(`plan shop.ts ${flags}`)
    assert.deepEqual([snapshot, accepted], [`shop/${name}`, true])
    assert.equal(await starts(sandbox, flags), true, flags)
  }
})

test('where a schema comes for keys and values that had none, what is said depends on them, as the start does', async () => {
  for (const [keys, isFit] of [
    ["'integer'", true],
    ["'string'", false],
  ] as const) {
    const keyed = FIRST.replace('keyBy(i => i % 10)', `keyBy(i => i % 10, { schema: { type: ${keys} } })`)
    const sandbox = changed(keyed.replace('note: value()', "note: value({ schema: { type: 'integer' } })"))
    const { code, stdout } = await sandbox.run('plan shop.ts')
    assert.equal(code, 0)
    assert.ok(
      stdout.endsWith(
        '\naccepted, if all keys and values fit their new schema: run checks them one by one as it loads them\n',
      ),
      stdout,
    )
    const { entries } = await sandbox.json('plan shop.ts')
    assert.deepEqual(
      entries.map(({ checks }: any) => checks),
      [[], ['keys'], [], ['values'], []],
    )
    assert.equal(await starts(sandbox), isFit)
  }
})

test('where a function makes other keys, the plan says that the first records tell, as the start does', async () => {
  for (const [keyOf, fails] of [
    ['i % 5', false],
    ['String(i)', true],
  ] as const) {
    const sandbox = changed(FIRST.replace('i % 10', keyOf))
    const { code, stdout } = await sandbox.run('plan shop.ts')
    assert.equal(code, 0)
    assert.match(
      stdout,
      /kept +state +totals\.total +the function that makes its keys has changed; those of the first /,
    )
    assert.match(stdout, /kept +state +extra\.note *\n/)
    assert.match(
      stdout,
      /\naccepted, if keys are still of the types that the snapshot has: run checks those of the first /,
    )
    const { accepted, entries } = await sandbox.json('plan shop.ts')
    assert.deepEqual([accepted, entries.map(({ checks }: any) => checks)], [true, [[], ['new-keys'], [], [], []]])
    const running = sandbox.start('run shop.ts --json')
    await running.until(fails ? /"error"/ : /"checkpoint"/)
    await running.end('SIGINT')
    assert.equal(/its keys were number in the snapshot, and one is string now/.test(running.stdout), fails)
  }
})

test('another ttl is told and taken over', async () => {
  const jobOf = (ttl: string) => FIRST.replace('total: value()', `total: value({ ttl: ${ttl} })`)
  const sandbox = changed(jobOf("'7d'"))
  const [, added] = (await sandbox.json('plan shop.ts')).entries
  assert.deepEqual([added.verdict, added.reason], ['migrated', 'ttl none -> 7d, counted from the start of the job'])
  const running = sandbox.start('run shop.ts --verbose')
  await running.until(/checkpoint chk-\d+ complete/)
  assert.equal((await running.end('SIGINT')).code, 0)
  sandbox.job('shop.ts', jobText(jobOf("'1d'")))
  assert.match((await sandbox.run('plan shop.ts')).stdout, /migrated +state +totals\.total +ttl 7d -> 1d\n/)
  assert.ok(await starts(sandbox))
})
