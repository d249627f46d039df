/** The commands that read, compare, edit and export the state of a snapshot: state get, scan, diff, edit, export. */
import assert from 'node:assert/strict'
import { cpSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { before, describe, test } from 'node:test'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { ENDLESS, Sandbox } from './sandbox.ts'

/** Keys 0 to 9 with how often each came; keys with a bigint; a typed total of each. */
const JOB = `
import { map, list } from 'millrace'
const SCHEMA = { type: 'object', properties: { n: { type: 'integer', minimum: 0, maximum: 4294967295 }, sum: { type: 'number' }, even: { type: 'boolean' } },
  required: ['n', 'sum', 'even'], additionalProperties: false }
export default defineJob('numbers', flow => {
  const numbers = flow.source('numbers', generator({ next: i => i, rate: 2000 }))
  numbers.keyBy(i => i % 10).process('by-digit', {
    state: { total: value({ schema: SCHEMA }), last: map(), seen: value() },
    onRecord(i, { state }) {
      const { n, sum } = state.total.get() ?? { n: 0, sum: 0 }
      state.total.set({ n: n + 1, sum: sum + i / 2, even: i % 2 === 0 })
      state.last.set('last', BigInt(i))
      state.seen.set(undefined)
    },
  }).sink('none', blackhole())
  numbers.keyBy(i => ['word ' + i % 3, i % 2 === 0]).aggregate('pairs', count()).sink('out', files.writeJson('out'))
}, { checkpointing: { interval: 50 } })`

const source = new Sandbox()

before(async () => {
  const running = source.start(`run ${source.job('numbers.ts', JOB)} --verbose`)
  await running.until(/checkpoint chk-3 complete/)
  assert.equal((await running.end('SIGINT')).code, 0)
})

function copyOf(): Sandbox {
  const sandbox = new Sandbox()
  cpSync(source.path('.millrace'), sandbox.path('.millrace'), { recursive: true })
  sandbox.job('numbers.ts', JOB)
  return sandbox
}

function parsed(lines: string): any[] {
  return lines
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line))
}

describe('state get', () => {
  test('prints the value of a key as JSON, and with --json what was asked beside it', async () => {
    const { code, stdout, stderr } = await source.run('state get latest by-digit total 3')
    assert.deepEqual([code, stderr], [0, ''])
    const { n, sum, even } = JSON.parse(stdout)
    assert.ok(n > 0 && sum > 0)
    assert.equal(even, false)
    const json = await source.json('state get numbers/latest by-digit total 3')
    assert.deepEqual(
      [json.operator, json.state, json.key, json.found, json.value],
      ['by-digit', 'total', 3, true, { n, sum, even }],
    )
  })

  test('takes any key as JSON, and shows what JSON lacks as documented', async () => {
    assert.match(
      (await source.run('state get latest by-digit last 3')).stdout,
      /^\{"\$map":\[\["last",\{"\$bigint":"\d+"\}\]\]\}\n$/,
    )
    assert.equal((await source.run('state get latest by-digit seen 3')).stdout, '{"$undefined":true}\n')
    const pair = await source.json('state get latest pairs value ["word\\u00201",true]')
    assert.ok(pair.value > 0)
  })

  test('says so when a key has nothing', async () => {
    const { code, stdout, stderr } = await source.run('state get latest by-digit total "3"')
    assert.deepEqual([code, stdout], [0, ''])
    assert.match(stderr, /^numbers\/chk-\d+ has nothing under "3" in 'total' of 'by-digit'\n$/)
    assert.equal((await source.json('state get latest by-digit total {"$bigint":"3"}')).found, false)
  })

  test('a key, a name or a snapshot that cannot be is refused with what can', async () => {
    const refused = async (args: string, code: number, message: RegExp) => {
      const result = await source.run(`state get ${args}`)
      assert.equal(result.code, code, result.stderr)
      assert.match(result.stderr, message)
    }
    await refused(
      'latest by-digit total three',
      2,
      /KEY three is not JSON\n {2}A text stands in double quotes.* '"three"'/,
    )
    await refused('latest by-digit total {"a":1}', 2, /KEY \{"a":1\} is no key/)
    await refused('latest by-digit totl 3', 2, /has no state 'totl'; it has total, last, seen; did you mean 'total'\?/)
    await refused(
      'latest by-digits total 3',
      2,
      /has no operator 'by-digits'.*did you mean 'by-digit'\?\n +See what there is with millrace inspect SNAPSHOT\.\n/,
    )
    await refused('numbers/chk-9999 by-digit total 3', 3, /SNAPSHOT_NOT_FOUND.*has no chk-9999; it has/)
    await refused('nothing by-digit total 3', 3, /SNAPSHOT_NOT_FOUND: 'nothing' is not the name of a snapshot/)
  })
})

