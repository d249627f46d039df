/** The example examples/flights: the demo as the README tells of it, and the job under kills at random moments. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { dataFile, readOutput, verify } from '../../examples/flights/verify.ts'
import { runUntilFinished, type Doom } from '../../packages/millrace/src/testing/crash-runner.ts'
import { seededRandom } from '../../packages/millrace/src/testing/seeded-random.ts'

const example = join(import.meta.dirname, '../../examples/flights')
const launcher = join(import.meta.dirname, '../../packages/millrace/bin/millrace.js')
const root = mkdtempSync(join(tmpdir(), 'millrace-flights-'))
after(() => rmSync(root, { recursive: true, force: true }))

/** The first weeks of the year, so that a run takes less than a second. */
const someFlights = join(root, 'some-flights.csv.gz')
const someFlightsCount = 60_000
const lines = gunzipSync(readFileSync(dataFile))
  .toString()
  .split('\n', someFlightsCount + 1)
writeFileSync(someFlights, gzipSync(`${lines.join('\n')}\n`))

/** Runs the job on them in a folder of its own, with these kills on the way. @returns what it wrote */
async function run(
  name: string,
  dooms: readonly Doom[],
): Promise<{ daily: string; turnarounds: string; deaths: number }> {
  const storage = join(root, name, 'storage')
  const out = join(root, name, 'out')
  const params = ['--set', `params.data=${someFlights}`, '--set', `params.out=${out}`]
  const args = ['run', join(example, 'flights.ts'), '--json', '--storage', storage, '--checkpoint-interval', '30ms']
  const { deaths } = await runUntilFinished({ script: launcher, args: [...args, ...params] }, dooms)
  return { daily: readOutput(join(out, 'daily')), turnarounds: readOutput(join(out, 'turnarounds')), deaths }
}

test('the job, killed at random moments, writes what an undisturbed run writes, byte for byte', async () => {
  const undisturbed = await run('undisturbed', [])
  for (const { result, rows, difference } of verify(join(root, 'undisturbed/out'), someFlights)) {
    assert.equal(difference, undefined, result)
    assert.ok(rows > 100, `${rows} rows of ${result}`)
  }
  const seed = Number(process.env['FLIGHTS_SEED'] ?? Date.now() % 1_000_000)
  const random = seededRandom(seed)
  const anywhere = (): Doom => ({ delayMs: random() * 600 })
  const soonAfterACheckpoint = (): Doom => ({ after: '"type":"checkpoint"', delayMs: random() * 60 })
  const dooms = [soonAfterACheckpoint(), anywhere(), soonAfterACheckpoint(), anywhere(), soonAfterACheckpoint()]
  const killed = await run('killed', dooms)
  assert.ok(killed.deaths > 0)
  const again = `FLIGHTS_SEED=${seed}`
  assert.ok(killed.daily === undisturbed.daily, `daily differs; ${again}`)
  assert.ok(killed.turnarounds === undisturbed.turnarounds, `turnarounds differ; ${again}`)
})

test('the independent verification finds a row that is missing, doubled or changed', () => {
  const out = join(root, 'undisturbed/out')
  const verdict = () => verify(out, someFlights).find(({ difference }) => difference !== undefined)
  assert.equal(verdict(), undefined)
  const folder = join(out, 'daily')
  const part = join(
    folder,
    readdirSync(folder)
      .filter(name => name.startsWith('part-'))
      .sort()[1],
  )
  const rows = readFileSync(part, 'utf8').split('\n')
  const damages = [rows.slice(1), [rows[0], ...rows], [rows[0].replace(/\d/, '9'), ...rows.slice(1)]]
  for (const damaged of damages) {
    writeFileSync(part, damaged.join('\n'))
    assert.equal(verdict()?.result, 'daily')
  }
})

test('the demo kills the job twice, resumes it twice, and finds every row as computed independently', () => {
  const folder = join(root, 'demo')
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(example, 'demo.ts'), '--folder', folder], {
    encoding: 'utf8',
    timeout: 120_000,
  })
  assert.equal(status, 0, stdout + stderr)
  assert.equal(stderr.match(/resumed from checkpoint chk-\d+ \(.* old\)/g)?.length, 2, stderr)
  assert.match(stderr, /finished: 336,776 records/)
  assert.match(stdout, /verified: 15,297 rows identical to an independent computation/)
})
