import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { MillraceError } from '../base/errors.ts'
import { ByteWriter, crc32 } from '../codec/index.ts'
import type { MemoryStore } from '../store/memory/index.ts'
import type { SegmentRef } from './manifest-types.ts'
import { BlockCursor } from './segment-cursor.ts'
import { addChecksum, ENTRY_PUT, FLAG_DICTIONARY, footerChecksum, MAX_TOUCH_MS } from './segment-format.ts'
import { openSegment, verifySegment } from './segment-reader.ts'
import {
  drain,
  put,
  SAMPLE_STATES,
  type SampleEntry,
  sampleDictionary,
  sampleKey,
  sampleStore,
  sorted,
  tombstone,
  touched,
  writeSample,
} from './segment-samples.ts'
import { SegmentWriter } from './segment-writer.ts'

const FILE = 'segments/1-1.seg'

const keyGroups = fc.oneof(fc.constantFrom(0, 1, 127), fc.nat(127))
const keys = fc
  .tuple(keyGroups, fc.constantFrom(0, 1, 300), fc.uint8Array({ maxLength: 12 }))
  .map(([keyGroup, stateId, key]) => sampleKey(keyGroup, stateId, key))
const values = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.nat(3000).map(length => Buffer.alloc(length, 'abcdefg')),
)
const entries: fc.Arbitrary<SampleEntry> = fc.oneof(
  fc.tuple(keys, values).map(([key, value]) => put(key, value)),
  keys.map(tombstone),
  fc.tuple(keys, values, fc.maxSafeNat()).map(([key, value, at]) => touched(key, value, at % (MAX_TOUCH_MS + 1))),
)

/** Deterministic bytes that do not compress. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let state = 1
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
    bytes[i] = state >>> 16
  }
  return bytes
}

function numbered(count: number, keyGroupCount: number): SampleEntry[] {
  return Array.from({ length: count }, (_, i) =>
    put(sampleKey(i % keyGroupCount, i % 2, `key-${i}`), `value ${i * 7919}`),
  )
}

async function failure(promise: Promise<unknown>): Promise<MillraceError> {
  const error = await promise.then(
    () => undefined,
    (caught: unknown) => caught,
  )
  assert.ok(error instanceof MillraceError, `expected a MillraceError, got ${String(error)}`)
  return error
}

/** A store that holds these bytes as the segment. */
async function storeOf(bytes: Uint8Array): Promise<MemoryStore> {
  const store = sampleStore()
  await store.replace(FILE, bytes)
  return store
}

async function assertDamaged(bytes: Uint8Array, ref: SegmentRef | { file: string }, problem: RegExp): Promise<void> {
  const error = await failure(verifySegment(await storeOf(bytes), ref))
  assert.equal(error.code, 'SNAPSHOT_DAMAGED')
  assert.match(error.message, problem)
  assert.match(error.message, /^Segment 'segments\/1-1\.seg' is damaged at byte \d+: /)
}