describe('state scan', () => {
  test('prints each entry as a line of JSON, with and without --json', async () => {
    const { stdout } = await source.run('state scan latest by-digit total')
    const entries = parsed(stdout)
    assert.deepEqual(
      entries.map(({ key }) => key).toSorted((a, b) => a - b),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    )
    assert.deepEqual(Object.keys(entries[0]), ['keyGroup', 'key', 'value'])
    assert.equal((await source.run('state scan latest by-digit total --json')).stdout, stdout)
  })

  test('takes only a key, keys with a prefix, key groups, or so many', async () => {
    const scan = async (args: string) => parsed((await source.run(`state scan latest ${args}`)).stdout)
    assert.deepEqual(
      (await scan('by-digit total --key 7')).map(({ key }) => key),
      [7],
    )
    assert.equal((await scan('pairs value --prefix ["word\\u00202"]')).length, 2)
    assert.equal((await scan('by-digit total --limit 4')).length, 4)
    const [{ keyGroup }] = await scan('by-digit total --key 7')
    for (const { keyGroup: found } of await scan(`by-digit total --key-groups ${keyGroup}`))
      assert.equal(found, keyGroup)
    const [low, high] = [
      await scan('by-digit total --key-groups 0-63'),
      await scan('by-digit total --key-groups 64-127'),
    ]
    assert.equal(low.length + high.length, 10)
  })

  test('refuses filters that make no sense', async () => {
    for (const [args, message] of [
      ['--prefix 5', /--prefix 5 is neither a text nor a list/],
      ['--key-groups 9-5', /--key-groups 9-5 is neither/],
      ['--limit many', /--limit many is not a number/],
    ] as const) {
      const { code, stderr } = await source.run(`state scan latest by-digit total ${args}`)
      assert.equal(code, 2)
      assert.match(stderr, message)
    }
  })

  test('reads the snapshots of a running job while they are swept', async () => {
    const sandbox = new Sandbox()
    const running = sandbox.start(
      `run ${sandbox.job('endless.ts', ENDLESS)} --verbose --set checkpointing.retain=1 --checkpoint-interval 20`,
    )
    await running.until(/checkpoint chk-2 complete/)
    for (let i = 0; i < 3; i++) {
      const { code, stdout, stderr } = await sandbox.run('state scan endless/latest counts value')
      assert.equal(code, 0, stderr)
      assert.equal(parsed(stdout).length, 10)
    }
    await running.end('SIGINT')
  })
})

describe('state diff', () => {
  test('counts what differs by state, and lists it with --entries', async () => {
    const { snapshots } = await source.json('snapshots numbers')
    const [after, before] = snapshots.map(({ name }: { name: string }) => `numbers/${name}`)
    const { equal, states } = await source.json(`state diff ${snapshots.at(-1).name} ${after}`)
    assert.equal(equal, false)
    assert.deepEqual(
      states.find(({ state }: { state: string }) => state === 'total'),
      { operator: 'by-digit', state: 'total', added: 0, removed: 0, changed: 10 },
    )
    const { stdout } = await source.run(`state diff ${snapshots.at(-1).name} latest by-digit total`)
    assert.match(stdout, /^OPERATOR +STATE +ADDED +REMOVED +CHANGED\nby-digit +total +0 +0 +10\n$/)
    const lines = parsed(
      (await source.run(`state diff ${snapshots.at(-1).name} latest by-digit last --entries`)).stdout,
    )
    assert.equal(lines.length, 10)
    assert.deepEqual(Object.keys(lines[0]), [
      'operator',
      'state',
      'change',
      'keyGroup',
      'key',
      'mapKey',
      'before',
      'after',
    ])
    assert.ok(BigInt(lines[0].after.$bigint) > BigInt(lines[0].before.$bigint))
    assert.ok(before)
  })

  test('says with --exit-code whether there is a difference', async () => {
    const { snapshots } = await source.json('snapshots numbers')
    const oldest = snapshots.at(-1).name
    assert.equal((await source.run(`state diff ${oldest} latest`)).code, 0)
    assert.equal((await source.run(`state diff ${oldest} latest --exit-code`)).code, 1)
    assert.equal((await source.run(`state diff ${oldest} latest --exit-code --entries`)).code, 1)
    const { code, stdout, stderr } = await source.run('state diff latest latest --exit-code')
    assert.deepEqual([code, stdout], [0, ''])
    assert.match(stderr, /^the state of (\S+) and \1 is equal\n$/)
  })

  test('of an operator that neither has is refused', async () => {
    const { code, stderr } = await source.run('state diff latest latest by-digits')
    assert.equal(code, 2)
    assert.match(stderr, /has no operator 'by-digits'/)
  })
})

