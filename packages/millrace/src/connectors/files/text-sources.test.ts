import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { after, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { z } from 'zod'
import { isMillraceError, type ErrorCode } from '../../base/errors.ts'
import type { Json } from '../../base/json.ts'
import { CollectingOutput, SourceDriver } from '../../testing/connector-context.ts'
import { sourceContract } from '../../testing/source-contract.ts'
import type { Source } from '../contract.ts'
import { files } from './index.ts'
import type { MalformedLine } from './malformed-lines.ts'

const root = mkdtempSync(join(tmpdir(), 'millrace-sources-'))
after(() => rmSync(root, { recursive: true }))
let folders = 0

/** A new folder with these files. */
function folder(contents: { [name: string]: string | Buffer } = {}): string {
  const dir = join(root, String(folders++))
  mkdirSync(dir)
  for (const [name, content] of Object.entries(contents)) writeFileSync(join(dir, name), content)
  return dir
}

function code(expected: ErrorCode, ...parts: string[]): (error: unknown) => boolean {
  return error => {
    assert.ok(isMillraceError(error, expected), String(error))
    for (const part of parts) assert.ok(error.message.includes(part), `'${error.message}' has '${part}' in it`)
    return true
  }
}

async function readAll<T>(source: Source<T>, driver = new SourceDriver()): Promise<CollectingOutput<T>> {
  const output = new CollectingOutput<T>()
  for (const split of await source.enumerate(driver)) {
    const reader = await source.open(split, undefined, driver)
    try {
      await driver.read(reader, output, Infinity, 100)
    } finally {
      await reader.close()
    }
  }
  return output
}

// ------------------------------------------------------------------------------------------------------- the contract suite

const words = Array.from({ length: 500 }, (_, index) => `line ${index} ${'ü'.repeat(index % 7)}`)
const objects = Array.from({ length: 120 }, (_, index) => ({ id: index, name: `name ${index}` }))
const rows = Array.from({ length: 90 }, (_, index) => ({
  id: String(index),
  note: index % 3 === 0 ? `two\r\nlines, "quoted" ${index}` : 'plain',
}))
const csvText = `id,note\r\n${rows.map(row => `${row.id},"${row.note.replaceAll('"', '""')}"\r\n`).join('')}`

const textDir = folder({ 'a.txt': words.join('\n'), 'b.txt': `${words.slice(0, 3).join('\r\n')}\r\n`, 'c.txt': '' })
sourceContract('files.lines', {
  make: () => files.lines(join(textDir, '*.txt')),
  expected: [words, words.slice(0, 3), []],
})
sourceContract('files.lines with follow', {
  make: () => files.lines(join(textDir, 'b.txt'), { follow: true }),
  expected: [words.slice(0, 3)],
})

const large = Array.from(
  { length: 40_000 },
  (_, index) => `line ${index} of a text that decompresses to more than is read ahead`,
)
const gzipDir = folder({
  'a.gz': gzipSync(words.join('\n')),
  'b.gz': Buffer.concat([gzipSync('first member\nspa'), gzipSync('ns two\n'), gzipSync('')]),
  'c.gz': gzipSync(large.join('\n')),
  'd.gz': 'a plain text that is called .gz',
  'e.gz': gzipSync(''),
  'f.gz': '',
})
sourceContract('files.lines of gzip', {
  make: () => files.lines(join(gzipDir, '*.gz')),
  expected: [words, ['first member', 'spans two'], large, ['a plain text that is called .gz'], [], []],
  maxResumes: 8,
})

const jsonText = objects.map(object => `${JSON.stringify(object)}\n`).join('\n  \n')
const jsonDir = folder({ 'a.jsonl': jsonText })
sourceContract('files.json', { make: () => files.json(join(jsonDir, 'a.jsonl')), expected: [objects] })

const csvDir = folder({ 'a.csv': csvText, 'b.csv': 'id,note\n', 'c.csv': '', 'd.csv.gz': gzipSync(csvText) })
sourceContract('files.csv', { make: () => files.csv(join(csvDir, '*')), expected: [rows, [], [], rows] })

// ------------------------------------------------------------------------------------------------------------------- listing

test('files are listed pattern by pattern, sorted, once, without directories and names that start with a dot', async () => {
  const dir = folder({ 'b.txt': '', 'a.txt': '', '.hidden.txt': '', 'c.csv': '', 'z[1].txt': '' })
  mkdirSync(join(dir, 'd.txt'))
  const ids = async (globs: string | string[]) =>
    (await files.lines(globs).enumerate(new SourceDriver())).map(split => split.id)
  assert.deepEqual(
    await ids(join(dir, '*')),
    ['a.txt', 'b.txt', 'c.csv', 'z[1].txt'].map(name => join(dir, name)),
  )
  assert.deepEqual(
    await ids([join(dir, 'c.csv'), join(dir, '*.txt'), join(dir, 'a.txt')]),
    ['c.csv', 'a.txt', 'b.txt', 'z[1].txt'].map(name => join(dir, name)),
  )
  writeFileSync(join(dir, 'd.txt', 'e.txt'), '')
  assert.deepEqual(
    await ids(join(dir, '**')),
    ['a.txt', 'b.txt', 'c.csv', 'd.txt/e.txt', 'z[1].txt'].map(name => join(dir, name)),
  )
  assert.deepEqual(await ids(join(dir, 'z[1].txt')), [join(dir, 'z[1].txt')], 'the name of a file is that file')
})

test('a relative pattern gives relative split ids, and each split knows its size', async () => {
  const dir = relative(process.cwd(), folder({ 'a.txt': 'abc' }))
  const splits = await files.lines(join(dir, '*.txt')).enumerate(new SourceDriver())
  assert.deepEqual(splits, [{ id: join(dir, 'a.txt'), detail: { size: 3 } }])
})

test('a literal path without a file, and a bounded pattern without a match, are SOURCE_FILE_MISSING', async () => {
  const dir = folder({ 'a.txt': '' })
  const list = (glob: string, follow: boolean) => files.lines(join(dir, glob), { follow }).enumerate(new SourceDriver())
  await assert.rejects(list('b.txt', false), code('SOURCE_FILE_MISSING', 'b.txt does not exist'))
  await assert.rejects(list('b.txt', true), code('SOURCE_FILE_MISSING', 'b.txt does not exist'))
  await assert.rejects(list('a.txt/b.txt', false), code('SOURCE_FILE_MISSING'))
  await assert.rejects(list('*.json', false), code('SOURCE_FILE_MISSING', '*.json matches no file'))
  await assert.rejects(list('.', false), code('SOURCE_FILE_MISSING', 'is a directory'))
  await assert.rejects(
    files.lines('/dev/null').enumerate(new SourceDriver()),
    code('SOURCE_FILE_MISSING', 'not a regular file'),
  )
  assert.deepEqual(await list('*.json', true), [])
})

// ------------------------------------------------------------------------------------------------------- files that change

test('a file that is gone or shorter than at the first start fails the open, and growth is not read', async () => {
  const dir = folder({ 'a.txt': 'one\ntwo\n' })
  const path = join(dir, 'a.txt')
  const source = files.lines(path)
  const driver = new SourceDriver()
  const [split] = await source.enumerate(driver)
  appendFileSync(path, 'three\n')
  const output = new CollectingOutput<string>()
  await driver.read(await source.open(split, { offset: 4 }, driver), output, Infinity, 10)
  assert.deepEqual(output.records, ['two'])
  truncateSync(path, 3)
  await assert.rejects(source.open(split, { offset: 4 }, driver), code('SOURCE_FILE_CHANGED', path))
  rmSync(path)
  await assert.rejects(source.open(split, undefined, driver), code('SOURCE_FILE_MISSING', path))
})

test('a file that is cut while it is read fails the read', async () => {
  const path = join(folder({ 'a.txt': 'x\n'.repeat(300_000) }), 'a.txt')
  const source = files.lines(path)
  const driver = new SourceDriver()
  const [split] = await source.enumerate(driver)
  const reader = await source.open(split, undefined, driver)
  await driver.read(reader, new CollectingOutput(), 10, 10)
  truncateSync(path, 1000)
  await assert.rejects(
    driver.read(reader, new CollectingOutput(), Infinity, 1000),
    code('SOURCE_FILE_CHANGED', path, '600000'),
  )
  await reader.close()
})

test('a position or split that makes no sense is SNAPSHOT_DAMAGED', async () => {
  const path = join(folder({ 'a.txt': 'x\n' }), 'a.txt')
  const source = files.lines(path)
  const split = { id: path, detail: { size: 2 } }
  for (const position of [null, 5, {}, { offset: -1 }, { offset: 1.5 }, { offset: '1' }] as Json[]) {
    await assert.rejects(source.open(split, position, new SourceDriver()), code('SNAPSHOT_DAMAGED', path))
  }
  await assert.rejects(
    source.open({ id: path, detail: { size: 'x' } }, undefined, new SourceDriver()),
    code('SNAPSHOT_DAMAGED', path),
  )
  const csv = files.csv(path)
  await assert.rejects(csv.open(split, { offset: 0, columns: [1] }, new SourceDriver()), code('SNAPSHOT_DAMAGED'))
})

// ------------------------------------------------------------------------------------------------------------------ follow

test('a followed file hands out growth, and holds a last line back until its line break arrives', async () => {
  const path = join(folder({ 'a.log': 'one\ntw' }), 'a.log')
  const source = files.lines(path, { follow: true })
  assert.equal(source.bounded, false)
  const driver = new SourceDriver()
  const [split] = await source.enumerate(driver)
  const reader = await source.open(split, undefined, driver)
  const output = new CollectingOutput<string>()
  assert.equal(await driver.read(reader, output, Infinity, 10), 'caught-up')
  assert.deepEqual(output.records, ['one'])
  assert.deepEqual(reader.position(), { offset: 4 })
  appendFileSync(path, 'o\r\nthr')
  assert.equal(reader.read(output, 10), 'caught-up', 'not looked at again before its time')
  driver.timeMs += 200
  assert.equal(await driver.read(reader, output, Infinity, 10), 'caught-up')
  assert.deepEqual(output.records, ['one', 'two'])
  assert.deepEqual(reader.position(), { offset: 9 })
  appendFileSync(path, 'ee\n')
  const resumed = await source.open(split, { offset: 9 }, driver)
  const rest = new CollectingOutput<string>()
  await driver.read(resumed, rest, Infinity, 10)
  assert.deepEqual(rest.records, ['three'])
  await reader.close()
  await resumed.close()
})

test('a followed file at its end asks to be read again 200 ms later', async () => {
  const path = join(folder({ 'a.log': '' }), 'a.log')
  const source = files.lines(path, { follow: true })
  const wakes: number[] = []
  const driver = new SourceDriver()
  driver.wakeAt = timeMs => void wakes.push(timeMs - driver.timeMs)
  const [split] = await source.enumerate(driver)
  const reader = await source.open(split, undefined, driver)
  const output = new CollectingOutput<string>()
  reader.read(output, 1)
  driver.timeMs += 50
  reader.read(output, 1)
  driver.timeMs += 150
  reader.read(output, 1)
  assert.deepEqual(wakes, [200, 150, 200])
  await reader.close()
})

test('a followed file that is cut, replaced or removed fails', async () => {
  const poll = async (change: (path: string) => void) => {
    const path = join(folder({ 'a.log': 'one\ntwo\n' }), 'a.log')
    const source = files.lines(path, { follow: true })
    const driver = new SourceDriver()
    const [split] = await source.enumerate(driver)
    const reader = await source.open(split, undefined, driver)
    await driver.read(reader, new CollectingOutput(), Infinity, 10)
    change(path)
    driver.timeMs += 200
    try {
      reader.read(new CollectingOutput(), 10)
    } finally {
      await reader.close()
    }
  }
  await assert.rejects(
    poll(path => truncateSync(path, 2)),
    code('SOURCE_FILE_CHANGED', '2 bytes'),
  )
  await assert.rejects(
    poll(path => {
      writeFileSync(`${path}.new`, 'another\nfile\nwith more in it\n')
      renameSync(`${path}.new`, path)
    }),
    code('SOURCE_FILE_CHANGED', 'replaced'),
  )
  await assert.rejects(
    poll(path => rmSync(path)),
    code('SOURCE_FILE_MISSING'),
  )
})

test('a followed pattern finds new files, and a gzip file once it can be complete', async () => {
  const dir = folder({ 'a.log': 'one\n' })
  const source = files.lines(join(dir, '*'), { follow: true })
  assert.equal(source.discoverEveryMs, 1000)
  const driver = new SourceDriver()
  writeFileSync(join(dir, 'b.gz'), '')
  assert.deepEqual(
    (await source.enumerate(driver)).map(split => split.id),
    [join(dir, 'a.log')],
  )
  writeFileSync(join(dir, 'b.gz'), gzipSync('zipped\n'))
  const splits = await source.enumerate(driver)
  assert.deepEqual(
    splits.map(split => split.id),
    [join(dir, 'a.log'), join(dir, 'b.gz')],
  )
  const reader = await source.open(splits[1], undefined, driver)
  const output = new CollectingOutput<string>()
  assert.equal(await driver.read(reader, output, Infinity, 10), 'end', 'a followed gzip file is bounded')
  assert.deepEqual(output.records, ['zipped'])
  await reader.close()
})

// -------------------------------------------------------------------------------------------------------------------- gzip

test('a truncated or corrupt gzip file is SOURCE_FAILED with its name and the offset', async () => {
  const zipped = gzipSync(large.join('\n'))
  const damaged = Buffer.from(zipped)
  damaged.fill(0x55, 50_000, 50_064)
  const wrongSum = Buffer.from(zipped)
  wrongSum[zipped.length - 6] ^= 1
  for (const content of [zipped.subarray(0, zipped.length - 100), damaged, wrongSum]) {
    const path = join(folder({ 'a.gz': content }), 'a.gz')
    await assert.rejects(readAll(files.lines(path)), code('SOURCE_FAILED', path, 'after byte '))
  }
})

test('a gzip file that decompresses to less than was read of it already is SOURCE_FILE_CHANGED', async () => {
  const path = join(folder({ 'a.gz': gzipSync('one\ntwo\n') }), 'a.gz')
  const source = files.lines(path)
  const driver = new SourceDriver()
  const [split] = await source.enumerate(driver)
  const reader = await source.open(split, { offset: 9 }, driver)
  await assert.rejects(
    driver.read(reader, new CollectingOutput(), Infinity, 10),
    code('SOURCE_FILE_CHANGED', '8 bytes'),
  )
  await reader.close()
})

test('a gzip file that blows up is not decompressed far ahead of the reader', async () => {
  const path = join(folder({ 'a.gz': gzipSync('0123456789abcde\n'.repeat(4 * 1024 * 1024)) }), 'a.gz')
  const source = files.lines(path)
  const driver = new SourceDriver()
  const [split] = await source.enumerate(driver)
  const reader = await source.open(split, undefined, driver)
  await driver.read(reader, new CollectingOutput(), 1, 1)
  // Give zlib the chance to run ahead: each turn of the event loop lets it go on if it wants to.
  for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve))
  const { done, total } = reader.progress!()
  assert.ok(done < total! / 2, `${done} of ${total} compressed bytes were taken for one line`)
  await reader.close()
})