describe('a segment', () => {
  for (const compression of ['zstd', 'none'] as const) {
    it(`gives back what was written, with compression ${compression}`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(entries, { maxLength: 200 }),
          fc.integer({ min: 1, max: 5000 }),
          async (written, readAheadBytes) => {
            const store = sampleStore()
            const ref = await writeSample(store, { entries: written, compression })
            const reader = await openSegment(store, ref)
            assert.deepEqual(await drain(reader.scan(0, 128, { readAheadBytes })), sorted(written))
            const tombstones = sorted(written).filter(({ op }) => op === 1).length
            assert.deepEqual(await verifySegment(store, ref), { entries: sorted(written).length, tombstones })
            assert.deepEqual([ref.entries, ref.tombstones], [sorted(written).length, tombstones])
            assert.equal(ref.sizeBytes, await store.size(ref.file))
          },
        ),
        { numRuns: 60 },
      )
    })

    it(`holds keys of 64 KiB, empty values, and values longer than a block and a read, with compression ${compression}`, async () => {
      const written = [
        put(sampleKey(0, 0, ''), ''),
        put(sampleKey(0, 0, noise(65_536)), 'after a long key'),
        put(sampleKey(0, 1, 'a'), noise(40_000)),
        put(sampleKey(0, 1, 'b'), noise(3_000_000)),
        put(sampleKey(0, 1, 'c'), Buffer.alloc(900_000, 'x')),
        put(sampleKey(0, 1, 'd'), ''),
        put(sampleKey(9, 300, noise(65_530)), noise(100)),
      ]
      const store = sampleStore()
      const ref = await writeSample(store, { entries: written, compression })
      const reader = await openSegment(store, ref)
      assert.deepEqual(await drain(reader.scan()), sorted(written))
      assert.deepEqual(await drain(reader.scan(0, 128, { readAheadBytes: 1000 })), sorted(written))
    })
  }

  it('is read by ranges of key groups, without reading the others', async () => {
    const store = sampleStore()
    const written = numbered(20_000, 16)
    const reader = await openSegment(store, await writeSample(store, { entries: written }))
    const read = store.read.bind(store)
    let readBytes = 0
    store.read = async (name, offset, length) => {
      readBytes += length ?? Infinity
      return read(name, offset, length)
    }
    const inRange = ({ key }: SampleEntry): boolean => key.readUInt16BE(0) >= 5 && key.readUInt16BE(0) < 7
    assert.deepEqual(await drain(reader.scan(5, 7)), sorted(written).filter(inRange))
    const rows = reader.outline.keyGroups.filter(({ keyGroup }) => keyGroup === 5 || keyGroup === 6)
    assert.equal(readBytes, rows[0].lengthBytes + rows[1].lengthBytes)
    assert.deepEqual(await drain(reader.scan(16, 128)), [])
    assert.deepEqual(await drain(reader.scan(5, 5)), [])
  })

  it('hands out blocks of about 64 KiB that never span two key groups', async () => {
    const store = sampleStore()
    const written = numbered(20_000, 3)
    const reader = await openSegment(store, await writeSample(store, { entries: written }))
    const cursor = new BlockCursor(reader)
    const found: string[] = []
    const lengths: number[] = []
    for await (const block of reader.blocks(0, 128, { readAheadBytes: 10_000 })) {
      if (!block.last) lengths.push(block.end - block.start)
      cursor.open(block)
      while (cursor.next()) {
        assert.equal((cursor.bytes[cursor.keyStart] << 8) | cursor.bytes[cursor.keyStart + 1], block.row.keyGroup)
        found.push(Buffer.from(cursor.bytes.subarray(cursor.keyStart, cursor.keyEnd)).toString('latin1'))
      }
    }
    assert.deepEqual(
      found,
      sorted(written).map(({ key }) => key.toString('latin1')),
    )
    assert.ok(lengths.length > 5 && lengths.every(length => length > 65_300 && length <= 65_536), `lengths ${lengths}`)
  })

  it('is smaller with compression', async () => {
    const store = sampleStore()
    const written = numbered(20_000, 3)
    const plain = await writeSample(store, { entries: written, compression: 'none', file: 'segments/1-1.seg' })
    const small = await writeSample(store, { entries: written, compression: 'zstd', file: 'segments/1-2.seg' })
    assert.ok(small.sizeBytes < plain.sizeBytes * 0.6, `${small.sizeBytes} of ${plain.sizeBytes}`)
  })

  it('without entries is a valid segment', async () => {
    const store = sampleStore()
    const ref = await writeSample(store, { entries: [] })
    assert.deepEqual(await verifySegment(store, ref), { entries: 0, tombstones: 0 })
    assert.deepEqual(await drain((await openSegment(store, ref)).scan()), [])
  })

  it('describes itself: max parallelism, hash version and every state are read back without a manifest (invariant 4)', async () => {
    const store = sampleStore()
    await writeSample(store, { entries: numbered(10, 3), maxParallelism: 99, checkpoint: 41 })
    const reader = await openSegment(store, { file: FILE })
    assert.deepEqual(reader.dictionary, { maxParallelism: 99, hashVersion: 1, states: SAMPLE_STATES })
    assert.equal(reader.outline.header.segmentId, 1)
    assert.equal(reader.outline.header.checkpointId, 41)
  })

  it('takes no entry of a state that its dictionary does not describe (invariant 4)', async () => {
    await assert.rejects(
      writeSample(sampleStore(), { entries: [put(sampleKey(0, 2, 'a'), '')] }),
      /describes every state/,
    )
  })

  it('has exactly the bytes that its layout says', async () => {
    const store = sampleStore()
    await writeSample(store, { entries: [touched(sampleKey(2, 1, 'k'), 'v', 0x0102_0304_0506)], compression: 'none' })
    const bytes = Buffer.from(await store.read(FILE))
    const hex = (...fields: readonly string[]): string => fields.join('')
    assert.equal(bytes.toString('latin1', 0, 8), 'MRSEG001')
    assert.equal(bytes.toString('hex', 8, 32), hex('0100', '00'.repeat(6), '0100000000000000', '0700000000000000'))
    assert.equal(bytes.readUInt32LE(60), crc32(bytes.subarray(0, 60)))
    const block = hex('00', '05', '02', '01', '00020001', '6b', '060504030201', '76')
    assert.equal(bytes.toString('hex', 64, 68 + 16), hex('10000000', block))
    assert.equal(bytes.readUInt32LE(84), crc32(bytes.subarray(68, 84)))
    const indexOffset = bytes.length - 72
    assert.equal(
      bytes.toString('hex', indexOffset, indexOffset + 24),
      hex('0200000001000000', '4000000000000000', '1800000000000000'),
    )
    assert.equal(Number(bytes.readBigUInt64LE(bytes.length - 48)), indexOffset)
    assert.equal(bytes.readUInt32LE(bytes.length - 40), 1)
    assert.equal(bytes.toString('latin1', bytes.length - 8), 'MRSEGEND')
    const dictionary: unknown = JSON.parse(bytes.toString('utf8', 88 + 5, indexOffset - 4))
    assert.deepEqual(dictionary, JSON.parse(JSON.stringify(sampleDictionary())))
  })
})

