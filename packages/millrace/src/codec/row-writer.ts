/**
 * Records into pages. Each record is tried with the layout of the one before, then with that of its property names; the rest goes
 * through the value codec. What did not fit is remembered by its names, and the eighth such record makes a layout for all eight.
 */
import { ByNames } from './shape.ts'
import { rowEncoder, type EncodeRow } from './row-code.ts'
import { FilledPage } from './row-filled-page.ts'
import { TAG_FLOAT64, TAG_STRING, TAG_VALUE, type RowOptions } from './row-format.ts'
import { layOut } from './row-layout.ts'
import { MAX_ARRAY_LENGTH, mergeTypes, typeOf, type RowType } from './row-type.ts'
import { encodeValue } from './value.ts'

/** Fewer are not worth 50 µs of code generation, nor would they show what varies. */
const LEARN_AFTER = 8
/** Bounds the code and the search: what a job sends over one edge has a few shapes, or as many as there are records. */
const MAX_SHAPES = 64
const MAX_LAYOUTS = 64

interface Layout {
  readonly tag: number
  readonly encode: EncodeRow
}

/** What is known of the objects with certain names, or of the arrays of a length. */
interface Learned {
  readonly names: readonly string[]
  /** Carries every one that did not fit. */
  type: RowType | undefined
  misses: number
  layout: Layout | undefined
  /** Of the layout, as JSON. */
  layoutType: string
}

export class RowWriter {
  private readonly options: RowOptions
  private readonly page: FilledPage
  private readonly valueWords: number
  private readonly string: Layout
  private readonly float64: Layout
  private layoutCount = 0
  private readonly shapes = new ByNames<Learned>(MAX_SHAPES)
  private readonly arrays: (Learned | undefined)[] = []
  /** Of the record before. */
  private layout: Layout

  constructor(options: RowOptions) {
    this.options = options
    this.page = new FilledPage(options)
    this.valueWords = layOut('value', options).words
    this.string = { tag: TAG_STRING, encode: rowEncoder('string', options) }
    this.float64 = { tag: TAG_FLOAT64, encode: rowEncoder('float64', options) }
    this.layout = this.string
  }

  /** Records in the page that is being filled. */
  get count(): number {
    return this.page.count
  }

  /** Room that `moveTo` needs: about 1 KiB more than it fills, while it is not known which characters the last strings have. */
  get sizeBytes(): number {
    return this.page.sizeBytes
  }

  /**
   * Appends a record. The page grows without bound: whoever fills it moves it when `sizeBytes` is at its target. On an error nothing
   * is appended.
   * @throws VALUE_UNSUPPORTED, VALUE_TOO_LARGE
   */
  add(record: unknown, hash: number, timestamp: number): void {
    const layout = this.layout
    if (!layout.encode(this.page, record, layout.tag, hash, timestamp)) this.addOther(record, hash, timestamp)
  }

  private addOther(record: unknown, hash: number, timestamp: number): void {
    const page = this.page
    const learned = this.find(record)
    const layout = this.layoutOf(record, learned)
    if (layout !== undefined && layout !== this.layout && layout.encode(page, record, layout.tag, hash, timestamp)) {
      this.layout = layout
      return
    }
    // Looked at before anything is appended, since that may run an accessor.
    const type = learned !== undefined && this.mayLearn(learned) ? typeOf(record) : undefined
    page.addValue(record)
    page.addRow(TAG_VALUE, this.valueWords, hash, timestamp)
    if (type !== undefined) this.learn(learned!, type)
  }

  /** Writes the page to `target` from `offset` on, at most `sizeBytes`, and begins an empty one. */
  moveTo(target: Uint8Array, offset: number): void {
    this.page.moveTo(target, offset)
  }

  // ------------------------------------------------------------------------------------------------------------ learning

  private find(record: unknown): Learned | undefined {
    if (typeof record !== 'object' || record === null) return undefined
    if (Array.isArray(record))
      return record.length <= MAX_ARRAY_LENGTH ? (this.arrays[record.length] ??= unknown([])) : undefined
    if (Object.getPrototypeOf(record) !== Object.prototype) return undefined
    const found = this.shapes.find(record)
    if (found !== undefined || this.shapes.count === MAX_SHAPES) return found
    const learned = unknown(Object.keys(record))
    this.shapes.add(learned)
    return learned
  }

  private layoutOf(record: unknown, learned: Learned | undefined): Layout | undefined {
    if (learned !== undefined) return learned.layout
    if (typeof record === 'string') return this.string
    return typeof record === 'number' ? this.float64 : undefined
  }

  private mayLearn(learned: Learned): boolean {
    return learned.type !== 'value' && this.layoutCount < MAX_LAYOUTS
  }

  private learn(learned: Learned, type: RowType): void {
    learned.type = learned.type === undefined ? type : mergeTypes(learned.type, type)
    if (++learned.misses < LEARN_AFTER) return
    learned.misses = 0
    const layoutType = JSON.stringify(learned.type)
    // Nothing wider is known: the strings were too long.
    if (learned.type === 'value' || layoutType === learned.layoutType) return
    learned.layoutType = layoutType
    learned.layout = { tag: TAG_FLOAT64 + ++this.layoutCount, encode: rowEncoder(learned.type, this.options) }
    encodeValue(learned.type, this.page.definitions)
  }
}

function unknown(names: readonly string[]): Learned {
  return { names, type: undefined, misses: 0, layout: undefined, layoutType: '' }
}
