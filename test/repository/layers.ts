/**
 * The layers of ARCHITECTURE.md as a table, and what breaks them. Imports only go down; a folder that has an `index.ts` is entered
 * through it or through a file that holds contracts; the clock, randomness, threads, files and the process appear only at the edge.
 * That last rule makes a job's run a function of its input: tests give the engine their own clock and their own disk.
 */
import { posix } from 'node:path'
import type { ModuleReference, SourceReferences } from './source-reader.ts'

/** What the files of each folder may import beside their own folder. `.` are the public doors of the package. */
export const MAY_IMPORT: { readonly [folder: string]: readonly string[] } = {
  base: [],
  codec: ['base', 'time'],
  time: ['base'],
  store: ['base'],
  connectors: ['base', 'codec', 'store', 'time'],
  state: ['base', 'codec', 'time'],
  graph: ['base', 'codec', 'time', 'state/declarations.ts', 'connectors/contract.ts'],
  snapshot: ['base', 'codec', 'time', 'store'],
  checkpoint: ['base', 'graph', 'snapshot', 'store'],
  runtime: ['base', 'codec', 'time', 'graph', 'store', 'state', 'snapshot', 'checkpoint', 'connectors/contract.ts'],
  api: ['base', 'codec', 'time', 'graph', 'state/declarations.ts', 'connectors/contract.ts'],
  host: ['base', 'codec', 'time', 'graph', 'store', 'state', 'snapshot', 'checkpoint', 'runtime', 'connectors', 'api'],
  reading: ['base', 'codec', 'store', 'snapshot', 'host'],
  control: ['base', 'codec', 'time', 'graph', 'store', 'state', 'snapshot', 'checkpoint', 'runtime', 'api', 'host'],
  cli: [
    'base',
    'codec',
    'time',
    'graph',
    'store',
    'state',
    'snapshot',
    'checkpoint',
    'runtime',
    'api',
    'host',
    'reading',
    'control',
  ],
  testing: [
    'base',
    'codec',
    'time',
    'graph',
    'store',
    'state',
    'snapshot',
    'checkpoint',
    'runtime',
    'connectors',
    'api',
    'host',
  ],
  '.': ['base', 'codec', 'time', 'graph', 'state', 'connectors', 'api', 'host', 'reading', 'control'],
}

/** Facts and contracts without behaviour of their own; importing one loads no more than itself. */
const CONTRACTS = [
  'connectors/contract.ts',
  'graph/stream-graph.ts',
  'snapshot/manifest-types.ts',
  'state/contract.ts',
  'state/declarations.ts',
  'store/contract.ts',
  'time/windows.ts',
]

/** What stands beside each other shares these. */
const SHARED = ['state/entries/', 'state/rows/', 'state/disk/disk-store.ts', 'state/disk/packed.ts']

/** A command loads only what it needs of the host: `millrace jobs` starts no engine. Simulations run its parts in a world of their own. */
const ENTERED_BY_FILE: { readonly [from: string]: readonly string[] | undefined } = {
  host: ['state'],
  reading: ['host'],
  control: ['host'],
  cli: ['host', 'reading', 'control'],
  testing: ['host'],
}

/** Where the world outside may be touched. */
const EDGE = [
  'store/local/',
  'connectors/files/',
  'connectors/console/',
  'state/rocksdb/',
  'host/',
  'reading/open-snapshot.ts',
  'reading/snapshot-place.ts',
  'reading/edit-snapshot.ts',
  'control/',
  'cli/',
  'testing/crash-runner.ts',
  'testing/simulation/event-loop.ts',
]

/** Doors that offer the edge beside what is pure; only doors and what stands above the engine load them. */
const ABOVE = [
  'host/',
  'reading/',
  'control/',
  'cli/',
  'testing/',
  'connectors/index.ts',
  'store/index.ts',
  'index.ts',
  'connector.ts',
]

/** Modules that depend on nothing but their arguments. Everything else of Node is the world outside. */
const PURE_MODULES: { readonly [module: string]: readonly string[] | 'all' } = {
  'node:assert/strict': 'all',
  'node:buffer': 'all',
  'node:crypto': ['createHash', 'hash'],
  'node:path': ['basename', 'dirname', 'extname', 'isAbsolute', 'join', 'posix'],
  'node:util': ['inspect', 'isDeepStrictEqual', 'types'],
  'node:zlib': 'all',
}

