/**
 * Watches the disk of a simulation and knows, without the engine, what must hold of a job's folder after every change of it:
 *
 * - ids and runs are never used twice, and a run's snapshots have ids of its own range;
 * - a plain start goes on from the newest snapshot of the last run's past;
 * - what a manifest names is there when it is published, and stays while it is named (no early sweep);
 * - from a manifest to the next one of the same past nothing is lost: splits, positions, watermarks only go forward, and a committable
 *   that is not named any more was committed;
 * - the newest snapshot of the last run's past is never removed, unless its run ended and said so;
 * - the record of the last run is never removed, nor one that a snapshot on the disk needs, nor one before its end.
 */
import type { Manifest, SegmentRef } from '../../snapshot/manifest-types.ts'
import { parseManifestName, parseRunName, runEndName, RUNS, MANIFESTS, SEGMENTS } from '../../snapshot/object-names.ts'
import type { RunEnd, RunRecord } from '../../snapshot/run-record.ts'
import type { DiskWitness } from './simulated-store.ts'

export interface SnapshotCheckerOptions {
  /** Called for each run that begins: whether its process was asked to start from the newest snapshot. */
  isPlainStart(): boolean
  isCommitted(committable: string): boolean
  violation(what: string): void
}

export class SnapshotChecker implements DiskWitness {
  /** Ever published, by id; of one id that a fenced process used too, the one that counts. */
  readonly published = new Map<number, Manifest>()
  /** Those that are on the disk, by file. */
  readonly present = new Map<string, Manifest>()
  /** Ever published, as `ends` are. */
  readonly runs = new Map<number, RunRecord>()
  /** Files of runs that are on the disk. */
  private readonly runFiles = new Set<string>()
  private readonly ends = new Map<number, RunEnd>()
  private readonly segments = new Set<string>()
  private readonly named = new Set<string>()
  private readonly options: SnapshotCheckerOptions

  constructor(options: SnapshotCheckerOptions) {
    this.options = options
  }

  created(name: string, bytes: Uint8Array | undefined): void {
    const [folder, file] = name.split('/')
    if (folder === SEGMENTS) this.segments.add(name)
    else if (folder === MANIFESTS && parseManifestName(file) !== undefined) this.manifestCreated(name, parse(bytes!))
    else if (folder === RUNS) {
      const { run, end } = parseRunName(file)!
      this.runFiles.add(name)
      if (end) this.ends.set(run, parse(bytes!))
      else this.runCreated(parse(bytes!))
    }
  }

  removed(name: string): void {
    const [folder] = name.split('/')
    if (folder === RUNS) this.runRemoved(name)
    if (folder === SEGMENTS) {
      this.segments.delete(name)
      for (const [file, manifest] of this.present) {
        const isNamed = manifest.segments.some(segment => segment.file === name)
        if (isNamed && !this.isStray(manifest)) this.violation(`${name} is removed, but ${file} names it`)
      }
    }
    const manifest = this.present.get(name)
    if (manifest === undefined) return
    this.present.delete(name)
    if (manifest.kind === 'savepoint' && !this.isStray(manifest)) this.violation(`${name} is removed, a savepoint`)
    if (!this.isStray(manifest) && manifest.id === this.newest()?.id && !this.isGivenUp(manifest)) {
      this.violation(`${name} is removed, but it is the newest snapshot`)
    }
  }

  private runRemoved(name: string): void {
    this.runFiles.delete(name)
    const { run, end } = parseRunName(name.slice(RUNS.length + 1))!
    if (run === this.lastRun()) this.violation(`${name} is removed, but it is of the last run`)
    if (end) return
    if (this.runFiles.has(runEndName(run))) this.violation(`${name} is removed before its end`)
    for (const manifest of this.present.values()) {
      const isNeeded = manifest.run === run || (manifest.run < run && this.runAfter(manifest.run) === run)
      if (isNeeded && !this.isStray(manifest))
        this.violation(`${name} is removed, but snapshot ${manifest.id} needs it`)
    }
  }

  private runAfter(run: number): number {
    return Math.min(...[...this.runs.keys()].filter(later => later > run))
  }

  isNamed(committable: string): boolean {
    return this.named.has(committable)
  }

