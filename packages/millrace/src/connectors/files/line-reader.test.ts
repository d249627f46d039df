import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { isMillraceError } from '../../base/errors.ts'
import { CollectingOutput, SourceDriver } from '../../testing/connector-context.ts'
import { TextReader, type Encoding } from './line-reader.ts'
import { MalformedLines, type MalformedLine, type MalformedTag } from './malformed-lines.ts'
import { PlainFile } from './plain-file.ts'

const dir = mkdtempSync(join(tmpdir(), 'millrace-lines-'))
const path = join(dir, 'input.txt')
after(() => rmSync(dir, { recursive: true }))

interface Setup {
  offset?: number
  blockSizeBytes?: number
  maxLineBytes?: number
  encoding?: Encoding
  tag?: MalformedTag
  driver?: SourceDriver
}

function openReader(sizeBytes: number, setup: Setup = {}): TextReader {
  const {
    offset = 0,
    blockSizeBytes = 64,
    maxLineBytes = 2 ** 28,
    encoding = 'utf8',
    tag,
    driver = new SourceDriver(),
  } = setup
  return new TextReader({
    bytes: new PlainFile(path, offset, sizeBytes, driver, blockSizeBytes),
    offset,
    encoding,
    maxLineBytes,
    malformed: new MalformedLines(path, tag, driver),
  })
}

function read(content: string | Buffer, setup: Setup = {}): CollectingOutput<string> {
  const bytes = Buffer.from(content)
  writeFileSync(path, bytes)
  const output = new CollectingOutput<string>()
  const reader = openReader(bytes.length, setup)
  while (reader.read(output, 10) !== 'end') {}
  return output
}

/** What the lines of a text are, said another way. */
function model(text: string): string[] {
  const lines = text.replace(/^\u{feff}/u, '').split('\n')
  const last = lines.pop()!
  return [...lines.map(line => line.replace(/\r$/, '')), ...(last === '' ? [] : [last])]
}

const text = fc
  .array(
    fc.constantFrom('a', 'bc', 'ü', '€', '😀', '\n', '\r\n', '\r', '\n\n', ' ', '\u{feff}', 'long word '.repeat(5)),
    { maxLength: 40 },
  )
  .map(parts => parts.join(''))

test('any text gives its lines whatever the block size, and again exactly the rest from the position after each line', () => {
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 70 }), (content, blockSizeBytes) => {
      const bytes = Buffer.from(content)
      writeFileSync(path, bytes)
      const expected = model(content)
      const output = new CollectingOutput<string>()
      const reader = openReader(bytes.length, { blockSizeBytes })
      const positions = [reader.position()]
      for (let count = 0; reader.read(output, 1) !== 'end';) {
        if (output.records.length > count) positions[++count] = reader.position()
      }
      assert.deepEqual(output.records, expected)
      for (const [count, position] of positions.entries()) {
        const rest = new CollectingOutput<string>()
        const resumed = openReader(bytes.length, { blockSizeBytes, offset: (position as { offset: number }).offset })
        while (resumed.read(rest, 3) !== 'end') {}
        assert.deepEqual(rest.records, expected.slice(count))
      }
    }),
    { numRuns: 300 },
  )
})

test('a byte order mark is dropped at the start of a file and kept elsewhere', () => {
  assert.deepEqual(read('\u{feff}a\n\u{feff}b\n').records, ['a', '\u{feff}b'])
  assert.deepEqual(read('\u{feff}').records, [])
  assert.deepEqual(read('\u{feff}\n').records, [''])
})

test('an empty file has no lines', () => {
  assert.deepEqual(read('').records, [])
})

test('a line of many blocks is one record', () => {
  const long = '😀ü'.repeat(50_000)
  assert.deepEqual(read(`${long}\nb`, { blockSizeBytes: 1000 }).records, [long, 'b'])
})

test('bytes beyond the listed size are never read', () => {
  writeFileSync(path, 'one\ntwo\nthree\n')
  const output = new CollectingOutput<string>()
  const reader = openReader(6, { blockSizeBytes: 4 })
  while (reader.read(output, 10) !== 'end') {}
  assert.deepEqual(output.records, ['one', 'tw'])
  assert.deepEqual(reader.position(), { offset: 6 })
})

