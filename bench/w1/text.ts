/** The text of W1: 100,000 distinct words, drawn by a harmonic law, ten a line, in four files. The same bytes every time. */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { mix32, random } from '../arithmetic.ts'

const WORDS = 100_000
const TOKENS_PER_LINE = 10
const FILES = 4
const FLUSH_BYTES = 1 << 20

export interface Text {
  readonly dir: string
  readonly tokens: number
  readonly bytes: number
}

/** Makes the text unless it is there: at least `bytes` long, cut at line ends. */
export function ensureText(dir: string, bytes: number): Text {
  const meta = join(dir, 'meta.json')
  if (existsSync(meta)) return { dir, ...(JSON.parse(readFileSync(meta, 'utf8')) as { tokens: number; bytes: number }) }
  mkdirSync(dir, { recursive: true })
  const text = writeText(dir, bytes)
  writeFileSync(meta, JSON.stringify(text))
  return { dir, ...text }
}

function writeText(dir: string, bytes: number): { tokens: number; bytes: number } {
  const { words, weights } = vocabulary()
  let part = 0
  let file = openSync(join(dir, 'part-0.txt'), 'w')
  let tokens = 0
  let written = 0
  let lines: string[] = []
  let pending = 0
  const flush = () => {
    writeSync(file, lines.join(''))
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
  return { tokens, bytes: written }
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
