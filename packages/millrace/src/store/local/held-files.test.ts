import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { holdFiles } from './held-files.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-held-'))
after(() => rmSync(folder, { recursive: true, force: true }))
mkdirSync(join(folder, 'segments'))

const openFiles = (): number => readdirSync('/proc/self/fd').length

test('a held file is read to its end after its name is gone, and let go when closed', async () => {
  writeFileSync(join(folder, 'segments/1'), 'abcdef')
  const before = openFiles()
  const held = await holdFiles(folder, ['segments/1'])
  rmSync(join(folder, 'segments/1'))
  assert.equal(await held.size('segments/1'), 6)
  assert.equal(Buffer.from(await held.read('segments/1')).toString(), 'abcdef')
  assert.equal(Buffer.from(await held.read('segments/1', 4, 10)).toString(), 'ef')
  assert.equal(await held.size('segments/2'), undefined)
  await assert.rejects(held.read('segments/2'), { code: 'OBJECT_MISSING' })
  await held.close()
  assert.equal(openFiles(), before)
  await assert.rejects(held.read('segments/1'), { code: 'STORE_FAILED', message: /was closed/ })
})

test('where one of the files is missing none is held', async () => {
  writeFileSync(join(folder, 'segments/3'), 'x')
  const before = openFiles()
  await assert.rejects(holdFiles(folder, ['segments/3', 'segments/4']), {
    code: 'OBJECT_MISSING',
    message: /segments\/4 is missing/,
  })
  assert.equal(openFiles(), before)
})

test('a name that leads out of the folder is refused', async () => {
  await assert.rejects(holdFiles(folder, ['../x']), { code: 'BAD_REFERENCE' })
})