describe('the writer of a segment', () => {
  const writer = (): SegmentWriter =>
    new SegmentWriter({ segmentId: 1, checkpointId: 1, compression: 'none', dictionary: sampleDictionary() })
  const add = (to: SegmentWriter, key: Buffer, value: Buffer = Buffer.alloc(0)): void =>
    to.add(ENTRY_PUT, key, 0, key.length, value, 0, value.length, 0)

  it('refuses keys that do not ascend, in a block and across blocks', () => {
    const one = writer()
    add(one, sampleKey(1, 0, 'b'))
    assert.throws(() => add(one, sampleKey(1, 0, 'b')), /ascending order/)
    assert.throws(() => add(one, sampleKey(1, 0, 'a')), /ascending order/)
    assert.throws(() => add(one, sampleKey(0, 0, 'c')), /ascending order/)
    add(one, sampleKey(1, 0, 'c'), noise(100_000))
    add(one, sampleKey(1, 0, 'd'), noise(100_000))
    assert.throws(() => add(one, sampleKey(1, 0, 'c')), /ascending order/)
  })

  it('refuses key groups beyond max parallelism and touches that are no time', () => {
    assert.throws(() => add(writer(), sampleKey(128, 0, 'a')), /below max parallelism/)
    const key = sampleKey(0, 0, 'a')
    for (const bad of [-1, 0.5, NaN, MAX_TOUCH_MS + 1]) {
      assert.throws(() => writer().add(2, key, 0, key.length, key, 0, 0, bad), /last touch/)
    }
  })

  it('hands finished chunks out while entries are added, so that memory stays bounded', () => {
    const one = writer()
    const value = noise(1000)
    let held = 0
    let taken = 0
    for (let i = 0; i < 5000; i++) {
      add(one, sampleKey(1, 0, String(i).padStart(6, '0')), value)
      held = Math.max(held, one.readyBytes)
      for (const bytes of one.takeReady()) taken += bytes.length
      assert.equal(one.readyBytes, 0)
    }
    assert.ok(taken > 4_000_000 && held <= 256 * 1024, `${taken} bytes taken, ${held} held`)
  })
})

