/**
 * Reads the documents: fenced blocks of Markdown, in order, and what an HTML comment right above a block says about it.
 *
 *   ```ts        a module; a first line `// name.ts` says its file
 *   ```sh        commands
 *   ```console   a session: `$ command`, then what it prints
 *
 * `<!-- not run: REASON -->` above a block leaves it out.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export const ROOT = join(import.meta.dirname, '../..')

export interface Block {
  readonly language: string
  readonly text: string
  /** Of the line that opens it, from 1. */
  readonly line: number
  /** Why it is not run; undefined: it is. */
  readonly notRun: string | undefined
}

export interface SessionStep {
  readonly command: string
  readonly output: readonly string[]
}

export function readDocument(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = []
  const lines = markdown.split('\n')
  let notRun: string | undefined
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index]
    const fence = /^```(\w*)$/.exec(line)
    if (fence !== null) {
      const end = lines.indexOf('```', index + 1)
      if (end === -1) throw new Error(`the block that line ${index + 1} opens has no end`)
      const text = lines.slice(index + 1, end).join('\n')
      blocks.push({ language: fence[1], text, line: index + 1, notRun })
      index = end
      notRun = undefined
    } else if (line !== '') notRun = /^<!-- not run: (.{10,}) -->$/.exec(line)?.[1]
  }
  return blocks
}

/** The steps of a session. */
export function stepsOf({ text }: Block): SessionStep[] {
  const steps: { command: string; output: string[] }[] = []
  for (const line of text.split('\n')) {
    if (line.startsWith('$ ')) steps.push({ command: line.slice(2), output: [] })
    else steps.at(-1)!.output.push(line)
  }
  return steps
}

/** The file of a module: what its first line says, else one named by its place. */
export function fileNameOf({ text, line }: Block): string {
  return /^\/\/ ([\w.-]+\.ts)\n/.exec(text)?.[1] ?? `line-${line}.ts`
}

/** The targets of links to files of the repository, without anchors. */
export function relativeLinks(markdown: string): string[] {
  const targets = [...markdown.matchAll(/\]\(([^)\s]+)\)/g)].map(match => match[1].replace(/#.*$/, ''))
  return targets.filter(target => target !== '' && !/^[a-z]+:/.test(target))
}

/** What differs from run to run (times, sizes, ids, how far it had come) is `#`. Other numbers stay: they are the point. */
export function stablePart(text: string): string {
  return text
    .replaceAll(/\bchk-\d+/g, 'chk-#')
    .replaceAll(/[\d,]+ (record|checkpoint|manifest|segment|run)s?\b/g, '# $1s')
    .replaceAll(/[\d,]+ of them/g, '# of them')
    .replaceAll(/\b[\d.,]+ (ms|s|min|h)( \d+ (s|min))?(?![\w])/g, '#')
    .replaceAll(/\b[\d.,]+ ([KMG]i)?B\b/g, '#')
    .replaceAll(/ +/g, ' ')
    .trim()
}
