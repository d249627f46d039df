import { count, defineJob, files } from 'millrace'

export default defineJob('word-count', flow => {
  flow
    .source('lines', files.lines('corpus/*.txt'))
    .flatMap(line => line.toLowerCase().match(/\p{L}+/gu) ?? [])
    .keyBy(word => word)
    .aggregate('counts', count())
    .sink('out', files.writeJson('out'))
})