describe('damage of a segment', () => {
  async function small(compression: 'zstd' | 'none'): Promise<{ bytes: Uint8Array; ref: SegmentRef }> {
    const store = sampleStore()
    const ref = await writeSample(store, {
      entries: [...numbered(40, 3), tombstone(sampleKey(1, 1, 'gone')), touched(sampleKey(2, 300, 'x'), 'y', 5)],
      compression,
    })
    return { bytes: await store.read(FILE), ref }
  }

  for (const compression of ['zstd', 'none'] as const) {
    it(`is noticed for each flipped byte, with compression ${compression}`, async () => {
      const { bytes } = await small(compression)
      for (let i = 0; i < bytes.length; i++) {
        for (const mask of [0x01, 0x80, 0xff]) {
          const flipped = bytes.slice()
          flipped[i] ^= mask
          const error = await failure(verifySegment(await storeOf(flipped), { file: FILE }))
          assert.equal(error.code, 'SNAPSHOT_DAMAGED', `byte ${i} ^ ${mask}: ${error.message}`)
        }
      }
    })
  }

  it('is noticed for each truncation, and for bytes that were added', async () => {
    const { bytes } = await small('zstd')
    for (let length = 0; length < bytes.length; length++) {
      const error = await failure(openSegment(await storeOf(bytes.subarray(0, length)), { file: FILE }))
      assert.equal(error.code, 'SNAPSHOT_DAMAGED')
    }
    await assertDamaged(Buffer.concat([bytes, Buffer.alloc(1)]), { file: FILE }, /does not end like a segment/)
  })

  it('is noticed while a range is read', async () => {
    const store = sampleStore()
    const ref = await writeSample(store, { entries: numbered(20_000, 3) })
    const bytes = Buffer.from(await store.read(FILE))
    bytes[(await openSegment(store, ref)).outline.keyGroups[1].offset + 1000] ^= 1
    const reader = await openSegment(await storeOf(bytes), ref)
    await drain(reader.scan(0, 1))
    await drain(reader.scan(2, 3))
    const error = await failure(drain(reader.scan(1, 2)))
    assert.equal(error.code, 'SNAPSHOT_DAMAGED')
    assert.deepEqual([error.context.file, error.context.offset], [FILE, reader.outline.keyGroups[1].offset])
  })

  it('is an object that ends early although its size was right before', async () => {
    const store = sampleStore()
    const reader = await openSegment(store, await writeSample(store, { entries: numbered(20_000, 3) }))
    await store.replace(FILE, (await store.read(FILE)).subarray(0, 5000))
    assert.match((await failure(drain(reader.scan()))).message, /byte 5000: the file ends too early/)
  })

  it('is a segment other than the one that the manifest refers to', async () => {
    const { bytes, ref } = await small('none')
    const store = sampleStore()
    const swapped = await writeSample(store, {
      entries: [...numbered(40, 3), tombstone(sampleKey(1, 1, 'gone')), touched(sampleKey(2, 300, 'x'), 'z', 5)],
      compression: 'none',
    })
    assert.equal(swapped.sizeBytes, ref.sizeBytes)
    const error = await failure(openSegment(store, ref))
    assert.equal(error.code, 'SNAPSHOT_DAMAGED')
    assert.match(error.message, /not the file that the snapshot refers to, its checksum is/)
    for (const fact of ['entries', 'tombstones', 'checksum', 'sizeBytes', 'maxParallelism'] as const) {
      await assertDamaged(bytes, { ...ref, [fact]: ref[fact] + 1 }, new RegExp(`its ${fact} is`))
    }
    const { outline } = await openSegment(await storeOf(bytes), ref)
    const [first, last] = [outline.keyGroups[0].keyGroup, outline.keyGroups.at(-1)!.keyGroup]
    await openSegment(await storeOf(bytes), { ...ref, keyGroups: [first, last + 1] })
    await assertDamaged(bytes, { ...ref, keyGroups: [first + 1, 128] }, new RegExp(`entries of key group ${first},`))
    await assertDamaged(bytes, { ...ref, keyGroups: [0, last] }, new RegExp(`entries of key group ${last},`))
  })

  it('is not what a missing segment or a newer version is', async () => {
    assert.equal((await failure(openSegment(sampleStore(), { file: FILE }))).code, 'OBJECT_MISSING')
    const { bytes } = await small('zstd')
    const newer = Buffer.from(bytes)
    newer.writeUInt16LE(2, 8)
    newer.writeUInt32LE(crc32(newer.subarray(0, 60)), 60)
    assert.equal((await failure(openSegment(await storeOf(newer), { file: FILE }))).code, 'SNAPSHOT_VERSION')
  })
})

