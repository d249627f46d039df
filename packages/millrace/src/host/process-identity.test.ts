import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { currentProcess, isProcessAlive, sharePids } from './process-identity.ts'

const needsProc = existsSync('/proc/self/stat') ? false : 'there is no /proc on this platform'

test('this process lives and shares pids with itself', { skip: needsProc }, () => {
  const self = currentProcess()
  assert.equal(self.pid, process.pid)
  assert.ok(self.bootId !== null && self.pidNamespace !== null && self.processStart !== null)
  assert.deepEqual(currentProcess(), self)
  assert.equal(sharePids(self, self), true)
  assert.equal(isProcessAlive(self), true)
})

test('a pid that was reused is another process', { skip: needsProc }, () => {
  assert.equal(isProcessAlive({ ...currentProcess(), processStart: '1' }), false)
})

test('a process that ended is dead, and so is one that nobody has waited for yet', { skip: needsProc }, async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  await once(child, 'spawn')
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
  const processStart = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  const identity = { ...currentProcess(), pid: child.pid!, processStart }
  assert.equal(isProcessAlive(identity), true)
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.equal(isProcessAlive(identity), false)
})

test('pids mean the same only under the same host, boot and namespace, when all are known', () => {
  const self = { pid: 1, host: 'h', bootId: 'b', pidNamespace: 'n', processStart: '1' }
  assert.equal(sharePids(self, { ...self, pid: 2, processStart: '2' }), true)
  for (const change of [
    { host: 'x' },
    { bootId: 'x' },
    { pidNamespace: 'x' },
    { bootId: null },
    { processStart: null },
  ]) {
    assert.equal(sharePids(self, { ...self, ...change }), false)
  }
  const unknown = { ...self, bootId: null, pidNamespace: null, processStart: null }
  assert.equal(sharePids(unknown, unknown), false)
})