  /** What recovery starts from: the newest snapshot on the disk of the past of the last run, or of the last before `run`. */
  private newest(run = Infinity): Manifest | undefined {
    const past = this.pastOf(this.lastRun(run)).filter(manifest => this.isPresent(manifest) && !this.isStray(manifest))
    return past.toSorted((a, b) => b.id - a.id)[0]
  }

  private lastRun(before = Infinity): number {
    return Math.max(0, ...[...this.runs.keys()].filter(run => run < before))
  }

  private isPresent(manifest: Manifest): boolean {
    return [...this.present.values()].includes(manifest)
  }

  /** Of the last run. */
  get lastRunId(): string {
    return this.runs.get(this.lastRun())?.runId ?? ''
  }

  /** Ids of the snapshots on the disk that a sink's output goes with: those in the past of the last run. */
  past(): number[] {
    return this.pastOf(this.lastRun()).flatMap(manifest => (this.isPresent(manifest) ? [manifest.id] : []))
  }

  /** Ids of the snapshots on the disk that are in the past of some run, ascending. */
  private usable(): number[] {
    const usable = [...this.present.values()].filter(manifest => !this.isStray(manifest))
    return usable.map(({ id }) => id).toSorted((a, b) => a - b)
  }

  /**
   * What is wrong with the snapshots that are left when all is over. The newest `retain` stay, and the newest of the lineage before; what
   * a run gave up at its end does not. That may have counted among the newest until then, so fewer may be left.
   */
  retentionProblem(retain: number): string | undefined {
    const all = [...this.published.values()].filter(each => !this.isStray(each)).toSorted((a, b) => b.id - a.id)
    const savepoints = all.filter(({ kind }) => kind === 'savepoint').map(({ id }) => id)
    const newestFirst = all.filter(({ kind }) => kind === 'checkpoint')
    const counting = newestFirst.filter(each => !this.isGivenUp(each))
    const lineages = [...this.runs.values()].toSorted((a, b) => b.run - a.run).map(({ lineage }) => lineage)
    const previous = lineages.find(lineage => lineage !== lineages[0])
    const spare = counting.find(({ lineage }) => lineage === previous)
    const may = new Set([...savepoints, ...[...counting.slice(0, retain), spare].flatMap(each => each?.id ?? [])])
    const recent = newestFirst.slice(0, retain).flatMap(each => (this.isGivenUp(each) ? [] : [each.id]))
    const must = [...savepoints, ...recent]
    const left = this.usable()
    const isRight = left.every(id => may.has(id)) && must.every(id => left.includes(id))
    return isRight ? undefined : `snapshots ${left.join()} are left; of ${[...may].join()}, ${must.join()} must be`
  }

  private manifestCreated(name: string, manifest: Manifest): void {
    const { id, run, segments } = manifest
    const record = this.runs.get(run)
    if (record === undefined) return this.violation(`${name} is of run ${run}, which has no record`)
    if (id < record.firstCheckpointId) this.violation(`${name} of run ${run} has an id below its first`)
    if (record.runId !== manifest.runId || record.lineage !== manifest.lineage || record.token !== manifest.token) {
      this.violation(`${name} and the record of run ${run} differ`)
    }
    this.present.set(name, manifest)
    if (this.isStray(manifest)) return
    const before = this.published.get(id)
    if (before !== undefined && !this.isStray(before)) this.violation(`${name} has an id that was used before`)
    for (const { file } of segments) {
      if (!this.segments.has(file)) this.violation(`${name} names ${file}, which is not there`)
    }
    this.checkLayers(name, segments)
    const parent = this.parentOf(manifest)
    if (parent !== undefined) this.checkStep(name, parent, manifest)
    this.published.set(id, manifest)
    for (const committable of committablesOf(manifest)) this.named.add(committable)
  }

  private runCreated(record: RunRecord): void {
    const { run, start, firstCheckpointId } = record
    // Where the record was removed, a process that had been replaced may create it again, and finds out.
    if (run < this.lastRun()) return
    if (this.runs.has(run)) this.violation(`run ${run} begins twice`)
    this.runs.set(run, record)
    const before = this.newest(run)
    if (before !== undefined && before.id >= firstCheckpointId) this.violation(`run ${run} has no ids of its own`)
    if (!this.options.isPlainStart()) return
    const from = start.kind === 'restored' ? start.snapshot.id : undefined
    // The last run may have given its snapshots up when this one had read of it already.
    const isGivenUp = this.ends.get(this.lastRun(run))?.retained === false
    const isSavepoint = from !== undefined && this.published.get(from)?.kind === 'savepoint'
    if (from === before?.id || (isGivenUp && (from === undefined || isSavepoint))) return
    this.violation(`run ${run} begins from ${from}; the newest snapshot is ${before?.id}`)
  }

