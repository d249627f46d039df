/** The report of all benchmarks, as Markdown. Every number is a median, with the smallest and the largest sample behind it. */
import { median } from './meter.ts'

/** A run's line. */
export type Sample = { readonly [field: string]: number | string }

export interface Group {
  readonly command: string
  readonly samples: readonly Sample[]
  /** What runs that failed said. */
  readonly failures: string[]
}

export interface Report {
  readonly cpu: string
  readonly cores: number
  readonly memoryGb: number
  readonly system: string
  readonly node: string
  readonly commit: string
  readonly date: string
  readonly smoke: boolean
  readonly samplesWanted: number
  readonly groups: readonly Group[]
}

interface Column {
  readonly title: string
  readonly field: string
  /** A unit of the table in units of the field. */
  readonly unit?: number
  readonly digits?: number
}

const MILLION = 1e6

const RATES: readonly Column[] = [
  { title: 'M events / CPU s, steady', field: 'steady_events_per_cpu_s', unit: MILLION, digits: 2 },
  { title: 'M events / s, steady', field: 'steady_events_per_s', unit: MILLION, digits: 2 },
  { title: 'M events / CPU s, whole process', field: 'events_per_cpu_s', unit: MILLION, digits: 2 },
  { title: 'wall s', field: 'wall_s', digits: 1 },
  { title: 'CPU s', field: 'cpu_s', digits: 1 },
  { title: 'peak MB', field: 'peak_rss_mb' },
]

const CHECKPOINTS: readonly Column[] = [
  { title: 'checkpoints', field: 'checkpoints' },
  { title: 'median ms', field: 'checkpoint_ms_median' },
  { title: 'longest ms', field: 'checkpoint_ms_max' },
  { title: 'the last wrote MB', field: 'checkpoint_bytes', unit: MILLION, digits: 1 },
  { title: 'state MB', field: 'state_bytes', unit: MILLION, digits: 1 },
  { title: 'longest pause ms', field: 'max_pause_ms' },
  { title: 'restart to first row ms', field: 'restore_to_first_output_ms' },
]

const RECOVERY: readonly Column[] = [
  { title: 'restart to first row ms', field: 'restart_to_first_output_ms' },
  { title: 'to where it was killed ms', field: 'restart_to_caught_up_ms' },
  { title: 'killed at M rows', field: 'killed_at_rows', unit: MILLION, digits: 1 },
  { title: 'state MB', field: 'state_bytes', unit: MILLION, digits: 1 },
]

const NOT_MEASURED = [
  'Other machines, other versions of Node.js, slow or remote disks.',
  'Other engines: their checksums are those of bench/WORKLOADS.md, their speed is not in this report.',
  'JSON, CSV and compressed files; sinks other than lines of text; latency of single records.',
  'State larger than memory.',
]

export function markdown(report: Report): string {
  const { cpu, cores, memoryGb, system, node, commit, date, smoke, samplesWanted, groups } = report
  const measured = groups.filter(({ samples }) => samples.length > 0)
  const having = (field: string) => measured.filter(({ samples }) => field in samples[0])
  const failed = groups.filter(({ failures }) => failures.length > 0)
  return [
    '# Benchmark report',
    smoke ? '**Smoke sizes: that everything runs is all that this says.**' : undefined,
    `${cpu}, ${cores} cores, ${memoryGb} GB, ${system}; Node.js ${node}; commit ${commit}; ${date}. Runs of each, in turn: ${samplesWanted}; median (smallest – largest). ` +
      '`--plain` is the same work as a bare loop in Node.js, without the engine.',
    section('Rates', having('wall_s'), groups => table(groups, RATES, plainRatio(measured))),
    section('Checkpoints and state', having('checkpoint_ms_median'), groups => table(groups, CHECKPOINTS)),
    section('Recovery after SIGKILL', having('killed_at_rows'), groups => table(groups, RECOVERY)),
    section('Parts by themselves', having('bench'), parts),
    '## Checksums',
    having('checksum')
      .map(
        ({ command, samples }) => `- \`${command}\`: ${[...new Set(samples.map(each => each['checksum']))].join(', ')}`,
      )
      .join('\n'),
    '## Not measured',
    [...NOT_MEASURED, ...failed.map(({ command, failures }) => `\`${command}\`: ${failures[0].split('\n')[0]}`)]
      .map(line => `- ${line}`)
      .join('\n'),
  ]
    .filter(part => part !== undefined)
    .join('\n\n')
    .concat('\n')
}

function section(
  title: string,
  groups: readonly Group[],
  body: (groups: readonly Group[]) => string,
): string | undefined {
  return groups.length === 0 ? undefined : `## ${title}\n\n${body(groups)}`
}

/** How the events per CPU second of a run are to those of the bare loop over the same events. */
function plainRatio(groups: readonly Group[]): (group: Group) => string {
  const rateOf = ({ samples }: Group) => medianOf(samples, 'steady_events_per_cpu_s')
  const same = (a: Sample, b: Sample) => a['workload'] === b['workload'] && isSkewed(a) === isSkewed(b)
  return group => {
    const plain = groups.find(({ samples }) => samples[0]['engine'] === 'plain' && same(samples[0], group.samples[0]))
    if (plain === undefined || plain === group) return ''
    const [rate, bar] = [rateOf(group), rateOf(plain)]
    return rate === undefined || bar === undefined ? '' : (rate / bar).toFixed(2)
  }
}

function isSkewed(sample: Sample): boolean {
  return String(sample['variant']).includes('zipf')
}

function table(groups: readonly Group[], columns: readonly Column[], ratio?: (group: Group) => string): string {
  const shown = columns.filter(({ field }) => groups.some(({ samples }) => field in samples[0]))
  const titles = ['run', ...shown.map(({ title }) => title), ...(ratio ? ['of the plain loop'] : [])]
  const rows = groups.map(group => [
    `\`${group.command.replace('npm run bench -- ', '')}\``,
    ...shown.map(column => cell(group.samples, column)),
    ...(ratio ? [ratio(group)] : []),
  ])
  return [titles, titles.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

/** A line for each thing that was measured. */
function parts(groups: readonly Group[]): string {
  const rows = groups.flatMap(({ samples }) => {
    const { bench, ...measures } = samples[0]
    return Object.keys(measures).map(field => [bench, field, cell(samples, { title: field, field, digits: 1 })])
  })
  return [['part', 'measure', 'median'], ['---', '---', '---'], ...rows]
    .map(cells => `| ${cells.join(' | ')} |`)
    .join('\n')
}

function cell(samples: readonly Sample[], { field, unit = 1, digits = 0 }: Column): string {
  const values = numbers(samples, field)
  if (values.length === 0) return ''
  const text = (value: number) => (value / unit).toFixed(digits)
  if (values.length === 1) return text(values[0])
  return `${text(median(values))} (${text(Math.min(...values))} – ${text(Math.max(...values))})`
}

function medianOf(samples: readonly Sample[], field: string): number | undefined {
  const values = numbers(samples, field)
  return values.length === 0 ? undefined : median(values)
}

function numbers(samples: readonly Sample[], field: string): number[] {
  return samples.map(sample => sample[field]).filter(value => typeof value === 'number')
}