test('a line that is not UTF-8 is malformed at its byte offset, wherever the block edges are', () => {
  const content = Buffer.concat([
    Buffer.from('gut\n'),
    Buffer.from('schön\n', 'latin1'),
    Buffer.from('wieder gut: ü\n'),
    Buffer.from([0xe2, 0x82]),
  ])
  for (let blockSizeBytes = 1; blockSizeBytes < 40; blockSizeBytes++) {
    const driver = new SourceDriver()
    const output = read(content, { blockSizeBytes, tag: { name: 'bad' }, driver })
    assert.deepEqual(output.records, ['gut', 'wieder gut: ü'])
    const sides = output.sides.map(({ tag, value }) => ({ tag, ...(value as MalformedLine) }))
    assert.deepEqual(
      sides.map(side => [side.tag, side.file, side.offset, side.reason]),
      [
        ['bad', path, 4, 'the line is not valid UTF-8'],
        ['bad', path, 25, 'the line is not valid UTF-8'],
      ],
    )
    assert.equal(driver.counters.get('malformed'), 2)
  }
})

test('a first line that is not UTF-8 is malformed too', () => {
  for (let blockSizeBytes = 1; blockSizeBytes < 10; blockSizeBytes++) {
    const output = read(Buffer.from([0xff, 10, 97, 10]), { blockSizeBytes, tag: { name: 'bad' } })
    assert.deepEqual([output.records, output.sides.length], [['a'], 1])
  }
})

test('latin1 takes every byte as a character', () => {
  assert.deepEqual(read(Buffer.from('schön\nÿ', 'latin1'), { encoding: 'latin1' }).records, ['schön', 'ÿ'])
})

test('a malformed line fails the job with file, byte offset and an excerpt, and is counted, unless there is a tag', () => {
  const driver = new SourceDriver()
  const content = Buffer.concat([Buffer.from('ok\n'), Buffer.from([0xff]), Buffer.from('x'.repeat(500))])
  assert.throws(
    () => read(content, { driver, blockSizeBytes: 4096 }),
    error =>
      isMillraceError(error, 'MALFORMED_RECORD') &&
      error.message.includes(`${path}:3: `) &&
      error.message.includes('x'.repeat(199)) &&
      !error.message.includes('x'.repeat(200)),
  )
  assert.equal(driver.counters.get('malformed'), 1)
})

test('a line longer than maxLineBytes is malformed and the next line is read, wherever the block edges are', () => {
  const content = `short\n${'é'.repeat(600)}\n${'b'.repeat(20)}\n${'c'.repeat(21)}\nend`
  for (const blockSizeBytes of [1, 2, 7, 19, 20, 21, 22, 64, 1000, 5000]) {
    const output = read(content, { blockSizeBytes, maxLineBytes: 20, tag: { name: 'bad' } })
    assert.deepEqual(output.records, ['short', 'b'.repeat(20), 'end'], `block size ${blockSizeBytes}`)
    const sides = output.sides.map(side => side.value as MalformedLine)
    assert.deepEqual(
      sides.map(side => [side.offset, side.reason]),
      [
        [6, 'the line has 1200 bytes, more than maxLineBytes (20)'],
        [1228, 'the line has 21 bytes, more than maxLineBytes (20)'],
      ],
      `block size ${blockSizeBytes}`,
    )
    assert.ok(sides[0].text.startsWith('ééé') && sides[0].text.length <= 201)
  }
})

test('a call reads at most maxRecords lines, malformed ones included', () => {
  writeFileSync(path, Buffer.from([0xff, 10, 0xff, 10, 0xff, 10, 97, 10]))
  const output = new CollectingOutput<string>()
  const reader = openReader(8, { tag: { name: 'bad' } })
  assert.equal(reader.read(output, 1), 'more')
  assert.equal(reader.read(output, 2), 'more')
  assert.equal(output.sides.length, 2)
})
