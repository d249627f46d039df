/**
 * State as operators declare it: `state: { cart: value<Cart>(), seen: map<string, number>({ ttl: '7d' }) }`. The property's name is
 * the state's name. A declaration holds nothing; inside `onRecord` and `onTimer`, `ctx.state.cart` is the state of the current key.
 */
import { MillraceError } from '../base/errors.ts'
import { isSchema } from '../codec/index.ts'
import type {
  AggregatingDeclaration,
  AggregatingState,
  Aggregator,
  BroadcastDeclaration,
  BroadcastState,
  BroadcastStateOptions,
  BroadcastStateShape,
  DefaultedValueState,
  Key,
  ListDeclaration,
  ListState,
  MapDeclaration,
  MapState,
  OperatorStateShape,
  ReadOnlyBroadcastState,
  ReducingDeclaration,
  ReducingState,
  StateOptions,
  StateShape,
  UnionListDeclaration,
  ValueDeclaration,
  ValueState,
  ValueStateOptions,
} from '../state/declarations.ts'
import { parseDuration } from '../time/index.ts'
import { assertSynchronous } from './async-function.ts'

/** A value state whose `get` never returns undefined. */
export interface DefaultedValueDeclaration<T> extends ValueDeclaration<T> {
  readonly options: ValueStateOptions<T> & { readonly default: T }
}

/**
 * One value per key. Flink: ValueState.
 *
 * With a `schema` that is an object of required numbers, integers and booleans, or one of those alone, the values are kept in typed
 * arrays; `set` then throws STATE_VALUE_INVALID for a value that does not fit, and changes nothing. `get` makes a new object, with the
 * properties in the schema's order. An integer takes as many bytes as its bounds need. With a `ttl`, and with any other schema, values
 * are kept as without one and are not checked.
 * @param options `default`: what `get` returns while nothing is set; `ttl`: how long an entry lives after its last touch, `'7d'` by the
 *   clock or `{ ttl: '7d', updateOn: 'read-and-write', time: 'event' }` (TtlOptions); `schema`: a Standard JSON Schema (zod, valibot,
 *   arktype) or a plain JSON Schema
 * @throws OPTION_INVALID for a schema that is none. A default that does not fit it is GRAPH_INVALID once the job is described
 *
 * @example
 * state: { seat: value({ schema: z.object({ row: z.uint32(), price: z.number(), taken: z.boolean() }) }) }
 */
export function value<T>(options: ValueStateOptions<T> & { readonly default: T }): DefaultedValueDeclaration<T>
export function value<T>(options?: ValueStateOptions<T>): ValueDeclaration<T>
export function value<T>(options: ValueStateOptions<T> = {}): ValueDeclaration<T> {
  return { kind: 'value', options: checked(options, 'value') }
}

/** A list per key, appended to in O(1); in an operator that is not keyed, a list that is split when the parallelism changes. Flink: ListState. */
export function list<T>(options: StateOptions<T> = {}): ListDeclaration<T> {
  return { kind: 'list', options: checked(options, 'list') }
}

/** Operator state of which every subtask gets all elements on restore. Flink: getUnionListState. */
export function unionList<T>(options: StateOptions<T> = {}): UnionListDeclaration<T> {
  return { kind: 'unionList', options: checked(options, 'unionList') }
}

/**
 * A map that every subtask has a copy of, for `broadcastState` of an operator that is connected to a broadcast stream. It is kept in
 * memory and written whole into every checkpoint: meant for rules and settings, not for millions of entries. Flink: BroadcastState.
 */
export function broadcast<K extends Key, V>(options: BroadcastStateOptions = {}): BroadcastDeclaration<K, V> {
  if ('ttl' in options)
    throw new MillraceError('GRAPH_INVALID', 'broadcast() takes no ttl: its copies would expire at different times')
  return { kind: 'broadcast', options: checked(options, 'broadcast') }
}

/** A map per key; each entry is stored, changed and expires on its own. Flink: MapState. */
export function map<K extends Key, V>(options: StateOptions<V> = {}): MapDeclaration<K, V> {
  return { kind: 'map', options: checked(options, 'map') }
}

/** One value per key, into which `add` folds another with `fn`. A `schema` does what it does for `value`. Flink: ReducingState. */
export function reducing<T>(fn: (a: T, b: T) => T, options: StateOptions<T> = {}): ReducingDeclaration<T> {
  assertSynchronous(fn, 'reducing(fn)')
  return { kind: 'reducing', options: checked(options, 'reducing'), reduce: fn }
}

