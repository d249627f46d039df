/** Snapshots of every released version, as this one reads them. They are written once (scripts/compat-snapshots.ts) and never again. */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { run } from 'millrace'
import { crc32 } from '../../packages/millrace/src/codec/index.ts'
import { fsck } from '../../packages/millrace/src/snapshot/fsck.ts'
import { HEADER_BYTES } from '../../packages/millrace/src/snapshot/segment-format.ts'
import { sealJson, unsealJson } from '../../packages/millrace/src/snapshot/sealed-json.ts'
import { localStorage } from '../../packages/millrace/src/store/local/index.ts'
import { compatJob, JOB } from './job.ts'

const HERE = import.meta.dirname
const VERSIONS = readdirSync(HERE, { withFileTypes: true }).flatMap(entry => (entry.isDirectory() ? [entry.name] : []))

function copyOf(version: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-compat-'))
  after(() => rmSync(folder, { recursive: true }))
  cpSync(join(HERE, version), folder, { recursive: true })
  return folder
}

const restored = (storage: string, from: string) =>
  run(compatJob('read'), { storage, from, allowDroppedState: true, checkpointing: { onFinish: 'retain' } })

const value = (n: number) => new Map([[n, { big: 10n ** 20n, at: new Date(n), zero: -0 }]])

test('this version has golden snapshots', () => {
  const file = join(HERE, '../../packages/millrace/package.json')
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string }
  assert.ok(VERSIONS.includes(version), `npm run compat:write makes test/compat/${version}`)
})

for (const version of VERSIONS) {
  describe(`snapshots of ${version}`, () => {
    const manifests = readdirSync(join(HERE, version, JOB, 'manifests'))

    test('are intact', async () => {
      assert.deepEqual((await fsck(localStorage(join(HERE, version)).job(JOB), JOB)).findings, [])
    })

    for (const file of manifests) {
      test(`${file} is restored, with state of every kind, timers and windows`, async () => {
        const handle = await restored(
          copyOf(version),
          `${file.slice(0, file.indexOf('-'))}-${Number(/\d+/.exec(file)![0])}`,
        )
        assert.equal(await handle.finished, 'finished')
        assert.deepEqual(handle.rows('unkeyed'), [
          ['plain', [1, 2, 3, 4], [10, 20, 30, 40]],
          ['plain', [1, 2, 3, 4, 5], [10, 20, 30, 40, 50]],
        ])
        const rules = [1, 2, 3, 4]
        const odd = [['odd', 1], value(3), { n: 3, half: 1.5 }, { text: 'n is 3' }, [1, 3], 3, 4, [1, 3], rules]
        const even = ['even', value(4), { n: 4, half: 2 }, { text: 'n is 4' }, [2, 4], 4, 6, [2, 4], rules]
        const timers = [1, 2, 3, 4].map(n => [n % 2 === 0 ? 'even' : ['odd', 1], 'timer', n * 100_000])
        assert.deepEqual(handle.rows('keyed-out'), [odd, even, ...timers])
        const windows = handle.rows('counts-out').map(({ key, window, value: n }) => [key, window.start, n])
        const expected = [
          [['odd', 1], 0, 2],
          ['even', 0, 2],
          [['odd', 1], 5000, 1],
          ['even', 5000, 1],
        ]
        const sorted = (rows: readonly unknown[]) => rows.map(row => JSON.stringify(row)).toSorted()
        assert.deepEqual(sorted(windows), sorted(expected))
        const collected = handle
          .rows('collected-out')
          .map(({ key, value: items }) => [key, items.map(({ n }: any) => n)])
        assert.deepEqual(
          sorted(collected),
          sorted([
            [
              ['odd', 1],
              [1, 3],
            ],
            ['even', [2, 4]],
            [['odd', 1], [5]],
            ['even', [6]],
          ]),
        )
      })
    }
  })
}

test('a manifest of a newer version is refused by name', async () => {
  const storage = copyOf(VERSIONS.at(-1)!)
  const folder = join(storage, JOB, 'manifests')
  const name = readdirSync(folder)[0]
  const file = join(folder, name)
  writeFileSync(file, sealJson({ ...unsealJson(readFileSync(file), name), version: 2 }))
  await assert.rejects(restored(storage, `chk-${Number(/\d+/.exec(name)![0])}`), {
    code: 'SNAPSHOT_VERSION',
    message: new RegExp(`${name} has format version 2; this Millrace reads up to 1`),
  })
})

test('a segment of a newer version is refused by name', async () => {
  const storage = copyOf(VERSIONS.at(-1)!)
  const folder = join(storage, JOB, 'segments')
  const name = readdirSync(folder)[0]
  const bytes = readFileSync(join(folder, name))
  bytes[VERSION_OFFSET] = 2
  bytes.writeUInt32LE(crc32(bytes.subarray(0, HEADER_BYTES - 4)), HEADER_BYTES - 4)
  writeFileSync(join(folder, name), bytes)
  await assert.rejects(restored(storage, 'latest'), {
    code: 'SNAPSHOT_VERSION',
    message: new RegExp(`${name}' has format version 2; this millrace reads up to 1`),
  })
})

/** Behind the magic of a segment's header. */
const VERSION_OFFSET = 8
