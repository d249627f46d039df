/**
 * Verifies everything in a job's folder: every manifest, every byte of every segment that one names, every run record and lock; and
 * reports what nothing names. Reads only. On a job that runs, segments of a checkpoint under way look like orphans.
 */
import { isMillraceError } from '../base/errors.ts'
import type { SnapshotStore } from '../store/contract.ts'
import { isStray } from './lineage.ts'
import { readLockRecord } from './lock-record.ts'
import { isDamage, ManifestFolder, type ManifestFile, type SnapshotFacts } from './manifest-folder.ts'
import type { SegmentRef } from './manifest-types.ts'
import {
  LOCKS,
  MANIFESTS,
  parseLockName,
  parseRunName,
  parseSegmentName,
  RUNS,
  runEndName,
  runName,
  SEGMENTS,
} from './object-names.ts'
import { readRuns, type RunFacts } from './run-record.ts'
import { verifySegment } from './segment-reader.ts'
import { formatSnapshotId } from './snapshot-id.ts'

export interface FsckFinding {
  /** `damage` costs a snapshot or a start; an `orphan` only costs space; a `notice` is worth knowing. */
  readonly severity: 'damage' | 'orphan' | 'notice'
  readonly file: string
  /** Of the error, for damage. */
  readonly code: string | undefined
  readonly message: string
  /** Snapshots that need the file: `chk-42`. */
  readonly snapshots: readonly string[]
}

export interface FsckReport {
  readonly findings: readonly FsckFinding[]
  readonly checked: {
    readonly manifests: number
    readonly segments: number
    readonly runs: number
    readonly locks: number
    readonly bytes: number
  }
  /** No damage; there may be orphans. */
  readonly intact: boolean
}

export interface FsckOptions {
  /** Called before each file is read, for progress. */
  readonly onFile?: (file: string) => void
  /** Throws when the segment is missing or damaged. Default: `verifySegment`. */
  readonly verify?: (store: SnapshotStore, ref: SegmentRef) => Promise<unknown>
}

/** @throws only when the store fails; all that is wrong with files is in the report */
export async function fsck(store: SnapshotStore, job: string, options: FsckOptions = {}): Promise<FsckReport> {
  const { onFile = () => undefined, verify = verifySegment } = options
  // Segments first: what is published while the rest is read must not look like an orphan.
  const stored = await store.list(SEGMENTS)
  const runs = await readRuns(store, job)
  const { manifests, unknown } = await new ManifestFolder(store, job).read()
  const snapshots = manifests.flatMap(({ facts }) => (isMillraceError(facts) ? [] : [facts]))
  const named = segmentsOf(snapshots)

  const findings: FsckFinding[] = [...manifestFindings(manifests, unknown, runs), ...runFindings(runs)]
  let bytes = snapshots.reduce((sum, { manifestSizeBytes }) => sum + manifestSizeBytes, 0)
  for (const { ref, users } of named) {
    onFile(ref.file)
    const finding = await damageOf(ref.file, users, () => verify(store, ref))
    if (finding !== undefined) findings.push(finding)
    bytes += ref.sizeBytes
  }
  const files = new Set(named.map(({ ref }) => ref.file))
  for (const { name, sizeBytes } of stored) {
    if (!files.has(`${SEGMENTS}/${name}`))
      findings.push(
        orphan(`${SEGMENTS}/${name}`, orphanMessage(name, sizeBytes, snapshots.length === manifests.length)),
      )
  }
  const locks = await lockFindings(store)
  findings.push(...locks.findings, ...(await temporaryFindings(store)), ...(await foreignFindings(store)))
  return {
    findings,
    checked: { manifests: manifests.length, segments: files.size, runs: runs.length, locks: locks.count, bytes },
    intact: findings.every(({ severity }) => severity !== 'damage'),
  }
}

interface NamedSegment {
  readonly ref: SegmentRef
  readonly users: readonly string[]
}

/** Each segment once, with the snapshots that name it. Two that describe it differently are two, since only one can be right. */
function segmentsOf(snapshots: readonly SnapshotFacts[]): NamedSegment[] {
  const found = new Map<string, { ref: SegmentRef; users: string[] }>()
  for (const { kind, id, segments } of snapshots) {
    for (const ref of segments) {
      const key = `${ref.file} ${ref.sizeBytes} ${ref.checksum}`
      const entry = found.get(key) ?? { ref, users: [] }
      entry.users.push(formatSnapshotId(kind, id))
      found.set(key, entry)
    }
  }
  return [...found.values()]
}