/** An accumulator per key. `get` of a key to which nothing was added gives the result of the empty accumulator. Flink: AggregatingState. */
export function aggregating<T, A, R>(
  aggregator: Aggregator<T, A, R>,
  options: StateOptions = {},
): AggregatingDeclaration<T, A, R> {
  assertAggregator(aggregator, 'aggregating(aggregator)')
  return { kind: 'aggregating', options: checked(options, 'aggregating'), aggregator }
}

/** @throws GRAPH_INVALID when a part of the aggregator is missing, ASYNC_FUNCTION when one is async */
export function assertAggregator(aggregator: Aggregator<any, any, any>, where: string): void {
  if (typeof aggregator !== 'object' || aggregator === null) {
    throw new MillraceError('GRAPH_INVALID', `${where} needs an aggregator: { create, add, merge?, result }`)
  }
  const parts = aggregator as unknown as { readonly [part: string]: unknown }
  for (const part of ['create', 'add', 'result']) assertSynchronous(parts[part], `${part} of ${where}`)
  if (parts['merge'] !== undefined) assertSynchronous(parts['merge'], `merge of ${where}`)
}

/** @throws OPTION_INVALID */
export function checkedSchema<S>(schema: S, owner: string): S {
  if (isSchema(schema)) return schema
  throw new MillraceError(
    'OPTION_INVALID',
    `schema of ${owner} is ${String(schema)}; it takes a Standard Schema (zod, valibot, arktype) or a JSON Schema as an object`,
  )
}

function checked<O extends StateOptions>(options: O, kind: string): O {
  const { ttl, schema, version = 1, migrate = {} } = options
  if (schema !== undefined) checkedSchema(schema, `${kind}()`)
  if (!Number.isSafeInteger(version) || version < 1)
    throw new MillraceError('OPTION_INVALID', `version of ${kind}() is ${String(version)}; it takes an integer from 1`)
  for (const [from, migration] of Object.entries(migrate)) {
    if (!(Number(from) >= 1 && Number(from) < version)) {
      const message = `migrate of ${kind}() has a migration from version ${from}; the state's version is ${version}, so they begin with 1 to ${version - 1}`
      throw new MillraceError('OPTION_INVALID', message)
    }
    assertSynchronous(migration, `migrate[${from}] of ${kind}()`)
  }
  if (ttl !== undefined) checkTtl(ttl, kind)
  return options
}

function checkTtl(ttl: unknown, kind: string): void {
  const { ttl: duration, ...said }: { readonly [option: string]: unknown } =
    typeof ttl === 'object' && ttl !== null ? { ...ttl } : { ttl }
  if (parseDuration(duration, `ttl of ${kind}()`) < 1)
    throw new MillraceError('OPTION_INVALID', `ttl of ${kind}() is ${String(duration)}; an entry lives 1 ms or more`)
  for (const [option, value] of Object.entries(said)) {
    const allowed = TTL_OPTIONS[option]
    if (allowed === undefined)
      throw new MillraceError(
        'OPTION_INVALID',
        `ttl of ${kind}() has no option '${option}'; it takes ttl, updateOn and time`,
      )
    if (value === undefined || allowed.includes(value)) continue
    const message = `${option} in the ttl of ${kind}() is ${String(value)}; it takes ${allowed.map(each => `'${String(each)}'`).join(' or ')}`
    throw new MillraceError('OPTION_INVALID', message)
  }
}

const TTL_OPTIONS: { readonly [option: string]: readonly unknown[] | undefined } = {
  updateOn: ['write', 'read-and-write'],
  time: ['processing', 'event'],
}

/** What `ctx.state` is, given the declarations. */
export type StateView<S extends StateShape | OperatorStateShape> = { readonly [Name in keyof S]: StateOf<S[Name]> }

/** What `ctx.broadcastState` is in `onBroadcast`. */
export type BroadcastView<B extends BroadcastStateShape> = {
  readonly [Name in keyof B]: B[Name] extends BroadcastDeclaration<infer K, infer V> ? BroadcastState<K, V> : never
}

/** What `ctx.broadcastState` is in `onRecord` and `onTimer`. */
export type ReadOnlyBroadcastView<B extends BroadcastStateShape> = {
  readonly [Name in keyof B]: B[Name] extends BroadcastDeclaration<infer K, infer V>
    ? ReadOnlyBroadcastState<K, V>
    : never
}

type StateOf<D> =
  D extends DefaultedValueDeclaration<infer T>
    ? DefaultedValueState<T>
    : D extends ValueDeclaration<infer T>
      ? ValueState<T>
      : D extends MapDeclaration<infer K, infer V>
        ? MapState<K, V>
        : D extends ReducingDeclaration<infer T>
          ? ReducingState<T>
          : D extends AggregatingDeclaration<infer T, any, infer R>
            ? AggregatingState<T, R>
            : D extends ListDeclaration<infer T> | UnionListDeclaration<infer T>
              ? ListState<T>
              : never
