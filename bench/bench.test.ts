/** The benchmarks at smoke size: they run, and what they compute is what a plain loop computes. Times are never asserted. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { DEFAULTS, parseOptions, type Options } from './args.ts'
import { fnv, random, RowSum } from './arithmetic.ts'
import { plainW1 } from './baseline.ts'
import { benchPlain, MICRO } from './benchmarks.ts'
import { QUERIES } from './full-size.ts'
import { Meter } from './meter.ts'
import { benchQuery } from './nexmark/index.ts'
import { markdown } from './report.ts'
import { emptyAggregate, update } from './w3/aggregate.ts'
import { benchW3 } from './w3/index.ts'
import { benchW1 } from './w1/index.ts'
import { ensureText } from './w1/text.ts'
import { benchW4 } from './w4/index.ts'

/** Every workload is run at each of them; the checksum is the same. */
const PARALLELISMS = [1, 2]

const cache = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
after(() => rmSync(cache, { recursive: true, force: true }))

function options(some: Partial<Options>): Options {
  return { ...DEFAULTS, intervalMs: 50, ...some }
}

test('the text of W1 is cut at line ends into four files, and made once', () => {
  const text = ensureText(300_000, cache)
  assert.deepEqual(ensureText(300_000, cache), text)
  assert.equal(text.tokens, 36_520)
  const parts = readdirSync(text.dir).filter(name => name.startsWith('part-'))
  const texts = parts.map(name => readFileSync(join(text.dir, name), 'utf8'))
  assert.equal(texts.length, 4)
  for (const part of texts) assert.ok(Math.abs(part.length - 75_000) < 200 && part.endsWith('\n'))
  assert.equal(texts.join('').split(/\s+/).length - 1, text.tokens)
})

for (const parallelism of PARALLELISMS) {
  const at = `at parallelism ${parallelism}`

  test(`W1 ${at} counts what a plain loop counts`, async () => {
    const small = options({ bytes: 300_000, parallelism })
    const { line } = await benchW1(small, cache)
    assert.equal(line.events, 36_520)
    assert.equal(line.checksum, (await plainW1(small, cache)).line.checksum)
  })

  for (const query of Object.keys(QUERIES)) {
    test(`Nexmark ${query} ${at} gives the checksum of a plain loop`, async () => {
      const small = options({ events: 100_000, parallelism })
      const { line } = await benchQuery(query, small)
      assert.equal(line.checksum, (await benchPlain(query, small)).line.checksum)
      assert.ok((line['checkpoints'] as number) > 0)
    })
  }

  for (const zipf of [false, true]) {
    test(`W3 ${at} gives both checksums of a plain loop, keys ${zipf ? 'skewed' : 'uniform'}, and is restored`, async () => {
      const small = options({ keys: 1000, events: 200_000, parallelism, zipf, b: parallelism === 1, intervalMs: 20 })
      const { line } = await benchW3(small)
      const plain = await benchPlain('w3', small)
      assert.equal(line.checksum, plain.line.checksum)
      assert.equal(line['checksum_b'], plain.line['checksum_b'])
      assert.ok((line['max_pause_ms'] as number) >= 0)
      assert.ok((line['restore_to_first_output_ms'] as number) > 0)
    })
  }

  test(`W4 ${at} is killed, goes on, and gives the checksum of an unbroken run`, async () => {
    const small = options({ keys: 2000, events: 3_000_000, parallelism, intervalMs: 20 })
    const { line } = await benchW4(small)
    assert.equal(line.checksum, (await benchPlain('w4', small)).line.checksum)
    assert.ok((line['killed_at_rows'] as number) >= 1_200_000)
    assert.ok((line['restart_to_first_output_ms'] as number) > 0)
    assert.ok((line['restart_to_caught_up_ms'] as number) >= (line['restart_to_first_output_ms'] as number))
  })
}

/** Of 100,000 events, computed by a script that shares nothing with these loops, nor with the events. */
const CHECKSUMS: { readonly [query: string]: string } = {
  q1: '827d06681be4a2dd-92000',
  q2: '8f2e6d8384aa72e5-370',
  q3: '8287fd95213ea7e2-532',
  q5: '2ac6fda72e623bbf-9',
  q7: '5d3cf773dec677dc-1',
  q8: '67332867bde80d06-936',
  q11: '2e3f61aac8e9be72-1923',
}

test('the plain loops give the checksums that are known', async () => {
  for (const [query, checksum] of Object.entries(CHECKSUMS)) {
    assert.equal((await benchPlain(query, options({ events: 100_000 }))).line.checksum, checksum)
  }
})

