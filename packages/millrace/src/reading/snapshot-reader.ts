/** A snapshot that is held open: its operators, and their states. Close it when done; nothing else outlives the process. */
import { MillraceError } from '../base/errors.ts'
import { closest } from '../host/closest.ts'
import type { Manifest, OperatorSnapshot, SourceSnapshot } from '../snapshot/manifest-types.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import type { ReadableStore } from '../store/index.ts'
import { SnapshotSegments } from './snapshot-segments.ts'
import { keyedKindOf } from './state-entry.ts'
import { BroadcastReader, KeyedStateReader, OperatorListReader, type StateReader } from './state-reader.ts'

export interface OpenedSnapshot {
  readonly manifest: Manifest
  readonly files: ReadableStore
  /** By which entries expire. */
  readonly nowMs: number
  readonly close: () => Promise<void>
}

export class SnapshotReader implements AsyncDisposable {
  readonly manifest: Manifest
  readonly files: ReadableStore
  readonly segments: SnapshotSegments
  readonly #close: () => Promise<void>

  constructor({ manifest, files, nowMs, close }: OpenedSnapshot) {
    this.manifest = manifest
    this.files = files
    this.segments = new SnapshotSegments(manifest, files, nowMs)
    this.#close = close
  }

  /** `JOB/chk-42` */
  get name(): string {
    return `${this.manifest.job}/${formatSnapshotId(this.manifest.kind, this.manifest.id)}`
  }

  /** All that the snapshot knows by name: sources, sinks, and operators with state, in the order of the job. */
  operators(): OperatorReader[] {
    return this.manifest.operators.map(operator => new OperatorReader(this, operator))
  }

  /** @throws USAGE when it has none of that name */
  operator(name: string): OperatorReader {
    return named(this.operators(), name, 'operator', this.name, 'millrace inspect SNAPSHOT')
  }

  async close(): Promise<void> {
    await this.#close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

export class OperatorReader {
  readonly snapshot: OperatorSnapshot
  private readonly reader: SnapshotReader

  constructor(reader: SnapshotReader, snapshot: OperatorSnapshot) {
    this.reader = reader
    this.snapshot = snapshot
  }

  get name(): string {
    return this.snapshot.name
  }

  get kind(): string {
    return this.snapshot.kind
  }

  get parallelism(): number {
    return this.snapshot.parallelism
  }

  /** Of a source: its splits with their positions, and how many records were read. */
  get source(): SourceSnapshot | undefined {
    return this.snapshot.source
  }

  /** Keyed state with the engine's own (timers, contents of windows), operator lists, broadcast state. */
  states(): StateReader[] {
    const { name, states, operatorState = {}, broadcastState = {} } = this.snapshot
    return [
      ...states.map(state => {
        const kind = keyedKindOf(state)
        if (kind === undefined) throw unknownKind(name, state)
        return new KeyedStateReader(name, state, kind, this.reader.segments)
      }),
      ...Object.entries(operatorState).map(([state, lists]) => new OperatorListReader(name, state, lists)),
      ...Object.entries(broadcastState).map(([state, entries]) => new BroadcastReader(name, state, entries)),
    ]
  }

  /** @throws USAGE when it has none of that name */
  state(name: string): StateReader {
    return named(this.states(), name, 'state', `operator '${this.name}'`, 'millrace inspect SNAPSHOT OPERATOR')
  }
}

function unknownKind(
  operator: string,
  { name, kind }: { readonly name: string; readonly kind: string },
): MillraceError {
  return new MillraceError(
    'SNAPSHOT_VERSION',
    `state '${name}' of '${operator}' is of the kind '${kind.slice(0, 100)}', which this millrace cannot read. Upgrade millrace.`,
  )
}

function named<T extends { readonly name: string }>(
  all: readonly T[],
  name: string,
  what: string,
  owner: string,
  command: string,
): T {
  const found = all.find(each => each.name === name)
  if (found !== undefined) return found
  const names = all.map(each => each.name)
  const meant = closest(name, names)
  const have = names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`
  const guess = meant === undefined ? '' : `; did you mean '${meant}'?`
  throw new MillraceError('USAGE', `${owner} has no ${what} '${name}'; ${have}${guess}`, {
    context: { names },
    hint: `See what there is with ${command}.`,
  })
}
