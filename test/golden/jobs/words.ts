/** Running counts over text files of different length, one empty, one compressed: flatMap, filter, map, keyBy, aggregate. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { count, defineJob, files } from 'millrace'
import { slowed } from '../../crash/pace.ts'
import { draw, numbered, PARAMS, type Golden } from '../golden-job.ts'

const LINES_OF_FILES = [900, 700, 0, 800, 400]
const STEMS = ['mill', 'río', 'weir', 'sluice', 'häuser', 'tail', 'at', 'of', '東京']

function linesOf(file: number): string[] {
  return numbered(LINES_OF_FILES[file], i =>
    numbered(1 + draw(i, 4, file), at => STEMS[draw(i, STEMS.length, 10 * file + at)] + draw(i, 6, 100 + at)).join(' '),
  )
}

const wordsOf = (line: string) => line.match(/\p{L}+\d/gu) ?? []
const isLong = (word: string) => word.length > 3

export default defineJob(
  'words',
  flow => {
    const { dir, everyMs } = flow.params
    flow
      .source('lines', slowed(files.lines(`${dir}/input/text-*`), { records: 6, everyMs }))
      .flatMap(wordsOf)
      .filter(isLong)
      .map(word => word.toUpperCase())
      .keyBy(word => word)
      .aggregate('counts', count())
      .sink('out', files.writeJson(`${dir}/out/counts`))
  },
  { params: PARAMS },
)

export const golden: Golden = {
  makeInput(dir) {
    for (const [file] of LINES_OF_FILES.entries()) {
      const text = linesOf(file)
        .map(line => `${line}\n`)
        .join('')
      if (file === 3) writeFileSync(join(dir, `text-${file}.gz`), gzipSync(text))
      else writeFileSync(join(dir, `text-${file}`), text)
    }
  },
  expected() {
    const counts = new Map<string, number>()
    const running = LINES_OF_FILES.flatMap((_, file) => linesOf(file).flatMap(wordsOf))
      .filter(isLong)
      .map(word => {
        const key = word.toUpperCase()
        counts.set(key, (counts.get(key) ?? 0) + 1)
        return { key, value: counts.get(key) }
      })
    return { counts: running }
  },
}
