/** The command line itself: help, version, what is not understood, errors and their pages. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ERRORS } from '../../packages/millrace/src/base/errors.ts'
import { Sandbox } from './sandbox.ts'

const sandbox = new Sandbox()
const COMMANDS = 'run jobs snapshots checkpoint stop cancel rescale inspect delete fsck explain'.split(' ')

test('--version prints the version of the package', async () => {
  const { version } = JSON.parse(readFileSync(sandbox.path('node_modules/millrace/package.json'), 'utf8'))
  assert.deepEqual(await sandbox.run('--version'), { code: 0, signal: null, stdout: `${version}\n`, stderr: '' })
})

test('--help lists every command, and the help of each command has an example', async () => {
  const { code, stdout } = await sandbox.run('--help')
  assert.equal(code, 0)
  for (const command of COMMANDS) {
    assert.match(stdout, new RegExp(`^  ${command} `, 'm'))
    const help = await sandbox.run(`${command} --help`)
    assert.equal(help.code, 0)
    assert.match(help.stdout, new RegExp(`Example:\n  millrace ${command}\\b`))
  }
})

test('without a command the help goes to standard error, with exit status 2', async () => {
  const { code, stdout, stderr } = await sandbox.run('')
  assert.deepEqual([code, stdout], [2, ''])
  assert.match(stderr, /^Usage: millrace/)
})

test('an unknown command is refused with a suggestion and the next step', async () => {
  const { code, stdout, stderr } = await sandbox.run('snapshot x')
  assert.deepEqual([code, stdout], [2, ''])
  assert.equal(
    stderr,
    `error USAGE: unknown command 'snapshot'; did you mean snapshots?\n  Run millrace --help to see what is allowed.\n  millrace explain USAGE\n`,
  )
})

test('an unknown flag is refused with a suggestion', async () => {
  const { code, stderr } = await sandbox.run('run job.ts --frehs')
  assert.equal(code, 2)
  assert.match(stderr, /^error USAGE: unknown option '--frehs'; did you mean --fresh\?\n {2}Run millrace run --help /)
})

test('missing, excess and contradicting arguments are refused', async () => {
  const messages = [
    ['run', /missing required argument 'job-file'/],
    ['jobs x', /too many arguments for 'jobs'/],
    ['run job.ts --from', /option '--from <snapshot>' argument missing/],
    ['run job.ts --fresh --from chk-1', /'--fresh' cannot be used with option '--from <snapshot>'/],
  ] as const
  for (const [args, message] of messages) {
    const { code, stderr } = await sandbox.run(args)
    assert.equal(code, 2, args)
    assert.match(stderr, message)
  }
})

test('with --json an error is an object on standard output, and standard error stays empty', async () => {
  const { error } = await sandbox.json('jobs --nonsense', 2)
  assert.deepEqual(Object.keys(error), ['code', 'message', 'context', 'hint', 'fix'])
  assert.equal(error.code, 'USAGE')
  assert.equal(error.fix, ERRORS.USAGE.fix)
})

test('explain prints the page of an error, however the code is written', async () => {
  for (const code of ['JOB_LOCKED', 'job-locked']) {
    const { code: exit, stdout } = await sandbox.run(`explain ${code}`)
    assert.equal(exit, 0)
    const { title, meaning, fix } = ERRORS.JOB_LOCKED
    for (const part of ['JOB_LOCKED: ', title, meaning, fix, 'Exit status:  3']) assert.ok(stdout.includes(part), part)
  }
  assert.deepEqual(await sandbox.json('explain JOB_LOCKED'), { code: 'JOB_LOCKED', ...ERRORS.JOB_LOCKED, exitCode: 3 })
})

test('explain suggests a code for one that it does not know', async () => {
  const { code, stderr } = await sandbox.run('explain JOB_LOKED')
  assert.equal(code, 2)
  assert.match(stderr, /there is no error code 'JOB_LOKED'; did you mean JOB_LOCKED\?/)
})
