/**
 * How operators call each other: depth-first, one record at a time, through a function per operator.
 *
 * Each function is a private copy of a factory's text. V8 keeps its type feedback per function text, so two chains (or two maps of
 * one chain) that shared a text would make its call sites megamorphic: 55-85 ns a record and operator against about 30
 * (bench/chain.ts). A copy needs a salt: without it V8's compilation cache hands back the same function. Where code generation is
 * forbidden (`--disallow-code-generation-from-strings`) the factories are used as they are. Of the engine's files only
 * this one and codec/row-code.ts generate code.
 *
 * A factory may use nothing but its parameters. No record data and no user text ever becomes code.
 */

/** Takes the next record. */
export type Push = (value: any) => void

/** Takes the next record with its key and the key's hash (int32). */
export type PushKeyed = (key: any, hash: number, value: any) => void

/** What a consumer of a stream shows to its producer. */
export interface Input {
  readonly push: Push
  /** Keyed operators: the same, for a record whose key and its hash are known. */
  readonly pushKeyed?: PushKeyed
  /** No record with a timestamp up to this one will follow. Only grows. */
  watermark(time: number): void
  /** Whether this input stops holding back the watermark. */
  idle(isIdle: boolean): void
}

/** Beside the record, shared by all operators of a slot. */
export interface ChainContext {
  /** Of the record, or of the timer being fired; NaN without event time. */
  timestamp: number
  /** Number of the split being read, over all sources of the slot. */
  split: number
}

/** Makes an error that names operator and record out of what user code threw. Errors that have been named pass through. */
export type Fail = (error: unknown, record: unknown) => unknown

let salt = 0
let codeGeneration = true

/** For the benchmark that shows what private copies are worth. */
export function usePrivateCopies(use: boolean): void {
  codeGeneration = use
}

export function privateCopy<T extends (...args: never[]) => unknown>(factory: T): T {
  if (!codeGeneration) return factory
  try {
    return new Function(`return ${factory.toString()} // ${++salt}`)() as T
  } catch (error) {
    if (!(error instanceof EvalError)) throw error
    codeGeneration = false
    return factory
  }
}

export const mapLink = (fn: (value: any) => any, next: Push, fail: Fail, promise: Push): Push =>
  function map(value) {
    let result
    try {
      result = fn(value)
    } catch (error) {
      throw fail(error, value)
    }
    if (typeof result === 'object' && result !== null && typeof result.then === 'function') promise(value)
    next(result)
  }

export const filterLink = (fn: (value: any) => boolean, next: Push, fail: Fail, promise: Push): Push =>
  function filter(value) {
    let keep: any
    try {
      keep = fn(value)
    } catch (error) {
      throw fail(error, value)
    }
    if (keep === true) next(value)
    else if (keep) {
      if (typeof keep.then === 'function') promise(value)
      next(value)
    }
  }

export const flatMapLink = (fn: (value: any) => Iterable<any>, next: Push, fail: Fail, promise: Push): Push =>
  function flatMap(value) {
    let results: any
    try {
      results = fn(value)
      if (!Array.isArray(results)) {
        if (typeof results === 'object' && results !== null && typeof results.then === 'function') promise(value)
        // A generator runs user code: what it throws belongs to this operator.
        results = Array.from(results)
      }
    } catch (error) {
      throw fail(error, value)
    }
    for (let i = 0; i < results.length; i++) next(results[i])
  }

export const keyedLink = (
  keyOf: (value: any) => any,
  bind: (key: any) => void,
  onRecord: (value: any, ctx: any) => any,
  ctx: object,
  fail: Fail,
  promise: Push,
  counter: { records: number },
): Push =>
  function keyed(value) {
    counter.records++
    try {
      bind(keyOf(value))
      const result = onRecord(value, ctx)
      if (result !== undefined && result !== null && typeof result.then === 'function') promise(value)
    } catch (error) {
      throw fail(error, value)
    }
  }

export const keyedHashLink = (
  bind: (key: any, hash: number) => void,
  onRecord: (value: any, ctx: any) => any,
  ctx: object,
  fail: Fail,
  promise: Push,
  counter: { records: number },
): PushKeyed =>
  function keyed(key, hash, value) {
    counter.records++
    try {
      bind(key, hash)
      const result = onRecord(value, ctx)
      if (result !== undefined && result !== null && typeof result.then === 'function') promise(value)
    } catch (error) {
      throw fail(error, value)
    }
  }

export const processLink = (
  onRecord: (value: any, ctx: any) => any,
  ctx: object,
  fail: Fail,
  promise: Push,
  counter: { records: number },
): Push =>
  function process(value) {
    counter.records++
    try {
      const result = onRecord(value, ctx)
      if (result !== undefined && result !== null && typeof result.then === 'function') promise(value)
    } catch (error) {
      throw fail(error, value)
    }
  }

export const windowLink = (
  keyOf: (value: any) => any,
  bind: (key: any) => void,
  add: (value: any) => void,
  fail: Fail,
  counter: { records: number },
): Push =>
  function window(value) {
    counter.records++
    try {
      bind(keyOf(value))
      add(value)
    } catch (error) {
      throw fail(error, value)
    }
  }