// -------------------------------------------------------------------------------------------------------------------- JSON

test('lines that are not JSON, or do not fit the schema, are malformed; the output of the schema is the record', async () => {
  const path = join(folder({ 'a.jsonl': '{"n":"1"}\n{"n":\n\n{"n":"x"}\n{"n":"2"}' }), 'a.jsonl')
  const schema = z.object({ n: z.string().regex(/^\d$/).transform(Number) })
  const source: Source<{ n: number }> = files.json(path, { schema, malformed: { name: 'bad' } })
  const output = await readAll(source)
  assert.deepEqual(output.records, [{ n: 1 }, { n: 2 }])
  const sides = output.sides.map(side => side.value as MalformedLine)
  assert.deepEqual(
    sides.map(side => [side.file, side.offset, side.text]),
    [
      [path, 10, '{"n":'],
      [path, 17, '{"n":"x"}'],
    ],
  )
  assert.match(sides[0].reason, /^the line is not JSON \(/)
  assert.match(sides[1].reason, /^the value does not fit the schema \(n: /)
  await assert.rejects(readAll(files.json(path)), code('MALFORMED_RECORD', `${path}:10: the line is not JSON`))
})

test('a schema that validates asynchronously is refused', async () => {
  const path = join(folder({ 'a.jsonl': '1\n' }), 'a.jsonl')
  const schema = z.number().refine(async () => true)
  await assert.rejects(readAll(files.json(path, { schema })), code('ASYNC_FUNCTION', 'zod'))
})

// --------------------------------------------------------------------------------------------------------------------- CSV

test('rows with too many or too few fields, stray quotes or an open quote are malformed, with the offset of their first line', async () => {
  const path = join(folder({ 'a.csv': 'a,b\n1,2\n3\n4,5,6\n"x\ny"z,1\n7,8\n9,"open\nend' }), 'a.csv')
  const output = await readAll(files.csv(path, { malformed: { name: 'bad' } }))
  assert.deepEqual(output.records, [
    { a: '1', b: '2' },
    { a: '7', b: '8' },
  ])
  assert.deepEqual(
    output.sides.map(side => side.value),
    [
      { file: path, offset: 8, text: '3', reason: 'the row has 1 field, but there are 2 columns' },
      { file: path, offset: 10, text: '4,5,6', reason: 'the row has 3 fields, but there are 2 columns' },
      {
        file: path,
        offset: 16,
        text: '"x\ny"z,1',
        reason: 'a quoted field is followed by something else than a delimiter',
      },
      { file: path, offset: 29, text: '9,"open\nend', reason: 'the file ends within a quoted field' },
    ],
  )
})

test('a quote that is never closed costs at most maxLineBytes, then the next line is read', async () => {
  const path = join(folder({ 'a.csv': `a,b\n1,"open\n${'2,3\n'.repeat(10)}` }), 'a.csv')
  const output = await readAll(files.csv(path, { maxLineBytes: 20, malformed: { name: 'bad' } }))
  assert.equal(output.sides.length, 1)
  assert.equal(output.records.length, 6)
})

test('columns replace a header or stand in for one, and a delimiter can be chosen', async () => {
  const path = join(folder({ 'a.csv': 'a;b\n1;2\n' }), 'a.csv')
  assert.deepEqual((await readAll(files.csv(path, { delimiter: ';' }))).records, [{ a: '1', b: '2' }])
  assert.deepEqual((await readAll(files.csv(path, { delimiter: ';', columns: ['x', 'y'] }))).records, [
    { x: '1', y: '2' },
  ])
  assert.deepEqual((await readAll(files.csv(path, { delimiter: ';', columns: ['x', 'y'], header: false }))).records, [
    { x: 'a', y: 'b' },
    { x: '1', y: '2' },
  ])
  const schema = z.object({ a: z.coerce.number(), b: z.string() })
  assert.deepEqual((await readAll(files.csv(path, { delimiter: ';', schema }))).records, [{ a: 1, b: '2' }])
})

test('a header that cannot be used fails the job even with a tag', async () => {
  const read = (content: string, columns?: string[]) =>
    readAll(files.csv(join(folder({ 'a.csv': content }), 'a.csv'), { malformed: { name: 'bad' }, columns }))
  await assert.rejects(read('a,a\n1,2\n'), code('MALFORMED_RECORD', 'a.csv:0: ', '"a" is there twice'))
  await assert.rejects(read('__proto__,a\n1,2\n'), code('MALFORMED_RECORD', '__proto__'))
  await assert.rejects(read('a,"b'), code('MALFORMED_RECORD', 'the header cannot be read'))
  await assert.rejects(read('a,b\n1,2\n', ['x']), code('MALFORMED_RECORD', 'the header has 2 fields'))
  assert.deepEqual((await read('a,a\n1,2\n', ['x', 'y'])).records, [{ x: '1', y: '2' }])
})

test('the position in a CSV file carries the columns, and stays at the start of a row until the row is complete', async () => {
  const path = join(folder({ 'a.csv': 'a,b\n1,"x\ny"\n2,z\n' }), 'a.csv')
  const source = files.csv(path)
  const driver = new SourceDriver()
  const [split] = await source.enumerate(driver)
  const reader = await source.open(split, undefined, driver)
  const output = new CollectingOutput<Record<string, string>>()
  assert.deepEqual(reader.position(), { offset: 0, columns: null })
  reader.read(output, 3)
  assert.deepEqual(output.records, [])
  assert.deepEqual(reader.position(), { offset: 4, columns: ['a', 'b'] })
  reader.read(output, 1)
  assert.deepEqual(output.records, [{ a: '1', b: 'x\ny' }])
  assert.deepEqual(reader.position(), { offset: 12, columns: ['a', 'b'] })
  await reader.close()
})

test('options that make no sense are refused when the source is made', () => {
  assert.throws(() => files.lines([]), code('OPTION_INVALID'))
  assert.throws(() => files.lines(''), code('OPTION_INVALID'))
  assert.throws(() => files.lines('a', { maxLineBytes: 0 }), code('OPTION_INVALID', 'maxLineBytes'))
  assert.throws(() => files.lines('a', { encoding: 'utf16' as 'utf8' }), code('OPTION_INVALID', 'encoding'))
  assert.throws(() => files.csv('a', { delimiter: '::' }), code('OPTION_INVALID', 'delimiter'))
  assert.throws(() => files.csv('a', { header: false }), code('OPTION_INVALID', 'columns'))
  assert.throws(() => files.csv('a', { columns: ['x', 'x'] }), code('OPTION_INVALID', 'twice'))
  assert.throws(() => files.json('a', { schema: {} as never }), code('OPTION_INVALID', 'schema'))
})
