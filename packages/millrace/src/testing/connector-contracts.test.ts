import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { before, test } from 'node:test'

/** Names of the tests that failed, of every connector in broken-connectors.ts. */
const failed = new Map<string, string[]>()
let passed = 0

before(() => {
  const { NODE_TEST_CONTEXT: _inherited, ...env } = process.env
  const file = fileURLToPath(new URL('./broken-connectors.ts', import.meta.url))
  const { stdout } = spawnSync(process.execPath, ['--test', '--test-reporter=tap', file], { env, encoding: 'utf8' })
  for (const [, not, connector, sentence] of stdout.matchAll(/^(not )?ok \d+ - ((?:source|sink)\\?:\S+) (.*)$/gm)) {
    if (not === undefined) passed++
    else failed.set(connector.replace('\\', ''), [...(failed.get(connector.replace('\\', '')) ?? []), sentence])
  }
})

const faults: [string, string][] = [
  ['source:repeats', 'goes on after any record with exactly the rest'],
  ['source:skips', 'goes on after any record with exactly the rest'],
  ['source:too-many', 'hands out at most maxRecords in a call'],
  ['source:loses', 'hands out exactly the expected records'],
  ['source:no-end', 'stays at its end'],
  ['source:unstable-id', 'lists one split for each list of expected records, with unique ids and plain JSON'],
  ['source:no-json', 'has the same position before and after a look at it'],
  ['source:backwards', 'never goes back in its progress'],
  ['sink:shows-early', 'shows nothing before the commit'],
  ['sink:commits-twice', 'shows a record once however often its commit is repeated'],
  ['sink:drops-aborted', 'loses nothing of a checkpoint that was aborted'],
  ['sink:late-barrier', 'keeps what is written after a barrier for the next checkpoint'],
  ['sink:keeps-leftovers', 'never shows what was written after the last checkpoint before a crash'],
  ['sink:never-retracts', 'hides what an abandoned past committed, if it says that it retracts'],
  ['sink:forgets-carried', 'commits after a crash what was prepared before it'],
]

test('connectors that keep their contract pass its suite', () => {
  assert.ok(passed > 100, `${passed} tests passed`)
  assert.deepEqual([failed.get('source:none'), failed.get('sink:none')], [undefined, undefined])
})

for (const [connector, sentence] of faults) {
  test(`the suite catches ${connector}`, () => {
    assert.ok(failed.get(connector)?.includes(sentence), `failed: ${JSON.stringify(failed.get(connector))}`)
  })
}