/** A segment of one key group whose checksums are right and whose contents are up to the test. */
function forge(parts: {
  payloads: readonly Uint8Array[]
  flags?: number
  entries?: number
  row?: (row: Buffer) => void
  footer?: (footer: Buffer) => void
  dictionary?: string
  length?: number
  /** Bytes after the blocks. */
  rest?: Uint8Array
}): Uint8Array {
  const {
    payloads,
    flags = 0,
    entries: entryCount = payloads.length,
    dictionary = JSON.stringify(sampleDictionary()),
  } = parts
  const empty = new SegmentWriter({
    segmentId: 1,
    checkpointId: 1,
    compression: 'none',
    dictionary: sampleDictionary(),
  })
  empty.end()
  const header = Buffer.concat(empty.takeReady()).subarray(0, 64)
  let blocksChecksum = 0
  const frame = (payload: Uint8Array, flagBits: number, length = payload.length + 1): Buffer => {
    const body = Buffer.concat([Buffer.from([flagBits]), payload])
    blocksChecksum = addChecksum(crc32(body), blocksChecksum)
    return Buffer.concat([u32(length), body, u32(crc32(body))])
  }
  const blocks = Buffer.concat([
    ...payloads.map(payload => frame(payload, flags, parts.length)),
    parts.rest ?? Buffer.alloc(0),
  ])
  const dictionaryBlock = frame(Buffer.from(dictionary), FLAG_DICTIONARY)
  const row = Buffer.concat([u32(3), u32(entryCount), u64(64), u64(blocks.length)])
  parts.row?.(row)
  const footer = Buffer.concat([
    u64(64 + blocks.length + dictionaryBlock.length),
    u32(1),
    u32(crc32(row)),
    u64(entryCount),
    u64(0),
    u32(blocksChecksum),
  ])
  parts.footer?.(footer)
  const checksum = u32(footerChecksum(header.readUInt32LE(60), footer))
  return Buffer.concat([header, blocks, dictionaryBlock, row, footer, checksum, Buffer.from('MRSEGEND')])
}

function u32(n: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(n)
  return bytes
}

function u64(n: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(n))
  return bytes
}

function encoded(
  key: Buffer,
  value: string,
  change: { op?: number; keyLength?: number; valueLength?: number } = {},
): Uint8Array {
  const writer = new ByteWriter()
  writer.uvarint(change.keyLength ?? key.length)
  writer.u8(change.op ?? 0)
  writer.uvarint(change.valueLength ?? value.length)
  writer.raw(key)
  writer.raw(Buffer.from(value))
  return writer.copy()
}

