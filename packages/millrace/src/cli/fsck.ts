/** `millrace fsck JOB`: verifies every checksum and reference, and reports what nothing names. */
import { fsck as check, type FsckReport } from '../snapshot/fsck.ts'
import type { Answer } from './answer.ts'
import { FAILED } from './exit-codes.ts'
import { StatusLine } from './status-line.ts'
import { findJob, openStorage, type StorageFlags } from './storage.ts'
import { formatTable } from './table.ts'
import { formatBytes, formatNumberOf } from './units.ts'

export async function fsck(jobOrFile: string, flags: StorageFlags): Promise<Answer> {
  const storage = await openStorage(flags)
  const job = await findJob(storage, jobOrFile)
  const status = new StatusLine()
  const report = await check(storage.job(job), job, { onFile: file => status.show(`checking ${file}`) }).finally(() =>
    status.clear(),
  )
  return {
    json: {
      storage: storage.location,
      job,
      ...report,
      findings: report.findings.map(finding => ({ ...finding, code: finding.code ?? null })),
    },
    text: textOf(job, report),
    exitCode: report.intact ? 0 : FAILED,
  }
}

const COLUMNS = [{ title: 'SEVERITY' }, { title: 'FILE' }, { title: 'SNAPSHOTS' }, { title: 'FINDING' }]

function textOf(job: string, { findings, checked, intact }: FsckReport): string {
  const rows = findings.map(({ severity, file, code, message, snapshots }) => [
    severity,
    file,
    snapshots.join(' ') || '-',
    code === undefined ? message : `${code}: ${message}`,
  ])
  const { manifests, segments, runs, bytes } = checked
  const counts = [
    formatNumberOf(manifests, 'manifest'),
    formatNumberOf(segments, 'segment'),
    formatNumberOf(runs, 'run'),
  ]
  const damaged = findings.filter(({ severity }) => severity === 'damage').length
  const verdict = intact ? 'intact' : `DAMAGED in ${formatNumberOf(damaged, 'place')}`
  return `${rows.length === 0 ? '' : `${formatTable(COLUMNS, rows)}\n`}${job}: ${verdict}; checked ${counts.join(', ')}, ${formatBytes(bytes)}\n`
}