export const windowHashLink = (
  bind: (key: any, hash: number) => void,
  add: (value: any) => void,
  fail: Fail,
  counter: { records: number },
): PushKeyed =>
  function window(key, hash, value) {
    counter.records++
    try {
      bind(key, hash)
      add(value)
    } catch (error) {
      throw fail(error, value)
    }
  }

export const eventTimeLink = (
  timestampOf: (value: any) => number,
  advance: (timestamp: number) => void,
  next: Push,
  context: ChainContext,
  fail: Fail,
  invalid: (value: any, timestamp: unknown) => never,
): Push =>
  function eventTime(value) {
    let timestamp
    try {
      timestamp = timestampOf(value)
    } catch (error) {
      throw fail(error, value)
    }
    // Also false for NaN and for what is not a number.
    if (!(timestamp > -Infinity && timestamp < Infinity)) invalid(value, timestamp)
    const before = context.timestamp
    context.timestamp = timestamp
    next(value)
    context.timestamp = before
    advance(timestamp)
  }

/** Counts what an operator sends on. */
export const countLink = (next: Push, counter: { records: number }): Push =>
  function counted(value) {
    counter.records++
    next(value)
  }

/** The writer is opened after the chain is linked, so it is looked up. */
export const sinkLink = (
  task: { readonly writer: { write(value: any, timestamp: number): void } | undefined },
  context: ChainContext,
  fail: Fail,
  counter: { records: number },
): Push =>
  function sink(value) {
    counter.records++
    try {
      task.writer!.write(value, context.timestamp)
    } catch (error) {
      throw fail(error, value)
    }
  }

/** Into an exchange: the record's key says which subtask it goes to. */
export const hashLink = (
  keyOf: (value: any) => any,
  hashOf: (key: any) => number,
  groupOf: (hash: number, maxParallelism: number) => number,
  maxParallelism: number,
  owners: Uint16Array,
  own: number,
  pushKeyed: PushKeyed,
  writers: readonly { add(value: any, hash: number, timestamp: number): void }[],
  context: ChainContext,
  fail: Fail,
): Push =>
  function exchange(value) {
    let key
    let hash
    let owner
    try {
      key = keyOf(value)
      hash = hashOf(key)
      owner = owners[groupOf(hash, maxParallelism)]
      if (owner !== own) writers[owner].add(value, hash, context.timestamp)
    } catch (error) {
      throw fail(error, value)
    }
    if (owner === own) pushKeyed(key, hash, value)
  }

/** Into an exchange: every subtask has its turn. */
export const rebalanceLink = (
  subtasks: number,
  first: number,
  own: number,
  push: Push,
  writers: readonly { add(value: any, hash: number, timestamp: number): void }[],
  context: ChainContext,
  fail: Fail,
): Push => {
  let turn = first
  return function exchange(value) {
    const owner = turn
    turn = turn + 1 === subtasks ? 0 : turn + 1
    if (owner === own) return push(value)
    try {
      writers[owner].add(value, 0, context.timestamp)
    } catch (error) {
      throw fail(error, value)
    }
  }
}

/** Into an exchange: every subtask gets every record; the own one last, once the record is encoded as it came. */
export const broadcastLink = (
  push: Push,
  writers: readonly { add(value: any, hash: number, timestamp: number): void }[],
  context: ChainContext,
  fail: Fail,
): Push =>
  function exchange(value) {
    try {
      for (let i = 0; i < writers.length; i++) writers[i].add(value, 0, context.timestamp)
    } catch (error) {
      throw fail(error, value)
    }
    push(value)
  }

/** What the reading end of a channel hands out: the next record, and what it carries. */
interface Rows {
  readonly hash: number
  readonly timestamp: number
  next(): any
}

/** Out of an exchange: the records of a page. */
export const pageLink = (push: Push, context: ChainContext) =>
  function page(rows: Rows, count: number) {
    for (let i = 0; i < count; i++) {
      const value = rows.next()
      context.timestamp = rows.timestamp
      push(value)
    }
    context.timestamp = NaN
  }

export const keyedPageLink = (keyOf: (value: any) => any, pushKeyed: PushKeyed, context: ChainContext, fail: Fail) =>
  function page(rows: Rows, count: number) {
    for (let i = 0; i < count; i++) {
      const value = rows.next()
      const hash = rows.hash
      context.timestamp = rows.timestamp
      let key
      try {
        key = keyOf(value)
      } catch (error) {
        throw fail(error, value)
      }
      pushKeyed(key, hash, value)
    }
    context.timestamp = NaN
  }

const fanOutTwo = (a: Push, b: Push): Push =>
  function fanOut(value) {
    a(value)
    b(value)
  }

const fanOutMany = (nexts: readonly Push[]): Push =>
  function fanOut(value) {
    for (let i = 0; i < nexts.length; i++) nexts[i](value)
  }

const NOWHERE: Push = () => {}

/** One push for all consumers of a stream. */
export function fanOut(nexts: readonly Push[]): Push {
  if (nexts.length === 0) return NOWHERE
  if (nexts.length === 1) return nexts[0]
  return nexts.length === 2 ? privateCopy(fanOutTwo)(nexts[0], nexts[1]) : privateCopy(fanOutMany)(nexts)
}