describe('a segment whose checksums are right but whose contents make no sense', () => {
  const TEN_GB = 10 * 1024 ** 3
  const key = sampleKey(3, 0, 'key')
  const payload = encoded(key, 'value')

  const cases: readonly [string, Parameters<typeof forge>[0], RegExp][] = [
    [
      'an index offset of 10 GB',
      { payloads: [payload], footer: f => f.writeBigUInt64LE(BigInt(TEN_GB), 0) },
      /does not fit the file/,
    ],
    ['an index offset of 2^64 - 1', { payloads: [payload], footer: f => f.fill(0xff, 0, 8) }, /does not fit the file/],
    ['4 billion index rows', { payloads: [payload], footer: f => f.fill(0xff, 8, 12) }, /does not fit the file/],
    [
      'blocks of 10 GB',
      { payloads: [payload], row: r => r.writeBigUInt64LE(BigInt(TEN_GB), 16) },
      /row of the index makes no sense/,
    ],
    [
      'blocks that begin elsewhere',
      { payloads: [payload], row: r => r.writeBigUInt64LE(65n, 8) },
      /row of the index makes no sense/,
    ],
    [
      'a key group beyond 65,535',
      { payloads: [payload], row: r => r.writeUInt32LE(65_536, 0) },
      /row of the index makes no sense/,
    ],
    [
      'a key group beyond max parallelism',
      { payloads: [payload], row: r => r.writeUInt32LE(500, 0) },
      /not below its max parallelism/,
    ],
    [
      'other counts in footer and index',
      { payloads: [payload], footer: f => f.writeUInt32LE(2, 16) },
      /counts 1 entries, the footer 2/,
    ],
    [
      'more tombstones than entries',
      { payloads: [payload], footer: f => f.writeUInt32LE(2, 24) },
      /numbers of entries/,
    ],
    [
      'a tombstone count that is wrong',
      { payloads: [payload], footer: f => f.writeUInt32LE(1, 24) },
      /it has 0 tombstones/,
    ],
    [
      'blocks of another segment',
      { payloads: [payload], footer: f => f.writeUInt32LE(1, 32) },
      /its blocks are not those/,
    ],
    ['a block of 4 GB', { payloads: [payload], length: 0xffff_ffff }, /a block says it is 4294967295 bytes long/],
    ['a block that ends before its group', { payloads: [payload], length: payload.length }, /checksum of a block/],
    [
      'a block that leaves a rest',
      { payloads: [payload], row: r => r.writeBigUInt64LE(r.readBigUInt64LE(16) - 3n, 16) },
      /cannot be/,
    ],
    ['bytes after the last block', { payloads: [payload], rest: Buffer.alloc(2) }, /2 bytes are too short for a block/],
    ['an empty block', { payloads: [Buffer.alloc(0), payload], entries: 1 }, /a block has no entries/],
    ['unknown flags', { payloads: [payload], flags: 4 }, /unknown flags 4/],
    [
      'a dictionary among the blocks',
      { payloads: [payload], flags: FLAG_DICTIONARY },
      /a dictionary stands where entries should be/,
    ],
    [
      'compressed content of 4 GB',
      { payloads: [Buffer.alloc(40, 0xff)], flags: 1 },
      /4294967295 bytes long, which cannot be/,
    ],
    [
      'compressed content that is none',
      { payloads: [Buffer.concat([u32(100), Buffer.alloc(9)])], flags: 1 },
      /cannot be decompressed/,
    ],
    ['a key of 10 GB', { payloads: [encoded(key, 'value', { keyLength: TEN_GB })] }, /an entry makes no sense/],
    ['a value of 10 GB', { payloads: [encoded(key, 'value', { valueLength: TEN_GB })] }, /an entry makes no sense/],
    ['a length that never ends', { payloads: [Buffer.alloc(40, 0xff)] }, /a length is too large/],
    ['a value cut off', { payloads: [encoded(key, 'value', { valueLength: 6 })] }, /an entry makes no sense/],
    [
      'an entry cut off',
      { payloads: [Buffer.concat([payload, Buffer.from([9, 0])])], entries: 1 },
      /an entry is cut off/,
    ],
    ['a key without state', { payloads: [encoded(key, 'value', { keyLength: 3 })] }, /an entry makes no sense/],
    ['an unknown op', { payloads: [encoded(key, 'value', { op: 3 })] }, /an entry makes no sense/],
    ['a tombstone with a value', { payloads: [encoded(key, 'value', { op: 1 })] }, /a tombstone has a value/],
    ['a key of another key group', { payloads: [encoded(sampleKey(4, 0, 'key'), 'value')] }, /another key group/],
    [
      'a state that nothing describes',
      { payloads: [encoded(sampleKey(3, 5, 'key'), 'value')] },
      /state id 5 is not in its dictionary/,
    ],
    ['a key twice', { payloads: [payload, payload] }, /not in ascending order/],
    ['fewer entries than counted', { payloads: [payload], entries: 2 }, /has 1 entries, its index says 2/],
    ['a dictionary that is not JSON', { payloads: [payload], dictionary: '{' }, /not JSON/],
    ['a dictionary that is no object', { payloads: [payload], dictionary: '[]' }, /no valid content/],
    [
      'a dictionary without states',
      { payloads: [payload], dictionary: '{"maxParallelism":128,"hashVersion":1}' },
      /no valid states/,
    ],
    [
      'a bad max parallelism',
      { payloads: [payload], dictionary: '{"maxParallelism":70000,"hashVersion":1}' },
      /no valid maxParallelism/,
    ],
    [
      'a state id that is none',
      { payloads: [payload], dictionary: '{"maxParallelism":128,"hashVersion":1,"states":{"__proto__":{}}}' },
      /no valid state '__proto__'/,
    ],
    [
      'a state without a name',
      {
        payloads: [payload],
        dictionary: '{"maxParallelism":128,"hashVersion":1,"states":{"0":{"operator":"a","kind":"b","schema":null}}}',
      },
      /no valid state '0'/,
    ],
  ]

  it('is read when it does make sense', async () => {
    assert.deepEqual(await verifySegment(await storeOf(forge({ payloads: [payload] })), { file: FILE }), {
      entries: 1,
      tombstones: 0,
    })
  })

  for (const [name, parts, problem] of cases) {
    it(`is damaged: ${name}`, async () => assertDamaged(forge(parts), { file: FILE }, problem))
  }

  it('is damaged: compressed content that is longer than it says', async () => {
    const store = sampleStore()
    await writeSample(store, { entries: [put(sampleKey(3, 0, 'key'), Buffer.alloc(5000))], compression: 'zstd' })
    const bytes = Buffer.from(await store.read(FILE))
    const length = bytes.readUInt32LE(64)
    const stored = Buffer.from(bytes.subarray(69, 68 + length))
    stored.writeUInt32LE(4999, 0)
    await assertDamaged(forge({ payloads: [stored], flags: 1 }), { file: FILE }, /cannot be decompressed/)
    stored.writeUInt32LE(6000, 0)
    await assertDamaged(forge({ payloads: [stored], flags: 1 }), { file: FILE }, /another length than it says/)
  })

  it('is refused as newer when its keys are hashed in a newer way', async () => {
    const dictionary = JSON.stringify({ ...sampleDictionary(), hashVersion: 2 })
    const error = await failure(openSegment(await storeOf(forge({ payloads: [payload], dictionary })), { file: FILE }))
    assert.equal(error.code, 'SNAPSHOT_VERSION')
  })
})
