/**
 * Which files a source reads: patterns to a list of paths with their sizes.
 *
 * Patterns are read in the order given, the matches of each sorted by code unit; a file matched twice is listed once. A wildcard
 * does not match a leading dot, so the pending files of a sink are never read. A pattern that is the name of a file is that file,
 * even if it has brackets in it.
 */
import { globSync, statSync, type Stats } from 'node:fs'
import { MillraceError } from '../../base/errors.ts'
import { sourceFailed } from './file-errors.ts'

export interface FoundFile {
  /** As matched: relative to the working directory if the pattern is. */
  readonly path: string
  readonly sizeBytes: number
}

const WILDCARD = /[*?[\]{}!]/
/** The smallest gzip file there is: header, empty block, trailer. A followed `.gz` below that is still being written. */
const GZIP_LEAST_BYTES = 20

/**
 * @param follow an unbounded listing: a pattern may match nothing yet, and a `.gz` too short to be complete is left for later
 * @throws SOURCE_FILE_MISSING when a literal path does not exist, or a pattern of a bounded source matches nothing
 */
export function findFiles(patterns: readonly string[], follow: boolean): FoundFile[] {
  const found = new Map<string, FoundFile>()
  for (const pattern of patterns) {
    const matches = filesMatching(pattern)
    if (matches.length === 0 && !(follow && WILDCARD.test(pattern))) throw nothingMatched(pattern)
    for (const file of matches) {
      if (follow && isGzipName(file.path) && file.sizeBytes < GZIP_LEAST_BYTES) continue
      found.set(file.path, file)
    }
  }
  return [...found.values()]
}

export function isGzipName(path: string): boolean {
  return path.endsWith('.gz')
}

function filesMatching(pattern: string): FoundFile[] {
  const literal = statOf(pattern)
  if (literal?.isFile() === true) return [{ path: pattern, sizeBytes: literal.size }]
  if (!WILDCARD.test(pattern)) return []
  const files: FoundFile[] = []
  for (const path of globSync(pattern).sort()) {
    const stats = statOf(path)
    if (stats?.isFile() === true) files.push({ path, sizeBytes: stats.size })
  }
  return files
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    // A path that goes through a file, like notes.txt/a, does not exist either.
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined
    throw sourceFailed(path, 'could not be looked at', error)
  }
}

function nothingMatched(pattern: string): MillraceError {
  const stats = statOf(pattern)
  if (stats?.isDirectory() === true) {
    return new MillraceError(
      'SOURCE_FILE_MISSING',
      `the input ${pattern} is a directory. Name its files with a pattern such as ${pattern.replace(/\/+$/, '')}/*`,
      { context: { path: pattern } },
    )
  }
  if (stats !== undefined) {
    return new MillraceError(
      'SOURCE_FILE_MISSING',
      `the input ${pattern} is not a regular file, so it cannot be read again after a restart`,
      {
        context: { path: pattern },
      },
    )
  }
  const what = WILDCARD.test(pattern)
    ? `the pattern ${pattern} matches no file`
    : `the input file ${pattern} does not exist`
  return new MillraceError('SOURCE_FILE_MISSING', `${what} (working directory ${process.cwd()})`, {
    context: { path: pattern },
  })
}
