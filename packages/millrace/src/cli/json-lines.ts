/** Documents one JSON object a line, no faster than they are taken. */

const BATCH_CHARACTERS = 64 * 1024

/** How many were written. Default: to standard output. */
export async function writeJsonLines(
  documents: AsyncIterable<object>,
  write: (text: string) => Promise<void> = toOutput,
): Promise<number> {
  let count = 0
  let batch = ''
  for await (const document of documents) {
    batch += `${JSON.stringify(document)}\n`
    count++
    if (batch.length < BATCH_CHARACTERS) continue
    await write(batch)
    batch = ''
  }
  if (batch !== '') await write(batch)
  return count
}

function toOutput(text: string): Promise<void> {
  return new Promise(resolve => process.stdout.write(text, () => resolve()))
}
