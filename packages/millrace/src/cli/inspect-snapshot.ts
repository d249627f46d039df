/** A snapshot as its manifest tells it. */
import type { Manifest, OperatorSnapshot } from '../snapshot/manifest-types.ts'
import { formatSnapshotId } from '../snapshot/snapshot-id.ts'
import type { Answer } from './answer.ts'
import { formatTable, oneLine } from './table.ts'
import { formatAge, formatBytes, formatCount, formatNumberOf } from './units.ts'

export function describeSnapshot(name: string, storage: string, manifest: Manifest): Answer {
  return {
    json: { snapshot: name, storage, ...totalsOf(manifest), manifest },
    text: [
      headText(name, manifest),
      formatTable(OPERATOR_COLUMNS, manifest.operators.map(operatorRow)),
      segmentsText(manifest),
    ].join('\n'),
  }
}

/** Entries of all segments: of a key that was written again, each one counts. */
function totalsOf({ segments }: Manifest): { sizeBytes: number; entries: number; tombstones: number } {
  const sum = (of: 'sizeBytes' | 'entries' | 'tombstones'): number =>
    segments.reduce((total, segment) => total + segment[of], 0)
  return { sizeBytes: sum('sizeBytes'), entries: sum('entries'), tombstones: sum('tombstones') }
}

function headText(name: string, manifest: Manifest): string {
  const { createdAtMs, durationMs, trigger, run, lineage, millrace, parallelism, maxParallelism, segments } = manifest
  const { sizeBytes, entries, tombstones } = totalsOf(manifest)
  return `${name}: made ${formatAge(createdAtMs, Date.now())} ago (${new Date(createdAtMs).toISOString()}) in ${Math.round(durationMs)} ms, trigger ${trigger}
run ${run}, lineage ${lineage}, millrace ${oneLine(millrace)}, parallelism ${parallelism}, ${maxParallelism} key groups
${formatBytes(sizeBytes)} in ${formatNumberOf(segments.length, 'segment')}, ${formatCount(entries)} entries, ${formatCount(tombstones)} of them tombstones
`
}

const OPERATOR_COLUMNS = [
  { title: 'OPERATOR' },
  { title: 'KIND' },
  { title: 'READS FROM' },
  { title: 'SUBTASKS', right: true },
  { title: 'STATES (name#id kind)' },
  { title: 'RECORDS', right: true },
  { title: 'SPLITS', right: true },
  { title: 'COMMITTABLES', right: true },
]

function operatorRow({
  name,
  kind,
  inputs = [],
  parallelism,
  states,
  source,
  sink,
  operatorState,
  broadcastState,
}: OperatorSnapshot): string[] {
  const keyed = states.map(state => `${state.name}#${state.id} ${state.kind}`)
  const lists = Object.keys(operatorState ?? {}).map(state => `${state} (not keyed)`)
  const broadcasts = Object.keys(broadcastState ?? {}).map(state => `${state} broadcast`)
  const ended = source?.splits.filter(split => split.ended).length ?? 0
  return [
    name,
    sink === undefined ? kind : `${kind} (${sink.type})`,
    inputs.join(', '),
    formatCount(parallelism),
    [...keyed, ...lists, ...broadcasts].join(', '),
    source === undefined ? '' : formatCount(source.records),
    source === undefined ? '' : `${source.splits.length}${ended === 0 ? '' : `, ${ended} ended`}`,
    sink === undefined ? '' : formatCount(sink.committables.length),
  ]
}

const SEGMENT_COLUMNS = [
  { title: 'SEGMENT (newest first)' },
  { title: 'WRITTEN BY' },
  { title: 'SIZE', right: true },
  { title: 'ENTRIES', right: true },
  { title: 'TOMBSTONES', right: true },
  { title: 'KEY GROUPS', right: true },
  { title: '' },
]

function segmentsText({ segments }: Manifest): string {
  if (segments.length === 0) return 'no segments: the job had no keyed state\n'
  const rows = segments.map(({ file, checkpoint, sizeBytes, entries, tombstones, keyGroups, base }) => [
    file,
    formatSnapshotId('checkpoint', checkpoint),
    formatBytes(sizeBytes),
    formatCount(entries),
    formatCount(tombstones),
    `${keyGroups[0]}-${keyGroups[1] - 1}`,
    base ? 'base' : '',
  ])
  return formatTable(SEGMENT_COLUMNS, rows)
}
