import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { makeScratchDirectory, removeScratchOfThread } from './scratch-directory.ts'

const root = mkdtempSync(join(tmpdir(), 'millrace-scratch-'))
after(() => rmSync(root, { recursive: true, force: true }))
let bases = 0
const newBase = () => join(root, String(bases++), 'not there yet')

const MODULE = new URL('./scratch-directory.ts', import.meta.url).href
const MAKE = `import(${JSON.stringify(MODULE)}).then(({ makeScratchDirectory }) => console.log(makeScratchDirectory(`

/** Made by a process that has ended without removing it. */
function leave(base: string): string {
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', `${MAKE}${JSON.stringify(base)})))`], {
    encoding: 'utf8',
  })
  assert.equal(stderr, '')
  return stdout.trim()
}

function editOwner(directory: string, change: (owner: object) => object): void {
  const file = join(directory, 'owner.json')
  writeFileSync(file, JSON.stringify(change(JSON.parse(readFileSync(file, 'utf8')) as object)))
}

test('each is one of its own, below a base that is made when it is missing', () => {
  const base = newBase()
  const made = [makeScratchDirectory(base), makeScratchDirectory(base)]
  assert.deepEqual(
    readdirSync(base)
      .map(name => join(base, name))
      .sort(),
    made.sort(),
  )
  assert.ok(made.every(directory => readdirSync(directory).join() === 'owner.json'))
})

test('what a dead process left is removed by the next start; what a living one has, stays', () => {
  const base = newBase()
  const mine = makeScratchDirectory(base)
  const left = leave(base)
  mkdirSync(join(left, 'rocksdb'))
  writeFileSync(join(left, 'rocksdb', '000012.sst'), 'x')
  assert.ok(existsSync(left))
  makeScratchDirectory(base)
  assert.ok(!existsSync(left))
  assert.ok(existsSync(mine))
})

test('a process that got the pid of a dead one does not keep its files alive', () => {
  const base = newBase()
  const left = makeScratchDirectory(base)
  editOwner(left, owner => ({ ...owner, processStart: '1' }))
  makeScratchDirectory(base)
  assert.ok(!existsSync(left))
})

test('what cannot be judged stays: of another host or container, without a readable owner, of another name', () => {
  const base = newBase()
  const changes: ((owner: object) => object)[] = [
    owner => ({ ...owner, pid: 2 ** 22 + 1, host: 'elsewhere' }),
    owner => ({ ...owner, pid: 2 ** 22 + 1, pidNamespace: 'pid:[1]' }),
    owner => ({ ...owner, pid: 2 ** 22 + 1, bootId: null }),
  ]
  const kept = changes.map(change => {
    const directory = makeScratchDirectory(base)
    editOwner(directory, change)
    return directory
  })
  const unreadable = makeScratchDirectory(base)
  writeFileSync(join(unreadable, 'owner.json'), '{"pid":')
  const others = join(base, 'millrace-something')
  mkdirSync(others)
  makeScratchDirectory(base)
  for (const directory of [...kept, unreadable, others]) assert.ok(existsSync(directory), directory)
})

test('what a thread left that has ended is removed, and nothing else', async () => {
  const base = newBase()
  const mine = makeScratchDirectory(base)
  const thread = new Worker(`${MAKE}${JSON.stringify(base)})))`, { eval: true, stdout: true })
  const { threadId } = thread
  await new Promise(resolve => thread.once('exit', resolve))
  assert.equal(readdirSync(base).length, 2)
  removeScratchOfThread(base, threadId)
  assert.deepEqual(
    readdirSync(base).map(name => join(base, name)),
    [mine],
  )
})

test('a base that cannot be written to is named, and what to do', () => {
  const file = join(root, 'a file')
  writeFileSync(file, '')
  assert.throws(() => makeScratchDirectory(join(file, 'base')), {
    code: 'DISK_STORE_FAILED',
    message: /no directory for working state can be made in .*a file\/base: ENOTDIR.*state\.rocksdb\.directory/,
  })
})
