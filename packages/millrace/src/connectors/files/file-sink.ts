/**
 * The file sinks: exactly-once by two phases.
 *
 *   write          appends to the current pending file, made at the first record (see part-name.ts for the names)
 *   prepareCommit  seals it (fsync of file and directory): committable `{ dir, pending, part }`
 *   commit         makes it visible as a part (see part-files.ts)
 *
 * With `roll` a file stays open over checkpoints: the writer's state `{ dir, pending, length, openedAtMs, format }` names it, and a
 * restore cuts it to `length` and goes on. It is sealed once it is large or old enough, and always at the last checkpoint.
 *
 * A failed write or fsync poisons the writer: nobody can tell what is on the disk, so every later call fails, the job restarts,
 * and its source hands out again what was not committed.
 */
import { resolve } from 'node:path'
import { MillraceError } from '../../base/errors.ts'
import { failpoint } from '../../base/failpoint.ts'
import type { Json } from '../../base/json.ts'
import type { Prepared, RestoredSink, Sink, SinkContext, SinkWriter } from '../contract.ts'
import { readCommittable, type Committable, type OpenPart } from './committable.ts'
import { restoreDirectory } from './output-directory.ts'
import { publishPart, removeName, syncDirectory, makeDirectory } from './part-files.ts'
import { parsePendingName, partName, pendingName, type PartOwner } from './part-name.ts'
import { PendingFile } from './pending-file.ts'
import type { MakeFormat, RowFormat } from './row-format.ts'

export interface RollPolicy {
  /** Infinity: parts do not roll by size. */
  readonly sizeBytes: number
  /** Infinity: parts do not roll by age. */
  readonly everyMs: number
}

export class FileSink<T> implements Sink<T> {
  readonly type: string
  readonly retracts = true
  private readonly dir: string
  private readonly makeFormat: MakeFormat<T>
  private readonly roll: RollPolicy | undefined

  /** @param roll undefined: a part per checkpoint */
  constructor(type: string, dir: string, makeFormat: MakeFormat<T>, roll: RollPolicy | undefined) {
    this.type = type
    this.dir = dir
    this.makeFormat = makeFormat
    this.roll = roll
  }

  async open(context: SinkContext, restored: RestoredSink): Promise<SinkWriter<T>> {
    const dir = resolve(this.dir)
    makeDirectory(dir)
    const { openParts, nextNumber } = restoreDirectory(dir, context, restored)
    const format = this.makeFormat(`sink '${context.operator}' (${this.type})`)
    const writer = new FileSinkWriter(this.dir, dir, context, format, this.roll, nextNumber)
    for (const part of openParts) writer.adopt(part)
    return writer
  }
}

class FileSinkWriter<T> implements SinkWriter<T> {
  /** As the user gave it, for committables: relative stays relative, so that a project can be moved. */
  private readonly givenDir: string
  private readonly dir: string
  private readonly context: SinkContext
  private readonly owner: PartOwner
  private readonly format: RowFormat<T>
  private readonly roll: RollPolicy | undefined
  private readonly rollSizeBytes: number

  private current: PendingFile | undefined
  /** Complete files that the next checkpoint takes. */
  private sealed: PendingFile[] = []
  private nextNumber: number
  private persisting: Promise<void> = Promise.resolve()
  private failure: MillraceError | undefined
  private warned = false

  constructor(
    givenDir: string,
    dir: string,
    context: SinkContext,
    format: RowFormat<T>,
    roll: RollPolicy | undefined,
    nextNumber: number,
  ) {
    this.givenDir = givenDir
    this.dir = dir
    this.context = context
    this.owner = { job: context.job, sink: context.operator }
    this.format = format
    this.roll = roll
    this.rollSizeBytes = roll?.sizeBytes ?? Infinity
    this.nextNumber = nextNumber
  }

  /** Goes on with an open part of the restored snapshot. Of several (the parallelism went down) all but the last are complete. */
  adopt(part: OpenPart): void {
    this.seal()
    this.current = PendingFile.continue(this.dir, part.pending, part.length, part.openedAtMs, this.rollSizeBytes)
    this.format.resume(part.format)
  }

  write(record: T): void {
    if (this.failure !== undefined) throw this.failure
    try {
      const file = this.current ?? this.begin(record)
      file.append(this.format.row(record))
      if (file.sizeBytes >= this.rollSizeBytes) this.seal()
    } catch (error) {
      throw this.poison(error)
    }
  }

