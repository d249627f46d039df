/** What kind of object a value is, as structured clone sees it: by internal slots, not by what `constructor` or a tag claims. */
import { types } from 'node:util'

export type ObjectKind =
  | 'plain'
  | 'array'
  | 'map'
  | 'set'
  | 'date'
  | 'regexp'
  | 'boxed'
  | 'buffer'
  | 'view'
  | 'error'
  | 'instance'
  | 'unsupported'

const objectPrototype = Object.prototype
const arrayPrototype = Array.prototype

/** Prototypes of objects with internal slots. An object that inherits from none of them is a class instance like any other. */
const withSlots = new Set<object | null>(
  [
    Array,
    Map,
    Set,
    Date,
    RegExp,
    Error,
    Boolean,
    Number,
    BigInt,
    String,
    Symbol,
    Object.getPrototypeOf(Uint8Array) as { prototype: object },
    DataView,
    ArrayBuffer,
    SharedArrayBuffer,
    Promise,
    WeakMap,
    WeakSet,
    WeakRef,
    FinalizationRegistry,
  ].map(type => type.prototype),
)
const iteratorPrototype: object = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()))
const asyncIteratorPrototype: object = Object.getPrototypeOf(Object.getPrototypeOf(async function* () {}).prototype)
withSlots.add(iteratorPrototype).add(asyncIteratorPrototype)

export function kindOf(object: object): ObjectKind {
  let prototype: object | null = Object.getPrototypeOf(object)
  if (prototype === objectPrototype) return 'plain'
  if (prototype === arrayPrototype) return Array.isArray(object) ? 'array' : 'instance'
  if (prototype === null) return 'instance'
  for (; prototype !== null; prototype = Object.getPrototypeOf(prototype) as object | null) {
    if (prototype === objectPrototype) return 'instance'
    if (withSlots.has(prototype)) break
  }
  return kindBySlots(object)
}

/** For built-in objects and for all objects of another realm (node:vm), whose prototypes are not ours. */
function kindBySlots(object: object): ObjectKind {
  if (Array.isArray(object)) return 'array'
  if (types.isMap(object)) return 'map'
  if (types.isSet(object)) return 'set'
  if (types.isDate(object)) return 'date'
  if (ArrayBuffer.isView(object)) return types.isSharedArrayBuffer(object.buffer) ? 'unsupported' : 'view'
  if (types.isArrayBuffer(object)) return 'buffer'
  if (types.isNativeError(object)) return 'error'
  if (types.isRegExp(object)) return 'regexp'
  if (types.isSymbolObject(object)) return 'unsupported'
  if (types.isBoxedPrimitive(object)) return 'boxed'
  return hasHiddenState(object) ? 'unsupported' : 'instance'
}

function hasHiddenState(object: object): boolean {
  return (
    types.isPromise(object) ||
    types.isWeakMap(object) ||
    types.isWeakSet(object) ||
    types.isSharedArrayBuffer(object) ||
    types.isGeneratorObject(object) ||
    object instanceof WeakRef ||
    object instanceof FinalizationRegistry ||
    iteratorPrototype.isPrototypeOf(object) ||
    asyncIteratorPrototype.isPrototypeOf(object)
  )
}

/** The primitive in an object of kind `boxed`. */
export function unbox(object: object): boolean | number | bigint | string {
  if (types.isBooleanObject(object)) return Boolean.prototype.valueOf.call(object)
  if (types.isNumberObject(object)) return Number.prototype.valueOf.call(object)
  return types.isStringObject(object) ? String.prototype.valueOf.call(object) : BigInt.prototype.valueOf.call(object)
}