test('a query whose source has several splits gives the same', async () => {
  for (const query of ['q5', 'q8', 'q11']) {
    const { line } = await benchQuery(query, options({ events: 100_000, splits: 7 }))
    assert.equal(line.checksum, CHECKSUMS[query])
  }
})

test('the pad of an aggregate takes the low byte of each value, at the number modulo 76', () => {
  const aggregate = emptyAggregate()
  const bytes = new DataView(new ArrayBuffer(76))
  for (let n = 0; n < 300; n++) {
    const value = random(n, 2) % 1000
    update(aggregate, n, value)
    bytes.setUint8(n % 76, value & 255)
  }
  const pad = Object.entries(aggregate).filter(([name]) => name.startsWith('pad'))
  assert.equal(pad.length, 19)
  for (const [name, word] of pad) assert.equal(word, bytes.getInt32(Number(name.slice(3)) * 4, true))
})

test('the command prints a line with all fields of a run, whatever the case of the name', () => {
  const args = [join(import.meta.dirname, 'index.ts'), 'Q2', '--events', '20000', '--interval', '50']
  const line = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as object
  const fields =
    'engine workload parallelism backend events wall_s cpu_s events_per_s events_per_cpu_s peak_rss_mb checkpoints ' +
    'checkpoint_ms_median checkpoint_ms_max checkpoint_bytes state_bytes checksum'
  assert.deepEqual(
    fields.split(' ').filter(field => !(field in line)),
    [],
  )
})

test('the command refuses a name or an option that it does not know', () => {
  for (const args of [[], ['w2'], ['w1', '--paralelism', '2'], ['w1', '--parallelism', '0'], ['w1', 'q1']]) {
    const { status, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, 'index.ts'), ...args])
    assert.equal(status, 2, args.join(' '))
    assert.match(String(stderr), /usage: npm run bench -- w1 \| q1/)
  }
  assert.equal(parseOptions(['W1', '--bytes', '2e6']).options.bytes, 2_000_000)
})

test('the steady rate is that from a quarter of the source to its last record', () => {
  const meter = new Meter()
  const steady = () => meter.use(1000).steady_events_per_s
  meter.mark(0.1)
  assert.equal(steady(), undefined)
  meter.mark(0.3)
  assert.equal(steady(), undefined)
  meter.mark(1)
  const rate = steady()
  assert.ok(rate! > 0)
  meter.mark(1)
  assert.equal(steady(), rate)
})

test('the report shows medians, spread, the ratio to the plain loop, and what failed', () => {
  const sample = { workload: 'w1', engine: 'millrace', wall_s: 2, steady_events_per_cpu_s: 4e6, checksum: 'c' }
  const group = { failures: [] as string[] }
  const text = markdown({
    cpu: 'CPU',
    cores: 2,
    memoryGb: 24,
    system: 'linux x64',
    node: '24.0.0',
    commit: 'abc1234',
    date: '2026-01-01',
    smoke: false,
    samplesWanted: 2,
    groups: [
      { ...group, command: 'npm run bench -- w1', samples: [sample, { ...sample, steady_events_per_cpu_s: 3e6 }] },
      {
        ...group,
        command: 'npm run bench -- w1 --plain',
        samples: [{ ...sample, engine: 'plain', steady_events_per_cpu_s: 7e6 }],
      },
      { command: 'npm run bench -- w3', samples: [], failures: ['no room'] },
    ],
  })
  assert.match(text, /^\| `w1` \| 3\.50 \(3\.00 – 4\.00\) \| 2\.0 \(2\.0 – 2\.0\) \| 0\.50 \|$/m)
  assert.match(text, /^- `npm run bench -- w3`: no room$/m)
})

for (const [name, bench] of Object.entries(MICRO)) {
  test(`the benchmark of the ${name} measures every part`, async () => {
    const result = Object.values(await bench(options({ events: 20_480, keys: 2000 })))
    assert.ok(result.length > 0 && result.every(ns => ns >= 0) && result.some(ns => ns > 0))
  })
}

test('the checksum does not depend on the order of rows, but on every row', () => {
  const sum = (rows: number[][]) => {
    const all = new RowSum()
    for (const row of rows) all.add(...row)
    return String(all)
  }
  assert.equal(
    sum([
      [1, 2],
      [3, 4],
    ]),
    sum([
      [3, 4],
      [1, 2],
    ]),
  )
  assert.notEqual(sum([[1, 2]]), sum([[2, 1]]))
  assert.equal(fnv('abc'), 0x1a47e90b | 0)
  assert.ok(random(1, 2) !== random(2, 1))
})
