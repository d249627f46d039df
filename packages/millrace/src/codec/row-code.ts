/**
 * Code for the rows of a layout, generated once per type and isolate: a function that checks whether a record fits and writes it, and
 * one that reads it. V8 sees the properties of one kind of record in each, whoever sends them. All writers of a type share the
 * functions, so the second one starts warm.
 *
 * Of the records only property names get into the code, and only as JSON.stringify writes them. Where code generation is forbidden
 * (`--disallow-code-generation-from-strings`) rows are written and read by row-walk.ts.
 */
import type { FilledPage } from './row-filled-page.ts'
import { MAX_CHUNK_LENGTH, MAX_ROW_TEXT, type RowOptions } from './row-format.ts'
import { layOut, type RowLayout } from './row-layout.ts'
import type { ReceivedPage } from './row-received-page.ts'
import type { RowType, TreeType } from './row-type.ts'
import { decodeByWalk, encodeByWalk } from './row-walk.ts'

/** Adds the record as a row. False, and nothing is added, when it does not fit the layout exactly. */
export type EncodeRow = (page: FilledPage, record: unknown, tag: number, hash: number, timestamp: number) => boolean

/** The record of the row that begins at word `at`. */
export type DecodeRow = (page: ReceivedPage, at: number) => unknown

export interface RowDecoder {
  readonly words: number
  readonly decode: DecodeRow
}

let codeGeneration = true

/** For the tests and the benchmark of what is used where code generation is forbidden. */
export function useGeneratedRows(use: boolean): void {
  codeGeneration = use
}

const encoders = new Map<string, EncodeRow>()
const decoders = new Map<string, RowDecoder>()
/** Types of a process are few: those of its jobs. Beyond this both caches start anew. */
const MAX_CACHED_TYPES = 1024

export function rowEncoder(type: RowType, options: RowOptions): EncodeRow {
  return cached(encoders, type, options, layout => {
    const text = new EncoderText(layout)
    return (
      (generated(text.code(), text.names) as EncodeRow | undefined) ??
      ((page, record, ...row) => encodeByWalk(layout, page, record, ...row))
    )
  })
}

export function rowDecoder(type: RowType, options: RowOptions): RowDecoder {
  return cached(decoders, type, options, layout => ({
    words: layout.words,
    decode:
      (generated(new DecoderText(layout).code(), []) as DecodeRow | undefined) ??
      ((page, at) => decodeByWalk(layout, page, at)),
  }))
}

function cached<T>(cache: Map<string, T>, type: RowType, options: RowOptions, make: (layout: RowLayout) => T): T {
  const key = JSON.stringify([type, options.hash, options.timestamp, codeGeneration])
  let found = cache.get(key)
  if (found === undefined) {
    found = make(layOut(type, options))
    if (cache.size === MAX_CACHED_TYPES) cache.clear()
    cache.set(key, found)
  }
  return found
}

function generated(code: string, names: readonly (readonly string[])[]): unknown {
  if (!codeGeneration) return undefined
  try {
    const make = new Function('plain', 'prototypeOf', 'isArray', 'names', code)
    return make(Object.prototype, Object.getPrototypeOf, Array.isArray, names) as unknown
  } catch (error) {
    if (!(error instanceof EvalError)) throw error
    codeGeneration = false
    return undefined
  }
}

/** The function of an encoder, put together from statements: checks, the row's words, what is text and what are values. */
class EncoderText {
  /** Of each tree of properties, for the code to compare with. */
  readonly names: (readonly string[])[] = []
  private readonly layout: RowLayout
  private readonly checks: string[] = []
  private readonly stores: string[] = []
  private readonly strings: string[] = []
  private readonly values: string[] = []
  private readonly objects: string[] = []
  private leaf = 0
  private variables = 0

  constructor(layout: RowLayout) {
    this.layout = layout
  }

  code(): string {
    this.visit(this.layout.type, 'record')
    const { checks, objects, stores, strings, values } = this
    const pairs = objects.flatMap((a, i) => objects.slice(i + 1).map(b => `${a} === ${b}`))
    if (pairs.length > 0) checks.push(`if (${pairs.join(' || ')}) return false`)
    if (values.length > 0)
      checks.push(
        ...objects.map((object, i) => `page.owners[${i}] = ${object}`),
        ...values.map((value, i) => `page.parts[${i}] = ${value}`),
        `if (!page.addParts(${objects.length}, ${values.length})) return false`,
      )
    if (strings.length > 0)
      stores.push(
        `const text = page.text + ${strings.join(' + ')}`,
        'page.text = text',
        `if (text.length > ${MAX_CHUNK_LENGTH}) page.endChunk()`,
      )
    return `return function encodeRow(page, record, tag, hash, timestamp) {
      ${checks.join('\n')}
      const at = page.addRow(tag, ${this.layout.words}, hash, timestamp)
      const i32 = page.i32, f64 = page.f64, half = at >> 1
      ${stores.join('\n')}
      return true
    }`
  }

