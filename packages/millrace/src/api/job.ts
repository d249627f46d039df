/**
 * A job: a name and a function that describes its graph. `defineJob` only describes; the build function runs in the coordinator and
 * again in every worker thread, and both must come to the same graph.
 */
import { MillraceError, isMillraceError, messageOf } from '../base/errors.ts'
import type { Source } from '../connectors/contract.ts'
import { assertOperatorName, validateGraph, type OperatorOptions, type StreamGraph } from '../graph/index.ts'
import { GraphBuilder } from './graph-builder.ts'
import type { JobOptions, Params } from './options.ts'
import { Stream } from './stream.ts'

/** Marks job definitions, also those made by another copy of this package. The value is the version of their shape. */
const KIND: unique symbol = Symbol.for('millrace.job')
const SHAPE_VERSION = 1 as const

export interface JobDefinition<P extends Params = Params> {
  readonly [KIND]: typeof SHAPE_VERSION
  readonly name: string
  /** A method, so that a job with typed params is a `JobDefinition` too. */
  build(flow: Flow<P>): void
  readonly options: JobOptions<P>
}

/** Options of a source. */
export type SourceOptions = OperatorOptions

/** What a build function gets: where its streams begin, and its parameters. */
export interface Flow<P extends Params = Params> {
  /** A stream of the records that `source` reads. */
  source<T>(name: string, source: Source<T>, options?: SourceOptions): Stream<T>
  /** The job's `params`, with what the command line, the environment and millrace.config.ts say instead. */
  readonly params: P & { readonly [name: string]: Params[string] | undefined }
}

/**
 * Describes a job. Runs nothing; `millrace run FILE` runs the job that a file exports as default, `run(job)` runs it from a program.
 * @param name the job's folder in the storage: a lower-case letter or digit, then up to 63 of a-z 0-9 . _ -
 * @param build describes the streams; must be synchronous, deterministic and free of side effects, since it runs once per thread
 * @throws JOB_NAME_INVALID
 *
 * @example
 * export default defineJob('word-count', flow => {
 *   flow.source('lines', files.lines('corpus/*.txt'))
 *     .flatMap(line => line.split(' '))
 *     .keyBy(word => word)
 *     .aggregate('counts', count())
 *     .sink('out', files.writeJson('out/counts'))
 * })
 */
export function defineJob<P extends Params = {}>(
  name: string,
  build: (flow: Flow<P>) => void,
  options: JobOptions<P> = {},
): JobDefinition<P> {
  assertJobName(name)
  if (typeof build !== 'function') {
    throw new MillraceError(
      'GRAPH_INVALID',
      `defineJob('${name}', …) needs a function that describes the job: flow => { … }`,
    )
  }
  return { [KIND]: SHAPE_VERSION, name, build, options }
}

export function isJobDefinition(value: unknown): value is JobDefinition {
  return typeof value === 'object' && value !== null && Reflect.get(value, KIND) === SHAPE_VERSION
}

const JOB_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/

/** @throws JOB_NAME_INVALID */
export function assertJobName(name: unknown): asserts name is string {
  if (typeof name === 'string' && JOB_NAME.test(name)) return
  const found = typeof name === 'string' ? JSON.stringify(name.slice(0, 100)) : `a ${typeof name}`
  throw new MillraceError(
    'JOB_NAME_INVALID',
    `the job name is ${found}; it must be a lower-case letter or digit, then up to 63 of a-z 0-9 . _ -`,
  )
}

/**
 * Runs the build function and returns the graph it described, validated.
 * @param params what `flow.params` shall be, resolved
 * @throws GRAPH_INVALID, DUPLICATE_NAME, ASYNC_FUNCTION; what the build function itself throws comes as GRAPH_INVALID with its cause
 */
export function buildGraph(job: JobDefinition<any>, params: Params): StreamGraph {
  const builder = new GraphBuilder(job.name)
  const flow: Flow = {
    params,
    source(name, source, options) {
      assertOperatorName(name, 'source')
      if (typeof source?.open !== 'function' || typeof source.enumerate !== 'function') {
        throw new MillraceError(
          'GRAPH_INVALID',
          `source '${name}' was given no source; for example flow.source('in', files.lines('in/*.txt'))`,
        )
      }
      return new Stream(builder, builder.add({ kind: 'source', source }, [], name, options))
    },
  }
  const returned: unknown = describe(job, flow)
  if (returned instanceof Promise) {
    returned.catch(() => undefined)
    throw new MillraceError(
      'ASYNC_FUNCTION',
      `the build function of job '${job.name}' is async; it must describe the job synchronously`,
    )
  }
  const graph = builder.finish()
  validateGraph(graph)
  return graph
}

function describe(job: JobDefinition, flow: Flow): unknown {
  try {
    return job.build(flow)
  } catch (cause) {
    if (isMillraceError(cause)) throw cause
    throw new MillraceError('GRAPH_INVALID', `the build function of job '${job.name}' threw: ${messageOf(cause)}`, {
      cause,
    })
  }
}