const PACKAGES: { readonly [name: string]: readonly string[] } = {
  '@hono/node-server': ['control'],
  '@millrace/rocksdb': ['state'],
  '@valibot/to-json-schema': ['control'],
  commander: ['cli'],
  'fast-check': ['testing'],
  hono: ['control'],
  'hyparquet-writer': ['cli'],
  'node:test': ['testing'],
  'prom-client': ['control'],
  valibot: ['control'],
}

const OUTSIDE_GLOBALS =
  /^(new Date\(\)|Date\(\)|Date\.now|Math\.random|(performance|process|console|crypto)(\..*)?|(set|clear)(Timeout|Interval|Immediate)(\(\))?|fetch|globalThis\.(Date|Math|performance|process|console|crypto|fetch|setTimeout|setInterval|setImmediate))$/

/** Files are named relative to `src/`. */
export type Sources = ReadonlyMap<string, SourceReferences>

export function breaches(sources: Sources): string[] {
  const found: string[] = []
  for (const [file, { modules, globals }] of sources) {
    for (const module of modules) {
      const reason = module.specifier.startsWith('.') ? wrongImport(file, module, sources) : wrongModule(file, module)
      if (reason !== undefined) found.push(`${file}:${module.line} ${reason}`)
    }
    if (isEdge(file)) continue
    for (const { name, line } of globals) {
      if (OUTSIDE_GLOBALS.test(name)) found.push(`${file}:${line} uses ${name}; it must be given to it`)
    }
    const path = pathToEdge(file, sources)
    if (path !== undefined) found.push(`${file} loads the world outside: ${path.join(' -> ')}`)
  }
  return found
}

function wrongImport(file: string, { specifier }: ModuleReference, sources: Sources): string | undefined {
  const target = posix.join(posix.dirname(file), specifier)
  const [from, to] = [folderOf(file), folderOf(target)]
  if (from === to) {
    // Backends, stores and connectors side by side know nothing of each other.
    const [mine, theirs] = [posix.dirname(file), posix.dirname(target)]
    const apart = mine !== theirs && mine !== to && theirs !== to && from !== 'runtime'
    return apart && !SHARED.some(shared => target.startsWith(shared))
      ? `imports ${target}, which stands beside it`
      : undefined
  }
  if (!MAY_IMPORT[from].some(entry => entry === to || entry === target))
    return `imports ${target}; ${from} stands below or beside ${to}`
  const entered = posix.basename(target) === 'index.ts' || CONTRACTS.includes(target) || !sources.has(`${to}/index.ts`)
  if (!entered && ENTERED_BY_FILE[from]?.includes(to) !== true) return `imports ${target}, past ${to}/index.ts`
  return undefined
}

function wrongModule(file: string, { specifier, names }: ModuleReference): string | undefined {
  const users = PACKAGES[packageOf(specifier)]
  if (users !== undefined) {
    return users.includes(folderOf(file)) ? undefined : `imports ${specifier}, which is for ${users.join()}`
  }
  if (isEdge(file) && (specifier.startsWith('node:') || specifier === '(computed)')) return undefined
  const pure = PURE_MODULES[specifier]
  if (pure === 'all' || (names !== undefined && pure !== undefined && names.every(name => pure.includes(name))))
    return undefined
  return `imports ${names?.join(', ') ?? 'all'} of ${specifier}`
}

/** `hono/body-limit` is a part of `hono`. */
function packageOf(specifier: string): string {
  return /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier
}

/** How loading a file that is not at the edge loads one that is: imports that are not only of types, followed as far as they go. */
function pathToEdge(file: string, sources: Sources): string[] | undefined {
  if (ABOVE.some(above => file.startsWith(above))) return undefined
  const seen = new Set([file])
  const paths = [[file]]
  for (const path of paths) {
    const last = path.at(-1)!
    if (isEdge(last)) return path
    for (const { specifier, typeOnly } of sources.get(last)?.modules ?? []) {
      const target = posix.join(posix.dirname(last), specifier)
      if (typeOnly || !specifier.startsWith('.') || seen.has(target)) continue
      seen.add(target)
      paths.push([...path, target])
    }
  }
  return undefined
}

function isEdge(file: string): boolean {
  return EDGE.some(edge => file.startsWith(edge))
}

function folderOf(file: string): string {
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : '.'
}
