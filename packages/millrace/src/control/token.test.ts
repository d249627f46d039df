import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { MillraceError } from '../base/errors.ts'
import { isSameToken, readToken } from './token.ts'

const SECRET = 'a-secret-of-32-characters-length'

function fileOf(text: string, mode = 0o600): string {
  const file = join(mkdtempSync(join(tmpdir(), 'millrace-token-')), 'token')
  writeFileSync(file, text)
  chmodSync(file, mode)
  return file
}

function refuses(options: Parameters<typeof readToken>[0], message: RegExp): void {
  assert.throws(
    () => readToken(options),
    error => {
      assert.ok(error instanceof MillraceError && error.code === 'OPTION_INVALID', String(error))
      assert.match(error.message, message)
      return true
    },
  )
}

test('a token is given as it is, or in a file that its owner alone may open', () => {
  assert.equal(readToken({}), undefined)
  assert.equal(readToken({ token: SECRET }), SECRET)
  assert.equal(readToken({ tokenFile: fileOf(`${SECRET}\n`) }), SECRET)
  assert.equal(readToken({ tokenFile: fileOf(SECRET, 0o400) }), SECRET)
})

test('a file that others may read is refused, with what to do', () => {
  for (const mode of [0o640, 0o604, 0o620, 0o666]) {
    refuses({ tokenFile: fileOf(SECRET, mode) }, new RegExp(`mode ${mode.toString(8)}\\); chmod 600 `))
  }
})

test('a token that is short, long, or no text of a header is refused, and is not in the message', () => {
  for (const token of ['short', 'with a space, so it is none', 'ümläuts-are-no-ascii', 'x'.repeat(513)]) {
    refuses({ token }, /^token is not 16 to 512 visible ASCII characters; openssl rand -hex 32/)
    assert.throws(
      () => readToken({ token }),
      error => !(error as Error).message.includes(token),
    )
  }
  refuses({ tokenFile: fileOf('') }, /^what is in the tokenFile \/.* is not 16 to 512/)
})

test('a file that is missing, or too long to be one, is refused', () => {
  refuses({ tokenFile: '/nowhere/token' }, /^the tokenFile \/nowhere\/token cannot be used: ENOENT/)
  refuses({ tokenFile: fileOf('x'.repeat(5000)) }, /more than 4096 bytes/)
  refuses({ token: SECRET, tokenFile: fileOf(SECRET) }, /exclude each other/)
})

test('tokens are the same when every character is', () => {
  assert.equal(isSameToken(SECRET, SECRET), true)
  for (const other of ['', `${SECRET}x`, SECRET.slice(1), SECRET.toUpperCase()])
    assert.equal(isSameToken(other, SECRET), false)
})
