/** Row numbers in the order they were added, four bytes each, in chunks that are not moved once they are full size. */
const SHIFT = 12
const FULL = 1 << SHIFT
const FIRST = 8

export class RowList {
  length = 0
  private readonly chunks: Int32Array[] = [new Int32Array(FIRST)]
  /** The one that is being filled. */
  private last = this.chunks[0]

  push(row: number): void {
    const at = this.length & (FULL - 1)
    if (this.length > 0 && (at === 0 || at === this.last.length)) this.addRoom(at)
    this.last[at] = row
    this.length++
  }

  at(index: number): number {
    return this.chunks[index >>> SHIFT][index & (FULL - 1)]
  }

  private addRoom(at: number): void {
    const { chunks, last } = this
    if (at === 0) chunks.push((this.last = new Int32Array(FULL)))
    else {
      chunks[0] = this.last = new Int32Array(last.length * 2)
      this.last.set(last)
    }
  }
}
