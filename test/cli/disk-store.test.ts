/** Working files of `--state-backend rocksdb` as a user meets them: where they are, what a killed process leaves, a disk that is full. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { loadRocksDb } from '@millrace/rocksdb'
import { ENDLESS, Sandbox, WORDS } from './sandbox.ts'

const STORES = isThere() ? ['rocksdb', 'sqlite'] : ['sqlite']

for (const store of STORES) {
  describe(`with ${store}:`, () => {
    const env = { MILLRACE_DISK_STORE: store }
    const flags = '--state-backend rocksdb --set state.rocksdb.directory=scratch'

    test('a finished job leaves no working files, in one thread or in several', async () => {
      const sandbox = new Sandbox()
      const job = sandbox.job('words.ts', WORDS)
      for (const parallelism of [1, 3]) {
        const { code, stderr } = await sandbox.run(`run ${job} ${flags} --fresh --parallelism ${parallelism}`, env)
        assert.equal(code, 0, stderr)
        assert.deepEqual(readdirSync(sandbox.path('scratch')), [])
      }
      assert.ok(sandbox.lines('out').some(line => line.includes('"a"')))
    })

    test('what a killed process leaves is of no use to the next one, which removes it', async () => {
      const sandbox = new Sandbox()
      const job = sandbox.job('endless.ts', ENDLESS)
      const first = sandbox.start(`run ${job} ${flags} --parallelism 2 --verbose`, env)
      await first.until(/checkpoint chk-2 complete/)
      const { pid } = first.child
      await first.end('SIGKILL')
      assert.deepEqual(ownersIn(sandbox.path('scratch')), [pid, pid])
      const second = sandbox.start(`run ${job} ${flags} --verbose`, env)
      await second.until(/checkpoint chk-\d+ complete/)
      assert.deepEqual(ownersIn(sandbox.path('scratch')), [second.child.pid])
      const { code } = await second.end('SIGINT')
      assert.equal(code, 0)
      assert.deepEqual(readdirSync(sandbox.path('scratch')), [])
    })

    test('a slot that dies with its thread leaves no working files to the one that takes its place', async () => {
      const sandbox = new Sandbox()
      const job = sandbox.job(
        'dying.ts',
        `import { existsSync, writeFileSync } from 'node:fs'
        const dieOnce = i => {
          if (i > 1000 && !existsSync('died')) { writeFileSync('died', ''); process.exit(3) }
          return i
        }
        export default defineJob('dying', flow => {
          flow.source('numbers', generator({ next: i => i, rate: 2000 })).map(dieOnce)
            .keyBy(i => i % 10).aggregate('counts', count()).sink('out', files.writeJson('out'))
        }, { checkpointing: { interval: 100 } })`,
      )
      const running = sandbox.start(`run ${job} ${flags} --set restart.initialDelay=10 --verbose`, env)
      await running.until(/restarting[^]*checkpoint chk-\d+ complete/)
      assert.ok(existsSync(sandbox.path('died')))
      assert.equal(ownersIn(sandbox.path('scratch')).length, 1)
      await running.end('SIGINT')
      assert.deepEqual(readdirSync(sandbox.path('scratch')), [])
    })

    test('a full disk fails the job with what to do; with room it goes on from its checkpoint', async context => {
      const sandbox = new Sandbox()
      const disk = sandbox.path('scratch')
      mkdirSync(disk)
      if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk]).status !== 0) {
        return context.skip('only root can make a small file system')
      }
      const job = sandbox.job(
        'large.ts',
        `import { randomBytes } from 'node:crypto'
        export default defineJob('large', flow => {
          flow.source('numbers', generator({ next: i => i, count: 60_000 })).keyBy(i => i)
            .process('keep', {
              state: { text: value() },
              onRecord: (_, ctx) => ctx.state.text.set(randomBytes(500).toString('hex')),
            })
            .sink('out', blackhole())
        }, { state: { rocksdb: { cacheBytes: '1MB', memoryBytes: '16MB' } }, restart: { strategy: 'none' } })`,
      )
      try {
        const { code, stderr } = await sandbox.run(`run ${job} ${flags}`, env)
        assert.equal(code, 1, stderr)
        assert.match(stderr, /DISK_STORE_FAILED/)
        assert.match(stderr, /scratch.*make room there, or name another disk with state\.rocksdb\.directory/)
      } finally {
        spawnSync('umount', [disk])
      }
      const { code, stderr } = await sandbox.run(`run ${job} ${flags}`, env)
      assert.equal(code, 0, stderr)
    })
  })
}

test('where the store that is asked for has another name, the job does not start', async () => {
  const sandbox = new Sandbox()
  const job = sandbox.job('words.ts', WORDS)
  const { code, stderr } = await sandbox.run(`run ${job} --state-backend rocksdb`, { MILLRACE_DISK_STORE: 'leveldb' })
  assert.equal(code, 2)
  assert.match(stderr, /MILLRACE_DISK_STORE is 'leveldb'; it must be rocksdb or sqlite/)
})

function ownersIn(scratch: string): number[] {
  return readdirSync(scratch).map(name => {
    const owner = JSON.parse(readFileSync(join(scratch, name, 'owner.json'), 'utf8')) as { readonly pid: number }
    return owner.pid
  })
}

function isThere(): boolean {
  try {
    loadRocksDb()
    return true
  } catch {
    return false
  }
}