function manifestFindings(
  manifests: readonly ManifestFile[],
  unknown: readonly string[],
  runs: readonly RunFacts[],
): FsckFinding[] {
  const findings = manifests.flatMap(({ file, kind, id, facts }): FsckFinding[] => {
    const snapshots = [formatSnapshotId(kind, id)]
    if (isMillraceError(facts))
      return [{ severity: 'damage', file, code: facts.code, message: facts.message, snapshots }]
    if (!isStray(runs, facts)) return []
    return [
      {
        severity: 'orphan',
        file,
        code: undefined,
        message: 'left by a process that had been replaced; the next run sweeps it',
        snapshots,
      },
    ]
  })
  return [
    ...findings,
    ...unknown.map(file => notice(file, 'not a name of a manifest; while it is here nothing is swept')),
  ]
}

function runFindings(runs: readonly RunFacts[]): FsckFinding[] {
  return runs.flatMap(({ run, record, end }, index): FsckFinding[] => [
    ...(isMillraceError(record, 'OBJECT_MISSING') && index < runs.length - 1
      ? [orphan(runEndName(run), 'left by a process that had been replaced; the next run sweeps it')]
      : isMillraceError(record)
        ? [damage(runName(run), record.code, record.message)]
        : []),
    ...(isMillraceError(end) ? [damage(runEndName(run), end.code, end.message)] : []),
  ])
}

/** A lock that cannot be read is never trusted, so it does no harm beyond the wait for its lease. */
async function lockFindings(store: SnapshotStore): Promise<{ count: number; findings: FsckFinding[] }> {
  const findings: FsckFinding[] = []
  const tokens = (await store.list(LOCKS)).flatMap(({ name }) => parseLockName(name) ?? [])
  for (const token of tokens) {
    try {
      await readLockRecord(store, token)
    } catch (error) {
      if (!isDamage(error)) throw error
      if (error.code !== 'OBJECT_MISSING') findings.push(notice(`${LOCKS}/lock-${token}`, error.message))
    }
  }
  return { count: tokens.length, findings }
}

async function temporaryFindings(store: SnapshotStore): Promise<FsckFinding[]> {
  const findings: FsckFinding[] = []
  for (const folder of ['', LOCKS, MANIFESTS, RUNS, SEGMENTS]) {
    await store.removeTemporary(folder, (_, file) => {
      findings.push(
        orphan(
          folder === '' ? file : `${folder}/${file}`,
          'a temporary file of an unfinished write; the next run sweeps it',
        ),
      )
      return false
    })
  }
  return findings
}

async function foreignFindings(store: SnapshotStore): Promise<FsckFinding[]> {
  const known: readonly (readonly [string, (name: string) => unknown])[] = [
    [RUNS, parseRunName],
    [LOCKS, parseLockName],
  ]
  const findings: FsckFinding[] = []
  for (const [folder, parse] of known) {
    for (const { name } of await store.list(folder)) {
      if (parse(name) === undefined)
        findings.push(notice(`${folder}/${name}`, 'not a file of Millrace; it is left alone'))
    }
  }
  return findings
}

async function damageOf(
  file: string,
  snapshots: readonly string[],
  verify: () => Promise<unknown>,
): Promise<FsckFinding | undefined> {
  try {
    await verify()
    return undefined
  } catch (error) {
    if (!isDamage(error)) throw error
    return { severity: 'damage', file, code: error.code, message: error.message, snapshots }
  }
}

function orphanMessage(name: string, sizeBytes: number, areAllReadable: boolean): string {
  if (parseSegmentName(name) === undefined) return `not a file of Millrace (${sizeBytes} bytes); it is left alone`
  const sure = `no snapshot names it (${sizeBytes} bytes); the next run sweeps it`
  return areAllReadable
    ? sure
    : `no readable snapshot names it (${sizeBytes} bytes); it stays while a manifest cannot be read`
}

function orphan(file: string, message: string): FsckFinding {
  return { severity: 'orphan', file, code: undefined, message, snapshots: [] }
}

function notice(file: string, message: string): FsckFinding {
  return { severity: 'notice', file, code: undefined, message, snapshots: [] }
}

function damage(file: string, code: string, message: string): FsckFinding {
  return { severity: 'damage', file, code, message, snapshots: [] }
}
