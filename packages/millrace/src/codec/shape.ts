/**
 * The shape of a plain object: its property names in order, with their bytes. Most objects of a job have one of a few shapes, so
 * both sides keep those they have met and find them again by content: the encoder by the names, the decoder by the bytes. The
 * caches are bounded; a shape that is not cached is only slower.
 */

interface Named {
  readonly names: readonly string[]
}

export interface Shape extends Named {
  /** As value-format.ts says, without the size in front. */
  readonly run: Uint8Array
  /** Whether a name is `__proto__`, which plain assignment would take for the prototype. */
  readonly unsafe: boolean
  /** Marks of the value that is being written: which one it is, and the shape's number in it. */
  stamp: number
  index: number
}

export function makeShape(names: readonly string[], run: Uint8Array): Shape {
  return { names, run, unsafe: names.includes('__proto__'), stamp: 0, index: 0 }
}

/** An object with more properties is taken for a dictionary, whose names are data. */
const MAX_CACHED_NAMES = 64
const MAX_CACHED_RUN_BYTES = 4096
/** Bounds the memory: 1024 shapes of 64 names of 20 characters are about 4 MB. */
const MAX_CACHED_SHAPES = 1024
function isCacheable(shape: Shape): boolean {
  return shape.names.length <= MAX_CACHED_NAMES && shape.run.length <= MAX_CACHED_RUN_BYTES
}

/** Shapes, or what else is known of objects with those names, by their names. A full cache is emptied. */
export class ByNames<T extends Named> {
  private readonly byFirstName = new Map<string, T[]>()
  private readonly maxCandidates: number
  private last: T | undefined
  count = 0

  /** Of those that begin with the same name, the newest `maxCandidates` are kept. */
  constructor(maxCandidates: number) {
    this.maxCandidates = maxCandidates
  }

  /**
   * What was added for the object's enumerable properties, if anything. Only for an object that inherits no enumerable ones: `for in`
   * names those too, but takes a third less time than Object.keys.
   */
  find(object: object): T | undefined {
    if (this.last !== undefined && hasNames(object, this.last.names)) return this.last
    const candidates = this.byFirstName.get(firstName(object))
    if (candidates === undefined) return undefined
    for (let i = candidates.length - 1; i >= 0; i--) {
      if (hasNames(object, candidates[i].names)) return (this.last = candidates[i])
    }
    return undefined
  }

  add(named: T): void {
    if (this.count === MAX_CACHED_SHAPES) {
      this.byFirstName.clear()
      this.count = 0
    }
    this.count++
    const first = named.names[0] ?? ''
    const candidates = this.byFirstName.get(first)
    if (candidates === undefined) this.byFirstName.set(first, [named])
    else if (candidates.push(named) > this.maxCandidates) candidates.shift()
  }
}

/** Bounds the search among shapes that begin alike. */
const MAX_CANDIDATES = 16

/** Shapes by their names. */
export class ShapesByName extends ByNames<Shape> {
  constructor() {
    super(MAX_CANDIDATES)
  }

  override add(shape: Shape): void {
    if (isCacheable(shape)) super.add(shape)
  }
}

function firstName(object: object): string {
  for (const name in object) return name
  return ''
}

export function hasNames(object: object, names: readonly string[]): boolean {
  let i = 0
  for (const name in object) {
    if (names[i] !== name) return false
    i++
  }
  return i === names.length
}

/** Shapes by their bytes: a table of sets of four, where a fifth shape takes the place of the one that was added longest ago. */
export class ShapesByRun {
  private readonly slots: (Shape | undefined)[] = Array.from({ length: MAX_CACHED_SHAPES }, () => undefined)
  private readonly oldest = new Uint8Array(MAX_CACHED_SHAPES / 4)

  /** The shape whose run lies in `bytes` at `start`, if it was met before. */
  find(bytes: Uint8Array, start: number, size: number): Shape | undefined {
    const first = slotOf(bytes, start, size)
    for (let slot = first; slot < first + 4; slot++) {
      const shape = this.slots[slot]
      if (shape !== undefined && isSame(shape.run, bytes, start, size)) return shape
    }
    return undefined
  }

  add(shape: Shape): void {
    if (!isCacheable(shape)) return
    const first = slotOf(shape.run, 0, shape.run.length)
    const turn = this.oldest[first / 4]
    this.slots[first + turn] = shape
    this.oldest[first / 4] = (turn + 1) % 4
  }
}

/** The first slot of the set, from the size and a few bytes: reading all of them twice would cost more than a rare collision. */
function slotOf(bytes: Uint8Array, start: number, size: number): number {
  if (size === 0) return 0
  const middle = bytes[start + (size >>> 1)]
  const end = bytes[start + size - 1]
  return ((size * 7 + middle * 31 + end * 131) & (MAX_CACHED_SHAPES / 4 - 1)) * 4
}

function isSame(run: Uint8Array, bytes: Uint8Array, start: number, size: number): boolean {
  if (run.length !== size) return false
  for (let i = 0; i < size; i++) if (run[i] !== bytes[start + i]) return false
  return true
}
