/** Columns of text, as wide as they must be. */

export interface Column {
  readonly title: string
  /** Numbers stand to the right. */
  readonly right?: boolean
}

/** Title line and rows, each line ended. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const lines = [columns.map(({ title }) => title), ...rows.map(row => row.map(oneLine))]
  const widths = columns.map((_, at) => Math.max(...lines.map(line => line[at].length)))
  const pad = (cell: string, at: number): string =>
    columns[at].right === true ? cell.padStart(widths[at]) : cell.padEnd(widths[at])
  return lines.map(line => `${line.map(pad).join('  ').trimEnd()}\n`).join('')
}

/** Names come from manifests: control characters in them must not reach a terminal. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, char => `\\u{${char.codePointAt(0)!.toString(16)}}`)
}
