/**
 * Whether two jobs wrote the same: the rows of their parts as multisets, sink by sink, whatever the order and however they are cut into
 * parts. Reads only visible parts; who made one is in its name.
 *
 * Memory is bounded: a row is counted up for the one job and down for the other, read in turns, and forgotten when it comes to zero; and
 * where the parts of a sink are larger than `PASS_BYTES` the rows are taken in several passes over the files, by their hash.
 */
import { createReadStream, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { MillraceError } from '../../base/errors.ts'
import { parsePartOfJob } from './part-name.ts'
import { errnoOf } from './file-errors.ts'

/** Rows of so many bytes are held at the most, should all of them differ. */
const PASS_BYTES = 64 * 1024 * 1024
/** How many differing rows are shown. */
const SHOWN = 10

export interface OutputOwner {
  readonly job: string
  /** Whether a part's output is left out, since both jobs have it in their past. */
  isShared(runId: string, checkpoint: number): boolean
}

export interface OutputDiffOptions {
  readonly dirs: readonly string[]
  readonly owners: readonly [OutputOwner, OutputOwner]
  /** Each part begins with a line of names, which is no row. */
  readonly hasHeader: boolean
  /** For tests. */
  readonly passBytes?: number
}

/** Of one sink; the first of each pair is the first job's. */
export interface SinkDiff {
  readonly sink: string
  readonly parts: readonly [number, number]
  readonly rows: readonly [number, number]
  /** How many rows only the one job wrote, or wrote more often. */
  readonly only: readonly [number, number]
  /** Some of those. */
  readonly examples: readonly [readonly string[], readonly string[]]
}

/** By the name of the sink. @throws SOURCE_FAILED when a directory or a part cannot be read */
export async function diffOutputs(options: OutputDiffOptions): Promise<SinkDiff[]> {
  const { dirs, owners } = options
  const sides = owners.map(owner => Map.groupBy(partsOf(dirs, owner), ({ sink }) => sink))
  const sinks = new Set(sides.flatMap(side => [...side.keys()]))
  const diffs: SinkDiff[] = []
  for (const sink of [...sinks].toSorted()) {
    const parts = sides.map(side => (side.get(sink) ?? []).map(({ path }) => path))
    diffs.push(await diffSink(sink, [parts[0], parts[1]], options))
  }
  return diffs
}

interface Part {
  readonly sink: string
  readonly path: string
}

function partsOf(dirs: readonly string[], owner: OutputOwner): Part[] {
  return dirs.flatMap(dir =>
    namesIn(dir)
      .toSorted()
      .flatMap((file): Part[] => {
        const name = parsePartOfJob(owner.job, file)
        if (name === undefined || owner.isShared(name.runId, name.checkpoint)) return []
        return [{ sink: name.sink, path: join(dir, file) }]
      }),
  )
}

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir)
  } catch (cause) {
    throw new MillraceError('USAGE', `the directory ${dir} cannot be read: ${errnoOf(cause) ?? 'unknown error'}`, {
      cause,
      context: { path: dir },
      hint: 'Name the directories that the file sinks of the two jobs write to.',
    })
  }
}

type Paths = readonly [readonly string[], readonly string[]]

async function diffSink(
  sink: string,
  paths: Paths,
  { hasHeader, passBytes = PASS_BYTES }: OutputDiffOptions,
): Promise<SinkDiff> {
  const sizeBytes = paths.flat().reduce((sum, path) => sum + reading(path, () => statSync(path).size), 0)
  const passes = Math.max(1, Math.ceil(sizeBytes / passBytes))
  const rows: [number, number] = [0, 0]
  const only: [number, number] = [0, 0]
  const examples: [string[], string[]] = [[], []]
  for (let pass = 0; pass < passes; pass++) {
    const surplus = new Map<string, number>()
    for await (const [side, row] of inTurns(paths, hasHeader)) {
      if (passes > 1 && crc32(row) % passes !== pass) continue
      rows[side]++
      const count = (surplus.get(row) ?? 0) + (side === 0 ? 1 : -1)
      if (count === 0) surplus.delete(row)
      else surplus.set(row, count)
    }
    for (const [row, count] of surplus) {
      const side = count > 0 ? 0 : 1
      only[side] += Math.abs(count)
      if (examples[side].length < SHOWN) examples[side].push(row)
    }
  }
  return { sink, parts: [paths[0].length, paths[1].length], rows, only, examples }
}

type Side = 0 | 1

/** A row of the one and a row of the other, so that rows in about the same order cancel out at once. */
async function* inTurns(paths: Paths, hasHeader: boolean): AsyncGenerator<readonly [Side, string]> {
  const readers = [rowsOf(paths[0], hasHeader), rowsOf(paths[1], hasHeader)] as const
  const ended = [false, false]
  for (let side: Side = 0; !ended[0] || !ended[1]; side = side === 0 ? 1 : 0) {
    if (ended[side]) continue
    const next = await readers[side].next()
    if (next.done === true) ended[side] = true
    else yield [side, next.value]
  }
}

async function* rowsOf(paths: readonly string[], hasHeader: boolean): AsyncGenerator<string> {
  for (const path of paths) {
    let isHeader = hasHeader
    try {
      for await (const line of linesOf(path)) {
        if (!isHeader) yield line
        isHeader = false
      }
    } catch (error) {
      throw unreadable(path, error)
    }
  }
}

/** A sink ends a row with LF and nothing else; to node:readline there are more line breaks than that. */
async function* linesOf(path: string): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of createReadStream(path, { encoding: 'utf8' })) {
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop()!
    yield* lines
  }
  if (rest !== '') yield rest
}

function reading<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw unreadable(path, error)
  }
}

function unreadable(path: string, cause: unknown): MillraceError {
  return new MillraceError('SOURCE_FAILED', `could not read ${path}: ${errnoOf(cause) ?? 'unknown error'}`, {
    cause,
    context: { path },
    hint: 'Mend the cause, and compare again.',
  })
}