describe('state edit', () => {
  test('writes a savepoint that the next run starts from', async () => {
    const sandbox = copyOf()
    const { stdout, stderr } = await sandbox.run(
      'state edit latest pairs value --set ["word\\u00201",true]=1000000 --delete ["word\\u00202",true]',
    )
    assert.match(stdout, /^wrote savepoint numbers\/sp-\d+: 1 put, 1 delete\n$/)
    assert.equal(stderr, 'the next run starts from it\n')
    const { snapshots } = await sandbox.json('snapshots numbers')
    assert.deepEqual([snapshots[0].kind, snapshots[0].details.standing], ['savepoint', 'current'])
    const running = sandbox.start('run numbers.ts --verbose')
    await running.until(/from .*sp-\d+[\s\S]*complete/)
    await running.end('SIGINT')
    assert.ok((await sandbox.json('state get latest pairs value ["word\\u00201",true]')).value >= 1_000_000)
  })

  test('edits with a module, into a folder of its own, which every command reads', async () => {
    const sandbox = copyOf()
    sandbox.write(
      'edit.ts',
      'export default entry => entry.key < 3 ? undefined : { ...entry, value: { ...entry.value, n: 1 } }',
    )
    const { savepoint, puts, deletes } = await sandbox.json(
      'state edit latest by-digit total --with edit.ts --to edited',
    )
    assert.deepEqual([savepoint, puts, deletes], ['edited', 7, 3])
    const entries = parsed((await sandbox.run('state scan ./edited by-digit total')).stdout)
    assert.deepEqual(
      entries.map(({ value }) => value.n),
      [1, 1, 1, 1, 1, 1, 1],
    )
    assert.match((await sandbox.run('inspect edited by-digit total')).stdout, /\ntotal +\d+ +value +7 /)
    assert.equal((await sandbox.json('state diff latest edited')).states.length, 1)
  })

  test('refuses what is no edit', async () => {
    const sandbox = copyOf()
    sandbox.write('nothing.ts', 'export const x = 1')
    for (const [args, code, message] of [
      ['', 2, /an edit is keys with --set and --delete, or a function with --with/],
      ['--set 1=2 --with edit.ts', 2, /an edit is keys/],
      ['--set one=2', 2, /--set one=2 is not KEY=VALUE/],
      ['--set 1=two', 2, /VALUE two is not JSON/],
      ['--with gone.ts', 2, /gone\.ts could not be imported/],
      ['--with nothing.ts', 2, /no function as its default export/],
      ['--set 1={"n":1}', 1, /STATE_VALUE_INVALID.*property 'sum' is missing/],
    ] as const) {
      const result = await sandbox.run(`state edit latest by-digit total ${args}`)
      assert.equal(result.code, code, args + result.stderr)
      assert.match(result.stderr, message)
    }
    assert.ok(readdirSync(sandbox.path('.millrace/numbers/manifests')).every(name => name.startsWith('chk-')))
  })
})