  async prepareCommit(checkpointId: number, last: boolean): Promise<Prepared> {
    if (this.failure !== undefined) throw this.failure
    failpoint('sink.before-prepare-flush')
    let open: PendingFile | undefined
    let files: PendingFile[]
    try {
      this.current?.flush()
      if (this.current !== undefined && (last || this.isDue(this.current))) this.seal()
      open = this.current
      files = this.sealed
      this.sealed = []
    } catch (error) {
      throw this.poison(error)
    }
    const committables = files.map((file, sequence) => ({
      dir: this.givenDir,
      pending: file.name,
      part: this.partOf(file, checkpointId, sequence),
    }))
    const state = open === undefined ? undefined : this.openPart(open)
    await this.persist(files, open)
    return state === undefined ? { committables } : { committables, state }
  }

  async commit(committables: readonly Json[]): Promise<void> {
    const linked: Committable[] = []
    let touched = false
    for (const json of committables) {
      const committable = readCommittable(json, this.owner)
      const publication = publishPart(this.dir, committable.pending, committable.part)
      if (publication === 'gone') this.takenByReader(committable)
      else touched = true
      if (publication === 'linked') linked.push(committable)
    }
    if (!touched) return
    await syncDirectory(this.dir)
    failpoint('sink.after-commit-directory-fsync')
    for (const committable of linked) {
      removeName(this.dir, committable.pending)
      failpoint('sink.after-commit-unlink')
    }
  }

  /** Pending files stay: a snapshot may name them, and the next `open` removes those that none does. */
  async close(): Promise<void> {
    await this.persisting.catch(() => {})
    for (const file of [...this.sealed, ...(this.current === undefined ? [] : [this.current])]) file.abandon()
    this.sealed = []
    this.current = undefined
  }

  private begin(first: T): PendingFile {
    const name = pendingName(this.owner, {
      runId: this.context.runId,
      subtask: this.context.subtask,
      number: this.nextNumber++,
    })
    const header = this.format.begin(first)
    this.current = PendingFile.create(this.dir, name, this.context.now(), this.rollSizeBytes)
    this.current.append(header)
    return this.current
  }

  private seal(): void {
    if (this.current === undefined) return
    this.current.flush()
    this.sealed.push(this.current)
    this.current = undefined
  }

  private isDue(file: PendingFile): boolean {
    if (this.roll === undefined) return true
    return file.sizeBytes >= this.roll.sizeBytes || this.context.now() - file.openedAtMs >= this.roll.everyMs
  }

  /** Named by the subtask that began it, which may be one of another parallelism: so it is found again after a fallback. */
  private partOf(file: PendingFile, checkpoint: number, sequence: number): string {
    const { subtask } = parsePendingName(this.owner, file.name)!
    return partName(this.owner, { runId: this.context.runId, subtask, checkpoint, sequence })
  }

  private openPart(file: PendingFile): { readonly [name: string]: Json } {
    return {
      dir: this.givenDir,
      pending: file.name,
      length: file.sizeBytes,
      openedAtMs: file.openedAtMs,
      format: this.format.state(),
    }
  }

  /** One at a time, since a file that an aborted checkpoint is still syncing may be closed by the next. */
  private async persist(sealed: readonly PendingFile[], open: PendingFile | undefined): Promise<void> {
    if (sealed.length === 0 && open === undefined) return
    const work = this.persisting.then(async () => {
      failpoint('sink.before-prepare-fsync')
      for (const file of sealed) {
        await file.sync()
        await file.close()
      }
      await open?.sync()
      await syncDirectory(this.dir)
      failpoint('sink.after-prepare-fsync')
    })
    this.persisting = work
    try {
      await work
    } catch (error) {
      throw this.poison(error)
    }
  }

  private poison(error: unknown): unknown {
    if (error instanceof MillraceError) this.failure ??= error
    return error
  }

  private takenByReader(committable: Committable): void {
    if (resolve(committable.dir) !== this.dir) {
      throw new MillraceError(
        'SINK_FAILED',
        `sink '${this.owner.sink}' now writes to ${this.dir}, but has uncommitted output in ${resolve(committable.dir)}. ` +
          'Run it once with the old directory, then change it',
        { context: { path: this.dir, part: committable.part } },
      )
    }
    if (this.warned) return
    this.warned = true
    this.context.log.warn(
      `sink '${this.owner.sink}': ${committable.part} is not in ${this.dir} although it was committed or about to be; assuming that a reader has taken it`,
    )
  }
}
