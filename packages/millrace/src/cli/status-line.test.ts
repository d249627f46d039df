import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StatusLine } from './status-line.ts'

function terminal(isTTY = true, columns = 20): { stream: NodeJS.WriteStream; written: string[] } {
  const written: string[] = []
  const stream = { isTTY, columns, write: (text: string) => written.push(text) > 0 }
  return { stream: stream as unknown as NodeJS.WriteStream, written }
}

test('the line is drawn over itself, cut to the width of the terminal, and only when it changes', () => {
  const { stream, written } = terminal()
  const line = new StatusLine(stream)
  line.show('one')
  line.show('one')
  line.show('a line that is wider than the terminal')
  assert.deepEqual(written, ['\r\u001b[Kone', '\r\u001b[Ka line that is wide'])
})

test('a terminal that says it has no columns shows the line all the same', () => {
  const { stream, written } = terminal(true, 0)
  new StatusLine(stream).show('one')
  assert.deepEqual(written, ['\r\u001b[Kone'])
})

test('a message appears above the line, and output wipes it first', () => {
  const { stream, written } = terminal()
  const output = terminal()
  const line = new StatusLine(stream)
  line.makeWayFor(output.stream)
  line.show('working')
  line.print('a message')
  assert.deepEqual(written.splice(0), ['\r\u001b[Kworking', '\r\u001b[K', 'a message\n', '\r\u001b[Kworking'])
  output.stream.write('row\n')
  assert.deepEqual([written, output.written], [['\r\u001b[K'], ['row\n']])
})

test('without a terminal there are messages but no line', () => {
  const { stream, written } = terminal(false)
  const line = new StatusLine(stream)
  line.show('working')
  line.print('a message')
  line.clear()
  assert.deepEqual(written, ['a message\n'])
})
