/** A stream of which every subtask of its reader gets every record. */
import type { Edge } from '../graph/index.ts'
import type { GraphBuilder } from './graph-builder.ts'

/** Made by `stream.broadcast()`, read by `keyedStream.connect(broadcast)`. */
export class BroadcastStream<T> {
  readonly #builder: GraphBuilder
  readonly #edge: Edge
  /** Only for the type; never set. */
  declare readonly _record?: T

  constructor(builder: GraphBuilder, edge: Edge) {
    this.#builder = builder
    this.#edge = { ...edge, broadcast: true }
  }

  /** Where its records come from; undefined when it is no broadcast stream of this job. */
  static edgeOf(broadcast: unknown, builder: GraphBuilder): Edge | undefined {
    if (!(broadcast instanceof BroadcastStream) || broadcast.#builder !== builder) return undefined
    return broadcast.#edge
  }
}
