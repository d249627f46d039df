/** `millrace snapshots JOB`: its snapshots, newest first. */
import { listSnapshots, type SnapshotListing } from '../snapshot/catalogue.ts'
import { isPeriodic } from '../snapshot/retention.ts'
import type { Answer } from './answer.ts'
import { findJob, openStorage, type StorageFlags } from './storage.ts'
import { formatTable } from './table.ts'
import { formatAge, formatBytes } from './units.ts'

export async function snapshots(jobOrFile: string, flags: StorageFlags): Promise<Answer> {
  const storage = await openStorage(flags)
  const job = await findJob(storage, jobOrFile)
  const found = await listSnapshots(storage.job(job), job)
  const nowMs = Date.now()
  return {
    json: { storage: storage.location, job, snapshots: found.map(snapshotAsJson) },
    text:
      found.length === 0
        ? ''
        : formatTable(
            COLUMNS,
            found.map(snapshot => rowOf(snapshot, nowMs)),
          ),
    notes: [
      ...(found.length === 0 ? [`job '${job}' has no snapshots`] : []),
      ...found.flatMap(({ name, damage }) => (damage === undefined ? [] : [`${name} cannot be read: ${damage}`])),
    ],
  }
}

const COLUMNS = [
  { title: 'SNAPSHOT' },
  { title: 'KIND' },
  { title: 'AGE', right: true },
  { title: 'NEW', right: true },
  { title: 'TOTAL', right: true },
  { title: 'DURATION', right: true },
  { title: 'PARALLELISM', right: true },
  { title: 'STANDING' },
  { title: 'LABEL' },
]

function rowOf({ name, kind, details }: SnapshotListing, nowMs: number): string[] {
  if (details === undefined) return [name, kind, '-', '-', '-', '-', '-', 'damaged', '']
  const { createdAtMs, newBytes, totalBytes, durationMs, parallelism, standing, label } = details
  return [
    name,
    kind,
    formatAge(createdAtMs, nowMs),
    formatBytes(newBytes),
    formatBytes(totalBytes),
    `${Math.round(durationMs)} ms`,
    String(parallelism),
    standing,
    label ?? (isPeriodic({ kind, trigger: details.trigger }) ? '(periodic)' : ''),
  ]
}

export function snapshotAsJson({ name, kind, id, file, details, damage }: SnapshotListing): object {
  const shown = details && { ...details, label: details.label ?? null }
  return { name, kind, id, file, details: shown ?? null, damage: damage ?? null }
}
