/** Pages back into records. Keeps the layouts that the writer of its pages has defined, so it reads the pages of one writer, all of them. */
import { assert } from '../base/assert.ts'
import { rowDecoder, type RowDecoder } from './row-code.ts'
import type { RowOptions } from './row-format.ts'
import { layOut } from './row-layout.ts'
import { ReceivedPage } from './row-received-page.ts'
import type { RowType } from './row-type.ts'
import { decodeValue } from './value.ts'

export class RowReader {
  /** Of the record that `next` returned last: 0 and NaN when rows carry none. */
  hash = 0
  timestamp = NaN
  private readonly options: RowOptions
  private readonly hasHash: boolean
  private readonly hasTimestamp: boolean
  private readonly page = new ReceivedPage()
  private readonly layouts: RowDecoder[]

  constructor(options: RowOptions) {
    this.options = options
    this.hasHash = options.hash
    this.hasTimestamp = options.timestamp
    // In the order of the tags.
    this.layouts = [
      { words: layOut('value', options).words, decode: page => decodeValue(page.values) },
      rowDecoder('string', options),
      rowDecoder('float64', options),
    ]
  }

  /** Copies a part of a page in: those of one page in order, before `open`, and not before all records of the page before were read. */
  receive(bytes: Uint8Array, start: number, end: number): void {
    assert(this.page.left === 0, 'all records of a page are read before the next one is received')
    this.page.receive(bytes, start, end)
  }

  /** Begins to read the page that was received; returns how many records it has. */
  open(): number {
    const page = this.page
    page.open()
    while (page.definitions.remaining() > 0)
      this.layouts.push(rowDecoder(decodeValue(page.definitions) as RowType, this.options))
    return page.left
  }

  /** The next record. To be called as often as `open` said. */
  next(): unknown {
    const page = this.page
    assert(page.left > 0, 'the page has another record')
    const at = page.at
    const layout = this.layouts[page.i32[at]]
    page.at = at + layout.words
    if (this.hasHash) this.hash = page.i32[at + 1]
    if (this.hasTimestamp) this.timestamp = page.f64[(at + 2) >> 1]
    const record = layout.decode(page, at)
    if (--page.left === 0) page.close()
    return record
  }
}