  private visit(type: RowType, v: string): void {
    if (typeof type === 'object') {
      this.objects.push(v)
      if (type.names === null) this.visitArray(type, v)
      else this.visitObject(type, type.names, v)
      return
    }
    const place = this.layout.places[this.leaf++]
    switch (type) {
      case 'int32':
        this.checks.push(
          `if (typeof ${v} !== 'number' || (${v} | 0) !== ${v} || (${v} === 0 && 1 / ${v} < 0)) return false`,
        )
        this.stores.push(`i32[at + ${place}] = ${v}`)
        break
      case 'float64':
        this.checks.push(`if (typeof ${v} !== 'number') return false`)
        this.stores.push(`f64[half + ${place / 2}] = ${v}`)
        break
      case 'boolean':
        this.checks.push(`if (typeof ${v} !== 'boolean') return false`)
        this.stores.push(`i32[at + ${place}] = ${v} ? 1 : 0`)
        break
      case 'string':
        this.checks.push(`if (typeof ${v} !== 'string' || ${v}.length > ${MAX_ROW_TEXT}) return false`)
        this.stores.push(`i32[at + ${place}] = ${v}.length`)
        this.strings.push(v)
        break
      case 'value':
        this.values.push(v)
    }
  }

  private visitObject(type: TreeType, names: readonly string[], v: string): void {
    const n = this.names.push(names) - 1
    this.checks.push(
      `if (typeof ${v} !== 'object' || ${v} === null || prototypeOf(${v}) !== plain) return false`,
      `const names${n} = names[${n}]`,
      `let i${n} = 0`,
      `for (const name in ${v}) if (name !== names${n}[i${n}++]) return false`,
      `if (i${n} !== ${names.length}) return false`,
    )
    this.visitInner(
      type,
      v,
      names.map(name => JSON.stringify(name)),
    )
  }

  private visitArray(type: TreeType, v: string): void {
    this.checks.push(`if (!isArray(${v}) || ${v}.length !== ${type.types.length}) return false`)
    for (const [i, inner] of type.types.entries()) {
      // Of all leaves a value alone could be taken from a hole.
      if (inner === 'value') this.checks.push(`if (!(${i} in ${v})) return false`)
    }
    this.visitInner(type, v, [...type.types.keys()].map(String))
  }

  private visitInner(type: TreeType, v: string, names: readonly string[]): void {
    // All are read at once, as V8 then looks at the object's map once.
    const first = this.variables
    this.variables += names.length
    this.checks.push(...names.map((name, i) => `const v${first + i} = ${v}[${name}]`))
    for (const [i, inner] of type.types.entries()) this.visit(inner, `v${first + i}`)
  }
}

/** The function of a decoder: strings are cut, objects are made from the inner ones outwards, values come last. */
class DecoderText {
  private readonly layout: RowLayout
  private readonly lines: string[] = []
  private readonly late: string[] = []
  private leaf = 0
  private objects = 0

  constructor(layout: RowLayout) {
    this.layout = layout
  }

  code(): string {
    const { layout, lines, late } = this
    const record = this.visit(layout.type, '')
    if (layout.hasText) {
      lines.unshift(
        'let text = page.text',
        'if (page.textAt === text.length) text = page.nextText()',
        'let textAt = page.textAt',
      )
      lines.push('page.textAt = textAt')
    }
    if (late.length > 0) {
      for (let i = 0; i < this.objects; i++) lines.push(`page.owners[${i}] = o${i}`)
      lines.push(`page.takeParts(${this.objects}, ${late.length})`, ...late)
    }
    return `return function decodeRow(page, at) {
      const i32 = page.i32, f64 = page.f64, half = at >> 1
      ${lines.join('\n')}
      return ${record}
    }`
  }

  /** The expression for a value of the type; `target` is the place to put it when it comes late. */
  private visit(type: RowType, target: string): string {
    if (typeof type === 'object') return this.visitTree(type)
    const leaf = this.leaf++
    const place = this.layout.places[leaf]
    switch (type) {
      case 'int32':
        return `i32[at + ${place}]`
      case 'float64':
        return `f64[half + ${place / 2}]`
      case 'boolean':
        return `i32[at + ${place}] === 1`
      case 'string':
        this.lines.push(`const s${leaf} = text.substring(textAt, textAt += i32[at + ${place}])`)
        return `s${leaf}`
      case 'value':
        this.late.push(`${target} = page.parts[${place}]`)
        return 'undefined'
    }
  }

  private visitTree(type: TreeType): string {
    const object = `o${this.objects++}`
    const names = type.names?.map(name => JSON.stringify(name))
    const inner = type.types.map((inner, i) => this.visit(inner, `${object}[${names?.[i] ?? i}]`))
    this.lines.push(
      names === undefined
        ? `const ${object} = [${inner.join(', ')}]`
        : `const ${object} = { ${inner.map((value, i) => `${names[i]}: ${value}`).join(', ')} }`,
    )
    return object
  }
}