  /** One list, newest first: each checkpoint's segments stand together, and ids only fall. */
  private checkLayers(name: string, segments: readonly SegmentRef[]): void {
    for (const [index, { file, checkpoint }] of segments.entries()) {
      if (index > 0 && checkpoint > segments[index - 1].checkpoint) this.violation(`${name} lists ${file} out of order`)
      if (segments.findIndex(segment => segment.file === file) !== index) this.violation(`${name} lists ${file} twice`)
    }
  }

  private checkStep(name: string, parent: Manifest, manifest: Manifest): void {
    const lost = committablesOf(parent).filter(
      committable => !committablesOf(manifest).includes(committable) && !this.options.isCommitted(committable),
    )
    if (lost.length > 0) this.violation(`${name} has lost the committable ${lost[0]} of ${parent.id}`)
    for (const operator of parent.operators) {
      const now = manifest.operators.find(({ name }) => name === operator.name)
      if (operator.source === undefined) continue
      if (now?.source === undefined || now.source.records < operator.source.records) {
        this.violation(`${name} has fewer records of ${operator.name} than ${parent.id}`)
      }
      for (const split of operator.source.splits) this.checkSplit(name, split, now?.source?.splits ?? [])
    }
    for (const [id, splits] of Object.entries(parent.watermarks)) {
      for (const [split, highest] of Object.entries(splits)) {
        const after = manifest.watermarks[id]?.[split] ?? null
        if (highest !== null && (after === null || after < highest)) {
          this.violation(`${name}: the time of ${id} ${split} goes back from ${highest} to ${after}`)
        }
      }
    }
  }

  private checkSplit(name: string, before: Split, all: readonly Split[]): void {
    const found = all.filter(({ id }) => id === before.id)
    if (found.length !== 1) return this.violation(`${name} has ${found.length} splits ${before.id}`)
    const [after] = found
    if (((after.position ?? 0) as number) < ((before.position ?? 0) as number) || (before.ended && !after.ended)) {
      this.violation(`${name}: split ${before.id} goes back`)
    }
  }

  /** The snapshot before it: of its own run, else the one that the run was restored from. */
  private parentOf({ id, run }: Manifest): Manifest | undefined {
    const own = [...this.published.values()].filter(each => each.run === run && each.id < id)
    if (own.length > 0) return own.reduce((a, b) => (a.id > b.id ? a : b))
    const { start } = this.runs.get(run)!
    return start.kind === 'restored' ? this.published.get(start.snapshot.id) : undefined
  }

  private pastOf(run: number, through = Infinity): Manifest[] {
    const record = this.runs.get(run)
    if (record === undefined) return []
    const own = [...this.published.values()].filter(each => each.run === run && each.id <= through)
    const { start } = record
    return start.kind === 'restored' ? [...own, ...this.pastOf(start.snapshot.run, start.snapshot.id)] : own
  }

  /** A later run began below its id: whoever published it had been replaced. */
  private isStray({ id, run }: Manifest): boolean {
    return [...this.runs.values()].some(later => later.run > run && later.firstCheckpointId <= id)
  }

  private isGivenUp({ kind, run: maker, lineage }: Manifest): boolean {
    if (kind === 'savepoint') return false
    return [...this.ends].some(([run, end]) => !end.retained && this.runs.get(run)!.lineage === lineage && maker <= run)
  }

  private violation(what: string): void {
    this.options.violation(what)
  }
}

type Split = NonNullable<Manifest['operators'][number]['source']>['splits'][number]

function committablesOf({ operators }: Manifest): string[] {
  return operators.flatMap(({ sink }) => sink?.committables ?? []).map(({ value }) => idOf(value))
}

/** Committables of the simulated sinks: an id, or an object that has one. */
function idOf(committable: unknown): string {
  return typeof committable === 'string' ? committable : (committable as { readonly id: string }).id
}

function parse<T>(bytes: Uint8Array): T {
  return JSON.parse(new TextDecoder().decode(bytes)) as T
}
