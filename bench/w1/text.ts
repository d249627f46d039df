/**
 * The text of W1: 100,000 distinct words, drawn by a harmonic law, ten a line, in four files. The same bytes every time, so it is made
 * once and kept in the system's temporary directory; `node bench/w1/text.ts DIRECTORY BYTES` makes it.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mix32, random } from '../arithmetic.ts'
import { W1 } from '../full-size.ts'
import { Meter } from '../meter.ts'

const WORDS = 100_000
const TOKENS_PER_LINE = 10
const FILES = 4
const FLUSH_BYTES = 1 << 20
const META = 'meta.json'

export interface Text {
  readonly dir: string
  readonly tokens: number
  readonly bytes: number
  /** Of the files one after the other. */
  readonly md5: string
}

/**
 * The text of at least `bytes`, cut at line ends. Made by another process when it is not there, so that this one's memory and CPU time are
 * not the generator's.
 * @throws when its bytes are not those of the definition
 */
export function ensureText(bytes: number, cache = tmpdir()): Text {
  const dir = join(cache, `millrace-w1-${bytes}`)
  if (!existsSync(dir)) {
    const { status } = spawnSync(process.execPath, [import.meta.filename, dir, String(bytes)], { stdio: 'inherit' })
    if (status !== 0) throw new Error(`the text could not be made in ${dir}`)
  }
  const text = { dir, ...(JSON.parse(readFileSync(join(dir, META), 'utf8')) as Omit<Text, 'dir'>) }
  if (bytes === W1.bytes && text.md5 !== W1.md5)
    throw new Error(`the text in ${dir} has the MD5 ${text.md5}, but must have ${W1.md5}`)
  return text
}

/** The text, and a meter that does not count the time it took to make it. */
export function textAndMeter(bytes = W1.bytes, cache?: string): { text: Text; meter: Meter } {
  const beforeMs = performance.now()
  const text = ensureText(bytes, cache)
  return { text, meter: new Meter(performance.now() - beforeMs) }
}

/** Appears complete or not at all. */
function makeText(dir: string, bytes: number): void {
  const unfinished = `${dir}.${process.pid}`
  mkdirSync(unfinished, { recursive: true })
  writeFileSync(join(unfinished, META), JSON.stringify(writeText(unfinished, bytes)))
  try {
    renameSync(unfinished, dir)
  } catch (error) {
    // Another process was faster.
    rmSync(unfinished, { recursive: true })
    if (!existsSync(dir)) throw error
  }
}

function writeText(dir: string, bytes: number): Omit<Text, 'dir'> {
  const md5 = createHash('md5')
  const { words, weights } = vocabulary()
  let part = 0
  let file = openSync(join(dir, 'part-0.txt'), 'w')
  let tokens = 0
  let written = 0
  let lines: string[] = []
  let pending = 0
  const flush = () => {
    const block = lines.join('')
    writeSync(file, block)
    md5.update(block)
    lines = []
    pending = 0
  }
  while (written < bytes) {
    const line: string[] = []
    for (let i = 0; i < TOKENS_PER_LINE; i++) line.push(words[pick(weights, random(tokens++, 1))])
    const text = `${line.join(' ')}\n`
    lines.push(text)
    pending += text.length
    written += text.length
    if (pending > FLUSH_BYTES) flush()
    if (part < FILES - 1 && written >= ((part + 1) * bytes) / FILES) {
      flush()
      closeSync(file)
      file = openSync(join(dir, `part-${++part}.txt`), 'w')
    }
  }
  flush()
  closeSync(file)
  return { tokens, bytes: written, md5: md5.digest('hex') }
}

function vocabulary(): { words: string[]; weights: Float64Array } {
  const weights = new Float64Array(WORDS)
  const words: string[] = []
  for (let i = 0; i < WORDS; i++) {
    weights[i] = (i === 0 ? 0 : weights[i - 1]) + 1 / (i + 1)
    words.push(word(i))
  }
  return { words, weights }
}

/** The first word whose weight exceeds the drawn share of the total. */
function pick(weights: Float64Array, drawn: number): number {
  const target = (drawn / 2 ** 32) * weights[WORDS - 1]
  let low = 0
  let high = WORDS - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (weights[middle] > target) high = middle
    else low = middle + 1
  }
  return low
}

/** Four letters that count in base 26, then up to six drawn ones. */
function word(i: number): string {
  let head = ''
  for (let digit = 0, rest = i; digit < 4; digit++, rest = Math.floor(rest / 26)) head = letter(rest % 26) + head
  const tail = (mix32(i + 1) >>> 0) % 7
  for (let j = 0; j < tail; j++) head += letter((mix32((i * 31 + j + 7) | 0) >>> 0) % 26)
  return head
}

function letter(n: number): string {
  return String.fromCharCode(97 + n)
}

if (import.meta.main) makeText(process.argv[2], Number(process.argv[3]))