test('an edit that the schema of the state forbids is refused with operator, state, key and path, whatever its width', async () => {
  const sandbox = new Sandbox()
  sandbox.job(
    'tags.ts',
    `const schema = { type: 'object', properties: { tags: { type: 'array', items: { type: 'string' } } }, required: ['tags'] }
    export default defineJob('tags', flow => {
      flow.source('names', collection(['ann', 'bob'])).keyBy(name => name)
        .process('users', { state: { profile: value({ schema }) }, onRecord(name, { state }) { state.profile.set({ tags: [name] }) } })
        .sink('none', blackhole())
    }, { checkpointing: { onFinish: 'retain' } })`,
  )
  assert.equal((await sandbox.run('run tags.ts')).code, 0)
  sandbox.write('edit.ts', `export default entry => ({ ...entry, value: { tags: ['x', 1] } })`)
  for (const [args, path] of [
    ['--set "bob"={"tags":["x",1]}', 'tags[1]'],
    ['--set "bob"={"tag":[]}', 'tags'],
    ['--with edit.ts', 'tags[1]'],
  ]) {
    const { error } = await sandbox.json(`state edit latest users profile ${args}`, 1)
    assert.equal(error.code, 'STATE_VALUE_INVALID')
    assert.match(error.message, /for key "\w+" of state 'profile' of 'users' does not fit its schema: property 'tags/)
    assert.equal(error.context.path, path)
  }
  assert.equal((await sandbox.json('state edit latest users profile --set "bob"={"tags":["x"]}')).puts, 1)
})

describe('inspect', () => {
  test('tells of each operator what it reads, and of state that is not keyed how much there is', async () => {
    const sandbox = new Sandbox()
    sandbox.job(
      'lists.ts',
      `import { list } from 'millrace'
      export default defineJob('lists', flow => {
        const all = flow.source('a', collection([1, 2, 3])).union(flow.source('b', collection([4, 5])).map(i => i))
        all.process('kept', { state: { seen: list() }, onRecord(i, ctx) { ctx.state.seen.add(i) } }).sink('none', blackhole())
      }, { checkpointing: { onFinish: 'retain' } })`,
    )
    assert.equal((await sandbox.run('run lists.ts')).code, 0)
    assert.match((await sandbox.run('inspect lists/latest')).stdout, /\nkept +process +a, b +1 +seen \(not keyed\)/)
    assert.match(
      (await sandbox.run('inspect latest kept')).stdout,
      /^lists\/chk-\d+, operator 'kept' \(process\), parallelism 1, reads from a, b\n/,
    )
    assert.match(
      (await sandbox.run('inspect latest kept seen')).stdout,
      /operator list 'seen': 5 values\n\nSUBTASK +ENTRIES\n +0 +5\n$/,
    )
    const { state } = await sandbox.json('inspect latest kept seen')
    assert.deepEqual(state, { name: 'seen', kind: 'operator list', entries: 5, subtasks: [{ subtask: 0, entries: 5 }] })
  })
})

describe('state export', () => {
  test('writes NDJSON as scan prints it', async () => {
    const sandbox = copyOf()
    const { entries, format } = await sandbox.json('state export latest by-digit last --to last.ndjson')
    assert.deepEqual([entries, format], [10, 'ndjson'])
    assert.equal(
      readFileSync(sandbox.path('last.ndjson'), 'utf8'),
      (await sandbox.run('state scan latest by-digit last')).stdout,
    )
  })

  test('writes Parquet, with a typed column for each property of a schema and JSON for all else', async () => {
    const sandbox = copyOf()
    assert.match(
      (await sandbox.run('state export latest by-digit total --to total.parquet')).stdout,
      /^wrote 10 rows to .*total\.parquet\n$/,
    )
    const rows = await rowsOf(sandbox.path('total.parquet'))
    assert.deepEqual(Object.keys(rows[0]), ['key_group', 'key', 'value.n', 'value.sum', 'value.even', 'last_touch'])
    const three = rows.find(({ key }) => key === 3)!
    const { value } = await sandbox.json('state get latest by-digit total 3')
    assert.deepEqual(
      [three['value.n'], three['value.sum'], three['value.even']],
      [BigInt(value.n), value.sum, value.even],
    )
    await sandbox.run('state export latest by-digit last --to last.parquet')
    const [last] = await rowsOf(sandbox.path('last.parquet'))
    assert.equal(last['map_key'], 'last')
    assert.match(last['value'].$bigint, /^\d+$/)
    assert.equal(
      (
        await rowsOf(sandbox.path('none.parquet'), async () =>
          sandbox.run('state export latest by-digit last --key 11 --to none.parquet'),
        )
      ).length,
      0,
    )
  })

  test('replaces no file, and leaves none when it fails', async () => {
    const sandbox = copyOf()
    sandbox.write('there.ndjson', 'mine')
    const { code, stderr } = await sandbox.run('state export latest by-digit last --to there.ndjson')
    assert.equal(code, 2)
    assert.match(stderr, /there\.ndjson exists already, and is not replaced/)
    assert.equal(statSync(sandbox.path('there.ndjson')).size, 4)
    assert.equal((await sandbox.run('state export latest by-digit lst --to new.ndjson')).code, 2)
    assert.equal((await sandbox.run('state export latest by-digit last --to new.csv')).code, 2)
    assert.deepEqual(
      readdirSync(sandbox.folder).filter(name => name.includes('new')),
      [],
    )
  })
})

async function rowsOf(
  path: string,
  make: () => Promise<unknown> = async () => undefined,
): Promise<Record<string, any>[]> {
  await make()
  const bytes = readFileSync(path)
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
  assert.ok(parquetMetadata(file).schema.length > 3)
  return (await parquetReadObjects({ file })) as Record<string, any>[]
}
