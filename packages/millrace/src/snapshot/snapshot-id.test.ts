import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isMillraceError } from '../base/errors.ts'
import { assertObjectName } from '../store/contract.ts'
import {
  lockName,
  manifestName,
  parseLockName,
  parseManifestName,
  parseRunName,
  parseSegmentName,
  runEndName,
  runName,
  segmentName,
} from './object-names.ts'
import { formatSnapshotId, parseSnapshotRef } from './snapshot-id.ts'

const number = fc.integer({ min: 1, max: 999_999_999_999_999 })
const base = (name: string): string => name.slice(name.indexOf('/') + 1)

test('every name of an object is parsed to what it was made from', () => {
  fc.assert(
    fc.property(number, number, fc.constantFrom('checkpoint', 'savepoint'), (a, b, kind) => {
      assert.deepEqual(parseManifestName(base(manifestName({ kind, id: a }))), { kind, id: a })
      assert.deepEqual(parseRunName(base(runName(a))), { run: a, end: false })
      assert.deepEqual(parseRunName(base(runEndName(a))), { run: a, end: true })
      assert.deepEqual(parseSegmentName(base(segmentName(a, b))), { token: a, number: b })
      assert.equal(parseLockName(base(lockName(a))), a)
      for (const name of [manifestName({ kind, id: a }), runName(a), segmentName(a, b), lockName(a)])
        assertObjectName(name)
    }),
  )
})

test('names are those of the documented layout', () => {
  assert.equal(manifestName({ kind: 'checkpoint', id: 42 }), 'manifests/chk-000000000042.json')
  assert.equal(manifestName({ kind: 'savepoint', id: 43 }), 'manifests/sp-000000000043.json')
  assert.equal(runName(7), 'runs/000007.json')
  assert.equal(runEndName(7), 'runs/000007.end.json')
  assert.equal(segmentName(3, 17), 'segments/3-17.seg')
  assert.equal(lockName(12), 'locks/lock-12')
})

test('a number has one spelling, so other names are no names', () => {
  for (const name of [
    'chk-42.json',
    'chk-0000000000042.json',
    'chk-000000000042.json~',
    'ck-000000000042.json',
    'chk-00000000004x.json',
  ]) {
    assert.equal(parseManifestName(name), undefined, name)
  }
  for (const name of ['7.json', '0000007.json', '000007.end', '000007.json.end'])
    assert.equal(parseRunName(name), undefined, name)
  for (const name of ['01-1.seg', '1-01.seg', '1.seg', '1-1.seg2'])
    assert.equal(parseSegmentName(name), undefined, name)
  for (const name of ['lock-', 'lock-01', 'lock-1x', 'lock--1', 'lock-9999999999999999'])
    assert.equal(parseLockName(name), undefined, name)
})

test('a snapshot is named by id, by latest, with or without its job, or by a path', () => {
  assert.deepEqual(parseSnapshotRef('latest'), { kind: 'latest', job: undefined })
  assert.deepEqual(parseSnapshotRef('word-count/latest'), { kind: 'latest', job: 'word-count' })
  assert.deepEqual(parseSnapshotRef('chk-42'), { kind: 'id', job: undefined, snapshot: { kind: 'checkpoint', id: 42 } })
  assert.deepEqual(parseSnapshotRef('job.1/sp-43'), {
    kind: 'id',
    job: 'job.1',
    snapshot: { kind: 'savepoint', id: 43 },
  })
  assert.deepEqual(parseSnapshotRef('chk-000000000042'), {
    kind: 'id',
    job: undefined,
    snapshot: { kind: 'checkpoint', id: 42 },
  })
  const path = '.millrace/job/manifests/chk-000000000042.json'
  assert.deepEqual(parseSnapshotRef(path), { kind: 'path', path, snapshot: { kind: 'checkpoint', id: 42 } })
  assert.equal(formatSnapshotId('checkpoint', 42), 'chk-42')
  assert.equal(formatSnapshotId('savepoint', 43), 'sp-43')
})

test('a text that names no snapshot is refused with what would', () => {
  for (const text of [
    '',
    'job',
    'chk-',
    'chk-0',
    'chk-1x',
    '../job/chk-1',
    'Job/chk-1',
    'a/b/chk-1',
    'chk-9999999999999999',
    '/etc/passwd',
    'x.json',
  ]) {
    assert.throws(
      () => parseSnapshotRef(text),
      error => isMillraceError(error, 'SNAPSHOT_NOT_FOUND') && error.message.includes('JOB/latest'),
      text,
    )
  }
})
