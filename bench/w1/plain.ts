/** W1 in plain Node, as one would write it without a framework: no fault tolerance. `node bench/w1/plain.ts TEXT-DIR OUT-DIR` */
import { createReadStream, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const [text, out] = process.argv.slice(2)
const counts = new Map<string, number>()
let tokens = 0
for (const file of readdirSync(text)
  .filter(name => name.startsWith('part-'))
  .sort()) {
  const input = createReadStream(join(text, file), { highWaterMark: 1 << 20 })
  for await (const line of createInterface({ input, crlfDelay: Infinity })) {
    for (const word of line.split(' ')) {
      counts.set(word, (counts.get(word) ?? 0) + 1)
      tokens++
    }
  }
}
mkdirSync(out, { recursive: true })
writeFileSync(join(out, 'part-0'), [...counts].map(([word, count]) => `${word} ${count}\n`).join(''))
const { user, system } = process.cpuUsage()
console.log(JSON.stringify({ tokens, cpuSeconds: (user + system) / 1e6 }))
