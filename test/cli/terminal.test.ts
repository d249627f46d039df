/** What is different on a terminal: the progress line, and the question before something is deleted. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { ENDLESS, Sandbox } from './sandbox.ts'

const skip =
  spawnSync('script', ['--version']).status === 0
    ? false
    : 'a terminal is made with script of util-linux, which is not here'
const WIPE = '\r\u001b[K'

test(
  'a bounded run shows records, rate, percent and the last checkpoint in one line, above which rows appear whole',
  { skip },
  async () => {
    const sandbox = new Sandbox()
    const job = sandbox.job(
      'bounded.ts',
      `export default defineJob('bounded', flow => {
      const numbers = flow.source('in', generator({ next: i => i, rate: 2000, count: 2000 }))
      numbers.filter(i => i % 200 === 0).map(i => 'row ' + i).sink('rows', show())
      numbers.sink('out', blackhole())
    }, { checkpointing: { interval: 200 } })`,
    )
    const { code, stdout } = await sandbox.startOnTerminal(`run ${job}`, 60).result
    assert.equal(code, 0)
    const shown = stdout.split(WIPE)
    const lines = shown.filter(line => line.includes(' records  '))
    for (const line of lines) assert.ok(line.split('\r')[0].length < 60, line)
    const full = /^[\d,]+ records {2}[\d,]+\/s {2}\d+ % {2}chk-\d+ (just now|\d+ s ago) \(took/
    assert.ok(
      lines.some(line => full.test(line)),
      stdout,
    )
    const texts = shown.flatMap(part => part.split('\r\n'))
    assert.equal(texts.filter(text => /^row \d+$/.test(text)).length, 10, stdout)
    assert.ok(
      texts.some(text => text.startsWith('finished: 2,000 records in ')),
      stdout,
    )
  },
)

test('delete asks, says what would be lost, and deletes only after yes', { skip }, async () => {
  const sandbox = new Sandbox()
  const running = sandbox.start(`run ${sandbox.job('endless.ts', ENDLESS)} --verbose`)
  await running.until(/checkpoint chk-1 complete/)
  await running.end('SIGINT')
  const before = (await sandbox.json('snapshots endless')).snapshots
  const remaining = async (answer: string): Promise<number> => {
    const asking = sandbox.startOnTerminal(`delete ${before[0].name}`)
    await asking.until(
      /Delete endless\/chk-\d+ \(\d+ \w+ old, [\d.]+ \w+\)\? The next run would start from it\. \[y\/N\] /,
    )
    asking.child.stdin!.write(answer)
    assert.equal((await asking.result).code, 0)
    return (await sandbox.json('snapshots endless')).snapshots.length
  }
  assert.equal(await remaining('\n'), before.length)
  assert.equal(await remaining('y\n'), before.length - 1)
})
