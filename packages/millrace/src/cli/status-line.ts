/**
 * One line at the bottom of a terminal that is drawn again and again, with messages and output appearing above it. Where standard
 * error is no terminal it shows nothing.
 */
export class StatusLine {
  private readonly stream: NodeJS.WriteStream
  private readonly isOn: boolean
  private shown = ''

  constructor(stream: NodeJS.WriteStream = process.stderr) {
    this.stream = stream
    this.isOn = stream.isTTY
  }

  show(text: string): void {
    if (!this.isOn) return
    // A line that wraps could not be wiped again. Some terminals say that they have no columns.
    const line = text.slice(0, Math.max(0, (this.stream.columns || 80) - 1))
    if (line === this.shown) return
    this.shown = line
    this.stream.write(`${WIPE}${line}`)
  }

  clear(): void {
    if (this.shown === '') return
    this.shown = ''
    this.stream.write(WIPE)
  }

  /** A line of text above. */
  print(text: string): void {
    const line = this.shown
    this.clear()
    this.stream.write(`${text}\n`)
    if (line !== '') this.show(line)
  }

  /** Rows that a job prints on the same terminal do not mix with the line; it is drawn again with the next `show`. */
  makeWayFor(output: NodeJS.WriteStream): void {
    if (!this.isOn || !output.isTTY) return
    const write = output.write.bind(output)
    output.write = ((...args: Parameters<typeof write>) => {
      this.clear()
      return write(...args)
    }) as typeof write
  }
}

/** To the first column, and erase the line. */
export const WIPE = '\r\u001b[K'
