/**
 * The manifests of a job as facts, for decisions that concern them all: recovery, retention, sweep, listings. A manifest never changes,
 * so each is read once; what cannot be read is a fact too.
 */
import { isMillraceError, MillraceError } from '../base/errors.ts'
import type { SnapshotStore } from '../store/contract.ts'
import { readManifest } from './manifest.ts'
import type { AdoptedSnapshot, Manifest, SegmentRef, SnapshotKind } from './manifest-types.ts'
import { MANIFESTS, parseManifestName } from './object-names.ts'

export interface ManifestFile {
  /** `manifests/chk-000000000042.json` */
  readonly file: string
  readonly kind: SnapshotKind
  readonly id: number
  /** What the manifest says, or why that is not known. */
  readonly facts: SnapshotFacts | MillraceError
}

export interface SnapshotFacts {
  readonly kind: SnapshotKind
  readonly id: number
  readonly run: number
  readonly runId: string
  readonly lineage: number
  readonly createdAtMs: number
  readonly durationMs: number
  readonly parallelism: number
  readonly trigger: Manifest['trigger']
  readonly label: string | undefined
  readonly manifestSizeBytes: number
  readonly segments: readonly SegmentRef[]
  readonly forkedFrom?: AdoptedSnapshot | undefined
}

export interface FolderListing {
  /** Oldest first. */
  readonly manifests: readonly ManifestFile[]
  /** Files that look like manifests but have no name that this version knows. */
  readonly unknown: readonly string[]
}

interface KnownFile {
  readonly sizeBytes: number
  readonly modifiedAtMs: number
  readonly facts: SnapshotFacts
}

export class ManifestFolder {
  readonly #store: SnapshotStore
  readonly #job: string
  /** By file name, with size and time of change, so that a file that was tampered with is read again. */
  #known = new Map<string, KnownFile>()

  constructor(store: SnapshotStore, job: string) {
    this.#store = store
    this.#job = job
  }

  /** The file is being removed. Another one of its name and size, made within the same millisecond, is not it. */
  forget(file: string): void {
    this.#known.delete(file)
  }

  /** Lists the folder and reads what is new. @throws only when the store fails */
  async read(): Promise<FolderListing> {
    const manifests: ManifestFile[] = []
    const unknown: string[] = []
    const known = new Map<string, KnownFile>()
    for (const object of await this.#store.list(MANIFESTS)) {
      const id = parseManifestName(object.name)
      if (id === undefined) {
        if (object.name.endsWith('.json') && !object.name.startsWith('.')) unknown.push(`${MANIFESTS}/${object.name}`)
        continue
      }
      const file = `${MANIFESTS}/${object.name}`
      const before = this.#known.get(file)
      const isSame = before?.sizeBytes === object.sizeBytes && before.modifiedAtMs === object.modifiedAtMs
      const facts = isSame ? before.facts : await this.#readFacts(file, object.sizeBytes)
      if (facts === undefined) continue
      manifests.push({ file, ...id, facts })
      if (!isMillraceError(facts))
        known.set(file, { sizeBytes: object.sizeBytes, modifiedAtMs: object.modifiedAtMs, facts })
    }
    this.#known = known
    return { manifests: manifests.toSorted((a, b) => a.id - b.id), unknown }
  }

  /** Undefined when it was removed since it was listed. */
  async #readFacts(file: string, sizeBytes: number): Promise<SnapshotFacts | MillraceError | undefined> {
    try {
      return factsOf(await readManifest(this.#store, this.#job, file), sizeBytes)
    } catch (error) {
      if (isMillraceError(error, 'OBJECT_MISSING')) return undefined
      if (isDamage(error)) return error
      throw error
    }
  }
}

/** An error that is about a file's contents, not about the store: the file may be skipped, and is reported. */
export function isDamage(error: unknown): error is MillraceError {
  return (
    error instanceof MillraceError &&
    ['SNAPSHOT_DAMAGED', 'SNAPSHOT_VERSION', 'SNAPSHOT_WRONG_JOB', 'BAD_REFERENCE', 'OBJECT_MISSING'].includes(
      error.code,
    )
  )
}

function factsOf(manifest: Manifest, manifestSizeBytes: number): SnapshotFacts {
  const { kind, id, run, runId, lineage, createdAtMs, durationMs, parallelism, trigger, label, segments } = manifest
  const made = { createdAtMs, durationMs, parallelism, trigger, label }
  return { kind, id, run, runId, lineage, ...made, manifestSizeBytes, segments, forkedFrom: manifest.forkedFrom }
}
