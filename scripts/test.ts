/**
 * Runs tests: `npm test` everything short, `npm run test:long` what stands in test/long.
 *
 *   npm test -- codec snapshot/sweep     only files whose path contains one of the words
 *   npm test -- --name 'a torn write'    only tests whose name matches the regular expression
 *
 * Every file runs in its own process, two at a time. One line a file, then the failures, then node's own summary.
 */
import { globSync } from 'node:fs'
import { join, relative } from 'node:path'
import { run } from 'node:test'
import { pathToFileURL } from 'node:url'
import { parseArgs, styleText } from 'node:util'

const root = join(import.meta.dirname, '..')
const sourceCondition = '--conditions=millrace-source'
/** Test files mostly wait for their own start and for the disk, and crash tests start processes of their own. */
const concurrency = 2
/** A file that takes longer hangs; a tenth of it is enough on a quiet machine. */
const shortLimitMs = 5 * 60_000
const longLimitMs = 15 * 60_000

const { values: options, positionals: words } = parseArgs({
  options: { long: { type: 'boolean', default: false }, name: { type: 'string' } },
  allowPositionals: true,
})

const isLong = (file: string) => file.startsWith('test/long/')
const files = globSync(
  ['packages/*/src/**/*.test.ts', 'test/**/*.test.ts', 'examples/**/*.test.ts', 'bench/**/*.test.ts'],
  {
    cwd: root,
    exclude: ['**/node_modules/**'],
  },
)
  .filter(file => isLong(file) === options.long)
  .filter(file => words.length === 0 || words.some(word => file.includes(word)))
  .sort()

if (files.length === 0) {
  console.error(`no test file${words.length === 0 ? '' : ` has a path that contains ${words.join(' or ')}`}`)
  process.exit(2)
}

// For the processes that tests start; npm sets it already.
const nodeOptions = process.env['NODE_OPTIONS'] ?? ''
if (!nodeOptions.includes(sourceCondition)) process.env['NODE_OPTIONS'] = `${nodeOptions} ${sourceCondition}`.trim()
process.env['TEST_PROCESS_LIMIT_MS'] ??= String(options.long ? longLimitMs : shortLimitMs)

interface Failure {
  readonly title: string
  readonly error: unknown
}
const failures: Failure[] = []

const tests = run({
  cwd: root,
  files: files.map(file => join(root, file)),
  concurrency,
  execArgv: ['--import', pathToFileURL(join(import.meta.dirname, 'test-watchdog.ts')).href],
  ...(options.name === undefined ? {} : { testNamePatterns: new RegExp(options.name) }),
})

/** The stack without the frames of node's test runner. */
const ownFrames = (error: Error) =>
  (error.stack ?? error.message).replaceAll(/^ +at .*node:internal.*\n?/gm, '').trimEnd()

const fileOf = (path: string | undefined) => (path === undefined ? '' : relative(root, path))

tests.on('test:stdout', event => process.stdout.write(event.message))
tests.on('test:stderr', event => process.stderr.write(event.message))
tests.on('test:fail', event => {
  const cause = event.details.error.cause ?? event.details.error
  // A suite fails because its tests do; those are reported themselves.
  if ((event.details.error as { failureType?: string }).failureType === 'subtestsFailed') return
  failures.push({ title: `${fileOf(event.file)}:${event.line ?? 1}  ${event.name}`, error: cause })
})
tests.on('test:summary', event => {
  if (event.file !== undefined) {
    const mark = event.success ? styleText('green', '✔') : styleText('red', '✖')
    const took = styleText('gray', `${event.counts.tests} tests, ${(event.duration_ms / 1000).toFixed(1)} s`)
    console.log(`${mark} ${fileOf(event.file)} ${took}`)
    return
  }
  for (const { title, error } of failures) {
    console.log(`\n${styleText('red', '✖')} ${title}`)
    console.log(error instanceof Error ? ownFrames(error) : error)
  }
  console.log()
  const { tests: count, passed, cancelled, skipped, todo } = event.counts
  const failed = count - passed - cancelled - skipped - todo
  for (const [label, value] of Object.entries({ tests: count, pass: passed, fail: failed, cancelled, skipped, todo })) {
    console.log(`ℹ ${label} ${value}`)
  }
  console.log(`ℹ duration_ms ${Math.round(event.duration_ms)}`)
  if (!event.success) process.exitCode = 1
})
